"""What the candidates of a package have in common: the same obligation, told once for all of them.

Rows side by side often say the same, so an obligation is stated for runs of candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .selection import Interval, runs
from .universe import Candidate, Fact, Package, Term

__all__ = ["Obligation", "Sharing", "sharing"]


class Obligation(NamedTuple):
    """Candidates that oblige alike: at least one of the terms holds when one of them is chosen.

    fact: what states it; None when that was not asked for. held_by: positions of the candidates.
    """

    terms: tuple[Term, ...]
    fact: Fact | None
    held_by: tuple[Interval, ...]


class Sharing(NamedTuple):
    """The obligations of a package, and for each position those of its candidate, by number."""

    obligations: Sequence[Obligation]
    of: Sequence[Sequence[int]]


def sharing(package: Package, *, by_fact: bool) -> Sharing:
    """The obligations of a package, in the order in which its candidates have them.

    by_fact: keep apart what different facts state, so that a fact can be named or left out.
    """
    return package.once(("sharing", by_fact), lambda: _sharing(package, by_fact=by_fact))


def _sharing(package: Package, *, by_fact: bool) -> Sharing:
    numbers: dict[tuple[tuple[Term, ...], Fact | None], int] = {}
    # Candidates often hold the very same relation; comparing those is cheaper by identity.
    known: dict[int, int] = {}
    held_by: list[list[int]] = []

    def numbers_of(candidate: Candidate) -> Sequence[int]:
        mine = []
        for relation in candidate.relations:
            number = known.get(id(relation))
            if number is None:
                key = relation.any_of, relation.fact if by_fact else None
                number = known[id(relation)] = numbers.setdefault(key, len(held_by))
                if number == len(held_by):
                    held_by.append([])
            mine.append(number)
        # A candidate may state the same twice, by two relations.
        return mine if len(set(mine)) == len(mine) else list(dict.fromkeys(mine))

    of: list[Sequence[int]] = []
    # So are all the relations of candidates that one row makes.
    alike: dict[int, Sequence[int]] = {}
    for position, candidate in enumerate(package.candidates):
        mine = alike.get(id(candidate.relations))
        if mine is None:
            mine = alike[id(candidate.relations)] = numbers_of(candidate)
        of.append(mine)
        for number in mine:
            held_by[number].append(position)
    obligations = [
        Obligation(terms, fact, tuple(runs(positions)))
        for (terms, fact), positions in zip(numbers, held_by, strict=True)
    ]
    return Sharing(obligations, of)
