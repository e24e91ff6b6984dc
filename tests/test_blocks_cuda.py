"""What a project asks to compute on, and which of its lines says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.blocks.cuda import Cuda
from cogpack.project import read_project
from cogpack.solver.conflict import Conflict
from cogpack.solver.requirement import Requirement
from cogpack.solver.text import conflict_text
from cogpack.stacks.compose import load
from cogpack.stacks.solve import solve
from support.projects import write_project


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
