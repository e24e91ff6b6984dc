"""What follows from the rows of the frameworks, on projects as people write them."""

from __future__ import annotations

import pytest

from cogpack.solver.matrix_facts import minor_range, range_text
from support.matrices import CPU, GPU, facts, outcome, refused, solved

INDEX = "https://download.pytorch.org/whl/"


def cuda(minor: str) -> tuple[str, str]:
    """What `cuda: minor` in cog.yaml asks for."""
    return f"cuda=={minor}.*", f"system-cuda=={minor}.*"


@pytest.mark.parametrize(
    ("asked", "torch"),
    [
        (("python==3.12.*", *cuda("12.8"), "torch==2.7.1+cu128"), "2.7.1+cu128"),
        (("python==3.12.*", *cuda("12.6"), "torch==2.7.0"), "2.7.0+cu126"),
        (("python==3.10.*", "torch==1.13.0"), "1.13.0+cu117"),
        (("python==3.10.*", "torch==2.0.1+cu118"), "2.0.1+cu118"),
    ],
)
def test_a_gpu_project_gets_the_build_for_its_cuda(asked: tuple[str, ...], torch: str) -> None:
    choice = solved(GPU, *asked)["torch"]
    assert choice.version == torch
    assert choice.index == INDEX + choice.variant


def test_a_cpu_project_gets_the_cpu_build_on_a_slim_base() -> None:
    found = solved(CPU, "python==3.12.*", "torch==2.5.1")
    assert (found["torch"].version, found["torch"].index) == ("2.5.1+cpu", INDEX + "cpu")
    assert found.base_images.runtime.ref == "docker.io/library/python:3.12-slim-bookworm"
    assert "driver" not in found
    assert not found.warnings


def test_torch_and_torchvision_are_of_one_variant_and_release() -> None:
    found = solved(GPU, "python==3.12.*", "torch==2.12.0", "torchvision==0.27.0")
    assert found["torch"].variant == found["torchvision"].variant
    assert found["torchvision"].index == found["torch"].index
    unpinned = solved(CPU, "torch", "torchvision==0.22.1", "torchaudio")
    assert unpinned["torch"].version == "2.7.1+cpu"
    assert unpinned["torchaudio"].version == "2.7.1+cpu"


def test_a_default_build_is_taken_when_it_is_named_exactly() -> None:
    found = solved(GPU, "torch===2.7.1")
    assert (found["torch"].version, found["torch"].variant) == ("2.7.1", "cu126")
    assert found["torch"].index == ""


@pytest.mark.parametrize(
    ("specifier", "torch"),
    [
        (">=2.0,<2.5", "2.4.1+cpu"),
        ("~=2.2", "2.14.1+cpu"),
        ("==2.5.1+cpu", "2.5.1+cpu"),
        (">=2.0,!=2.1.*,<2.2", "2.0.1+cpu"),
    ],
)
def test_ranges_are_ranges(specifier: str, torch: str) -> None:
    assert solved(CPU, f"torch{specifier}")["torch"].version == torch


def test_the_pythons_of_a_build_are_checked() -> None:
    conflict = refused(GPU, "python==3.13.*", "torch==2.4.1")
    assert facts(conflict) == {"torch 2.4.1 has wheels for Python 3.8 to 3.12"}


def test_a_cuda_build_serves_a_cpu_project_when_there_is_no_other() -> None:
    found = solved(CPU, "torch==2.15.0")
    assert found["torch"].variant == "cu132"
    assert any("CUDA build" in warning for warning in found.warnings)


def test_a_gpu_project_never_gets_a_cpu_build_by_itself() -> None:
    conflict = refused(GPU, "torch==2.5.1+cpu")
    assert facts(conflict) == {"torch 2.5.1+cpu is a CPU build"}
    assert solved("accelerator!=cpu", "torch==2.5.1+cpu")["torch"].version == "2.5.1+cpu"


