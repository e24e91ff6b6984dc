"""Projects as people have them, over the real tables: the right choice, or the right refusal."""

from __future__ import annotations

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from cogpack.origin import Origin
from cogpack.solver.options import driver_requirement, gpu_requirement
from cogpack.solver.requirement import Requirement
from cogpack.solver.resolution import Resolution
from cogpack.solver.solve import resolve
from cogpack.solver.text import conflict_text
from support.over_tables import cuda, gpu, refused, resolved, tables, universe
from support.toy import line, python, user

INDEX = "https://download.pytorch.org/whl"


def on_slim(resolution: Resolution) -> bool:
    images = resolution.base_images
    return all("-slim" in image.ref for image in (images.build, images.runtime))


# Real projects, by their rows; rows 8 and 9 show in plans: test_cog_faults.


def test_row_1_a_pinned_variant_is_kept_and_has_its_index() -> None:
    """Row 1: py3.12, gpu, cuda 12.8, torch==2.7.1+cu128."""
    found = resolved(python("3.12"), gpu(), *cuda("12.8"), line("torch==2.7.1+cu128", 1))
    assert found["torch"].version == "2.7.1+cu128"
    assert found["torch"].index == f"{INDEX}/cu128"
    assert found["cuda"].version.startswith("12.8")
    assert "cuda:12.8" in found.base_images.build.ref
    assert "devel" in found.base_images.build.ref
    assert "runtime" in found.base_images.runtime.ref


def test_row_2_the_variant_follows_the_cuda_that_was_asked_for() -> None:
    """Row 2: py3.12, gpu, cuda 12.6, torch==2.7.0."""
    found = resolved(python("3.12"), gpu(), *cuda("12.6"), line("torch==2.7.0", 1))
    assert found["torch"].variant == "cu126"


def test_row_3_the_newest_variant_without_a_cuda() -> None:
    """Row 3: py3.10, gpu, torch==1.13.0."""
    found = resolved(python("3.10"), gpu(), line("torch==1.13.0", 1))
    assert found["torch"].variant == "cu117"
    assert found["python"].version.startswith("3.10.")


def test_row_4_an_old_pinned_variant() -> None:
    """Row 4: py3.10, gpu, torch==2.0.1+cu118."""
    found = resolved(python("3.10"), gpu(), line("torch==2.0.1+cu118", 1))
    assert found["torch"].version == "2.0.1+cu118"


def test_row_5_a_release_newer_than_the_published_variants() -> None:
    """Row 5: py3.12, gpu, torch==2.12.0, torchvision==0.27.0."""
    found = resolved(
        python("3.12"), gpu(), line("torch==2.12.0", 1), line("torchvision==0.27.0", 2)
    )
    assert Version(found["torch"].version).public == "2.12.0"
    assert Version(found["torchvision"].version).public == "0.27.0"
    assert found["torch"].variant.startswith("cu")


def test_row_6_python_3_9_is_below_the_floor_of_cog() -> None:
    """Row 6: py3.9; the plan refuses it by its key, see test_cog_faults."""
    text = conflict_text(refused(python("3.9")))
    assert "python_version: 3.9 (cog.yaml:3)" in text
    assert "Python 3.10 and newer" in text
    assert "set python_version to 3.10, cog.yaml:3" in text


def test_row_7_a_cpu_project_gets_the_cpu_build_on_a_slim_base() -> None:
    """Row 7: py3.12, CPU, torch==2.5.1; ffmpeg by apt is in test_cog_faults."""
    found = resolved(python("3.12"), gpu(False), line("torch==2.5.1", 1))
    assert found["torch"].version == "2.5.1+cpu"
    assert found["torch"].index == f"{INDEX}/cpu"
    assert "cuda" not in found
    assert "driver" not in found
    assert on_slim(found)


# What Cog gets wrong, by its number; fault 8 shows in plans: test_cog_faults.


@pytest.mark.parametrize("text", ["torch>=2.0", "torch<2.5", "torch!=2.1", "torch~=2.2"])
def test_fault_1_ranges_are_ranges(text: str) -> None:
    chosen = Version(resolved(python("3.11"), gpu(), line(text, 1))["torch"].version)
    assert SpecifierSet(text.removeprefix("torch")).contains(chosen)
    assert chosen > Version("2.3")


def test_fault_2_an_unpinned_torch_is_solved() -> None:
    found = resolved(python("3.12"), gpu(), line("torch", 1))
    assert found["torch"].variant.startswith("cu")


def test_fault_2_torchvision_alone_decides_about_torch() -> None:
    found = resolved(python("3.12"), gpu(), line("torchvision==0.20.1", 1), line("torch", 2))
    assert Version(found["torch"].version).public == "2.5.1"
    assert found["torchvision"].variant == found["torch"].variant


def test_fault_3_the_users_variant_is_never_overridden() -> None:
    found = resolved(python("3.12"), gpu(), *cuda("12.8"), line("torch==2.7.1+cu126", 1))
    assert found["torch"].version == "2.7.1+cu126"
    assert "cuda:12.8" in found.base_images.build.ref
    assert any("CUDA" in warning for warning in found.warnings)


