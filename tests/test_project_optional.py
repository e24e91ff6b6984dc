"""Extras and dependency groups of pyproject.toml: read, chosen by cog.yaml, found in uv.lock."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.plan import model
from cogpack.project import Project, read_project
from support.projects import PREDICTOR, planned, stage_of
from support.uv_locks import locked, write_locked

PYPROJECT = """\
[project]
name = "mine"
version = "0"
dependencies = ["six"]

[project.optional-dependencies]
Fast_Path = ["speed>=2"]
all = ["mine[fast-path]", "extra-thing"]

[dependency-groups]
serve = ["server", {include-group = "tools"}]
tools = ["tool"]
"""

ROOT = locked(
    "mine",
    "0",
    ['{ name = "six" }'],
    source='{ virtual = "." }',
    more="[package.optional-dependencies]\n"
    'fast-path = [{ name = "speed" }]\n'
    'all = [{ name = "extra-thing" }, { name = "speed" }]\n'
    "[package.dev-dependencies]\n"
    'serve = [{ name = "server" }, { name = "tool" }]\n'
    "[package.metadata]\nrequires-dist = [\n"
    '    { name = "extra-thing", marker = "extra == \'all\'" },\n'
    '    { name = "mine", extras = ["fast-path"], marker = "extra == \'all\'" },\n'
    '    { name = "six" },\n'
    '    { name = "speed", marker = "extra == \'fast-path\'", specifier = ">=2" },\n]\n',
)
OTHERS = [locked(name) for name in ("six", "speed", "extra-thing", "server", "tool")]


def project(folder: Path, settings: str = "", pyproject: str = PYPROJECT) -> Project:
    (folder / "pyproject.toml").write_text(pyproject)
    (folder / "cog.yaml").write_text(
        f'build: {{python_version: "3.12"}}\nrun: predict.py:Predictor\n{settings}'
    )
    (folder / "predict.py").write_text(PREDICTOR)
    return read_project(folder)


def names(found: Project) -> list[str]:
    return [entry.origin.text for entry in found.requirements.entries]


def with_lock(folder: Path, settings: str, pyproject: str = PYPROJECT) -> model.Plan:
    write_locked(folder, [], *OTHERS, ROOT)
    project(folder, settings, pyproject)
    return planned(folder)


def command(plan: model.Plan, stage: str) -> str:
    return "\n".join(op.command for op in stage_of(plan, stage).ops if isinstance(op, model.Exec))


def wheels(plan: model.Plan) -> set[str]:
    """The packages on the lists of what is installed."""
    written = [op for op in stage_of(plan, "wheel-lists").ops if isinstance(op, model.MkFile)]
    lines = [line for op in written for line in op.content.splitlines()]
    return {line.partition("==")[0] for line in lines if "==" in line}


def test_nothing_is_chosen_unasked(tmp_path: Path) -> None:
    assert names(project(tmp_path)) == ["six"]


def test_extras_and_groups_are_requirements_with_their_lines(tmp_path: Path) -> None:
    found = project(tmp_path, "cogpack: {extras: [fast.path], groups: [serve]}\n")
    where = [(entry.origin.line, entry.origin.text) for entry in found.requirements.entries]
    assert where == [(4, "six"), (7, "speed>=2"), (11, "server"), (12, "tool")]


def test_an_extra_may_name_others_of_the_project(tmp_path: Path) -> None:
    found = project(tmp_path, "cogpack: {extras: [all, fast-path]}\n")
    assert names(found) == ["six", "extra-thing", "speed>=2"]


def test_every_unknown_name_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        project(tmp_path, "cogpack:\n  extras: [all, slow]\n  groups: [play]\n")
    told = [(str(fault), fault.hint) for fault in raised.value.faults]
    where = "which is not in [{}] of pyproject.toml"
    slow, play = where.format("project.optional-dependencies"), where.format("dependency-groups")
    assert told == [
        (f'cog.yaml:4: cogpack.extras[1] is "slow", {slow}', "there is all, fast-path"),
        (f'cog.yaml:5: cogpack.groups[0] is "play", {play}', "there is serve, tools"),
    ]


def test_extras_without_pyproject_are_refused(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("six\n")
    (tmp_path / "predict.py").write_text(PREDICTOR)
    (tmp_path / "cog.yaml").write_text(
        "build: {python_requirements: requirements.txt}\nrun: predict.py:Predictor\n"
        "cogpack:\n  extras: [all]\n"
    )
    with pytest.raises(UserError, match=r"cog.yaml:4: cogpack.extras belongs to"):
        read_project(tmp_path)


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ("a = [{include-group = 'b'}]\nb = [{include-group = 'a'}]", "a includes itself"),
        ("a = [{include-group = 'c'}]", "c is included and does not exist"),
        ("a = 'six'", "a is no list of requirements"),
        ("a = [{other = 'x'}]", "a is no list of requirements"),
    ],
)
def test_damaged_groups_are_refused(tmp_path: Path, groups: str, told: str) -> None:
    text = f'[project]\nname = "mine"\n[dependency-groups]\n{groups}\n'
    with pytest.raises(UserError, match=told) as raised:
        project(tmp_path, pyproject=text)
    assert all(fault.hint for fault in raised.value.faults)


def test_uv_syncs_the_chosen(tmp_path: Path) -> None:
    built = f"{PYPROJECT}\n[tool.uv]\nno-binary = true\n"
    plan = with_lock(tmp_path, "cogpack: {extras: [Fast_Path], groups: [serve]}\n", built)
    assert "--frozen --inexact" in command(plan, "packages")
    assert " --extra fast-path --group serve --no-install-project" in command(plan, "packages")
    assert "--extra" not in command(with_lock(tmp_path, "", built), "packages")


def test_the_wheels_of_the_chosen_are_layers(tmp_path: Path) -> None:
    without = wheels(with_lock(tmp_path, ""))
    chosen = wheels(with_lock(tmp_path, "cogpack: {extras: [Fast_Path], groups: [serve]}\n"))
    assert chosen - without == {"server", "speed", "tool"}


def test_a_lock_that_is_older_than_a_chosen_extra_is_refused(tmp_path: Path) -> None:
    newer = PYPROJECT.replace('"speed>=2"', '"speed>=3", "more"')
    with_lock(tmp_path, "", newer)
    with pytest.raises(UserError) as raised:
        with_lock(tmp_path, "cogpack: {extras: [fast-path]}\n", newer)
    assert [str(fault) for fault in raised.value.faults] == [
        "pyproject.toml:7: uv.lock was made for speed >=2, not for speed>=3",
        "pyproject.toml:7: uv.lock does not have more in the extra fast-path",
    ]


def test_pip_installs_the_chosen_as_requirements(tmp_path: Path) -> None:
    plan = with_lock(tmp_path, "cogpack: {extras: [all], installer: pip}\n")
    [written] = [
        op.content
        for op in stage_of(plan, "requirements").ops
        if isinstance(op, model.MkFile) and op.path == "/requirements.txt"
    ]
    assert written.splitlines() == ["six", "extra-thing", "speed>=2"]
