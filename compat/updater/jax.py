"""jax.csv and jax_plugins.csv: jax, the jaxlib that it goes with, and what brings CUDA to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.version import Version

from ...index import Metadata, NoMetadata
from ..cells import Sheet
from . import metadata as read
from .finding import Finding, Found, Missed
from .releases import (
    DEFAULT_SOURCE,
    Release,
    admitted,
    history,
    left_out,
    newest_pythons,
    read_metadata,
)
from .sources import UnreachedError
from .wheels import Build, pure_python
from .world import World

__all__ = ["jax", "plugin_pages", "plugins"]

_ANY = "amd64"


def jax(sheet: Sheet, world: World, sheets: Mapping[str, Sheet]) -> Finding:
    """jax: its Pythons, jaxlib and plugins."""
    pythons = newest_pythons(sheets["python"])
    try:
        past = history(world, "jax", sheet.rows)
        asked = [one for one in past.releases if world.recheck or not past.is_known(one.version)]
        answers = list(read_metadata(world, past, [(one, one.files) for one in asked]))
    except UnreachedError as error:
        return Finding(missed=(Missed(str(error), "jax"),))
    found = [
        Found({"version": str(one.version), "python": _python(one)}, {"": DEFAULT_SOURCE})
        for one in past.releases
        if one not in asked
    ]
    notes = []
    for release, _, metadata in answers:
        if isinstance(metadata, NoMetadata):
            notes.append(left_out(metadata))
            continue
        told = read.jax(metadata, admitted(pythons, _python(release)))
        cells = {"version": str(release.version), "python": _python(release), **told}
        if told["jaxlib"]:
            found.append(Found(cells, {"": DEFAULT_SOURCE}))
    return Finding(tuple(found), past.absent("jax", world.since), tuple(notes))


def _python(release: Release) -> str:
    build = release.builds.get(_ANY)
    return build.python if build else pure_python(release.files)


def plugin_pages(sheet: Sheet) -> Iterator[tuple[str, str]]:
    """The pages that `plugins` asks for."""
    yield from (("", name) for name in sorted({row["package"] for row in sheet.rows}))


def plugins(sheet: Sheet, world: World, sheets: Mapping[str, Sheet]) -> Finding:
    """The CUDA plugins of jax."""
    pythons = newest_pythons(sheets["python"])
    found: list[Found] = []
    notes: list[str] = []
    missed: list[Missed] = []
    absent = frozenset[tuple[object, ...]]()
    for package in sorted({row["package"] for row in sheet.rows}):
        try:
            rows, gone, left = _plugin(sheet, world, pythons, package)
        except UnreachedError as error:
            missed.append(Missed(str(error), package))
            continue
        found += rows
        absent |= gone
        notes += left
    return Finding(tuple(found), absent, tuple(notes), tuple(missed))


def _plugin(
    sheet: Sheet, world: World, pythons: tuple[Version, ...], package: str
) -> tuple[list[Found], frozenset[tuple[object, ...]], list[str]]:
    rows = [row for row in sheet.rows if row["package"] == package]
    past = history(world, package, rows)
    builds = [(one, build) for one in past.releases for build in one.builds.values()]
    asked = [
        (one, build)
        for one, build in builds
        if world.recheck or not past.is_known(one.version, build.architecture)
    ]
    answers = read_metadata(world, past, [(one, build.files) for one, build in asked])
    metadata = {
        (one.version, build.architecture): found
        for (one, build), (_, _, found) in zip(asked, answers, strict=True)
    }
    found, notes = [], []
    for release, build in builds:
        known = metadata.get((release.version, build.architecture))
        if isinstance(known, NoMetadata):
            notes.append(left_out(known))
            continue
        found.append(_plugin_found(package, release, build, known, pythons))
    return found, past.absent(sheet.name, world.since), notes


def _plugin_found(
    package: str,
    release: Release,
    build: Build,
    metadata: Metadata | None,
    pythons: tuple[Version, ...],
) -> Found:
    major = package.removeprefix("jax-cuda").removesuffix("-plugin")
    cells = {
        "package": package,
        "version": str(release.version),
        "architecture": build.architecture,
        "python": build.python,
        "glibc": build.glibc,
        "cuda_major": major,
    }
    if metadata is not None:
        cells |= read.jax_plugin(major, metadata, build, admitted(pythons, build.python))
    return Found(cells, {"": DEFAULT_SOURCE})
