"""Versions that no table knows, as `cogpack resolve`, `plan` and a lock tell of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from cogpack.solver.lock import LOCK_FILE
from support.index_server import IndexServer, serve
from support.locked_project import environment, index, write_project
from support.new_releases import NEW, moved_tables
from support.nowhere import nowhere

SCHEMA = Path(__file__).parent.parent / "docs" / "resolve.schema.json"
READ = "tensorflow 2.20.0 is not in the tables: its facts were read from its metadata on the index"


@pytest.fixture
def deaf() -> Iterator[str]:
    """A URL at which a connection is refused at once."""
    with nowhere() as url:
        yield url


@pytest.fixture
def project(tmp_path: Path, deaf: str) -> Path:
    moved_tables(tmp_path / "tables", f"{deaf}/whl")
    return write_project(tmp_path / "project", "tensorflow==2.20.0")


@pytest.fixture
def server() -> Iterator[IndexServer]:
    with index(NEW) as running:
        yield running


def run(
    project: Path, server: IndexServer, *arguments: str, url: str = ""
) -> subprocess.CompletedProcess[str]:
    folder = project.parent
    return subprocess.run(
        [sys.executable, "-m", "cogpack", *arguments, str(project)],
        env={**environment(server, folder, url), "COGPACK_COMPAT": str(folder / "tables")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_text_and_json_say_where_the_facts_come_from(project: Path, server: IndexServer) -> None:
    text = run(project, server, "resolve")
    assert text.returncode == 0, text.stderr
    assert f"warning: {READ}" in text.stderr
    (line,) = (one for one in text.stdout.splitlines() if one.startswith("tensorflow "))
    assert line.endswith("tensorflow==2.20.0 (requirements.txt:1); facts: index metadata")
    data = json.loads(run(project, server, "resolve", "--json").stdout)
    Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8"))).validate(data)
    assert data["packages"]["tensorflow"]["facts"] == "index metadata"
    assert "facts" not in data["packages"]["python"]
    assert any(READ in one for one in data["warnings"])


def test_what_is_known_loads_no_index_client(project: Path, server: IndexServer) -> None:
    (project / "requirements.txt").write_text("tensorflow==2.19.0\n")
    code = (
        "import sys; from cogpack.cli import cli; "
        f"cli.main(['resolve', {str(project)!r}], standalone_mode=False); "
        "print([one for one in sys.modules if one.startswith(('cogpack.index', 'httpx', 'cogpack."
        "solver.silent_'))])"
    )
    folder = project.parent
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment(server, folder), "COGPACK_COMPAT": str(folder / "tables")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.splitlines()[-1] == "[]"
    assert server.requests == []


def test_offline_asks_nobody(project: Path, server: IndexServer) -> None:
    first = run(project, server, "resolve", "--offline")
    assert first.returncode == 0
    assert "the facts of tensorflow 2.19.0, the nearest known release, are assumed" in first.stderr
    assert not (project / LOCK_FILE).exists()
    assert run(project, server, "plan", "--offline").returncode == 0
    assert server.requests == []


def test_an_index_that_is_not_there_is_told_and_does_not_stop(
    project: Path, server: IndexServer, deaf: str
) -> None:
    shown = run(project, server, "resolve", url=f"{deaf}/simple/")
    assert shown.returncode == 0
    assert "the index cannot be read (" in shown.stderr
    assert "the facts of tensorflow 2.19.0, the nearest known release, are assumed" in shown.stderr


def test_a_plan_says_the_same(project: Path, server: IndexServer) -> None:
    plan = run(project, server, "plan")
    assert plan.returncode == 0
    assert READ in plan.stderr


def test_a_lock_says_the_same_and_then_nobody_is_asked(project: Path, server: IndexServer) -> None:
    shown = run(project, server, "resolve")
    locked = run(project, server, "resolve", "--lock")
    assert locked.returncode == 0, locked.stderr + locked.stdout
    warnings = [one for one in shown.stderr.splitlines() if "not in the tables" in one]
    assert warnings
    assert set(warnings) <= set(locked.stderr.splitlines())
    server.forget()
    plan = run(project, server, "plan", "--locked")
    assert plan.returncode == 0, plan.stderr
    assert server.requests == []


def test_why_and_a_conflict_name_the_release(project: Path, server: IndexServer) -> None:
    (project / "requirements.txt").write_text("torch==2.9.0\ntorchvision==0.23.0\n")
    shown = run(project, server, "resolve")
    assert shown.returncode == 1
    assert "torchvision 0.23.0 goes with torch 2.8.0 [" in shown.stdout
    (project / "requirements.txt").write_text("torch==2.9.0\n")
    (project / "cog.yaml").write_text(
        "build:\n  gpu: true\n  python_version: '3.12'\n"
        "  python_requirements: requirements.txt\nrun: predict.py:Predictor\n"
    )
    told = run(project, server, "resolve", "--why", "cuda")
    assert told.returncode == 0, told.stderr
    assert "torch 2.9.0 is built for CUDA 12.8 [index metadata of torch 2.9.0]" in told.stdout


def test_a_credential_is_in_no_output(project: Path) -> None:
    with serve(NEW, auth=("me", "s3cret")) as private:
        for password in ("wr0ng", "s3cret"):
            url = private.with_credential("me", password)
            shown = run(project, private, "resolve", "--json", url=url)
            assert shown.returncode == 0
            assert password not in shown.stdout + shown.stderr
            (warning,) = (
                one for one in json.loads(shown.stdout)["warnings"] if "tensorflow" in one
            )
            assert ("metadata on the index" in warning) == (password == "s3cret")