def test_the_users_variant_stays_beside_another_cuda_of_the_same_major() -> None:
    found = solved(GPU, *cuda("12.8"), "torch==2.7.1+cu126")
    assert found["torch"].version == "2.7.1+cu126"
    assert found["system-cuda"].version == "12.8.1"
    assert any("same CUDA" in warning for warning in found.warnings)


def test_another_major_of_cuda_is_refused() -> None:
    conflict = refused(GPU, *cuda("11.8"), "torch==2.12.0")
    assert "torch 2.12.0+cu126 is built for CUDA 12.6" in facts(conflict)


def test_an_older_driver_gets_an_older_cuda() -> None:
    assert solved(GPU, "torch", "driver<581")["torch"].version == "2.15.0"
    found = solved(GPU, "torch", "driver<536")
    assert found["torch"].version == "2.14.1+cu126"
    assert found["driver"].version == "525.60.13"
    assert refused(GPU, "torch==2.12.0", "driver<500")


def test_a_stable_driver_may_be_preferred() -> None:
    found = solved(GPU, "torch==2.12.0", prefer="stable-driver")
    assert (found["torch"].variant, found["driver"].version) == ("cu126", "525.60.13")


@pytest.mark.parametrize(
    ("capability", "works", "fails"),
    [
        ("9.0", "2.0.1+cu118", "2.0.1+cu117"),
        ("10.0", "2.7.0+cu128", "2.7.0+cu126"),
        ("12.0", "2.7.0+cu128", "2.6.0+cu126"),
        ("12.1", "2.12.0+cu130", "2.12.0+cu126"),
        ("5.2", "2.5.1+cu121", "2.7.1+cu128"),
        ("7.0", "2.14.1+cu126", "2.14.1+cu130"),
        ("6.0", "2.6.0+cu124", "2.15.0"),
    ],
)
def test_a_gpu_runs_only_builds_with_kernels_for_it(
    capability: str, works: str, fails: str
) -> None:
    gpu = f"gpu-capability=={capability}"
    assert refused(GPU, gpu, f"torch=={fails}")
    assert solved(GPU, gpu, f"torch=={works}")["torch"].version == works


def test_a_gpu_that_cuda_knows_no_more() -> None:
    """Volta went with CUDA 13, Kepler with CUDA 12."""
    volta = "gpu-capability==7.0"
    (clash,) = refused(GPU, volta, "jax-cuda13-plugin==0.8.0").clashes
    assert {fact.text for fact in clash.facts} == {
        "jax-cuda13-plugin 0.8.0 runs CUDA 13.0, which knows no compute capability below 7.5"
    }
    assert solved(GPU, volta, "jax")["jax-cuda"].version == "cuda12"
    assert refused(GPU, volta, *cuda("13.0"))
    assert refused(GPU, volta, "cuda-toolkit==13.0.0")
    assert solved(GPU, volta, *cuda("12.9"))
    kepler = "gpu-capability==3.7"
    assert refused(GPU, kepler, "tensorflow==2.20.0", "tensorflow-cuda==and-cuda")
    assert solved(GPU, kepler, "tensorflow==2.10.1")
    assert solved(CPU, kepler, "tensorflow==2.20.0", "jax")


def test_triton_is_the_one_that_torch_names() -> None:
    assert solved(GPU, "torch==2.7.1")["triton"].version == "3.3.1"
    conflict = refused(GPU, "torch==2.7.1", "triton==3.2.0")
    assert facts(conflict) == {
        "torch 2.7.1 needs triton 3.3.1",
        "torch 2.7.1+cpu is a CPU build",
    }
    assert "triton" not in solved(CPU, "torch==2.7.1")


