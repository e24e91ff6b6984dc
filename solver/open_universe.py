"""What was learned of the indexes, as candidates and facts for the SAT engine.

A page becomes a package with all its versions, metadata become relations. What was not read yet
binds nothing, so that "no solution" is final, whatever else the indexes hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from packaging.markers import Marker
from packaging.tags import Tag
from packaging.version import Version

from ..index.metadata import Metadata, NoMetadata
from ..index.page import File, Page, python_specifier
from ..origin import Origin
from .open_catalog import Catalog
from .open_model import ANY, Ask, Dependency, OpenOptions, Range, dependency, range_of
from .open_provider import depends
from .open_target import Target
from .requirement import Requirement
from .universe import Candidate, Fact, Relation, Term, Universe, requires

__all__ = ["INDEX", "OPEN_WORLD", "Learned", "learned"]

INDEX = "package index"
"""Where the facts of this module stand, in place of a table's file."""

OPEN_WORLD = "open-world"
"""The package that carries what holds for all packages together."""

# A glibc that no system has: with it every manylinux wheel of an architecture fits.
_ANY_GLIBC = (2, 99)

_MINOR_CLAUSE = re.compile(r"(>=|<)\s*\d+(\.\d+)?(\.0)?|(==|!=)\s*\d+(\.\d+)?\.\*|~=\s*\d+\.\d+")

