"""Tables that one page of the default index tells whole: wheels, tensorflow, cog, the tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.version import Version

from ...index import Metadata, NoMetadata
from ..cells import Cells, Sheet
from . import metadata as metadata_of
from .finding import Finding, Found, Missed
from .needs import needed
from .releases import (
    DEFAULT_SOURCE,
    History,
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

__all__ = ["cog", "cog_pages", "tensorflow", "tool_pages", "tools", "wheels"]

_RUNTIME_PACKAGES = ("cog", "coglet")


def wheels(sheet: Sheet, world: World, _: Mapping[str, Sheet]) -> Finding:
    """triton or jaxlib: what the file names tell."""
    try:
        past = history(world, sheet.name, sheet.rows)
    except UnreachedError as error:
        return Finding(missed=(Missed(str(error), sheet.name),))
    rows = [
        Found(_build_cells(release, build), {"": DEFAULT_SOURCE})
        for release in past.releases
        for build in release.builds.values()
        if build.glibc
    ]
    return Finding(tuple(rows), past.absent(sheet.name, world.since))


def tensorflow(sheet: Sheet, world: World, sheets: Mapping[str, Sheet]) -> Finding:
    """tensorflow: file names, and the packages that its extra brings."""
    pythons = newest_pythons(sheets["python"])
    try:
        past = history(world, "tensorflow", sheet.rows)
        builds = [(one, build) for one in past.releases for build in one.builds.values()]
        asked = [
            (one, build)
            for one, build in builds
            if world.recheck or not past.is_known(one.version, build.architecture)
        ]
        answers = read_metadata(world, past, [(one, build.files) for one, build in asked])
        metadata = {
            (one.version, build.architecture): told
            for (one, build), (_, _, told) in zip(asked, answers, strict=True)
        }
    except UnreachedError as error:
        return Finding(missed=(Missed(str(error), "tensorflow"),))
    notes: list[str] = []
    found: list[Found] = []
    for release, build in builds:
        told = metadata.get((release.version, build.architecture))
        cells = _build_cells(release, build)
        if isinstance(told, NoMetadata):
            notes.append(left_out(told))
        elif told is None:
            found.append(Found(cells, {"": DEFAULT_SOURCE}))
        else:
            found.append(_tensorflow(told, build, cells, admitted(pythons, build.python)))
    return Finding(tuple(found), past.absent(sheet.name, world.since), tuple(notes))


def _tensorflow(
    metadata: Metadata, build: Build, cells: Cells, pythons: tuple[Version, ...]
) -> Found:
    read, guesses = metadata_of.tensorflow(metadata, build, pythons)
    source = {"": DEFAULT_SOURCE}
    if read.get("cuda_packages"):
        source |= dict.fromkeys(guesses, "tensorflow[and-cuda]")
    return Found({**cells, **read}, source, guesses)


def cog_pages(_: Sheet) -> Iterator[tuple[str, str]]:
    """The pages that `cog` asks for."""
    yield from (("", name) for name in _RUNTIME_PACKAGES)


def cog(sheet: Sheet, world: World, sheets: Mapping[str, Sheet]) -> Finding:
    """cog and coglet: file names, and which coglet a cog asks for."""
    pythons = newest_pythons(sheets["python"])
    findings = [_cog(sheet, world, pythons, name) for name in _RUNTIME_PACKAGES]
    return Finding(
        tuple(found for finding in findings for found in finding.rows),
        frozenset().union(*(finding.absent for finding in findings)),
        tuple(note for finding in findings for note in finding.notes),
        tuple(one for finding in findings for one in finding.missed),
    )


def _cog(sheet: Sheet, world: World, pythons: tuple[Version, ...], package: str) -> Finding:
    rows = [row for row in sheet.rows if row["package"] == package]
    try:
        past = history(world, package, rows)
        asked = [one for one in past.releases if world.recheck or not past.is_known(one.version)]
        files = [(release, release.files) for release in asked]
        answers = {
            release.version: metadata for release, _, metadata in read_metadata(world, past, files)
        }
    except UnreachedError as error:
        return Finding(missed=(Missed(str(error), package),))
    notes = [left_out(one) for one in answers.values() if isinstance(one, NoMetadata)]
    found = []
    for release in past.releases:
        metadata = answers.get(release.version)
        cells = _cog_cells(package, release)
        if isinstance(metadata, Metadata):
            python = admitted(pythons, cells["python"])
            coglet = needed(metadata, "coglet", architecture="amd64", pythons=python)
            cells = {**cells, "coglet": coglet or ""}
        if metadata is None or isinstance(metadata, Metadata):
            found.append(Found(cells, {"": DEFAULT_SOURCE}))
    absent = past.absent("cog", world.since)
    return Finding(tuple(found), absent, tuple(notes))


def _cog_cells(package: str, release: Release) -> Cells:
    built = release.builds
    first = next(iter(built.values()), None)
    return {
        "package": package,
        "version": str(release.version),
        "architectures": " ".join(sorted(built)),
        "python": first.python if first else pure_python(release.files),
        "glibc": first.glibc if first else "",
    }


def tool_pages(sheet: Sheet) -> Iterator[tuple[str, str]]:
    """The pages that `tools` asks for."""
    yield from (("", row["tool"]) for row in sheet.rows)


def tools(sheet: Sheet, world: World, _: Mapping[str, Sheet]) -> Finding:
    """The newest release of each tool; older ones stay, for who pins them."""
    found, missed = [], []
    for name in sorted({row["tool"] for row in sheet.rows}):
        rows = [row for row in sheet.rows if row["tool"] == name]
        try:
            past = history(world, name, rows)
        except UnreachedError as error:
            missed.append(Missed(str(error), name))
            continue
        if newest := _newest(past):
            hashes = " ".join(_hashes(newest))
            cells = {"tool": name, "version": str(newest.version), "sha256": hashes}
            found.append(Found(cells, {"": DEFAULT_SOURCE}))
    return Finding(tuple(found), missed=tuple(missed))


def _newest(past: History) -> Release | None:
    usable = [release for release in past.releases if release.builds]
    return usable[-1] if usable else None


def _hashes(release: Release) -> list[str]:
    """Of every wheel that a build may get; of none when the index does not announce one of them."""
    files = [file for build in release.builds.values() for file in build.files]
    hashes = {file.sha256 for file in files}
    return sorted(one for one in hashes if one) if None not in hashes else []


def _build_cells(release: Release, build: Build) -> Cells:
    return {
        "version": str(release.version),
        "architecture": build.architecture,
        "python": build.python,
        "glibc": build.glibc,
    }
