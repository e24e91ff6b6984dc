"""The library of the base's own interpreter is compiled when its image brings no byte code."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cogpack.blocks.bytecode import compile_library
from cogpack.blocks.layout import FIXED_TIME, script
from cogpack.plan import model
from cogpack.project import read_project
from support.projects import planned, stage_of, write_project

# Bits of a module's flags (PEP 552): named by its hash, and the hash is checked.
CHECKED = (3).to_bytes(4, "little")


def library(folder: Path) -> Path:
    """A library with an interpreter that says it were its own."""
    files = ("os.py", "json/__init__.py", "broken.py", "test/test_os.py", "site-packages/own.py")
    for name in files:
        file = folder / "lib" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x = {'a', 'b'}\n" if "broken" not in name else "x = (\n")
        os.utime(file, (1_000_000_000, 1_000_000_000))
    for place in (folder / "lib", folder / "lib" / "json"):
        os.utime(place, (1_000_000_000, 1_000_000_000))
    interpreter = folder / "bin" / "python3"
    interpreter.parent.mkdir()
    python = shlex.quote(sys.executable)
    told = shlex.quote(str(folder / "lib"))
    interpreter.write_text(
        f'#!/bin/sh\nif [ "$1" = -c ]; then echo {told}; else exec {python} "$@"; fi\n'
    )
    interpreter.chmod(0o755)
    return folder / "lib"


def compile_it(folder: Path) -> None:
    before = folder / "before"
    before.touch()
    os.utime(before, (1_500_000_000, 1_500_000_000))
    project = read_project(write_project(folder / "project"))
    command = script(*compile_library(project, str(before)))
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    subprocess.run(["/bin/sh", "-c", command], check=True, env={"PATH": path}, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path


def test_what_a_server_may_import_is_compiled_and_checked_by_hash(folder: Path) -> None:
    found = library(folder)
    compile_it(folder)
    modules = sorted(found.rglob("*.pyc"))
    names = [str(one.relative_to(found)).partition(".")[0] for one in modules]
    assert names == ["__pycache__/os", "json/__pycache__/__init__"]
    for module in modules:
        assert module.read_bytes()[4:8] == CHECKED
    written = [*modules, *found.rglob("__pycache__"), found, found / "json"]
    assert {int(one.stat().st_mtime) for one in written} == {FIXED_TIME}
    assert int((found / "os.py").stat().st_mtime) == 1_000_000_000


def test_a_library_that_is_compiled_stays_as_it_is(folder: Path) -> None:
    found = library(folder)
    (found / "__pycache__").mkdir()
    os.utime(found, (1_000_000_000, 1_000_000_000))
    compile_it(folder)
    assert list(found.rglob("*.pyc")) == []
    assert int(found.stat().st_mtime) == 1_000_000_000


def test_a_library_that_is_no_folder_is_left_alone(folder: Path) -> None:
    found = library(folder)
    found.rename(folder / "elsewhere")
    compile_it(folder)
    assert not found.exists()


@pytest.mark.parametrize(("bytecode", "compiled"), [("hash", True), ("none", False)])
def test_the_environment_of_a_base_with_python_has_it(
    tmp_path: Path, bytecode: str, compiled: bool
) -> None:
    plan = planned(write_project(tmp_path, f"cogpack: {{bytecode: {bytecode}}}"))
    (command,) = (op for op in stage_of(plan, "python").ops if isinstance(op, model.Exec))
    assert ("compileall" in command.command) is compiled


@pytest.mark.parametrize(("bytecode", "compiles"), [("hash", True), ("none", False)])
def test_what_commands_import_is_not_compiled_into_their_layers(
    tmp_path: Path, bytecode: str, compiles: bool
) -> None:
    settings = f"  pre_install: [python -V]\n  run: [pip -V]\ncogpack: {{bytecode: {bytecode}}}"
    plan = planned(write_project(tmp_path, settings))
    for name in ("pre-install-1", "run-1"):
        [command] = [op for op in stage_of(plan, name).ops if isinstance(op, model.Exec)]
        assert command.env["PYTHONDONTWRITEBYTECODE"] == "1"
        assert command.env.get("PIP_COMPILE", "1") == ("1" if compiles else "0")