T = TypeVar("T")

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
) -> Learned:
    """The universe of the matrix and of what the catalog has seen.

    settled: packages whose candidates are the matrix's own. refuted: clauses over the matrix that
    hold for other reasons. names: the packages to take in; None takes all.
    """
    reader = _Reader(catalog, matrix, settled, asks, machine, options, names)
    candidates = list(reader.candidates())
    wanted = []
    for number, ask in enumerate(asks):
        for requirement, candidate in reader.asked(ask, number):
            wanted.append(requirement)
            candidates += [candidate] if candidate is not None else []
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
        self._machine = machine
        self._options = options
        self._pythons = [
            one.version for one in matrix["python"].candidates if one.version is not None
        ]
        self._all_pythons = frozenset(one.label for one in matrix["python"].candidates)
        direct = {ask.name: ask for ask in asks if ask.is_direct and not ask.constraint}
        self._direct = {name: ask for name, ask in direct.items() if names is None or name in names}
        pages = {name: page for (name, _), page in catalog.pages.items()}
        self._pages = {name: page for name, page in pages.items() if names is None or name in names}
        self._read: dict[tuple[str, Version], list[tuple[str, Metadata | NoMetadata]]] = {}
        for (name, index, version), found in catalog.metadata.items():
            self._read.setdefault((name, version), []).append((index, found))
        self._known = {*self._pages, *self._direct, *catalog.missing}
        self._pins: dict[str, set[Version]] = {}
        self._extras: dict[str, set[str]] = {}
        self._ranges: dict[str, set[Range]] = {}
        self._early: dict[str, bool] = {}
        self._survey(asks)
        self._targets: dict[tuple[int, ...], Target] = {}
        self._marker_pythons: dict[tuple[str, str], frozenset[str]] = {}

    def candidates(self) -> Iterator[Candidate]:
        """Everything known: releases of pages, direct ones, settled ones with more relations."""
        for name in sorted(self._direct):
            offer = self._catalog.direct(self._direct[name])
            yield from self._release(name, offer.version, "", self._file_relations(name, offer))
        for name, page in sorted(self._pages.items()):
            if name in self._settled:
                if name in self._matrix:
                    yield from self._of_matrix(name)
            elif name not in self._direct:
                for version in page.versions:
                    relations = self._page_relations(name, version, page)
                    if relations is not None:
                        yield from self._release(name, version, page.index, relations)

    def asked(self, ask: Ask, number: int) -> Iterator[tuple[Requirement, Candidate | None]]:
        """The requirements of a user's line, some with the candidate that carries a condition."""
        if ask.constraint:
            if ask.specifier and ask.name in self._known:
                where = self._where(Marker(ask.marker) if ask.marker else None, "")
                fact = _fact(ask.name, f"{ask.text} limits {ask.name}")
                term = Term(ask.name, ask.specifier, absent_ok=True)
                yield self._conditional(ask, number, [self._conditioned(fact, where, term)])
            return
        if ask.name not in self._known:
            return
        specifier = "" if ask.is_direct else ask.specifier
        names = [ask.name, *(f"{ask.name}[{extra}]" for extra in ask.extras)]
        if ask.name in self._settled:
            names = names[1:]
        if not ask.marker:
            for name in names:
                if "[" not in name or self._has_extra(name):
                    yield Requirement(name, specifier, ask.origin), None
            return
        where = self._where(Marker(ask.marker), "")
        if not where:
            return
        fact = _fact(ask.name, f"{ask.text} holds where its marker does")
        relations = [
            self._conditioned(fact, where, Term(name, specifier))
            for name in names
            if "[" not in name or self._has_extra(name)
        ]
        yield self._conditional(ask, number, relations)

    def _conditional(
        self, ask: Ask, number: int, relations: Iterable[Relation]
    ) -> tuple[Requirement, Candidate]:
        """A line as a package of its own: leaving it out is leaving out what it obliges."""
        name = f"line-{number}"
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
        self, name: str, label: str, version: Version, extra: str, needs: Sequence[Relation]
    ) -> Candidate:
        fact = _fact(f"{name} {label}", f"{name}[{extra}] {label} is part of {name} {label}")
        base = requires(fact, Term(name, labels=frozenset({label})))
        return Candidate(f"{name}[{extra}]", label, version, relations=(base, *needs))

    def _of_matrix(self, name: str) -> Iterator[Candidate]:
        """The matrix's candidates, bound by what their metadata say beside the tables."""
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
                continue
            relations = self._page_relations(name, version, pages[index])
            if relations is None:
                text = f"{name} {candidate.label} has no file on the index"
                relations = [_never(_fact(f"{name} {candidate.label}", text), name)]
            own, extras = self._needs(name, version, self._metadata(name, version, index))
            yield replace(candidate, relations=(*candidate.relations, *relations, *own))
            for extra, needs in extras.items():
                yield self._extra(name, candidate.label, version, extra, needs)

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
            return [_never(_fact(key, f"{key}: {metadata.reasons[0]}"), name)], extras
        own = [*self._python(key, metadata.requires_python_text)]
        own += self._dependencies(key, metadata, "")
        for extra in extras:
            extras[extra] = self._dependencies(f"{name}[{extra}] {version}", metadata, extra)
        return own, extras

    def _dependencies(self, key: str, metadata: Metadata, extra: str) -> list[Relation]:
        found = []
        for one in _anywhere(metadata, extra):
            # What was never looked at may have any version.
            if one.name not in self._known and one.name not in self._settled:
                continue
            where = self._where(one.marker, extra)
            if not where:
                continue
            fact = _fact(key, f"{key} needs {_shown(one)}")
            found.append(self._conditioned(fact, where, Term(one.name, one.range.text)))
            for further in one.extras:
                wanted = f"{one.name}[{further}]"
                if self._has_extra(wanted):
                    found.append(self._conditioned(fact, where, Term(wanted, one.range.text)))
        return found

    def _conditioned(self, fact: Fact, where: frozenset[str], term: Term) -> Relation:
        if where == self._all_pythons:
            return requires(fact, term)
        elsewhere = Term("python", labels=self._all_pythons - where)
        return requires(fact, elsewhere, term)

    def _where(self, marker: Marker | None, extra: str) -> frozenset[str]:
        """The Pythons on which a marker holds."""
        if marker is None:
            return self._all_pythons
        key = (str(marker), extra)
        if key not in self._marker_pythons:

            def holds(python: Version) -> bool:
                target = self._target(python, exact=True)
                also_without = bool(extra) and target.applies(marker, "")
                return target.applies(marker, extra) and not also_without

            by_minor = "full_version" not in key[0] and "implementation_version" not in key[0]
            found = self._on_each(holds, by_minor=by_minor)
            self._marker_pythons[key] = frozenset(label for label, one in found.items() if one)
        return self._marker_pythons[key]

    def _on_each(self, ask: Callable[[Version], T], *, by_minor: bool) -> dict[str, T]:
        """The answer for each Python; by_minor: releases of one minor have the same."""
        answers: dict[tuple[int, ...], T] = {}
        found = {}
        for python in self._pythons:
            key = python.release[:2] if by_minor else python.release
            if key not in answers:
                answers[key] = ask(python)
            found[str(python)] = answers[key]
        return found

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
        return self._fits(key, name, files)

    def _admits_prereleases(self, name: str, page: Page) -> bool:
        """Whether anything known asks for a package's pre-releases."""
        if name not in self._early:
            ranges = self._ranges.get(name, {ANY})
            self._early[name] = self._options.admits_prereleases(name, ranges, page.versions)
        return self._early[name]

    def _file_relations(self, name: str, offer: object) -> list[Relation]:
        files = getattr(offer, "files", ())
        version = getattr(offer, "version", "")
        return self._fits(f"{name} {version}", name, files) if files else []

    def _fits(self, key: str, name: str, files: Sequence[File]) -> list[Relation]:
        texts = sorted({file.requires_python or "" for file in files})
        answers: dict[tuple[object, ...], int | None] = {}
        floors: dict[str, int | None] = {}
        for python in self._pythons:
            # Few texts and few minors make few kinds of Pythons.
            kind = (python.release[:2], *(_admits(text, python) for text in texts))
            if kind not in answers:
                answers[kind] = self._floor(name, files, python)
            floors[str(python)] = answers[kind]
        known = {label: floor for label, floor in floors.items() if floor is not None}
        found = []
        if len(known) < len(floors):
            pythons = _minors(known)
            text = (
                f"{key} has files for Python {pythons}" if known else f"{key} has no file that fits"
            )
            found.append(requires(_fact(key, text), Term("python", labels=frozenset(known))))
        for floor in sorted({one for one in known.values() if one}):
            lower = frozenset(label for label in floors if (known.get(label) or 0) < floor)
            text = f"the wheels of {key} need glibc 2.{floor} or newer"
            terms = [Term("glibc", f">=2.{floor}")]
            if lower:
                terms.insert(0, Term("python", labels=lower))
            found.append(requires(_fact(key, text), *terms))
        return found

    def _floor(self, name: str, files: Sequence[File], python: Version) -> int | None:
        """The lowest glibc minor with which a file fits a Python; None when none does."""
        target = self._target(python)
        floors = [
            floor
            for file in files
            if _admits(file.requires_python or "", python)
            and (floor := self._file_floor(name, file, files, target)) is not None
        ]
        return min(floors, default=None)

    def _file_floor(
        self, name: str, file: File, files: Sequence[File], target: Target
    ) -> int | None:
        options = self._options
        if file.kind == "sdist":
            wheels = any(one.kind == "wheel" for one in files)
            refused = wheels and not options.compile and not options.refuses_wheels(name)
            return None if refused or options.refuses_sdists(name) else 0
        if options.refuses_wheels(name):
            return None
        fits = [_glibc(tag) for tag in file.tags if tag in target.ranks]
        return min(fits, default=None)

    def _target(self, python: Version, *, exact: bool = False) -> Target:
        key = python.release if exact else python.release[:2]
        if key not in self._targets:
            self._targets[key] = Target(python, _ANY_GLIBC, self._machine)
        return self._targets[key]

    def _python(self, key: str, text: str) -> Iterator[Relation]:
        answers = self._on_each(lambda one: _admits(text, one), by_minor=_is_by_minor(text))
        admitted = frozenset(label for label, one in answers.items() if one)
        if admitted != self._all_pythons:
            fact = _fact(key, f"{key} needs Python {text}")
            yield requires(fact, Term("python", labels=admitted))

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


