"""What follows from the rows below the frameworks, and the way into the universe."""

from __future__ import annotations

import pytest

from cogpack.errors import UserError
from cogpack.solver.matrix import build_universe, gpu_capability
from cogpack.solver.policy import COMPROMISES
from cogpack.solver.solve import resolve
from support.matrices import CPU, GPU, refused, requirement, solved, tables

CUDA = "docker.io/nvidia/cuda:"


def test_a_python_minor_gets_its_slim_image() -> None:
    images = solved(CPU, "python==3.12.*").base_images
    assert images.build == images.runtime
    assert images.runtime.ref == "docker.io/library/python:3.12-slim-bookworm"
    provides = images.runtime.provides
    assert (provides["os"], provides["glibc"]) == ("debian-12", "2.36")
    assert provides["python"].startswith("3.12.")


def test_a_python_release_gets_an_image_of_that_release() -> None:
    found = solved(CPU, "python==3.12.4")
    assert found["python"].version == "3.12.4"
    assert found.base_images.runtime.ref == "docker.io/library/python:3.12.4-slim-bookworm"
    assert found.base_images.runtime.provides["python"] == "3.12.4"


def test_a_python_release_from_before_the_images_comes_from_uv() -> None:
    found = solved(CPU, "python==3.11.3")
    assert found.base_images.runtime.ref == "docker.io/library/debian:bookworm-slim"
    assert "python" not in found.base_images.runtime.provides
    assert refused(CPU, "python==3.10.1"), "there is neither an image nor a build of it"


def test_a_newer_patch_than_the_table_knows_is_served_by_the_minors_image() -> None:
    newest = max(row.version for row in tables().python if row.version.minor == 12)
    found = solved(CPU, f"python==3.12.{newest.micro + 1}")
    assert found.base_images.runtime.ref == "docker.io/library/python:3.12-slim-bookworm"


def test_cuda_in_the_image_is_devel_to_build_and_the_smallest_to_run() -> None:
    images = solved(CPU, "python==3.12.*", "cuda==12.6.*", "system-cuda==12.6.*").base_images
    assert images.build.ref == f"{CUDA}12.6.3-devel-ubuntu22.04"
    assert images.runtime.ref == f"{CUDA}12.6.3-runtime-ubuntu22.04"
    assert images.runtime.provides["cuda"] == "12.6.3"


def test_a_compiler_of_cuda_is_for_the_build_alone() -> None:
    images = solved(CPU, "python==3.12.*", "cuda==12.6.*", "cuda-toolkit==12.6.*").base_images
    assert images.build.ref == f"{CUDA}12.6.3-devel-ubuntu22.04"
    assert images.runtime.ref == f"{CUDA}12.6.3-base-ubuntu22.04"


def test_cudnn_in_the_image_is_asked_for_by_its_major() -> None:
    asked = ("cuda==12.6.*", "system-cuda==12.6.*", "cudnn==9.*", "system-cudnn==9.*")
    images = solved(CPU, *asked).base_images
    assert images.build.ref == f"{CUDA}12.6.3-cudnn-devel-ubuntu22.04"
    assert images.runtime.ref == f"{CUDA}12.6.3-cudnn-runtime-ubuntu22.04"
    assert images.runtime.provides["cudnn"] == "9"
    assert refused(CPU, "cuda==12.6.*", "system-cuda==12.6.*", "system-cudnn==8.*")
    old = solved(CPU, "system-cuda==11.8.*", "system-cudnn==8.*").base_images
    assert old.runtime.ref == f"{CUDA}11.8.0-cudnn8-runtime-ubuntu22.04"


def test_build_and_runtime_stand_on_one_system() -> None:
    found = solved(CPU, "system-cuda==11.3.*")
    assert found["os"].version == "ubuntu-20.04"
    assert found["glibc"].version == "2.31"


def test_the_system_may_be_asked_for() -> None:
    found = solved(CPU, "python==3.12.*", "os==debian-13")
    assert found.base_images.runtime.ref == "docker.io/library/python:3.12-slim-trixie"