@pytest.mark.parametrize(
    ("version", "image"),
    [
        ("2.13.1", "docker.io/nvidia/cuda:11.8.0-cudnn8-runtime-ubuntu22.04"),
        ("2.10.1", "docker.io/nvidia/cuda:11.2.2-cudnn8-runtime-ubuntu20.04"),
        ("2.16.1", "docker.io/library/python:3.12-slim-bookworm"),
        ("2.17.0", "docker.io/library/python:3.12-slim-bookworm"),
        ("2.21.0", "docker.io/library/python:3.13-slim-bookworm"),
    ],
)
def test_tensorflow_takes_cuda_from_the_image_only_when_it_must(version: str, image: str) -> None:
    found = solved(GPU, f"tensorflow=={version}")
    assert found.base_images.runtime.ref == image
    mode = "system" if "nvidia" in image else "and-cuda"
    assert found["tensorflow-cuda"].version == mode


def test_tensorflow_runs_on_a_newer_cuda_of_its_major_that_the_user_asks_for() -> None:
    found = solved(GPU, "system-cuda==11.8.*", "tensorflow==2.11.1")
    assert found["system-cuda"].version == "11.8.0"
    assert any("tensorflow was tested with an older CUDA" in text for text in found.warnings)
    assert not any("older CUDA" in text for text in solved(GPU, "tensorflow==2.11.1").warnings)
    conflict = refused(GPU, "system-cuda==12.1.*", "tensorflow==2.11.1")
    assert (
        "tensorflow 2.11.1 works with the libraries of CUDA 11.2 to 11.8 alone, "
        "if the image brings them" in facts(conflict)
    )


def test_no_other_cuda_stands_in_where_nvidia_says_so_of_none() -> None:
    conflict = refused(GPU, "system-cuda==11.2.*", "tensorflow==2.4.4", "python==3.8.*")
    assert any("libraries of CUDA 11.0 alone" in text for text in facts(conflict))


def test_a_gpu_project_that_nothing_brings_cuda_to_is_told_so() -> None:
    def told(*lines: str) -> bool:
        return any("of brings CUDA" in text for text in solved(*lines).warnings)

    assert told(GPU, "python==3.12.*")
    assert not told(GPU, "torch==2.8.0")
    assert not told(GPU, "system-cuda==12.4.*")
    assert not told(CPU, "python==3.12.*")


def test_tensorflow_on_a_cpu_needs_no_cuda() -> None:
    found = solved(CPU, "tensorflow==2.13.1")
    assert not {"cuda", "driver", "tensorflow-cuda"} & {choice.package for choice in found}


def test_torch_and_tensorflow_are_solved_together() -> None:
    found = solved(GPU, "torch==2.6.0", "tensorflow==2.19.0")
    assert found["tensorflow-cuda"].version == "system"
    assert found["system-cuda"].version == "12.5.1"
    conflict = refused(GPU, "torch==2.6.0+cu126", "tensorflow==2.19.0", "tensorflow-cuda==and-cuda")
    assert facts(conflict) == {
        "torch 2.6.0+cu126 brings the libraries of CUDA 12.6 as packages",
        "tensorflow 2.19.0 takes the CUDA libraries ==12.5.82 as packages",
    }
    shared = solved(GPU, "torch==2.8.0", "tensorflow==2.20.0")
    assert shared["tensorflow-cuda"].version == "and-cuda"
    assert shared["torch"].variant == "cu129"


def test_old_tensorflow_with_a_torch_of_another_major() -> None:
    found = solved(GPU, "python==3.11.*", "torch==2.12.0", "tensorflow==2.13.1")
    assert found["system-cuda"].version == "11.8.0"
    assert found["torch"].variant.startswith("cu1")
    assert found.warnings


def test_jax_gets_a_plugin_on_a_gpu_and_none_on_a_cpu() -> None:
    found = solved(GPU, "jax==0.12.0.1")
    assert found["jax-cuda13-plugin"].version == "0.12.0.1"
    older = solved(GPU, "jax==0.12.0.1", "driver<536")
    assert older["jax-cuda12-plugin"].version == "0.12.0.1"
    chosen = solved(GPU, "jax==0.12.0.1", "jax-cuda==cuda12")
    assert "jax-cuda13-plugin" not in chosen
    on_cpu = solved(CPU, "jax")
    assert on_cpu["jaxlib"].version == "0.12.0.1"
    assert "jax-cuda" not in on_cpu