def _fact(key: str, text: str) -> Fact:
    return Fact(INDEX, 0, key, text)


def _never(fact: Fact, name: str) -> Relation:
    return requires(fact, Term(name, labels=frozenset()))


def _shown(one: Dependency) -> str:
    extras = f"[{','.join(one.extras)}]" if one.extras else ""
    return f"{one.name}{extras}{one.range.text}"


def _serves(page: str, wanted: str, pinned: Iterable[str]) -> bool:
    """Whether a page's index is the one that a candidate comes from."""
    plain = page.rstrip("/")
    if wanted:
        return plain == wanted.rstrip("/")
    return plain not in {one.rstrip("/") for one in pinned}


def _glibc(tag: Tag) -> int:
    """The glibc minor that a platform tag asks for; 0 for none."""
    words = tag.platform.split("_")
    if words[0] == "manylinux" and len(words) > 2:
        return int(words[2])
    return {"manylinux2014": 17, "manylinux2010": 12, "manylinux1": 5}.get(words[0], 0)


@lru_cache(maxsize=65536)
def _admits(text: str, python: Version) -> bool:
    specifier = python_specifier(text)
    return specifier is None or specifier.contains(python, prereleases=True)


@lru_cache(maxsize=65536)
def _is_by_minor(text: str) -> bool:
    """Whether a `Requires-Python` treats the releases of a minor alike."""
    return all(_MINOR_CLAUSE.fullmatch(clause.strip()) for clause in text.split(",") if clause)


def _minors(labels: Iterable[str]) -> str:
    """`3.10 to 3.13` for the labels of these Pythons."""
    minors = sorted({Version(label).release[:2] for label in labels})
    if not minors:
        return "none"
    first, last = (".".join(map(str, one)) for one in (minors[0], minors[-1]))
    return first if first == last else f"{first} to {last}"
