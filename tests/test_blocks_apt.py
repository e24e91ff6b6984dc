"""System packages: what apt is told, and how its sources move to a day of the archives."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cogpack.blocks.apt_snapshot import AptSnapshot
from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.plan.model import CacheMount, Exec
from cogpack.project import read_project
from support.projects import planned, stage_of, write_project

DAY = "20261101T000000Z"
MIRROR = "https://mirror.example/archive/@PATH@/@SNAPSHOTID@/"


def apt(folder: Path, options: str = "") -> Exec:
    settings = f"  system_packages: [ffmpeg]\ncogpack: {{{options}}}" if options else ""
    (step,) = stage_of(planned(write_project(folder, settings)), "apt").ops
    assert isinstance(step, Exec)
    return step


def caches(step: Exec) -> dict[str, str]:
    return {one.target: one.id for one in step.mounts if isinstance(one, CacheMount)}


def test_without_a_day_nothing_is_said_of_snapshots(tmp_path: Path) -> None:
    step = apt(tmp_path)
    assert "napshot" not in step.command
    assert "Valid-Until" not in step.command
    assert caches(step)["/var/lib/apt/lists"] == "cogpack-apt-lists"


@pytest.mark.parametrize(
    "written", ["2026-11-01", "20261101", "20261101T000000Z", "2026-11-01T00:00:00Z"]
)
def test_a_day_goes_to_every_command_of_apt(tmp_path: Path, written: str) -> None:
    step = apt(tmp_path, f"apt_snapshot: {written}")
    lines = [line for line in step.command.splitlines() if "apt-get " in line]
    assert len(lines) == 3
    for line in lines:
        assert f"-o APT::Snapshot={DAY} " in line
        assert "-o Acquire::Check-Valid-Until=false " in line
    assert caches(step)["/var/lib/apt/lists"] == f"cogpack-apt-lists-{DAY}"
    reasons = stage_of(planned(tmp_path), "apt").reasons
    assert ("cog.yaml", 4) in {(one.file, one.line) for one in reasons}


def test_a_mirror_takes_the_place_of_the_sources(tmp_path: Path) -> None:
    step = apt(tmp_path, f"apt_snapshot: 2026-11-01, apt_snapshot_mirror: '{MIRROR}'")
    lines = [line for line in step.command.splitlines() if "apt-get " in line]
    assert len(lines) == 2
    for line in lines:
        assert "-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=/tmp/" in line
        assert "APT::Snapshot" not in line


@pytest.mark.parametrize(
    ("written", "moved"),
    [
        ("deb http://a.example/debian stable main", "deb {}/debian/{} stable main"),
        ("deb-src [arch=amd64] https://a.example/x/y/ s m", "deb-src [arch=amd64] {}/x/y/{} s m"),
        ("URIs: http://a.example/debian http://b.example/u/", "URIs: {}/debian/{} {}/u/{}"),
        ("# deb http://a.example/debian stable main", "# deb http://a.example/debian stable main"),
        ("Signed-By: /usr/share/keyrings/a.gpg", "Signed-By: /usr/share/keyrings/a.gpg"),
        ("deb http://a.example stable main", "deb http://a.example stable main"),
    ],
)
def test_sed_moves_every_source(written: str, moved: str) -> None:
    snapshot = AptSnapshot(DAY, "https://m.example/&|\\/@PATH@/@SNAPSHOTID@", Origin())
    command = ["sed", "-E", snapshot.edit]
    found = subprocess.run(command, input=written, capture_output=True, text=True, check=True)
    parts = ["https://m.example/&|\\", DAY] * 2
    assert found.stdout == moved.format(*parts[: moved.count("{}")])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("apt_snapshot: yesterday", "not a day or a moment"),
        ("apt_snapshot: 2026-13-01", "not a day or a moment"),
        ("apt_snapshot_mirror: mirror.example", "not a URL"),
        ("apt_snapshot_mirror: 'https://m.example/@PATH@'", "no place for the day"),
        ("apt_snapshot_mirror: 'https://me:pw@m.example/@SNAPSHOTID@'", "with a credential"),
        (f"apt_snapshot_mirror: '{MIRROR}'", "apt_snapshot_mirror stands without apt_snapshot"),
    ],
)
def test_a_wrong_day_is_told_with_its_line(tmp_path: Path, options: str, told: str) -> None:
    write_project(tmp_path, f"cogpack: {{{options}}}")
    with pytest.raises(UserError, match=told) as raised:
        read_project(tmp_path)
    assert str(raised.value).startswith("cog.yaml:3: cogpack.apt_snapshot")
