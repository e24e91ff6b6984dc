"""What the file names of a release tell: Pythons, the oldest glibc, architectures.

Nothing here does I/O; files come from pages of a package index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.version import Version

from ...index import File
from ...index.page import mend_specifier

__all__ = ["ARCHITECTURES", "Build", "builds", "pure_python", "released"]

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""Machine in a wheel's platform tag -> architecture as OCI has it."""

# PEP 513, 571, 599: glibc behind the old names of manylinux.
_OLD_NAMES = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}

_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_(.+)")
_GLIBC_PLATFORMS = ("manylinux", "linux")

_CPYTHON = re.compile(r"cp3(\d+)")

# `3` of Python 3: tags and specifiers of the tables know no other major.
_MAJOR = 3


@dataclass(frozen=True)
class Build:
    """The wheels of a release for one architecture.

    python: specifier, as the tables have it. glibc: the oldest that they run on; empty when the
    tags do not tell.
    """

    architecture: str
    python: str
    glibc: str
    files: tuple[File, ...]


def released(files: Iterable[File]) -> tuple[File, ...]:
    """The files of a release that are not yanked (PEP 592)."""
    return tuple(file for file in files if not file.yanked)


def builds(files: Iterable[File]) -> Mapping[str, Build]:
    """The builds of a release for Linux with glibc, by architecture.

    A wheel for any platform is a build for every architecture, without a glibc.
    """
    grouped: dict[str, list[tuple[File, frozenset[Tag]]]] = {}
    for file in released(files):
        for architecture, tags in _by_architecture(file).items():
            grouped.setdefault(architecture, []).append((file, tags))
    return {
        architecture: _build(architecture, grouped[architecture])
        for architecture in sorted(grouped)
    }


def pure_python(files: Iterable[File]) -> str:
    """The Pythons of a release as its `Requires-Python` has them, whatever its files are."""
    texts = {file.requires_python for file in released(files) if file.requires_python}
    return _specifier(_Bounds(), texts.pop() if len(texts) == 1 else "")


@dataclass(frozen=True)
class _Bounds:
    """Minors of Python 3: from `lowest` up to, not including, `end`, without `missing`."""

    lowest: int | None = None
    end: int | None = None
    missing: tuple[int, ...] = ()


def _by_architecture(file: File) -> dict[str, frozenset[Tag]]:
    found: dict[str, set[Tag]] = {}
    for tag in file.tags:
        if tag.platform == "any":
            for architecture in ARCHITECTURES.values():
                found.setdefault(architecture, set()).add(tag)
        for machine, architecture in ARCHITECTURES.items():
            # Not musl, whose tags begin with `musllinux`.
            if tag.platform.endswith(f"_{machine}") and tag.platform.startswith(_GLIBC_PLATFORMS):
                found.setdefault(architecture, set()).add(tag)
    return {name: frozenset(tags) for name, tags in found.items() if _minors(tags) is not None}


def _build(architecture: str, wheels: list[tuple[File, frozenset[Tag]]]) -> Build:
    floors = []
    exact: set[int] = set()
    open_from: list[int | None] = []
    for _, tags in wheels:
        minors = _minors(tags)
        exact |= minors.exact if minors else set()
        open_from += minors.open_from if minors else []
        known = [floor for tag in tags if (floor := _glibc(tag.platform))]
        if known:
            floors.append(min(known))
    texts = {file.requires_python for file, _ in wheels if file.requires_python}
    bounds = _bounds(exact, open_from)
    glibc = ".".join(map(str, max(floors))) if floors else ""
    files = tuple(file for file, _ in wheels)
    # Wheels may differ in their `Requires-Python`: then all of them must hold.
    python = _specifier(bounds, ",".join(sorted(texts)))
    return Build(architecture, python, glibc, files)


@dataclass(frozen=True)
class _Minors:
    exact: set[int]
    open_from: list[int | None]