def test_libraries_pin_their_frameworks() -> None:
    found = solved(GPU, "vllm==0.33.0")
    assert found["torch"].version.startswith("2.14.0")
    assert found["torchvision"].version.startswith("0.29.0")
    conflict = refused(GPU, "xformers==0.0.30", "torch==2.6.0")
    assert "xformers 0.0.30 needs torch 2.7.0" in facts(conflict)


def test_cog_brings_its_coglet_and_asks_for_its_python() -> None:
    found = solved(CPU)
    assert (found["cog"].version, found["coglet"].version) == ("0.23.1", "0.23.1")
    conflict = refused(CPU, "python==3.9.*", "cog>=0.17")
    assert facts(conflict) & {"cog 0.23.1 runs on Python 3.10 and newer"}
    old = solved(CPU, "cog==0.14.1")
    assert "coglet" not in old


def test_arm_has_builds_of_its_own() -> None:
    arm = "linux/arm64"
    assert solved(CPU, "torch==2.7.1", platform=arm)["torch"].variant == "cpu"
    assert solved(GPU, "torch==2.14.1", platform=arm)["torch"].variant == "cu132"
    assert refused(GPU, "torch==2.7.1", platform=arm)
    assert refused(GPU, "tensorflow==2.16.1", platform=arm)
    assert outcome(CPU, "torch==2.5.1", "python==3.13.*") != outcome(
        CPU, "torch==2.5.1", "python==3.13.*", platform=arm
    )


def test_a_version_that_no_table_knows_takes_its_neighbours_facts() -> None:
    found = solved(GPU, "torch==2.16.0", "torchvision==0.30.0")
    assert found["torch"].version == "2.16.0"
    assert any("torch 2.16.0" in warning for warning in found.warnings)


def test_an_environment_holds_one_minor_of_cudas_libraries() -> None:
    found = solved(GPU, "torch==2.12.0+cu126", "jax==0.9.2")
    assert found["cuda-libraries-cu12"].version == "12.6"


@pytest.mark.parametrize(
    ("specifier", "minors"),
    [
        ("==12.5.82", "==12.5.*"),
        (">=12.5.82,<13.0", ">=12.5,<13.0"),
        (">=12.1.105", ">=12.1"),
        ("~=12.5", ">=12.5,==12.*"),
        ("~=12.5.82", "==12.5.*"),
        ("==12.*", "==12.*"),
        ("===12.5.82", "==12.5.*"),
        ("!=12.5.80,<13", "<13"),
        ("!=12.5.*", "!=12.5.*"),
        (">12.5.82", ">=12.5"),
        ("<12.5.82", "<12.6"),
        ("<12.5", "<12.5"),
        ("<=12.5.82", "<12.6"),
        ("<=12", "<12.1"),
        ("==12.5rc1", ""),
    ],
)
def test_component_versions_become_minors(specifier: str, minors: str) -> None:
    assert minor_range(specifier) == minors


@pytest.mark.parametrize(
    ("specifier", "words"),
    [
        (">=3.9,<3.14", "3.9 to 3.13"),
        (">=3.10,!=3.14.1,<3.15", "3.10 to 3.14, not 3.14.1"),
        (">=3.10", "3.10 and newer"),
        (">=3.9,<3.10", "3.9"),
        ("==2.7.1", "2.7.1"),
        ("==12.6.*", "12.6"),
        ("~=3.8.0", "~=3.8.0"),
        (">=2.1,<4", "2.1 and newer, below 4"),
        (">=0.4.27,<=0.4.30", "0.4.27 to 0.4.30"),
        ("<=0.4.30,>=0.4.27,!=0.4.28", "0.4.27 to 0.4.30, not 0.4.28"),
        ("<3.9", "up to 3.8"),
        ("<3.0", "below 3.0"),
        ("", ""),
    ],
)
def test_ranges_as_words(specifier: str, words: str) -> None:
    assert range_text(specifier) == words