def test_fault_3_a_cpu_build_has_its_index() -> None:
    found = resolved(python("3.12"), gpu(False), line("torch==2.5.1+cpu", 1))
    assert found["torch"].index == f"{INDEX}/cpu"


@pytest.mark.parametrize("version", ["2.16.1", "2.17.0", "2.17.1"])
def test_fault_4_tensorflow_takes_its_cuda_from_packages(version: str) -> None:
    found = resolved(python("3.11"), gpu(), line(f"tensorflow=={version}", 1))
    assert found["tensorflow"].version == version
    assert found["cudnn"].version.startswith("8.9")
    assert on_slim(found)


def test_fault_4_an_old_tensorflow_gets_an_image_that_exists() -> None:
    found = resolved(python("3.10"), gpu(), line("tensorflow==2.13.1", 1))
    assert found["system-cuda"].version.startswith("11.8")
    assert "cudnn8" in found.base_images.runtime.ref


def test_fault_5_torch_and_tensorflow_are_solved_together() -> None:
    found = resolved(python("3.11"), gpu(), line("tensorflow", 1), line("torch", 2))
    series = found["cuda-libraries-cu12"].version
    assert found["torch"].variant == f"cu{series.replace('.', '')}"
    assert found["cuda"].version.startswith(series)
    assert not found.warnings


def test_fault_5_two_pins_that_clash_over_a_library_are_told() -> None:
    found = refused(
        python("3.11"),
        gpu(),
        line("torch==2.6.0+cu124", 1),
        line("tensorflow==2.19.0", 2),
        Requirement(
            "tensorflow-cuda",
            "==and-cuda",
            Origin("requirements.txt", 2, "tensorflow[and-cuda]==2.19.0"),
        ),
    )
    text = conflict_text(found)
    assert "torch==2.6.0+cu124 (requirements.txt:1)" in text
    assert "12.4" in text
    assert "12.5" in text


def test_fault_5_a_torch_newer_than_the_tables_is_no_refusal() -> None:
    found = resolved(python("3.12"), gpu(), line("torch==2.99.1", 1))
    assert Version(found["torch"].version).public == "2.99.1"
    assert any("torch 2.99.1 is not in the tables" in warning for warning in found.warnings)


def test_fault_6_the_pythons_of_a_release_are_checked() -> None:
    found = refused(python("3.13"), gpu(), line("torch==2.4.1", 1))
    text = conflict_text(found)
    assert "torch 2.4.1 has wheels for Python 3.8 to 3.12" in text
    assert "set python_version to 3.12, cog.yaml:3" in text


def test_fault_7_wheels_with_their_own_cuda_stand_on_a_slim_base() -> None:
    found = resolved(python("3.12"), gpu(), line("torch==2.7.1", 1))
    assert on_slim(found)
    assert "system-cuda" not in found


def test_fault_7_a_step_that_compiles_needs_the_toolkit_to_build_only() -> None:
    compiles = Requirement("cuda-toolkit", "", Origin("cog.yaml", 9, "nvcc -o kernel kernel.cu"))
    found = resolved(python("3.12"), gpu(), line("torch==2.7.1", 1), compiles)
    assert "devel" in found.base_images.build.ref
    assert "devel" not in found.base_images.runtime.ref


def test_fault_9_the_order_of_lines_changes_nothing() -> None:
    lines = (python("3.11"), gpu(), line("torch", 1), line("torchvision", 2), line("jax", 3))
    assert resolved(*lines) == resolved(*reversed(lines))


def test_fault_10_no_ubuntu_without_a_reason() -> None:
    found = resolved(gpu(), line("torch", 1))
    assert found["os"].version.startswith("debian")


def test_fault_11_only_the_torch_family_has_an_index() -> None:
    found = resolved(
        python("3.12"), gpu(), line("torch==2.7.1", 1), line("torchvision", 2), line("jax", 3)
    )
    assert {choice.package for choice in found if choice.index} <= {
        "torch",
        "torchvision",
        "torchaudio",
    }


# Conflicts that people meet, and what they are advised.


def test_the_advice_about_cuda_is_the_one_that_torch_is_built_for() -> None:
    """Not the nearest one that happens to work, with libraries that do not fit together."""
    found = refused(python("3.12"), gpu(), *cuda("11.8"), line("torch==2.7.1+cu128", 1))
    text = conflict_text(found)
    assert "torch 2.7.1+cu128 is built for CUDA 12.8" in text
    assert "set cuda to 12.8, cog.yaml:4" in text
    assert "change torch==2.7.1+cu128 to torch==2.7.1+cu118, requirements.txt:1" in text


