"""Projects of Poetry: what is read of them, and what is told where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.errors import Fault, UserError
from cogpack.project import Project, read_project
from support.projects import PREDICTOR

POETRY_1 = """\
[tool.poetry]
name = "mine"
version = "0"

[tool.poetry.dependencies]
python = "^3.11"
six = "^1.16"
"""
POETRY_2 = """\
[project]
name = "mine"
version = "0"
requires-python = ">=3.11,<4.0"
dependencies = ["six (>=1.16,<2.0)", "idna (>=3,<4)"]

[tool.poetry]
package-mode = false

[tool.poetry.group.dev.dependencies]
pytest = "^8"
"""
DYNAMIC = POETRY_1.replace("[tool.poetry]", '[project]\ndynamic = ["dependencies"]', 1)
SOURCE = """
[tool.poetry.dependencies]
idna = {source = "ours"}

[[tool.poetry.source]]
name = "ours"
url = "https://index.invalid/simple"
"""


def read(folder: Path, pyproject: str, *, cog: bool = True, lock: bool = True) -> Project:
    (folder / "pyproject.toml").write_text(pyproject)
    (folder / "predict.py").write_text(PREDICTOR)
    if cog:
        (folder / "cog.yaml").write_text("run: predict.py:Predictor\n")
    if lock:
        (folder / "poetry.lock").write_text("# by Poetry\n")
    return read_project(folder)


def told(project: Project) -> list[str]:
    return [str(warning) for warning in project.warnings]


@pytest.mark.parametrize("text", [POETRY_1, DYNAMIC], ids=["poetry-1", "dynamic"])
def test_poetrys_own_notation_is_told_with_every_command_to_run(tmp_path: Path, text: str) -> None:
    [warning] = read(tmp_path, text).warnings
    line = 1 + text.splitlines().index("[tool.poetry.dependencies]")
    assert str(warning).startswith(f"pyproject.toml:{line}: the dependencies of [tool.poetry.dep")
    assert "poetry self add poetry-plugin-export" in warning.hint
    assert "poetry export --output requirements.txt" in warning.hint
    assert "python_requirements: requirements.txt" in warning.hint
    assert "poetry lock " not in warning.hint
    assert "[project] dependencies" in warning.hint


def test_without_a_lock_of_poetry_there_is_a_command_more(tmp_path: Path) -> None:
    [warning] = read(tmp_path, POETRY_1, lock=False).warnings
    assert "poetry lock && poetry self add" in warning.hint


def test_without_cog_yaml_it_is_an_error_that_names_no_cog_yaml(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, POETRY_1, cog=False)
    [fault] = caught.value.faults
    assert fault.origin is not None
    assert fault.origin.where == "pyproject.toml:5"
    assert "cog.yaml" not in fault.hint


def test_poetry_2_is_read_as_any_project(tmp_path: Path) -> None:
    project = read(tmp_path, POETRY_2, lock=False)
    assert [entry.render() for entry in project.requirements.entries] == [
        "six<2.0,>=1.16",
        "idna<4,>=3",
    ]
    assert project.source == "pyproject"
    assert not project.warnings


def test_that_poetry_lock_is_not_read_is_told(tmp_path: Path) -> None:
    [warning] = read(tmp_path, POETRY_2).warnings
    assert str(warning).startswith("poetry.lock: poetry.lock is not read")
    assert "cogpack resolve --lock" in warning.hint
    assert "poetry export" in warning.hint
    (tmp_path / "pylock.cogpack.toml").write_text("")
    assert not read_project(tmp_path).warnings


def test_that_sources_of_poetry_are_not_read_is_told(tmp_path: Path) -> None:
    [text] = told(read(tmp_path, POETRY_2 + SOURCE))
    assert text.startswith("pyproject.toml:16: the indexes of [[tool.poetry.source]] are not read")


def test_that_indexes_of_uv_count_with_uv_lock_alone_is_told(tmp_path: Path) -> None:
    index = '\n[[tool.uv.index]]\nname = "ours"\nurl = "https://index.invalid/simple"\n'
    [warning] = read(tmp_path, POETRY_2 + index, lock=False).warnings
    assert isinstance(warning, Fault)
    assert str(warning).startswith("pyproject.toml:13: the indexes of [[tool.uv.index]] count")
    assert "uv lock" in warning.hint
