"""The resolvelib engine: the same universe searched by backtracking.

It finds a solution, not the best one, and takes its candidates one by one, so that they may come
lazily from elsewhere; over a closed universe it is the check on the SAT engine. Two things that
resolvelib lacks are put as packages of their own: a package that may be absent has an `Absent`
candidate, and a relation with alternatives is a package whose candidates are the alternatives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible
from resolvelib.resolvers import Resolution

from .policy import Policy, complete, ranking
from .requirement import Requirement
from .selection import Interval, Selector
from .universe import PYTHON, Candidate, Fact, Relation, Term, Universe

__all__ = ["MAX_ROUNDS", "UniverseProvider", "search"]

# A universe of the tables' size takes some tens of rounds; this many mean that it does not end.
MAX_ROUNDS = 100_000


@dataclass(frozen=True)
class _Wanted:
    """A term, as a demand on its package."""

    term: Term

    @property
    def name(self) -> str:
        return self.term.package


@dataclass(frozen=True)
class _OneOf:
    """A relation with alternatives, as a demand on a package made for it alone."""

    relation: Relation

    @property
    def name(self) -> str:
        fact = self.relation.fact
        return f"one of: {fact.table}:{fact.row} {fact.text} {self.relation.any_of}"


@dataclass(frozen=True)
class _Picked:
    """An alternative of a relation."""

    name: str
    term: Term


@dataclass(frozen=True)
class _Absent:
    """The decision that a package is not there."""

    name: str


Demand = _Wanted | _OneOf
Option = Candidate | _Picked | _Absent


class UniverseProvider(AbstractProvider[Demand, Option, str]):
    """Answers resolvelib's questions from a universe; candidates come in the policy's order.

    thorough: resolvelib does not keep why it barred a candidate, so it may jump back over the
        choice that was at fault and miss a solution. It jumps to what the clash depends on: when
        everything depends on everything, if only in name, it goes back step by step.
    """

    def __init__(self, universe: Universe, policy: Policy, *, thorough: bool = False) -> None:
        self._universe = universe
        self._everything = [
            _Wanted(Term(name, absent_ok=True)) for name in (universe.packages if thorough else ())
        ]
        self._selector = Selector()
        self._policy = complete(policy, universe)
        self._admitted: dict[Term, frozenset[int]] = {}
        self._preferred: dict[str, tuple[Candidate, ...]] = {}
        self._alternatives: dict[str, tuple[Term, ...]] = {}

    def identify(self, requirement_or_candidate: Demand | Option) -> str:
        if isinstance(requirement_or_candidate, Candidate):
            return requirement_or_candidate.package
        return requirement_or_candidate.name

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Option],
        candidates: Mapping[str, Iterator[Option]],
        information: Mapping[str, Iterator[Any]],
        backtrack_causes: Sequence[Any],
    ) -> tuple[bool, str]:
        """What clashed comes first, so that a dead end shows early; then by name."""
        del resolutions, candidates, information
        causes = {self.identify(cause.requirement) for cause in backtrack_causes}
        return identifier not in causes, identifier

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Demand]],
        incompatibilities: Mapping[str, Iterator[Option]],
    ) -> Iterable[Option]:
        demands = list(requirements[identifier])
        barred = list(incompatibilities[identifier])
        return [
            option
            for option in self._options(identifier)
            if option not in barred
            and all(self.is_satisfied_by(demand, option) for demand in demands)
        ]

    def is_satisfied_by(self, requirement: Demand, candidate: Option) -> bool:
        if isinstance(requirement, _OneOf):
            return isinstance(candidate, _Picked) and candidate.name == requirement.name
        if isinstance(candidate, Candidate):
            package = self._universe[candidate.package]
            return package.position[candidate.label] in self._positions(requirement.term)
        return requirement.term.absent_ok

    def get_dependencies(self, candidate: Option) -> Iterable[Demand]:
        if isinstance(candidate, _Absent):
            return self._everything
        if isinstance(candidate, _Picked):
            return [_Wanted(candidate.term), *self._everything]
        return [*map(self._demand, candidate.relations), *self._everything]

    def demanded(self, requirement: Requirement) -> Demand:
        """What a requirement demands; one for some Pythons only has another Python as a way out."""
        term = Term(requirement.package, requirement.specifier, absent_ok=not requirement.brings)
        if not requirement.pythons:
            return _Wanted(term)
        python = self._universe[PYTHON].candidates if PYTHON in self._universe else ()
        admitted = self._positions(Term(PYTHON, requirement.pythons)) if python else ()
        others = (one for i, one in enumerate(python) if i not in admitted)
        other = Term(PYTHON, labels=frozenset(one.label for one in others), absent_ok=True)
        return self._demand(Relation(Fact("", 0, "", "a line with a marker"), (other, term)))

    def _demand(self, relation: Relation) -> Demand:
        if len(relation.any_of) == 1:
            return _Wanted(relation.any_of[0])
        demand = _OneOf(relation)
        # resolvelib asks for a package's candidates even when nobody demands it any more.
        self._alternatives[demand.name] = relation.any_of
        return demand

    def _options(self, identifier: str) -> Sequence[Option]:
        if identifier in self._alternatives:
            return [_Picked(identifier, term) for term in self._alternatives[identifier]]
        return [_Absent(identifier), *self._in_order(identifier)]

    def _in_order(self, name: str) -> tuple[Candidate, ...]:
        if name not in self._universe:
            return ()
        if name not in self._preferred:
            package = self._universe[name]
            ranks: list[tuple[int, ...]] = [() for _ in package.candidates]
            for step in self._policy.steps:
                if step.package == name:
                    for rank, group in enumerate(ranking(package, step.prefer)):
                        for position in group:
                            ranks[position] = (*ranks[position], rank)
            order = sorted(range(len(ranks)), key=lambda position: ranks[position])
            self._preferred[name] = tuple(package.candidates[position] for position in order)
        return self._preferred[name]

    def _positions(self, term: Term) -> frozenset[int]:
        if term not in self._admitted:
            intervals: tuple[Interval, ...] = self._selector.term(
                self._universe[term.package], term
            )
            self._admitted[term] = frozenset(
                position for low, high in intervals for position in range(low, high + 1)
            )
        return self._admitted[term]


def search(
    universe: Universe, requirements: Iterable[Requirement], policy: Policy
) -> dict[str, Candidate] | None:
    """A solution, its packages' best candidates tried first; None when there is none.

    Raises resolvelib.ResolutionTooDeep after MAX_ROUNDS.
    """
    wanted = sorted(requirements)
    quick = _search(UniverseProvider(universe, policy), wanted)
    return quick or _search(UniverseProvider(universe, policy, thorough=True), wanted)


def _search(
    provider: UniverseProvider, requirements: Iterable[Requirement]
) -> dict[str, Candidate] | None:
    demands = [provider.demanded(one) for one in requirements]
    # Not its `Resolver`: that sorts out what nobody needs by recursion, without end in a cycle.
    resolution: Resolution[Demand, Option, str] = Resolution(provider, BaseReporter())
    try:
        state = resolution.resolve(demands, max_rounds=MAX_ROUNDS)
    except ResolutionImpossible:
        return None
    return _needed(provider, demands, state.mapping)


def _needed(
    provider: UniverseProvider, demands: Sequence[Demand], pins: Mapping[str, Option]
) -> dict[str, Candidate]:
    """The candidates that the demands lead to; backtracking leaves others behind."""
    found: dict[str, Candidate] = {}
    seen: set[str] = set()
    queue = list(demands)
    while queue:
        name = queue.pop().name
        if name not in seen:
            seen.add(name)
            option = pins[name]
            queue += provider.get_dependencies(option)
            if isinstance(option, Candidate):
                found[name] = option
    return dict(sorted(found.items()))
