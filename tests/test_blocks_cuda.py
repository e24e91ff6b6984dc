"""What a project asks to compute on, and which of its lines says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cogpack.blocks.cuda import Cuda
from cogpack.project import read_project
from cogpack.solver.conflict import Conflict
from cogpack.solver.requirement import Requirement
from cogpack.solver.text import conflict_text
from cogpack.stacks.compose import load
from cogpack.stacks.solve import solve
from support.projects import planned, write_project


def accelerator(folder: Path) -> Requirement:
    (found,) = (
        one for one in Cuda().requirements(read_project(folder)) if one.package == "accelerator"
    )
    return found


@pytest.mark.parametrize(
    ("settings", "specifier", "said"),
    [
        ("  gpu: false", "==cpu", ("cog.yaml", 3, "gpu: false")),
        ("  gpu: no", "==cpu", ("cog.yaml", 3, "gpu: no")),
        ("  gpu: true", "==cuda", ("cog.yaml", 3, "gpu: true")),
        ("", "==cpu", ("", 0, "gpu is not set in cog.yaml")),
        ("  gpu:", "==cpu", ("", 0, "gpu is not set in cog.yaml")),
    ],
)
def test_the_line_that_chooses_cpu_or_gpu_is_named(
    tmp_path: Path, settings: str, specifier: str, said: tuple[str, int, str]
) -> None:
    asked = accelerator(write_project(tmp_path, settings))
    origin = asked.origin
    assert asked.specifier == specifier
    assert (origin.file, origin.line, origin.text) == said


def test_a_cpu_build_that_is_pinned_in_a_gpu_project_stays(tmp_path: Path) -> None:
    settings = "  gpu: true\n  python_requirements: requirements.txt"
    write_project(tmp_path, settings, {"requirements.txt": "torch==2.5.1+cpu\n"})
    assert accelerator(tmp_path).specifier == "!=cpu"


def test_a_project_without_cog_yaml_runs_on_the_cpu(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("requests\n")
    (tmp_path / "main.py").write_text("print('started')\n")
    asked = accelerator(tmp_path)
    assert (asked.specifier, asked.origin.text) == (
        "==cpu",
        "a project without cog.yaml runs on the CPU",
    )


def test_a_cudnn_that_no_image_has_is_moved_to_one_that_there_is(tmp_path: Path) -> None:
    settings = '  gpu: true\n  cuda: "12.4"\n  cudnn: "8"'
    found = solve(load(write_project(tmp_path, settings)))
    assert isinstance(found, Conflict)
    text = conflict_text(found)
    assert "only NVIDIA's cudnn images of CUDA 11.0.3 to 12.2.2 have cuDNN 8" in text
    assert "To mend it, one of:\n  set cudnn to 9, cog.yaml:" in text


def image_of(folder: Path, settings: str) -> str:
    return planned(write_project(folder, settings)).base.runtime


def test_cuda_in_the_image_is_cuda_with_cudnn(tmp_path: Path) -> None:
    pinned = '  gpu: true\n  cuda: "12.4"\n  python_packages: '
    assert "12.4.1-cudnn-runtime" in image_of(tmp_path, f"{pinned}[onnxruntime-gpu]")
    assert "12.4.1-runtime" in image_of(tmp_path, f"{pinned}[torch==2.5.1]")


@pytest.mark.parametrize(
    "settings", ['  cuda: "12.4"\n  cudnn: "9"', '  gpu: false\n  cuda: "12.4"']
)
def test_without_a_gpu_the_pins_bring_no_cuda(tmp_path: Path, settings: str) -> None:
    assert "nvidia" not in image_of(tmp_path, settings)
    assert "nvidia" in image_of(tmp_path, f"{settings}\ncogpack: {{system_cuda: true}}")


def test_a_slim_image_looks_for_the_driver_where_nvidias_images_do(tmp_path: Path) -> None:
    env = planned(write_project(tmp_path, "  gpu: true")).config.env
    assert env["LD_LIBRARY_PATH"] == "/usr/local/nvidia/lib:/usr/local/nvidia/lib64"
    env = planned(write_project(tmp_path, '  gpu: true\n  cuda: "12.4"')).config.env
    assert "LD_LIBRARY_PATH" not in env
    assert "LD_LIBRARY_PATH" not in planned(write_project(tmp_path)).config.env


@pytest.mark.parametrize(
    "step",
    [
        "nvcc -o x x.cu",
        "/usr/local/cuda/bin/nvcc x.cu",
        "cd kernels && nvcc;ls",
        "CUDA_HOME=/usr/local/cuda make",
        "make CUDA_PATH=/usr/local/cuda",
        "export PATH=$PATH:/usr/local/cuda/bin; make",
        "export TORCH_CUDA_ARCH_LIST='8.0;9.0' && pip install .",
        "CMAKE_ARGS='-DGGML_CUDA=on' pip install llama-cpp-python",
    ],
)
def test_a_step_that_compiles_for_cuda_asks_for_the_toolkit(tmp_path: Path, step: str) -> None:
    assert asks_for_toolkit(tmp_path, step)


@pytest.mark.parametrize(
    "step",
    [
        "echo 'no nvcc here'",
        "make  # without nvcc",
        "apt-get install -y cuda-nvcc-12-4",
        "CMAKE_ARGS=-DGGML_CUDA=off pip install llama-cpp-python",
        "pip install torch --index-url https://example.com/whl/cu128",
        "echo it's",
    ],
)
def test_a_step_that_only_speaks_of_it_does_not(tmp_path: Path, step: str) -> None:
    assert not asks_for_toolkit(tmp_path, step)


def asks_for_toolkit(folder: Path, step: str) -> bool:
    write_project(folder, f"  gpu: true\n  run:\n    - {json.dumps(step)}")
    asked = Cuda().requirements(read_project(folder))
    return any(one.package == "cuda-toolkit" for one in asked)


@pytest.mark.parametrize(
    ("command", "apart"),
    [
        ("echo apt-get", True),
        ("apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y libgomp1", False),
        ("wget -q http://x.invalid/x.deb && sudo dpkg -i x.deb", False),
    ],
)
def test_system_packages_of_a_command_keep_the_image_that_it_ran_in(
    tmp_path: Path, command: str, apart: bool
) -> None:
    """They count on what is there, as a compiler's libraries in a devel image."""
    settings = f"  gpu: true\n  cuda: '12.6'\n  run:\n    - nvcc --version\n    - {command}"
    plan = planned(write_project(tmp_path, settings))
    assert "-devel-" in plan.base.build
    assert ("-devel-" not in plan.base.runtime) is apart
    assert plan.config.labels["org.opencontainers.image.base.name"] == plan.base.runtime
