"""Conflicts across both worlds, with fixes that were tried on both.

The clashes come from the same machinery as those of the matrix; what is added here is the proof of
each fix: the whole loop is run with the line changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..errors import Failure
from .conflict import Change, Clash, Conflict, Fix
from .edits import applied
from .fixes import explained
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
    works: dict[Fix, bool] = {}
    checked = []
    for clash in found:
        others = [
            change
            for other in found
            if other.fixes and other.fixes != clash.fixes
            for change in other.fixes[0].changes
        ]
        fixes = []
        for fix in clash.fixes:
            if fix not in works and len(works) < MAX_TRIES:
                works[fix] = _works(question, catalog, [*fix.changes, *others])
            if works.get(fix):
                fixes.append(fix)
        checked.append(_with(clash, fixes))
    return Conflict(tuple(checked))


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
        return isinstance(agree(changed, catalog, explain=False), Agreement)
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


def _with(clash: Clash, fixes: Iterable[Fix]) -> Clash:
    return replace(clash, fixes=tuple(fixes))
