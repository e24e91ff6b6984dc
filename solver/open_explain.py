"""Conflicts across both worlds, with fixes that were tried on both.

The clashes come from the same machinery as those of the matrix; what is added here is the proof of
each fix: the whole loop is run with the line changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from msgspec import structs

from ..errors import Failure
from .conflict import Change, Clash, Conflict, Fix
from .edits import applied
from .fixes import explained, one_of_each
from .loop import Agreement, Question, agree
from .open_catalog import Catalog
from .open_model import Ask
from .problem import Problem
from .sat import Engine

__all__ = ["explained_conflict"]

# Fixes that are tried on both worlds; each try is a resolution.
MAX_TRIES = 8


def explained_conflict(
    question: Question, problems: Iterable[Problem], catalog: Catalog
) -> Conflict:
    """The clashes of the first of the problems that has no solution, each fix tried."""
    found = next(filter(None, map(_clashes, problems)), ())
    groups = list(dict.fromkeys(clash.fixes for clash in found if clash.fixes))
    tries = _Tries(question, catalog)
    first = next(filter(tries.work, one_of_each(groups)), None) if groups else None
    kept: dict[tuple[Fix, ...], list[Fix]] = {(): []}
    for number, fixes in enumerate(groups):
        kept[fixes] = [
            fix
            for fix in fixes
            if first is not None and tries.work([*first[:number], fix, *first[number + 1 :]])
        ]
    return Conflict(
        tuple(structs.replace(clash, fixes=tuple(kept[clash.fixes])) for clash in found)
    )


class _Tries:
    """Tries fixes on both worlds, each choice of them once; beyond MAX_TRIES it says no."""

    def __init__(self, question: Question, catalog: Catalog) -> None:
        self._question = question
        self._catalog = catalog
        self._known: dict[frozenset[Fix], bool] = {}

    def work(self, fixes: Sequence[Fix]) -> bool:
        """Whether the project has a solution after all of the fixes."""
        key = frozenset(fixes)
        if key not in self._known:
            if len(self._known) >= MAX_TRIES:
                return False
            changes = [change for fix in fixes for change in fix.changes]
            self._known[key] = _works(self._question, self._catalog, changes)
        return self._known[key]


def _clashes(problem: Problem) -> tuple[Clash, ...]:
    with Engine(problem.universe, problem.requirements) as engine:
        if engine.solve(engine.selectors):
            return ()
        return explained(problem, engine)


def _works(question: Question, catalog: Catalog, changes: Sequence[Change]) -> bool:
    changed = replace(
        question,
        requirements=applied(question.requirements, changes),
        asks=tuple(_changed(question.asks, changes)),
    )
    try:
        # The hashes of a line go with it.
        own = replace(catalog, asks=changed.asks)
        return isinstance(agree(changed, own, explain=False), Agreement)
    except Failure:
        return False


def _changed(asks: Iterable[Ask], changes: Sequence[Change]) -> Iterable[Ask]:
    by_origin = {change.requirement.origin: change for change in changes}
    for ask in asks:
        change = by_origin.get(ask.origin)
        if change is None:
            yield ask
        elif change.specifier is not None and change.after is not None:
            yield replace(ask, specifier=change.specifier)