def _minors(tags: Iterable[Tag]) -> _Minors | None:
    """The Pythons of a wheel; None when none of its tags is for an ordinary CPython 3.

    Free-threaded builds (`cp313t`) are another thing.
    """
    exact: set[int] = set()
    open_from: list[int | None] = []
    for tag in tags:
        named = _CPYTHON.fullmatch(tag.interpreter)
        if named and tag.abi == "abi3":
            open_from.append(int(named[1]))
        elif named and tag.abi in {tag.interpreter, f"{tag.interpreter}m", "none"}:
            exact.add(int(named[1]))
        elif tag.interpreter == f"py{_MAJOR}" and tag.abi == "none":
            open_from.append(None)
        elif re.fullmatch(r"py3\d+", tag.interpreter) and tag.abi == "none":
            open_from.append(int(tag.interpreter[3:]))
    return _Minors(exact, open_from) if exact or open_from else None


def _bounds(exact: set[int], open_from: list[int | None]) -> _Bounds:
    if any(minor is None for minor in open_from):
        return _Bounds()
    start = min((minor for minor in open_from if minor is not None), default=None)
    if start is not None:
        below = {minor for minor in exact if minor < start}
        lowest = min(below, default=start)
        missing = tuple(sorted(set(range(lowest, start)) - below))
        return _Bounds(lowest, None, missing)
    if not exact:
        return _Bounds()
    missing = tuple(sorted(set(range(min(exact), max(exact))) - exact))
    return _Bounds(min(exact), max(exact) + 1, missing)


def _glibc(platform: str) -> tuple[int, int] | None:
    named = _MANYLINUX.fullmatch(platform)
    if named:
        return int(named[1]), int(named[2])
    return _OLD_NAMES.get(platform.partition("_")[0])


def _specifier(bounds: _Bounds, requires_python: str) -> str:
    """Tags and `Requires-Python` as one specifier: lower bound, exclusions, upper bound."""
    try:
        clauses = SpecifierSet(mend_specifier(requires_python))
    except InvalidSpecifier:
        clauses = SpecifierSet()
    lower = _minor(bounds.lowest)
    upper = _minor(bounds.end)
    excluded = {f"{_MAJOR}.{minor}.*" for minor in bounds.missing}
    rest = []
    for clause in clauses:
        if clause.operator == "===":
            # It compares texts, so what it names need not be a version.
            rest.append(str(clause))
            continue
        version = Version(clause.version.removesuffix(".*"))
        if clause.operator in {">=", "~="}:
            lower = max(lower, version) if lower else version
            if clause.operator == "~=":
                end = Version(".".join(map(str, _next(version.release))))
                upper = min(upper, end) if upper else end
        elif clause.operator == "<":
            upper = min(upper, version) if upper else version
        elif clause.operator == "!=":
            excluded.add(clause.version)
        else:
            rest.append(str(clause))
    parts = [f">={_short(lower)}"] if lower else []
    parts += [f"!={text}" for text in sorted(excluded) if _matters(text, lower, upper)]
    parts += sorted(rest)
    parts += [f"<{_short(upper)}"] if upper and upper.major == _MAJOR else []
    return ",".join(parts)


def _minor(minor: int | None) -> Version | None:
    return None if minor is None else Version(f"{_MAJOR}.{minor}")


def _next(release: tuple[int, ...]) -> tuple[int, ...]:
    """What `~=` ends at: (3, 12) for (3, 11, 4), (4,) for (3, 11)."""
    return (*release[:-2], release[-2] + 1) if len(release) > 1 else (release[0] + 1,)


def _short(version: Version) -> str:
    """`3.9` for 3.9.0: the tables name minors."""
    release = version.release
    while len(release) > 2 and release[-1] == 0:
        release = release[:-1]
    return ".".join(map(str, release)) if len(release) > 1 else f"{release[0]}.0"


def _matters(text: str, lower: Version | None, upper: Version | None) -> bool:
    version = Version(text.removesuffix(".*"))
    return (lower is None or version >= lower) and (upper is None or version < upper)
