"""Which candidates of a package a specifier or a term admits, as intervals of positions.

Candidates are sorted, so nearly every PEP 440 clause is one interval whose ends are found by
bisection with `packaging` as the judge: a table of n rows costs log n comparisons a clause.
Pre-releases in the range are admitted here; that finals come first is the policy's subject.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from functools import cache

from packaging.specifiers import Specifier
from packaging.version import Version

from .universe import Package, Term

__all__ = ["Interval", "Selector", "complement", "intersect", "intervals_of", "runs"]

Interval = tuple[int, int]
"""First and last position, both included."""


def intervals_of(positions: Iterable[int]) -> tuple[Interval, ...]:
    """The fewest intervals that cover exactly these positions."""
    return tuple(runs(sorted(set(positions))))


def runs(positions: Iterable[int]) -> list[Interval]:
    """`intervals_of` for positions that come sorted."""
    found: list[Interval] = []
    start = last = -2
    for position in positions:
        if position > last + 1:
            if start >= 0:
                found.append((start, last))
            start = position
        last = position
    if start >= 0:
        found.append((start, last))
    return found


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
    """Answers what a term admits; every answer is remembered with the package."""

    def term(self, package: Package, term: Term) -> tuple[Interval, ...]:
        """The positions in `package.candidates` that the term admits, sorted."""
        if term.variants is None and term.labels is None:
            return self.specifier(package, term.specifier)
        return package.once(term, lambda: self._picked(package, term))

    def _picked(self, package: Package, term: Term) -> tuple[Interval, ...]:
        found = self.specifier(package, term.specifier)
        if term.variants is not None:
            by_variant = _by_variant(package)
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
        if not specifier:
            return ((0, len(package.candidates) - 1),)
        return package.once(specifier, lambda: self._admitted(package, specifier))

    def _admitted(self, package: Package, specifier: str) -> tuple[Interval, ...]:
        found: tuple[Interval, ...] = ((0, len(package.candidates) - 1),)
        for clause in specifier.split(","):
            found = intersect(found, self._clause(package, clause.strip()))
        return found

    def _clause(self, package: Package, clause: str) -> tuple[Interval, ...]:
        if package.opaque:
            return _opaque_clause(package, clause)
        return package.once(
            ("clause", clause), lambda: _clause(_versions(package), _specifier(clause))
        )


def _versions(package: Package) -> list[Version]:
    return package.once(
        ("versions",),
        lambda: [one.version for one in package.candidates if one.version is not None],
    )


def _by_variant(package: Package) -> Mapping[str, list[int]]:
    return package.once(("variants",), lambda: _grouped_by_variant(package))


def _grouped_by_variant(package: Package) -> Mapping[str, list[int]]:
    grouped: dict[str, list[int]] = {}
    for position, candidate in enumerate(package.candidates):
        grouped.setdefault(candidate.variant, []).append(position)
    return grouped


def _clause(versions: list[Version], clause: Specifier) -> tuple[Interval, ...]:
    """The positions that one PEP 440 clause admits among sorted versions."""

    def admits(version: Version) -> bool:
        return clause.contains(version, prereleases=True)

    def refuses(version: Version) -> bool:
        return not admits(version)

    operator, text = clause.operator, clause.version
    end = len(versions)
    if operator == "===" or (operator == "<" and _parsed(text).is_postrelease):
        # Neither is an interval: `===` compares text, `<2.5.post1` has 2.5 but not 2.5rc1.
        return intervals_of(i for i, version in enumerate(versions) if admits(version))
    if operator == "!=":
        return complement(_equal(versions, text), end)
    if operator == "==":
        return _equal(versions, text)
    if operator == ">":
        return _interval(_first(versions, 0, admits), end)
    version = _parsed(text)
    if operator == "<=":
        return _interval(0, _end(versions, version))
    if operator == ">=":
        return _interval(bisect_left(versions, version), end)
    if operator == "<":
        below = version if version.is_prerelease else _dev(version)
        return _interval(0, bisect_left(versions, below))
    first = bisect_left(versions, version)
    return _interval(first, _first(versions, first, refuses))


def _equal(versions: list[Version], text: str) -> tuple[Interval, ...]:
    """The positions of one version, or of all that begin with it; `!=` admits all others."""
    version = _parsed(text.removesuffix(".*"))
    if not text.endswith(".*"):
        return _interval(bisect_left(versions, version), _end(versions, version))
    count = len(version.release)

    def beginning(one: Version) -> tuple[int, tuple[int, ...]]:
        padding = (0,) * (count - len(one.release))
        return one.epoch, (*one.release, *padding)[:count]

    wanted = beginning(version)
    return _interval(
        bisect_left(versions, wanted, key=beginning), bisect_right(versions, wanted, key=beginning)
    )


def _end(versions: list[Version], version: Version) -> int:
    """The position after the last version that is not above this one.

    Whoever names no build means all builds of the release; there are a few of them.
    """
    last = bisect_right(versions, version)
    while last < len(versions) and _is_build_of(versions[last], version):
        last += 1
    return last


def _is_build_of(build: Version, version: Version) -> bool:
    is_build = build.local is not None and version.local is None
    return is_build and Version(build.public) == version


def _interval(start: int, end: int) -> tuple[Interval, ...]:
    """Positions from start up to, not including, end."""
    return ((start, end - 1),) if start < end else ()


def _dev(version: Version) -> Version:
    """What sorts before every pre-release of a release."""
    return _parsed(f"{version}.dev0")


# The rows of many packages name the same few versions, and reading one takes a regular expression.
@cache
def _parsed(text: str) -> Version:
    return Version(text)


@cache
def _specifier(clause: str) -> Specifier:
    return Specifier(clause)


def _first(versions: list[Version], start: int, holds: Callable[[Version], bool]) -> int:
    """The first position from `start` where `holds`, which never turns false again above it."""
    return bisect_left(versions, True, lo=start, key=holds)


def _opaque_clause(package: Package, clause: str) -> tuple[Interval, ...]:
    """`==label` or `!=label`; anything else admits nothing."""
    operator, label = clause[:2], clause[2:].strip()
    position = package.position.get(label)
    found = () if position is None else ((position, position),)
    if operator == "!=":
        return complement(found, len(package.candidates))
    return found if operator == "==" else ()
