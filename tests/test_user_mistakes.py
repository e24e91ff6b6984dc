"""Mistakes that would show in a build, or only when the image runs: told before."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cogpack.errors import Fault, UserError
from cogpack.llb.client import StepFailed
from cogpack.llb.client.events import Log, Vertex
from cogpack.llb.compile import compile_plan
from cogpack.pipeline import _failed_step
from cogpack.project import Project, read_project
from cogpack.stacks.compose import load, make_plan
from cogpack.stacks.solve import solved
from support.projects import PREDICTOR, write_project


def told(folder: Path) -> list[tuple[str, str]]:
    with pytest.raises(UserError) as caught:
        read_project(folder)
    return [(str(fault), fault.hint) for fault in caught.value.faults]


@pytest.mark.parametrize("name", ["cog.yml", "Cog.yaml", "cog.yaml.txt"])
@pytest.mark.parametrize("other", ["requirements.txt", ""])
def test_a_project_file_under_a_wrong_name(tmp_path: Path, name: str, other: str) -> None:
    write_project(tmp_path).joinpath("cog.yaml").rename(tmp_path / name)
    if other:
        (tmp_path / other).write_text("six\n")
        (tmp_path / "main.py").write_text("print(1)\n")
    message = f"{name}: {name} is not read: Cog's file is called cog.yaml"
    assert told(tmp_path) == [(message, "rename it to cog.yaml")]


@pytest.mark.parametrize("patterns", ["*.py\n", "predict.py\n", "*\n!train.py\n"])
def test_a_predictor_that_dockerignore_leaves_out(tmp_path: Path, patterns: str) -> None:
    folder = write_project(tmp_path, files={".dockerignore": patterns})
    [(message, hint)] = told(folder)
    assert (
        message == "cog.yaml:4: run names predict.py, which .dockerignore leaves out of the image"
    )
    assert hint == "add a line to .dockerignore, behind all others: !predict.py"
    with (folder / ".dockerignore").open("a") as file:
        file.write(f"{hint.rpartition(' ')[2]}\n")
    assert read_project(folder)


def test_a_trainer_and_local_packages_that_dockerignore_leaves_out(tmp_path: Path) -> None:
    settings = "  python_requirements: r.txt\ntrain: code/train.py:train"
    files = {
        ".dockerignore": "code\nlib\nkept\n!kept/pkg\n",
        "code/train.py": "def train() -> str:\n    return ''\n",
        "r.txt": "six\n./lib\n./kept\n",
        "lib/pyproject.toml": '[project]\nname = "lib"\nversion = "1"\n',
        "kept/pyproject.toml": '[project]\nname = "kept"\nversion = "1"\n',
    }
    messages = [message for message, _ in told(write_project(tmp_path, settings, files))]
    assert messages == [
        "cog.yaml:4: train names code/train.py, which .dockerignore leaves out of the image",
        "r.txt:2: it names lib, which .dockerignore leaves out of the image",
    ]


def test_a_project_that_serves_nothing(tmp_path: Path) -> None:
    (tmp_path / "cog.yaml").write_text("build:\n  gpu: false\n")
    [warning] = read_project(tmp_path).warnings
    assert str(warning).startswith("cog.yaml: cog.yaml names no 'run'")
    assert warning.hint == "add it: run: run.py:Runner"


@pytest.mark.parametrize("key", ["python_mirror", "python_downloads"])
def test_a_mirror_that_is_no_url(tmp_path: Path, key: str) -> None:
    [(message, hint)] = told(write_project(tmp_path, f"cogpack:\n  {key}: mirror.example"))
    assert message == f'cog.yaml:4: cogpack.{key} is "mirror.example", not a URL'
    assert hint.startswith("write it as https://")


def failed(folder: Path, stage: str, *log: str) -> Fault:
    composition = load(folder)
    plan = make_plan(composition, solved(composition))
    compiled = compile_plan(plan)
    digest = next(digest for digest, name in compiled.stages.items() if name == stage)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    vertex = Vertex(digest, "a step", error="process did not complete: exit code: 1")
    lines = [Log(digest, line, 1, moment) for line in log]
    failure = _failed_step(StepFailed(vertex, lines), plan, compiled)
    return failure.faults[0]


@pytest.mark.parametrize(
    ("log", "line"),
    [
        (("error: No solution found", "Because num-pyy was not found in the registry"), 3),
        (("  cause: there is no version of Six_Teen==99",), 2),
        (("something else went wrong",), 1),
    ],
)
def test_of_a_list_of_packages_the_line_that_the_log_names(
    tmp_path: Path, log: tuple[str, ...], line: int
) -> None:
    files = {"r.txt": "idna\nsix-teen==99\nnum_pyy\n", "predict.py": PREDICTOR}
    folder = write_project(tmp_path, "  python_requirements: r.txt", files)
    assert str(failed(folder, "packages", *log)).startswith(f"r.txt:{line}: the step")


@pytest.mark.parametrize(
    "line",
    [
        "error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'",
        "error: command 'g++' failed: No such file or directory",
        "unable to execute 'gcc': No such file or directory",
        "/bin/sh: 1: cc: not found",
        "  No CMAKE_CXX_COMPILER could be found.",
        "ERROR: Unknown compiler(s): [['cc'], ['gcc']]",
    ],
)
def test_a_compiler_that_is_missing(tmp_path: Path, line: str) -> None:
    folder = write_project(tmp_path, "  python_packages: [six]")
    assert "system_packages" in failed(folder, "packages", "building", line).hint
    assert not failed(folder, "packages", "the file six.c was not found").hint


def test_a_cache_that_is_mounted_is_there_anyway(tmp_path: Path) -> None:
    mount = "{type: cache, id: pip, target: /root/.cache/pip}"
    settings = f"  run:\n    - command: pip list\n      mounts: [{mount}]"
    [(message, hint)] = told(write_project(tmp_path, settings))
    assert message.endswith('type is "cache", but Cog mounts secrets only')
    assert hint.startswith("remove it: the caches of pip and uv are there")


def test_a_good_project_is_told_nothing(tmp_path: Path) -> None:
    folder = write_project(tmp_path, files={".dockerignore": "*.md\n"})
    project = read_project(folder)
    assert isinstance(project, Project)
    assert not project.warnings
