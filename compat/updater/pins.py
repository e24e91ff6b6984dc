"""pins.csv: which release of a library pins which framework."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from ...index import NoMetadata
from ..cells import Cells, Sheet, sort_key
from .finding import Finding, Found, Missed
from .metadata import pins
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
from .wheels import pure_python
from .world import World

__all__ = ["Added", "find", "pages"]

_ANY = "amd64"


Added = Mapping[str, Version | None]
"""Library that is new to the table -> its oldest release that matters; None: all of them."""


def pages(sheet: Sheet, added: Added) -> Iterator[tuple[str, str]]:
    """The pages that `find` asks for."""
    yield from (("", name) for name in sorted({row["package"] for row in sheet.rows} | {*added}))


def find(
    sheet: Sheet, world: World, sheets: Mapping[str, Sheet], added: Added = MappingProxyType({})
) -> Finding:
    """What the libraries of the table pin; one that fails stays as it is.

    sheets: the frameworks as they now are. added: libraries that are new to the table.
    """
    pythons = newest_pythons(sheets["python"])
    found: list[Found] = []
    absent: set[tuple[object, ...]] = set()
    notes: list[str] = []
    missed: list[Missed] = []
    rows: dict[str, list[Cells]] = {package: [] for package in added}
    for row in sheet.rows:
        rows.setdefault(row["package"], []).append(row)
    for package in sorted(rows):
        try:
            past = history(world, package, rows[package], oldest=added.get(package))
            one = _library(past, world, pythons, sheets)
        except UnreachedError as error:
            missed.append(Missed(str(error), f"the pins of {package}"))
            continue
        found += one.rows
        absent |= one.absent
        notes += one.notes
    return Finding(tuple(found), frozenset(absent), tuple(notes), tuple(missed))


def _library(
    past: History,
    world: World,
    pythons: tuple[Version, ...],
    sheets: Mapping[str, Sheet],
) -> Finding:
    package = past.package
    asked = [one for one in past.releases if world.recheck or not past.is_known(one.version)]
    answers = {
        release.version: metadata
        for release, _, metadata in read_metadata(world, past, [(one, one.files) for one in asked])
    }
    found, notes = [], []
    # A new library begins at its oldest release whose pins the tables can judge.
    has_begun = bool(past.rows)
    for release in past.releases:
        metadata = answers.get(release.version)
        if isinstance(metadata, NoMetadata):
            notes += [left_out(metadata)] if has_begun else []
            continue
        cells = {"package": package, "version": str(release.version), "python": _python(release)}
        if metadata is None:
            found.append(Found(cells, {"": DEFAULT_SOURCE}))
            continue
        pinned = pins(metadata, admitted(pythons, cells["python"]))
        if unknown := [pin for pin in pinned if not _is_known(*pin, sheets)]:
            if past.is_known(release.version) or has_begun:
                notes.append(
                    f"{package} {release.version} is left out: the tables have no "
                    f"{' nor '.join(map(''.join, unknown))}"
                )
            continue
        if pinned:
            has_begun = True
            requires = "; ".join(map("".join, pinned))
            found.append(Found({**cells, "requires": requires}, {"": DEFAULT_SOURCE}))
    told = {sort_key("pins", one.cells) for one in found}
    absent = past.absent("pins", world.since) - told
    return Finding(tuple(found), frozenset(absent), tuple(notes))


def _is_known(framework: str, specifier: str, sheets: Mapping[str, Sheet]) -> bool:
    allowed = SpecifierSet(specifier)
    return any(
        allowed.contains(Version(row["version"]).public, prereleases=True)
        for row in sheets[framework].rows
    )


def _python(release: Release) -> str:
    build = release.builds.get(_ANY)
    return build.python if build else pure_python(release.files)
