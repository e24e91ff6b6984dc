"""`cogpack compat diff`: what changes in the tables, and for whom."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cogpack.cli import cli
from cogpack.compat.cells import Sheet, write_sheet
from cogpack.errors import UserError
from cogpack.stacks.drift import drifts
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


def without(folder: Path, table: str, **key: str) -> None:
    """Take rows out of a table of a folder."""
    rows = [row for row in small_sheets()[table].rows if not fits(row, key)]
    assert len(rows) < len(small_sheets()[table].rows)
    write_sheet(folder, Sheet.of(table, rows))


def changed(folder: Path, table: str, cells: Mapping[str, str], **key: str) -> None:
    """Change cells of rows of a table."""
    rows = [{**row, **cells} if fits(row, key) else row for row in small_sheets()[table].rows]
    write_sheet(folder, Sheet.of(table, rows))


def fits(row: Mapping[str, str], key: Mapping[str, str]) -> bool:
    return all(row[name] == text for name, text in key.items())


def test_the_same_tables_say_the_same(old: Path, new: Path) -> None:
    done = diff(old, new)
    assert (done.exit_code, done.stdout) == (0, "the tables say the same\n")


def test_rows_that_come_go_and_change_are_told(old: Path, new: Path) -> None:
    without(old, "torch", version="2.8.0")
    without(new, "triton", version="3.3.1")
    changed(new, "pins", {"python": ">=3.10", "checked": "2027-01-01"}, version="0.11.0")
    assert diff(old, new).stdout.splitlines() == [
        "pins.csv: 1 changed",
        "  ~ vllm 0.11.0: python >=3.9,<3.14 -> >=3.10",
        "torch.csv: 1 added",
        "  + 2.8.0 amd64: variant cu128; python >=3.9,<3.14; glibc 2.28; cuda 12.8; "
        "cudnn 9.10.2.21; triton ==3.4.0; kernels 7.0 7.5 8.0 8.6 9.0 10.0 12.0; "
        "libraries packages",
        "triton.csv: 1 removed",
        "  - 3.3.1 amd64: python >=3.9,<3.14; glibc 2.27",
    ]


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
    without(old, "torch", version="2.8.0")
    told = diff(old, new, "--projects", projects).stdout
    assert "gpu:\n" in told
    assert "  torch 2.7.1+cu128 -> 2.8.0: 2.8.0 is new in the tables\n" in told
    assert "  triton 3.3.1 -> 3.4.0: " in told
    assert told.endswith("1 project resolves as before\n")


def test_a_choice_that_is_gone_withdrawn_or_impossible_says_which(
    old: Path, new: Path, projects: Path
) -> None:
    def why() -> str:
        (gpu, _) = drifts(projects, old, new)
        return next(moved.why for moved in gpu.moved if moved.package == "torch")

    without(new, "torch", version="2.8.0")
    changed(old, "torch", {"libraries": ""}, version="2.8.0+cu128")
    assert why() == "2.8.0 is no longer in the tables"
    changed(new, "torch", {"withdrawn": "2027-01-01"}, version="2.8.0")
    assert why().startswith("torch 2.8.0 was withdrawn upstream (seen on 2027-01-01)")
    changed(new, "torch", {"python": ">=3.13,<3.14"}, version="2.8.0")
    assert why() == "2.8.0 is no longer possible: torch 2.8.0 has wheels for Python 3.13"


def test_a_project_that_has_no_solution_any_longer_is_told(
    old: Path, new: Path, projects: Path
) -> None:
    changed(new, "torch", {"python": ">=3.13,<3.14"})
    told = diff(old, new, "--projects", projects).stdout
    assert "gpu: has no solution any longer\n" in told
    assert "gpu: has a solution now; before:" in diff(new, old, "--projects", projects).stdout


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
