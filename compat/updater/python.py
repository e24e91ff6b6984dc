"""python.csv: releases, the end of life of their minor, and which of them uv can fetch.

Releases come from python.org's list and from uv's own, ends of life from the release cycle of the
PEPs, and what uv has builds of from the `uv` program, which carries the list in itself.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from packaging.version import InvalidVersion, Version

from ..cells import Cells, Sheet
from .finding import Finding, Found, Missed
from .sources import UnreachedError
from .wheels import ARCHITECTURES
from .world import World

__all__ = ["Managed", "find", "uv_builds"]

T = TypeVar("T")

_CYCLE_SOURCE = "PEPs release cycle"

_RELEASE_NAME = re.compile(r"Python (3\.\d+\.\d+)")

# Seconds; the program reads its own list and asks nobody.
_UV_SECONDS = 60


@dataclass(frozen=True)
class Managed:
    """What uv has builds of. uv: its version. builds: release -> architectures."""

    uv: Version
    builds: Mapping[Version, frozenset[str]]


class _Cycle(msgspec.Struct):
    end_of_life: str


class _Release(msgspec.Struct):
    name: str
    is_published: bool = True
    pre_release: bool = False


class _Download(msgspec.Struct):
    version: str
    implementation: str
    os: str
    arch: str
    libc: str | None
    variant: str


def find(sheet: Sheet, world: World, sheets: Mapping[str, Sheet]) -> Finding:
    """What the three sources say; each that fails leaves its column as it is."""
    missed: list[Missed] = []
    ends = _try(lambda: _ends(world), missed, "ends of life")
    listed = _try(lambda: _releases(world), missed, "releases that uv has not")
    pinned = max((Version(row["version"]) for row in sheets["tools"].rows), default=Version("0"))
    managed = _try(lambda: uv_builds(pinned), missed, "what uv can fetch")
    oldest = min(Version(row["version"]) for row in sheet.rows)
    known = {Version(row["version"]): row for row in sheet.rows}
    wanted = {*known, *(listed or ()), *(managed.builds if managed else ())}
    ends_known = {_minor(row["version"]): row["end_of_life"] for row in sheet.rows}
    found, notes = [], set()
    for version in sorted(wanted):
        if version < max(oldest, world.since or oldest):
            continue
        one = _found(version, ends or {}, ends_known, managed)
        if one.cells.get("end_of_life") or version in known or one.defaults:
            found.append(one)
        else:
            notes.add(f"Python {_minor(str(version))} is left out: its end of life is not known")
    return Finding(tuple(found), notes=tuple(sorted(notes)), missed=tuple(missed))


def _found(
    version: Version,
    ends: Mapping[str, str],
    ends_known: Mapping[str, str],
    managed: Managed | None,
) -> Found:
    minor = _minor(str(version))
    cells: dict[str, str] = {"version": str(version)}
    source = {"end_of_life": _CYCLE_SOURCE}
    if minor in ends:
        cells["end_of_life"] = ends[minor]
    if managed is not None:
        cells["managed"] = " ".join(sorted(managed.builds.get(version, ())))
        source["managed"] = f"uv {managed.uv}"
    guess: Cells = {"end_of_life": ends_known[minor]} if minor in ends_known else {}
    return Found(cells, source, guess)


def _try(ask: Callable[[], T], missed: list[Missed], left: str) -> T | None:
    try:
        return ask()
    except UnreachedError as error:
        missed.append(Missed(str(error), left))
        return None


def _ends(world: World) -> Mapping[str, str]:
    url = f"{world.address('python-cycle')}/release-cycle.json"
    cycle = _decode(world.document(url), url, dict[str, _Cycle])
    return {minor: one.end_of_life for minor, one in cycle.items()}


def _releases(world: World) -> frozenset[Version]:
    url = f"{world.address('python-releases')}/v2/downloads/release/?is_published=true&version=3"
    listed = _decode(world.document(url), url, list[_Release])
    names = (
        _RELEASE_NAME.fullmatch(one.name)
        for one in listed
        if one.is_published and not one.pre_release
    )
    found = frozenset(Version(name[1]) for name in names if name)
    if not found:
        raise UnreachedError(f"{url} lists no release of Python")
    return found


def _decode(body: bytes | None, url: str, kind: type[T]) -> T:
    if body is None:
        raise UnreachedError(f"{url} does not exist")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise UnreachedError(f"{url} cannot be read: {error}") from error


def uv_builds(pinned: Version) -> Managed:
    """What the `uv` of this environment, or else of PATH, can fetch for Linux with glibc.

    pinned: the release that builds use; an older program knows too little.

    Raises UnreachedError when there is no uv, or one that is older.
    """
    beside = Path(sys.executable).with_name("uv")
    program = str(beside) if beside.exists() else shutil.which("uv")
    hint = f"install uv {pinned}: pip install uv=={pinned}"
    if program is None:
        raise UnreachedError(f"there is no uv program; {hint}")
    version = _uv_version(_run(program, "--version"))
    if version < pinned:
        raise UnreachedError(f"{program} is uv {version}, older than builds use; {hint}")
    listed = _run(
        program,
        "python",
        "list",
        "--no-config",
        "--only-downloads",
        "--all-versions",
        "--all-platforms",
        "--all-arches",
        "--output-format=json",
    )
    builds: dict[Version, set[str]] = {}
    for one in _decode(listed.encode(), f"{program} python list", list[_Download]):
        ordinary = (one.implementation, one.os, one.libc, one.variant)
        if ordinary != ("cpython", "linux", "gnu", "default") or one.arch not in ARCHITECTURES:
            continue
        release = Version(one.version)
        if not release.is_prerelease:
            builds.setdefault(release, set()).add(ARCHITECTURES[one.arch])
    return Managed(version, {release: frozenset(found) for release, found in builds.items()})


def _uv_version(text: str) -> Version:
    try:
        return Version(text.split()[1])
    except (IndexError, InvalidVersion) as error:
        raise UnreachedError(f"uv calls itself {text.strip()!r}") from error


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_UV_SECONDS, check=False
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UnreachedError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode != 0:
        raise UnreachedError(f"{' '.join(command)} failed: {done.stderr.strip()[-200:]}")
    return done.stdout


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
