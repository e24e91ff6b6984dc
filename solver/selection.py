"""Which candidates of a package a specifier or a term admits, as intervals of positions.

Candidates are sorted, so nearly every PEP 440 clause is one interval whose ends are found by
bisection with `packaging` as the judge: a table of n rows costs log n comparisons a clause.
Pre-releases in the range are admitted here; that finals come first is the policy's subject.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import pairwise

from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from .universe import Package, Term

__all__ = ["Interval", "Selector", "complement", "intersect", "intervals_of"]

Interval = tuple[int, int]
"""First and last position, both included."""


def intervals_of(positions: Iterable[int]) -> tuple[Interval, ...]:
    """The fewest intervals that cover exactly these positions."""
    ordered = sorted(set(positions))
    if not ordered:
        return ()
    starts = [ordered[0], *(b for a, b in pairwise(ordered) if b != a + 1)]
    ends = [*(a for a, b in pairwise(ordered) if b != a + 1), ordered[-1]]
    return tuple(zip(starts, ends, strict=True))


def intersect(left: Iterable[Interval], right: Iterable[Interval]) -> tuple[Interval, ...]:
    """Positions in both; the arguments are sorted, as is the result."""
    a, b = list(left), list(right)
    found: list[Interval] = []
    i = j = 0
    while i < len(a) and j < len(b):
        low, high = max(a[i][0], b[j][0]), min(a[i][1], b[j][1])
        if low <= high:
            found.append((low, high))
        if a[i][1] < b[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def complement(intervals: Iterable[Interval], count: int) -> tuple[Interval, ...]:
    """Positions from 0 to count - 1 that are in none of the intervals."""
    found: list[Interval] = []
    start = 0
    for low, high in intervals:
        if start < low:
            found.append((start, low - 1))
        start = high + 1
    if start < count:
        found.append((start, count - 1))
    return tuple(found)


class Selector:
    """Answers what a term admits; remembers every answer."""

    def __init__(self) -> None:
        self._clauses: dict[tuple[str, str], tuple[Interval, ...]] = {}
        self._variants: dict[str, dict[str, list[int]]] = {}
        self._versions: dict[str, list[Version]] = {}

    def term(self, package: Package, term: Term) -> tuple[Interval, ...]:
        """The positions in `package.candidates` that the term admits, sorted."""
        found = self.specifier(package, term.specifier)
        if term.variants is not None:
            by_variant = self._by_variant(package)
            positions = (i for name in term.variants for i in by_variant.get(name, ()))
            found = intersect(found, intervals_of(positions))
        if term.labels is not None:
            known = package.position
            found = intersect(
                found, intervals_of(known[label] for label in term.labels if label in known)
            )
        return found

    def specifier(self, package: Package, specifier: str) -> tuple[Interval, ...]:
        """The positions that a specifier set admits.

        Raises packaging.specifiers.InvalidSpecifier when a package with versions gets no PEP 440.
        """
        everything: tuple[Interval, ...] = complement((), len(package.candidates))
        if not specifier:
            return everything
        key = (package.name, specifier)
        if key not in self._clauses:
            split = _opaque_clauses if package.opaque else self._version_clauses
            found = everything
            for clause in split(package, specifier):
                found = intersect(found, clause)
            self._clauses[key] = found
        return self._clauses[key]

    def _version_clauses(self, package: Package, specifier: str) -> list[tuple[Interval, ...]]:
        versions = self._versions.get(package.name)
        if versions is None:
            versions = [c.version for c in package.candidates if c.version is not None]
            self._versions[package.name] = versions
        clauses = []
        for clause in SpecifierSet(specifier):
            key = (package.name, str(clause))
            if key not in self._clauses:
                self._clauses[key] = _clause(versions, clause)
            clauses.append(self._clauses[key])
        return clauses

    def _by_variant(self, package: Package) -> dict[str, list[int]]:
        if package.name not in self._variants:
            grouped: dict[str, list[int]] = {}
            for position, candidate in enumerate(package.candidates):
                grouped.setdefault(candidate.variant, []).append(position)
            self._variants[package.name] = grouped
        return self._variants[package.name]


def _clause(versions: list[Version], clause: Specifier) -> tuple[Interval, ...]:
    """The positions that one PEP 440 clause admits among sorted versions."""

    def admits(version: Version) -> bool:
        return clause.contains(version, prereleases=True)

    operator, text = clause.operator, clause.version
    if operator == "===" or (operator == "<" and Version(text).is_postrelease):
        # Neither is an interval: `===` compares text, `<2.5.post1` has 2.5 but not 2.5rc1.
        return intervals_of(i for i, version in enumerate(versions) if admits(version))
    if operator in {">", ">="}:
        first = _first(versions, 0, admits)
        return ((first, len(versions) - 1),) if first < len(versions) else ()
    if operator in {"<", "<="}:
        last = _first(versions, 0, lambda version: not admits(version)) - 1
        return ((0, last),) if last >= 0 else ()
    if operator == "!=":
        return complement(_clause(versions, Specifier(f"=={text}")), len(versions))
    start = _least(operator, text)
    first = bisect_left(versions, start)
    last = _first(versions, first, lambda version: not admits(version)) - 1
    return ((first, last),) if first <= last else ()


def _least(operator: str, text: str) -> Version:
    """A version that is below or equal to everything that `==text` or `~=text` admits."""
    if operator == "==" and text.endswith(".*"):
        return Version(f"{text.removesuffix('.*')}.dev0")
    return Version(text)


def _first(versions: list[Version], start: int, holds: Callable[[Version], bool]) -> int:
    """The first position from `start` where `holds`, which never turns false again above it."""
    return bisect_left(versions, True, lo=start, key=holds)


def _opaque_clauses(package: Package, specifier: str) -> list[tuple[Interval, ...]]:
    """`==label` and `!=label`, separated by commas; anything else admits nothing."""
    clauses = []
    for part in (piece.strip() for piece in specifier.split(",")):
        negated, label = part.startswith("!="), part.lstrip("=!").strip()
        position = package.position.get(label)
        found = () if position is None else ((position, position),)
        count = len(package.candidates)
        clauses.append(complement(found, count) if negated else found)
    return clauses


def is_version(text: str) -> bool:
    """Whether the text is a PEP 440 version."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