def test_every_advice_about_a_line_is_about_all_that_it_asks_for() -> None:
    """`cuda:` asks for two packages, of which one alone clashes here."""
    lines = (python("3.11"), gpu(), *cuda("12.1"), line("tensorflow==2.13.0", 1))
    text = conflict_text(refused(*lines))
    assert "set cuda to 11.8, cog.yaml:4" in text
    assert resolved(python("3.11"), gpu(), *cuda("11.8"), line("tensorflow==2.13.0", 1))


def test_torchvision_of_another_torch_is_told_with_both_ways_out() -> None:
    found = refused(python("3.12"), gpu(), line("torch==2.5.1", 1), line("torchvision==0.22.1", 2))
    text = conflict_text(found)
    assert "torchvision 0.22.1 goes with torch 2.7.1" in text
    assert "change torch==2.5.1 to torch==2.7.1, requirements.txt:1" in text
    assert "change torchvision==0.22.1 to torchvision==0.20.1, requirements.txt:2" in text


def test_a_build_that_one_architecture_lacks_is_said_to_lack_there() -> None:
    found = refused(python("3.12"), gpu(), line("torch==2.0.1+cu118", 1), platform="linux/arm64")
    assert "no torch==2.0.1+cu118 is known for linux/arm64" in conflict_text(found)


def test_a_cpu_build_of_one_architecture_is_said_to_be_one_there() -> None:
    found = refused(python("3.12"), gpu(), line("torch==2.10.0", 1), platform="linux/arm64")
    assert "torch 2.10.0 is a CPU build on arm64" in conflict_text(found)


def test_a_base_image_whose_glibc_is_too_old_is_told_once() -> None:
    """The line asks for the image to build on and for the one to run on; neither will do."""
    ref = "docker.io/nvidia/cuda:11.8.0-devel-ubuntu18.04"
    own = [
        user(name, f"=={ref}", "cog.yaml", 9, f"base_image: {ref}")
        for name in ("build-image", "runtime-image")
    ]
    found = refused(python("3.12"), gpu(), *cuda("11.8"), line("torch==2.7.1", 1), *own)
    assert len(found.clashes) == 1
    text = conflict_text(found)
    assert "the images of CUDA 11.8.0 ending in -ubuntu18.04 stand on Ubuntu 18.04" in text
    assert "Ubuntu 18.04 has glibc 2.27" in text
    assert "the wheels of torch 2.7.1 need glibc 2.28 or newer" in text
    assert "change torch==2.7.1 to torch==2.6.0, requirements.txt:1" in text


# Options.


@pytest.mark.parametrize(
    ("model", "least_torch", "least_cuda"),
    [("h100", "2.0.1", "11.8"), ("b200", "2.7.0", "12.8"), ("RTX 5090", "2.7.0", "12.8")],
)
def test_a_gpu_needs_kernels_of_its_own(model: str, least_torch: str, least_cuda: str) -> None:
    wanted = gpu_requirement(model, tables())
    oldest = resolved(gpu(), line("torch", 1), wanted, prefer="oldest")
    assert Version(oldest["torch"].version) >= Version(least_torch)
    assert Version(oldest["cuda"].version) >= Version(least_cuda)


def test_a_gpu_that_a_pinned_torch_does_not_know() -> None:
    found = refused(gpu(), line("torch==2.6.0", 1), gpu_requirement("b200", tables()))
    assert "--gpu b200" in conflict_text(found)
    assert "kernels for compute capability" in conflict_text(found)
    assert "--gpu b200 means compute capability 10.0" in conflict_text(found)


def test_a_driver_decides_about_cuda() -> None:
    lines = (python("3.12"), gpu(), line("torch==2.11.0", 1))
    assert resolved(*lines)["cuda"].version.startswith("13.")
    wanted, world = driver_requirement("535", universe(*lines))
    found = resolve([*lines, wanted], world)
    assert isinstance(found, Resolution)
    assert found["cuda"].version.startswith("12.")
    assert found["driver"].version == "535"


def test_any_driver_does_for_a_cpu_project() -> None:
    lines = (gpu(False), line("torch==2.5.1", 1))
    wanted, world = driver_requirement("400.10", universe(*lines))
    found = resolve([*lines, wanted], world)
    assert isinstance(found, Resolution)


def test_a_stable_driver_is_the_oldest_that_does() -> None:
    lines = (python("3.12"), gpu(), line("torch==2.11.0", 1))
    newest, stable = resolved(*lines), resolved(*lines, prefer="stable-driver")
    assert Version(stable["driver"].version) < Version(newest["driver"].version)
    assert stable["cuda"].version.startswith("12.")


def test_the_oldest_and_the_smallest() -> None:
    lines = (python("3.11"), gpu(), line("torch>=2.1", 1))
    assert Version(resolved(*lines, prefer="oldest")["torch"].version).public == "2.1.0"
    assert on_slim(resolved(*lines, prefer="smallest"))


def test_arm64_has_builds_of_its_own() -> None:
    lines = (python("3.12"), gpu(False), line("torch==2.5.1", 1))
    found = resolved(*lines, platform="linux/arm64")
    assert Version(found["torch"].version).public == "2.5.1"
