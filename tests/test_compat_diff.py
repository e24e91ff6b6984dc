"""`cogpack compat diff`: what changes in the tables, and for whom."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cogpack.cli import cli
from cogpack.compat.cells import Sheet, write_sheet
from cogpack.errors import UserError
from cogpack.solver.lock import LOCK_FILE, Lock, dump_lock
from cogpack.solver.lock_options import LockOptions
from cogpack.stacks.compose import load
from cogpack.stacks.drift import drifts
from cogpack.stacks.solve import solved
from support.small_tables import small_sheets, small_tables

GPU_PROJECT = """\
build:
  gpu: true
  python_version: "3.12"
  python_packages: ["torch"]
run: "predict.py:Predictor"
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return small_tables(tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return small_tables(tmp_path / "new")


@pytest.fixture
def projects(tmp_path: Path) -> Path:
    folder = tmp_path / "projects"
    write_project(folder / "gpu", GPU_PROJECT)
    write_project(
        folder / "plain", 'build:\n  python_version: "3.12"\nrun: "predict.py:Predictor"\n'
    )
    (folder / "notes").mkdir()
    return folder


def write_project(folder: Path, config: str) -> None:
    folder.mkdir(parents=True)
    (folder / "cog.yaml").write_text(config)
    (folder / "predict.py").write_text(
        "from cog import BasePredictor\n\n\nclass Predictor(BasePredictor):\n"
        "    def predict(self, text: str) -> str:\n        return text\n"
    )


def diff(old: Path, new: Path, *options: str | Path) -> Result:
    arguments = ["compat", "diff", old, new, *options]
    return CliRunner().invoke(cli, [str(one) for one in arguments])


def without(folder: Path, table: str, version: str) -> None:
    """Take the rows of some versions out of a table of a folder."""
    rows = [row for row in small_sheets()[table].rows if not fnmatch(row["version"], version)]
    assert len(rows) < len(small_sheets()[table].rows)
    write_sheet(folder, Sheet.of(table, rows))


def changed(folder: Path, table: str, version: str, **cells: str) -> None:
    """Change cells in the rows of some versions."""
    rows = small_sheets()[table].rows
    fresh = [{**row, **cells} if fnmatch(row["version"], version) else row for row in rows]
    assert fresh != list(rows)
    write_sheet(folder, Sheet.of(table, fresh))


def test_the_same_tables_say_the_same(old: Path, new: Path) -> None:
    done = diff(old, new)
    assert (done.exit_code, done.stdout) == (0, "the tables say the same\n")


def test_rows_that_come_go_and_change_are_told(old: Path, new: Path) -> None:
    without(old, "torch", "2.8.0")
    without(new, "triton", "3.3.1")
    changed(new, "pins", "0.11.0", python=">=3.10", checked="2027-01-01")
    assert diff(old, new).stdout == (
        "pins.csv: 1 changed\n"
        "  ~ vllm 0.11.0: python >=3.9,<3.14 -> >=3.10\n"
        "torch.csv: 1 added\n"
        "  + 2.8.0 amd64: variant cu128; python >=3.9,<3.14; glibc 2.28; cuda 12.8; "
        "cudnn 9.10.2.21; triton ==3.4.0; kernels 7.0 7.5 8.0 8.6 9.0 10.0 12.0; "
        "libraries packages\n"
        "triton.csv: 1 removed\n"
        "  - 3.3.1 amd64: python >=3.9,<3.14; glibc 2.27\n"
    )


def test_a_folder_with_some_tables_lies_over_the_packages_own(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write_sheet(tmp_path / "b", Sheet.of("tools", [tool("99.0")]))
    assert diff(tmp_path / "a", tmp_path / "b").stdout.startswith("tools.csv: 1 added\n  + uv 99.0")


def tool(version: str) -> Mapping[str, str]:
    return {"tool": "uv", "version": version, "source": "PyPI", "checked": "2026-11-22"}


def test_projects_whose_resolution_changes_are_told_with_the_reason(
    old: Path, new: Path, projects: Path
) -> None:
    without(old, "torch", "2.8.0*")
    told = diff(old, new, "--projects", projects).stdout
    assert "gpu:\n" in told
    assert "  torch 2.7.1+cu128 -> 2.8.0+cu128: 2.8.0+cu128 is new in the tables\n" in told
    assert "  triton 3.3.1 -> 3.4.0: " in told
    assert told.endswith("1 project resolves as before\n")


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({}, "2.8.0+cu128 is no longer in the tables"),
        ({"withdrawn": "2027-01-01"}, "torch 2.8.0+cu128 was withdrawn upstream (seen on 2027"),
        ({"python": ">=3.13,<3.14"}, "2.8.0+cu128 is no longer possible: torch 2.8.0 has wheels"),
    ],
    ids=["gone", "withdrawn", "impossible"],
)
def test_a_choice_that_cannot_be_made_any_longer_says_why(
    old: Path, new: Path, projects: Path, cells: Mapping[str, str], reason: str
) -> None:
    if cells:
        changed(new, "torch", "2.8.0*", **cells)
    else:
        without(new, "torch", "2.8.0*")
    (gpu, _) = drifts(projects, old, new)
    (torch,) = [moved for moved in gpu.moved if moved.package == "torch"]
    assert (torch.before, torch.after) == ("2.8.0+cu128", "2.7.1+cu128")
    assert torch.why.startswith(reason)


def test_a_project_that_has_no_solution_any_longer_is_told(
    old: Path, new: Path, projects: Path
) -> None:
    changed(new, "torch", "*", python=">=3.13,<3.14")
    told = diff(old, new, "--projects", projects).stdout
    assert "gpu: has no solution any longer\n" in told
    assert "gpu: has a solution now; before:" in diff(new, old, "--projects", projects).stdout


def test_a_locked_project_is_compared_under_the_options_of_its_lock(
    old: Path, new: Path, projects: Path
) -> None:
    without(old, "torch", "2.8.0*")
    lock_with(projects / "gpu", LockOptions(prefer="oldest"))
    assert diff(old, new, "--projects", projects).stdout.endswith("2 projects resolve as before\n")
    lock_with(projects / "gpu", LockOptions(driver="580"))
    assert "gpu --driver 580:\n" in diff(old, new, "--projects", projects).stdout


def lock_with(project: Path, options: LockOptions) -> None:
    resolution = solved(load(project))
    lock = Lock((), resolution, "sha256:0", "linux/amd64", "x86_64", options=options)
    (project / LOCK_FILE).write_text(dump_lock(lock))


def test_a_project_that_cannot_be_read_does_not_stop_the_others(
    old: Path, new: Path, projects: Path
) -> None:
    (projects / "broken").mkdir()
    (projects / "broken" / "cog.yaml").write_text("build: [\n")
    told = diff(old, new, "--projects", projects).stdout
    assert "broken: cannot be compared: " in told
    assert told.endswith("2 projects resolve as before\n")


def test_a_folder_without_projects_is_refused(old: Path, new: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no project"):
        drifts(tmp_path / "old", old, new)
