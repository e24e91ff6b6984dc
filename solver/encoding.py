"""From a universe to clauses: the order encoding, grown as it is needed.

What orders the candidates of a package is `ladder`'s subject. A package and a candidate's relations
are encoded when a solution first uses them (`ensure`): what no solution comes near costs nothing,
however long the tables are. What is encoded is always implied by the whole, so "no solution" is
final at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from .ladder import Ladder
from .requirement import Requirement
from .selection import Interval, Selector, complement, intervals_of
from .sharing import Obligation, sharing
from .universe import PYTHON, Fact, Package, Term, Universe

__all__ = ["Encoding"]

Clause = list[int]

# How many times more neighbours are encoded along each time that a package comes up again.
BATCH_GROWTH = 4


class Encoding:
    """Clauses over integer literals, handed to `emit` as they come up.

    phases: takes the literals that a solver had better try first, when there are new ones.
    with_facts: give each fact a selector literal, so that an unsat core can name table rows.
    """

    def __init__(
        self,
        universe: Universe,
        emit: Callable[[Clause], object],
        phases: Callable[[Clause], object],
        *,
        with_facts: bool,
    ) -> None:
        self.universe = universe
        self.packages: dict[str, Package] = {}
        self.facts: dict[Fact, int] = {}
        self._emit = emit
        self._phases = phases
        self._with_facts = with_facts
        self._selector = Selector()
        self._ladders: dict[str, Ladder] = {}
        self._presence: dict[str, int] = {}
        self._literals: dict[tuple[str, tuple[Interval, ...], bool], int] = {}
        self._consequents: dict[tuple[Term, ...], list[Clause]] = {}
        self._ensured: dict[str, set[int]] = {}
        self._stated: dict[str, set[int]] = {}
        self._batch: dict[str, int] = {}
        self._count = 0

    def new(self) -> int:
        """A fresh variable."""
        self._count += 1
        return self._count

    def presence(self, name: str) -> int:
        """A literal that is true when some candidate of the package is chosen.

        It exists for every package, encoded or not.
        """
        literal = self._presence.get(name)
        if literal is None:
            literal = self._presence[name] = self.new()
        return literal

    def package(self, name: str) -> Package:
        """A package of the universe, encoded from now on."""
        package = self.packages.get(name)
        if package is None:
            package = self.packages[name] = self.universe[name]
            presence = self.presence(name)
            self._ladders[name] = Ladder(package, presence, self.new, self._emit, self._phases)
            self._ensured[name], self._stated[name], self._batch[name] = set(), set(), 1
        return package

    def positions(self, package: Package, specifier: str) -> tuple[Interval, ...]:
        """The positions that a requirement's specifier admits."""
        return self._selector.specifier(package, specifier)

    def chosen(self, model: Sequence[int]) -> dict[str, int]:
        """The positions chosen in a model, of the packages that are present."""
        found = ((name, ladder.chosen(model)) for name, ladder in self._ladders.items())
        return {name: position for name, position in found if position >= 0}

    def selector(self, requirement: Requirement) -> int:
        """A fresh literal that, when true, demands what the requirement does."""
        package = self.package(requirement.package)
        selector = self.new()
        clause = [-selector]
        intervals = self.positions(package, requirement.specifier)
        if intervals or not requirement.brings:
            absent_ok = not requirement.brings
            clause.append(self.within(package, intervals, absent_ok=absent_ok))
        if requirement.pythons:
            if PYTHON not in self.universe:
                return selector
            python = self.package(PYTHON)
            others = complement(self.positions(python, requirement.pythons), len(python.candidates))
            clause.append(self.within(python, others, absent_ok=True))
        self._emit(clause)
        return selector

    def python_in(self, specifiers: Iterable[str]) -> int:
        """A literal that, when true, forces a Python that one of the specifier sets admits."""
        python = self.package(PYTHON)
        admitted = (self.positions(python, one) for one in specifiers)
        positions = (i for found in admitted for low, high in found for i in range(low, high + 1))
        return self.within(python, intervals_of(positions), absent_ok=False)

    def within(self, package: Package, intervals: tuple[Interval, ...], *, absent_ok: bool) -> int:
        """A literal that, when true, forces the choice into the intervals (or none, if allowed)."""
        key = (package.name, intervals, absent_ok)
        known = self._literals.get(key)
        if known is None:
            known = self._literals[key] = self._define(package, intervals, absent_ok)
        return known

    def ensure(self, package: Package, position: int) -> bool:
        """Encode what a candidate obliges; whether there was anything new.

        Where one candidate fails its neighbours often follow: each time that a package comes up
        again, more of the nearest ones are encoded along, so it comes up a few times only.
        """
        done = self._ensured[package.name]
        if position in done:
            return False
        self._ladders[package.name].need()
        batch = self._batch[package.name]
        self._batch[package.name] = BATCH_GROWTH * batch
        left = (each for each in range(position, -1, -1) if each not in done)
        right = (each for each in range(position + 1, len(package.candidates)) if each not in done)
        near = [*islice(left, batch), *islice(right, batch - 1)]
        done.update(near)
        shared = sharing(package, by_fact=self._with_facts)
        stated = self._stated[package.name]
        fresh = sorted({number for each in near for number in shared.of[each]} - stated)
        stated.update(fresh)
        for number in fresh:
            self._add(package, shared.obligations[number])
        return bool(fresh)

    def _add(self, package: Package, obligation: Obligation) -> None:
        """State an obligation for all candidates that have it."""
        terms, fact, held_by = obligation
        consequents = self._consequents.get(terms)
        if consequents is None:
            consequents = self._consequents[terms] = self._translate(terms)
        if not consequents:
            return
        if len(held_by) > 1 and len(consequents) > 1:
            consequents = [[self._all(consequents)]]
        guard = [-self._fact(fact)] if fact is not None else []
        ladder, last = self._ladders[package.name], len(package.candidates) - 1
        for low, high in held_by:
            chosen = [-ladder.at_least(low), *guard]
            if high < last:
                chosen.append(ladder.at_least(high + 1))
            for consequent in consequents:
                self._emit(chosen + consequent)

    def _translate(self, terms: tuple[Term, ...]) -> list[Clause]:
        """Clauses whose conjunction says that one of the terms holds; none when it always does."""
        alternatives: list[list[Clause]] = []
        for term in terms:
            clauses = self._term(term)
            if clauses is None:
                continue
            if not clauses:
                return []
            alternatives.append(clauses)
        if len(alternatives) == 1:
            return alternatives[0]
        return [[self._all(clauses) for clauses in alternatives]]

    def _term(self, term: Term) -> list[Clause] | None:
        """Clauses that hold exactly when the term does; None when it never does."""
        if term.package not in self.universe:
            return [] if term.absent_ok else None
        package = self.package(term.package)
        intervals = self._selector.term(package, term)
        if len(intervals) == 1:
            return self._inside(package, intervals[0], term.absent_ok)
        if intervals or term.absent_ok:
            return [[self.within(package, intervals, absent_ok=term.absent_ok)]]
        return None

    def _define(self, package: Package, intervals: tuple[Interval, ...], absent_ok: bool) -> int:
        last = len(package.candidates) - 1
        if absent_ok and not intervals:
            return -self.presence(package.name)
        if absent_ok and len(intervals) == 1 and intervals[0][0] == 0 and intervals[0][1] < last:
            return -self._ladders[package.name].at_least(intervals[0][1] + 1)
        if len(intervals) == 1 and not absent_ok and intervals[0][1] == last:
            return self._ladders[package.name].at_least(intervals[0][0])
        literal = self.new()
        if len(intervals) == 1:
            for clause in self._inside(package, intervals[0], absent_ok):
                self._emit([-literal, *clause])
            return literal
        parts = [self.within(package, (interval,), absent_ok=False) for interval in intervals]
        absent = [-self.presence(package.name)] if absent_ok else []
        self._emit([-literal, *absent, *parts])
        return literal

    def _inside(self, package: Package, interval: Interval, absent_ok: bool) -> list[Clause]:
        """Clauses that hold exactly when the choice is in the interval (or none, if allowed)."""
        low, high = interval
        clauses = []
        if low > 0 or not absent_ok:
            absent = [-self.presence(package.name)] if absent_ok else []
            clauses.append([*absent, self._ladders[package.name].at_least(low)])
        if high + 1 < len(package.candidates):
            clauses.append([-self._ladders[package.name].at_least(high + 1)])
        return clauses

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