def test_a_glibc_that_is_too_old_rules_a_build_out() -> None:
    assert refused(GPU, "torch==2.8.0", "os==ubuntu-18.04", "system-cuda==11.8.*")
    assert solved(GPU, "torch==2.6.0", "os==ubuntu-18.04", "system-cuda==11.8.*")


def test_a_compiler_is_asked_for_at_build_time_alone() -> None:
    images = solved(CPU, "python==3.12.*", "compiler==gcc").base_images
    assert images.build.ref == "docker.io/library/python:3.12-bookworm"
    assert images.runtime.ref == "docker.io/library/python:3.12-slim-bookworm"
    assert "gcc" in images.build.provides
    cuda = solved(CPU, "compiler==gcc", "system-cuda==12.6.*").base_images
    assert cuda.build.ref == f"{CUDA}12.6.3-devel-ubuntu22.04"


def test_the_whole_universe_gives_the_same_answer_as_its_part() -> None:
    wanted = [requirement(text) for text in (GPU, "torch==2.7.1", "cog", "uv")]
    part = build_universe(tables(), roots=[one.package for one in wanted])
    whole = build_universe(tables())
    assert set(part.packages) < set(whole.packages)
    assert resolve(wanted, whole) == resolve(wanted, part)


def test_compromises_are_packages_that_nobody_asks_for() -> None:
    whole = build_universe(tables())
    for name in COMPROMISES:
        (only,) = whole[name].candidates
        assert only.notes


def test_every_term_is_about_a_package_of_the_universe() -> None:
    for platform in ("linux/amd64", "linux/arm64"):
        whole = build_universe(tables(), platform=platform)
        for candidate in whole:
            for relation in candidate.relations:
                for term in relation.any_of:
                    assert term.package in whole, (candidate.label, term)


def test_every_fact_stands_in_a_table() -> None:
    lengths = {f"compat/{name}.csv": len(rows) for name, rows in tables().read_all().items()}
    for candidate in build_universe(tables()):
        for relation in candidate.relations:
            fact = relation.fact
            assert 2 <= fact.row <= lengths[fact.table] + 1, fact
            assert fact.key, fact
            assert fact.text == fact.text.strip(), fact
            assert not fact.text.endswith("."), fact


def test_packages_of_the_open_world_are_left_out() -> None:
    universe = build_universe(tables(), roots=["numpy", "python", "jax-md"])
    assert "numpy" not in universe
    assert "jax-md" not in universe


@pytest.mark.parametrize("platform", ["windows/amd64", "linux/riscv64", "linux", "amd64", ""])
def test_an_unknown_platform_is_refused(platform: str) -> None:
    with pytest.raises(UserError) as caught:
        build_universe(tables(), platform=platform, roots=["python"])
    assert caught.value.faults[0].hint == "the platforms are linux/amd64, linux/arm64"


def test_a_platform_may_have_a_variant() -> None:
    assert "python" in build_universe(tables(), platform="linux/arm64/v8", roots=["python"])


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("t4", "7.5"),
        ("Tesla T4", "7.5"),
        ("A100", "8.0"),
        ("NVIDIA A40", "8.6"),
        ("RTX 3090", "8.6"),
        ("GeForce RTX 4090", "8.9"),
        ("L40S", "8.9"),
        ("h100", "9.0"),
        ("B200", "10.0"),
        ("rtx-5090", "12.0"),
        ("V100", "7.0"),
        ("P100", "6.0"),
        ("9.0", "9.0"),
        ("sm_120", "12.0"),
        ("NVIDIA A100-SXM4-80GB", "8.0"),
        ("NVIDIA H100 80GB HBM3", "9.0"),
        ("Tesla V100-SXM2-16GB", "7.0"),
        ("NVIDIA RTX 6000 Ada Generation", "8.9"),
        ("80GB", None),
        ("voodoo2", None),
        ("", None),
    ],
)
def test_gpus_are_known_by_their_names(name: str, capability: str | None) -> None:
    assert gpu_capability(tables(), name) == capability
