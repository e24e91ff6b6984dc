"""From a universe and requirements to clauses: the order encoding.

The candidates of a package are sorted; variable `at_least(package, i)` means "a candidate at
position i or above is chosen", so a range costs two literals however long it is, at most one
candidate is chosen by construction, and the clauses grow linearly with the rows of the tables.
Only packages that the requirements can reach are encoded; every other one is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from .requirement import Requirement
from .selection import Interval, Selector, intervals_of
from .universe import Fact, Package, Relation, Term, Universe

__all__ = ["Encoding", "reachable"]

Clause = list[int]


def reachable(universe: Universe, roots: Iterable[str]) -> tuple[str, ...]:
    """The packages that may come in when `roots` do, sorted.

    The others can stay absent whatever is chosen, because nothing needs them.
    """
    found: set[str] = set()
    seen: set[int] = set()
    queue = sorted({name for name in roots if name in universe})
    while queue:
        name = queue.pop()
        if name in found:
            continue
        found.add(name)
        for candidate in universe[name].candidates:
            for relation in candidate.relations:
                if id(relation) in seen:
                    continue
                seen.add(id(relation))
                queue += [
                    term.package
                    for term in relation.any_of
                    if not term.absent_ok and term.package in universe
                ]
    return tuple(sorted(found))


class Encoding:
    """Clauses over integer literals, handed to `emit` as they come up.

    with_facts: give each fact a selector literal, so that an unsat core can name table rows.
    """

    def __init__(
        self,
        universe: Universe,
        requirements: Sequence[Requirement],
        emit: Callable[[Clause], object],
        *,
        with_facts: bool,
    ) -> None:
        self.universe = universe
        self.packages: dict[str, Package] = {}
        self.facts: dict[Fact, int] = {}
        self.selectors: list[int] = []
        self._emit = emit
        self._with_facts = with_facts
        self._selector = Selector()
        self._first: dict[str, int] = {}
        self._literals: dict[tuple[str, tuple[Interval, ...], bool], int] = {}
        self._count = 0
        roots = [requirement.package for requirement in requirements]
        for name in reachable(universe, roots):
            self._add_package(universe[name])
        for package in self.packages.values():
            self._add_relations(package)
        for requirement in requirements:
            self._add_requirement(requirement)

    def new(self) -> int:
        """A fresh variable."""
        self._count += 1
        return self._count

    def at_least(self, package: Package, position: int) -> int:
        """The literal "a candidate at this position or above is chosen"; not past the last one."""
        return self._first[package.name] + position

    def presence(self, package: Package) -> int:
        """The literal "some candidate of the package is chosen"."""
        return self._first[package.name]

    def admitted(self, term: Term) -> tuple[Interval, ...]:
        """The positions that a term admits; none for a package that is out of reach."""
        package = self.packages.get(term.package)
        return () if package is None else self._selector.term(package, term)

    def positions(self, package: Package, specifier: str) -> tuple[Interval, ...]:
        """The positions that a requirement's specifier admits."""
        return self._selector.specifier(package, specifier)

    def within(self, package: Package, intervals: tuple[Interval, ...], *, absent_ok: bool) -> int:
        """A literal that, when true, forces the choice into the intervals (or none, if allowed)."""
        key = (package.name, intervals, absent_ok)
        known = self._literals.get(key)
        if known is None:
            known = self._literals[key] = self._define(package, intervals, absent_ok)
        return known

    def _define(self, package: Package, intervals: tuple[Interval, ...], absent_ok: bool) -> int:
        last = len(package.candidates) - 1
        if absent_ok and not intervals:
            return -self.presence(package)
        if absent_ok and len(intervals) == 1 and intervals[0][0] == 0 and intervals[0][1] < last:
            return -self.at_least(package, intervals[0][1] + 1)
        if len(intervals) == 1 and not absent_ok and intervals[0][1] == last:
            return self.at_least(package, intervals[0][0])
        literal = self.new()
        if len(intervals) == 1:
            for clause in self._inside(package, intervals[0], absent_ok):
                self._emit([-literal, *clause])
            return literal
        parts = [self.within(package, (interval,), absent_ok=False) for interval in intervals]
        absent = [-self.presence(package)] if absent_ok else []
        self._emit([-literal, *absent, *parts])
        return literal

    def _inside(self, package: Package, interval: Interval, absent_ok: bool) -> list[Clause]:
        """Clauses that hold exactly when the choice is in the interval (or none, if allowed)."""
        low, high = interval
        clauses = []
        if low > 0 or not absent_ok:
            absent = [-self.presence(package)] if absent_ok else []
            clauses.append([*absent, self.at_least(package, low)])
        if high + 1 < len(package.candidates):
            clauses.append([-self.at_least(package, high + 1)])
        return clauses

    def _add_package(self, package: Package) -> None:
        self.packages[package.name] = package
        first = self._count + 1
        self._first[package.name] = first
        self._count += len(package.candidates)
        for variable in range(first, self._count):
            self._emit([-(variable + 1), variable])

    def _add_relations(self, package: Package) -> None:
        """Candidates side by side that share a relation share its clauses."""
        holders: dict[int, tuple[Relation, list[int]]] = {}
        for position, candidate in enumerate(package.candidates):
            for relation in candidate.relations:
                holders.setdefault(id(relation), (relation, []))[1].append(position)
        for relation, positions in holders.values():
            consequents = self._consequents(relation)
            if not consequents:
                continue
            guard = [-self._fact(relation.fact)] if self._with_facts else []
            for low, high in intervals_of(positions):
                chosen = [-self.at_least(package, low), *guard]
                if high + 1 < len(package.candidates):
                    chosen.append(self.at_least(package, high + 1))
                for consequent in consequents:
                    self._emit(chosen + consequent)

    def _consequents(self, relation: Relation) -> list[Clause]:
        """Clauses whose conjunction says that one of the terms holds; none when it always does."""
        alternatives: list[list[Clause]] = []
        for term in relation.any_of:
            package = self.packages.get(term.package)
            if package is None:
                if term.absent_ok:
                    return []
                continue
            intervals = self.admitted(term)
            if len(intervals) == 1:
                clauses = self._inside(package, intervals[0], term.absent_ok)
            elif intervals or term.absent_ok:
                clauses = [[self.within(package, intervals, absent_ok=term.absent_ok)]]
            else:
                continue
            if not clauses:
                return []
            alternatives.append(clauses)
        if len(alternatives) == 1:
            return alternatives[0]
        return [[self._all(clauses) for clauses in alternatives]]

    def _all(self, clauses: list[Clause]) -> int:
        """A literal that, when true, forces all the clauses."""
        if len(clauses) == 1 and len(clauses[0]) == 1:
            return clauses[0][0]
        literal = self.new()
        for clause in clauses:
            self._emit([-literal, *clause])
        return literal

    def _fact(self, fact: Fact) -> int:
        if fact not in self.facts:
            self.facts[fact] = self.new()
        return self.facts[fact]

    def _add_requirement(self, requirement: Requirement) -> None:
        package = self.packages[requirement.package]
        selector = self.new()
        self.selectors.append(selector)
        intervals = self.positions(package, requirement.specifier)
        if intervals:
            self._emit([-selector, self.within(package, intervals, absent_ok=False)])
        else:
            self._emit([-selector])
