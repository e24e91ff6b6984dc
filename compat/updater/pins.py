"""pins.csv: which release of a library pins which framework."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from ...index import Metadata, NoMetadata
from ..cells import Cells, Sheet, sort_key
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
from .wheels import pure_python
from .world import World

__all__ = ["FRAMEWORKS", "Added", "find", "pages"]

FRAMEWORKS = ("tensorflow", "jax", "jaxlib", "torch", "torchvision", "torchaudio", "triton")
"""What a pin may be about, in the order in which a row names them; each has a table."""

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
        pins = _pins(metadata, admitted(pythons, cells["python"]))
        if unknown := [pin for pin in pins if not pin.is_known(sheets)]:
            if past.is_known(release.version) or has_begun:
                notes.append(
                    f"{package} {release.version} is left out: the tables have no "
                    f"{' nor '.join(map(str, unknown))}"
                )
            continue
        if pins:
            has_begun = True
            requires = "; ".join(map(str, pins))
            found.append(Found({**cells, "requires": requires}, {"": DEFAULT_SOURCE}))
    told = {sort_key("pins", one.cells) for one in found}
    absent = past.absent("pins", world.since) - told
    return Finding(tuple(found), frozenset(absent), tuple(notes))


@dataclass(frozen=True)
class _Pin:
    framework: str
    specifier: str

    def __str__(self) -> str:
        return f"{self.framework}{self.specifier}"

    def is_known(self, sheets: Mapping[str, Sheet]) -> bool:
        allowed = SpecifierSet(self.specifier)
        return any(
            allowed.contains(Version(row["version"]).public, prereleases=True)
            for row in sheets[self.framework].rows
        )


def _python(release: Release) -> str:
    build = release.builds.get(_ANY)
    return build.python if build else pure_python(release.files)


def _pins(metadata: Metadata, pythons: tuple[Version, ...]) -> list[_Pin]:
    """The frameworks that a release restricts; one that it asks for in any version is no pin."""
    named = {canonicalize_name(one.name) for one in _unconditional(metadata.requires_dist)}
    found = []
    for framework in FRAMEWORKS:
        if framework in named:
            specifier = needed(metadata, framework, architecture=_ANY, pythons=pythons)
            if specifier:
                found.append(_Pin(framework, specifier))
    return found


def _unconditional(requirements: Iterable[Requirement]) -> Iterator[Requirement]:
    for requirement in requirements:
        if requirement.marker is None or "extra" not in str(requirement.marker):
            yield requirement
