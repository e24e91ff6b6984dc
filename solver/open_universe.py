"""What was learned of the indexes, as candidates and facts for the SAT engine.

A page becomes a package with all its versions, metadata become relations. What was not read yet
binds nothing, so that "no solution" is final, whatever else the indexes hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace
from packaging.markers import Marker
from packaging.version import Version

from ..index.location import display
from ..index.metadata import Metadata, NoMetadata
from ..index.page import Page
from ..origin import Origin
from .open_catalog import Catalog, hashed, hashed_lines, hashes_for
from .open_fits import fits_for, index_fact
from .open_model import (
    ANY,
    Ask,
    Dependency,
    OpenOptions,
    Range,
    as_they_are,
    dependency,
    range_of,
)
from .open_provider import depends
from .requirement import Requirement
from .universe import Candidate, Fact, Relation, Term, Universe, requires

__all__ = ["OPEN_WORLD", "Learned", "learned"]

OPEN_WORLD = "open-world"
"""The package that carries what holds for all packages together."""

_BUILD_HINT = (
    "; say so in [[tool.uv.dependency-metadata]] of pyproject.toml, or name a wheel of it in its "
    "place"
)

_NOBODY = Origin(asker="the package index")


@dataclass(frozen=True)
class Learned:
    """A universe with what is known of the open world, and what is asked of it."""

    universe: Universe
    requirements: tuple[Requirement, ...]


def learned(
    catalog: Catalog,
    matrix: Universe,
    settled: frozenset[str],
    asks: Sequence[Ask],
    machine: str,
    options: OpenOptions,
    refuted: Sequence[Relation] = (),
    names: frozenset[str] | None = None,
    limits: Collection[tuple[str, Origin]] = (),
    forced: Iterable[Requirement] = (),
) -> Learned:
    """The universe of the matrix and of what the catalog has seen.

    settled: packages whose candidates are the matrix's own. refuted: clauses over the matrix that
    hold for other reasons. names: the packages to take in; None takes all. limits: packages and
    origins of constraints that are asked of the matrix already. forced: requirements on packages
    of the matrix that are there to be installed.
    """
    reader = _Reader(catalog, matrix, settled, asks, machine, options, names)
    candidates = list(reader.candidates())
    wanted = []
    for number, ask in enumerate(asks):
        if ask.constraint and (ask.name, ask.origin) in limits:
            continue
        for requirement, candidate in reader.asked(ask, number):
            wanted.append(requirement)
            candidates += [candidate] if candidate is not None else []
    wanted += [
        Requirement(_installation(one.package), "", one.origin)
        for one in forced
        if reader.is_installation(one.package)
    ]
    if refuted:
        candidates.append(Candidate(OPEN_WORLD, "all", relations=tuple(refuted)))
        wanted.append(Requirement(OPEN_WORLD, "", _NOBODY))
    universe = matrix.extended(candidates)
    complete = {one.package for one in candidates} - settled
    return Learned(universe.completed(complete), tuple(wanted))


class _Reader:
    """Turns pages and metadata into candidates."""

    def __init__(
        self,
        catalog: Catalog,
        matrix: Universe,
        settled: frozenset[str],
        asks: Sequence[Ask],
        machine: str,
        options: OpenOptions,
        names: frozenset[str] | None,
    ) -> None:
        self._catalog = catalog
        self._matrix = matrix
        self._settled = settled
        self._options = options
        self._fits = fits_for(tuple(matrix["python"].position), machine, options)
        direct = {ask.name: ask for ask in asks if ask.is_direct and not ask.constraint}
        self._given = {
            ask.name: _carrier(number)
            for number, ask in enumerate(asks)
            if ask.is_direct and not ask.constraint
        }
        self._direct = {name: ask for name, ask in direct.items() if names is None or name in names}
        pages = {name: page for (name, _), page in catalog.pages.items()}
        self._pages = {name: page for name, page in pages.items() if names is None or name in names}
        self._read: dict[tuple[str, Version], list[tuple[str, Metadata | NoMetadata]]] = {}
        for (name, index, version), found in catalog.metadata.items():
            self._read.setdefault((name, version), []).append((index, found))
        self._lacking: dict[str, set[str]] = {}
        for name, index in catalog.missing:
            self._lacking.setdefault(name, set()).add(index)
        self._known = {*self._pages, *self._direct, *self._lacking}
        named = {ask.name for ask in asks if not ask.constraint}
        looked_at = {*self._pages, *self._lacking}
        self._maybe_installed = (looked_at & settled & matrix.packages.keys()) - named
        self._hashes = hashed_lines(asks)
        self._as_they_are = as_they_are(asks)
        self._pins: dict[str, set[Version]] = {}
        self._extras: dict[str, set[str]] = {}
        self._ranges: dict[str, set[Range]] = {}
        self._early: dict[str, bool] = {}
        self._survey(asks)

    def candidates(self) -> Iterator[Candidate]:
        """Everything known: releases of pages, direct ones, settled ones with more relations."""
        for name in sorted(self._direct):
            offer = self._catalog.direct(self._direct[name])
            yield from self._release(name, offer.version, "", self._file_relations(name, offer))
        for name in sorted(self._settled & {*self._pages, *self._lacking}):
            if name in self._matrix:
                yield from self._of_matrix(name)
        for name, page in sorted(self._pages.items()):
            if name not in self._settled and name not in self._direct:
                for version in page.versions:
                    relations = self._page_relations(name, version, page)
                    if relations is not None:
                        yield from self._release(name, version, page.index, relations)

    def is_installation(self, name: str) -> bool:
        """Whether a package of its own says that one of the matrix is installed."""
        return name in self._maybe_installed

    def asked(self, ask: Ask, number: int) -> Iterator[tuple[Requirement, Candidate | None]]:
        """The requirements of a user's line, some with the candidate that carries a condition."""
        if ask.constraint:
            if ask.specifier and ask.name in self._known:
                where = self._fits.where(Marker(ask.marker) if ask.marker else None, "")
                fact = index_fact(ask.name, f"{ask.text} limits {ask.name}")
                term = Term(ask.name, ask.specifier, absent_ok=True)
                yield self._conditional(ask, number, [self._fits.conditioned(fact, where, term)])
            return
        if ask.name not in self._known:
            return
        specifier = "" if ask.is_direct else ask.specifier
        names = [ask.name, *(f"{ask.name}[{extra}]" for extra in ask.extras)]
        if ask.name in self._settled:
            names = names[1:]
        if not ask.marker and not (ask.is_direct and ask.name not in self._settled):
            for name in names:
                if "[" not in name or self._has_extra(name):
                    yield Requirement(name, specifier, ask.origin), None
            return
        where = self._fits.where(Marker(ask.marker) if ask.marker else None, "")
        if not where:
            return
        fact = index_fact(ask.name, f"{ask.text} holds where its marker does")
        if not ask.marker:
            fact = index_fact(ask.name, f"{ask.name} is taken from where {ask.text} says")
        relations = [
            self._fits.conditioned(fact, where, Term(name, specifier))
            for name in names
            if "[" not in name or self._has_extra(name)
        ]
        yield self._conditional(ask, number, relations)

    def _conditional(
        self, ask: Ask, number: int, relations: Iterable[Relation]
    ) -> tuple[Requirement, Candidate]:
        """A line as a package of its own: leaving it out is leaving out what it obliges."""
        name = _carrier(number)
        carrier = Candidate(name, "line", relations=tuple(relations))
        return Requirement(name, "", ask.origin), carrier

    def _has_extra(self, key: str) -> bool:
        name, _, extra = key.removesuffix("]").partition("[")
        return name in self._known and extra in self._extras.get(name, ())

    def _release(
        self, name: str, version: Version, index: str, relations: Sequence[Relation]
    ) -> Iterator[Candidate]:
        label = str(version)
        metadata = self._metadata(name, version, index)
        own, extras = self._needs(name, version, metadata)
        yield Candidate(name, label, version, relations=(*relations, *own))
        for extra, needs in extras.items():
            yield self._extra(name, label, version, extra, needs)

    def _extra(
        self,
        name: str,
        label: str,
        version: Version | None,
        extra: str,
        needs: Sequence[Relation],
    ) -> Candidate:
        fact = index_fact(f"{name} {label}", f"{name}[{extra}] {label} is part of {name} {label}")
        base = requires(fact, Term(name, labels=frozenset({label})))
        return Candidate(f"{name}[{extra}]", label, version, relations=(base, *needs))

    def _of_matrix(self, name: str) -> Iterator[Candidate]:
        """The matrix's candidates, bound by what their metadata say beside the tables.

        The tables alone may need one that nobody installs in the end: where no line names the
        package, its metadata bind a package of their own, which says that it is installed.
        """
        labels = frozenset(self._matrix[name].position)
        installed: list[Relation] = []
        for candidate, relations, extras in self._told_of_matrix(name):
            if name in self._maybe_installed:
                other = Term(name, labels=labels - {candidate.label}, absent_ok=True)
                installed += [Relation(one.fact, (other, *one.any_of)) for one in relations]
            else:
                yield replace(candidate, relations=(*candidate.relations, *relations))
            for extra, needs in extras.items():
                yield self._extra(name, candidate.label, candidate.version, extra, needs)
        if name in self._maybe_installed:
            yield Candidate(_installation(name), "yes", relations=tuple(installed))

    def _told_of_matrix(
        self, name: str
    ) -> Iterator[tuple[Candidate, list[Relation], dict[str, list[Relation]]]]:
        """What page and metadata of each candidate oblige, and what each of its extras does."""
        pinned = {one.index for one in self._matrix[name].candidates if one.index}
        pages = {
            index: page for (owner, index), page in self._catalog.pages.items() if owner == name
        }
        for candidate in self._matrix[name].candidates:
            version = candidate.version
            if version is None:
                continue
            index = next((one for one in pages if _serves(one, candidate.index, pinned)), None)
            if index is None:
                if absent := self._nowhere(name, candidate, pinned):
                    yield candidate, absent, {}
                continue
            relations = self._page_relations(name, version, pages[index])
            if relations is None:
                text = f"{name} {candidate.label} has no file on the index"
                relations = [_never(index_fact(f"{name} {candidate.label}", text), name)]
            own, extras = self._needs(name, version, self._metadata(name, version, index))
            yield candidate, [*relations, *own], extras

    def _nowhere(self, name: str, candidate: Candidate, pinned: set[str]) -> list[Relation]:
        """That the index which a candidate comes from lacks its package; empty when it does not."""
        lacking = self._lacking.get(name, ())
        index = next((one for one in lacking if _serves(one, candidate.index, pinned)), None)
        if index is None:
            return []
        text = f"{display(index)} has no {name}" if index else f"no index has {name}"
        return [_never(index_fact(name, text), name)]

    def _metadata(self, name: str, version: Version, index: str) -> Metadata | NoMetadata | None:
        entries = self._read.get((name, version), ())
        return next((found for owner, found in entries if not index or owner == index), None)

    def _needs(
        self, name: str, version: Version, metadata: Metadata | NoMetadata | None
    ) -> tuple[list[Relation], dict[str, list[Relation]]]:
        """What a release obliges, and what each extra that anything asks for does."""
        key = f"{name} {version}"
        extras: dict[str, list[Relation]] = {one: [] for one in sorted(self._extras.get(name, ()))}
        if metadata is None:
            return [], extras
        if isinstance(metadata, NoMetadata):
            reason = metadata.reasons[0]
            hint = _BUILD_HINT if "a build" in reason else ""
            return [_never(index_fact(key, f"{key}: {reason}{hint}"), name)], extras
        own = self._fits.python(key, metadata.requires_python_text)
        own += self._dependencies(key, name, metadata, "")
        for extra in extras:
            extras[extra] = self._dependencies(f"{name}[{extra}] {version}", name, metadata, extra)
        return own, extras

    def _dependencies(self, key: str, name: str, metadata: Metadata, extra: str) -> list[Relation]:
        found = []
        for one in _anywhere(metadata, extra):
            if one.url and one.name not in self._given:
                fact = index_fact(key, f"{key} needs {one.by_url}")
                never = Term(name, labels=frozenset())
                found.append(
                    self._fits.conditioned(fact, self._fits.where(one.marker, extra), never)
                )
                continue
            # What was never looked at may have any version.
            if one.name not in self._known and one.name not in self._settled:
                continue
            where = self._fits.where(one.marker, extra)
            if not where:
                continue
            fact = index_fact(key, f"{key} needs {_shown(one)}{self._gap(one)}")
            admitted = "" if {name, one.name} <= self._as_they_are else one.range.text
            # Without the line that names its file it might have any version.
            line = [_without(self._given[one.name])] if one.name in self._direct else []
            found.append(self._fits.conditioned(fact, where, Term(one.name, admitted), *line))
            if one.name in self._maybe_installed:
                found.append(self._fits.conditioned(fact, where, Term(_installation(one.name))))
            for further in one.extras:
                wanted = f"{one.name}[{further}]"
                if self._has_extra(wanted):
                    found.append(self._fits.conditioned(fact, where, Term(wanted, admitted)))
        return found

    def _gap(self, one: Dependency) -> str:
        """Why nothing on its page meets a dependency, where the index holds it back."""
        page = self._pages.get(one.name)
        if page is None or not (page.left_out or page.status):
            return ""
        if any(one.range.admits(version) for version in page.versions):
            return ""
        gap = page.gap(one.range.admits)
        return f", and {gap}" if gap else ""

    def _page_relations(self, name: str, version: Version, page: Page) -> list[Relation] | None:
        """Where files of a release fit; None when it is no candidate anywhere."""
        files = page.releases.get(version, ())
        if not files:
            return None
        if all(file.yanked for file in files) and version not in self._pins.get(name, ()):
            return None
        if version.is_prerelease and not self._admits_prereleases(name, page):
            return None
        key = f"{name} {version}"
        admitted = hashed(files, hashes_for(self._hashes.get(name, ()), version))
        if not admitted:
            return [_never(index_fact(key, f"no file of {key} has a hash that is asked for"), name)]
        if len(admitted) < len(files):
            key = f"{key}, by its hashes,"
        return self._fits.files(key, name, admitted)

    def _admits_prereleases(self, name: str, page: Page) -> bool:
        """Whether anything known asks for a package's pre-releases."""
        if name not in self._early:
            ranges = self._ranges.get(name, {ANY})
            self._early[name] = self._options.admits_prereleases(name, ranges, page.versions)
        return self._early[name]

    def _file_relations(self, name: str, offer: object) -> list[Relation]:
        files = getattr(offer, "files", ())
        version = getattr(offer, "version", "")
        return self._fits.files(f"{name} {version}", name, files) if files else []

    def _survey(self, asks: Sequence[Ask]) -> None:
        """What anything known asks of packages: ranges, pins and extras.

        A yanked release counts only where it is pinned (PEP 592), a pre-release only where it is
        asked for (PEP 440).
        """
        for ask in asks:
            self._note(ask.name, range_of(ask.specifier), ask.extras)
        for entries in self._read.values():
            for _, metadata in entries:
                if isinstance(metadata, Metadata):
                    for text in metadata.requirement_texts:
                        if (one := dependency(text)) is not None and one.name in self._known:
                            self._note(one.name, one.range, one.extras)

    def _note(self, name: str, wanted: Range, extras: Iterable[str]) -> None:
        self._ranges.setdefault(name, set()).add(wanted)
        if wanted.pins:
            self._pins.setdefault(name, set()).update(wanted.pins)
        for extra in extras:
            self._extras.setdefault(name, set()).add(extra)


def _anywhere(metadata: Metadata, extra: str) -> Iterator[Dependency]:
    """The dependencies of a release or of an extra, on whatever Python."""
    if not extra:
        yield from depends(metadata, "", lambda *_: True)
        return
    for text in metadata.requirement_texts:
        if "extra" in text and (one := dependency(text)) is not None:
            yield one


def _carrier(number: int) -> str:
    return f"line-{number}"


def _without(carrier: str) -> Term:
    """Holds when a line is not there."""
    return Term(carrier, labels=frozenset(), absent_ok=True)


def _never(fact: Fact, name: str) -> Relation:
    return requires(fact, Term(name, labels=frozenset()))


def _installation(name: str) -> str:
    """The package that says of one of the matrix that it is installed."""
    return f"{name} is installed"


def _shown(one: Dependency) -> str:
    extras = f"[{','.join(one.extras)}]" if one.extras else ""
    return f"{one.name}{extras}{one.range.text}"


def _serves(page: str, wanted: str, pinned: Iterable[str]) -> bool:
    """Whether a page's index is the one that a candidate comes from."""
    plain = page.rstrip("/")
    if wanted:
        return plain == wanted.rstrip("/")
    return plain not in {one.rstrip("/") for one in pinned}
