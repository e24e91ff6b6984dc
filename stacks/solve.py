"""Solving what a composition asks for, over the tables."""

from __future__ import annotations

from collections.abc import Iterable

from ..compat.tables import Tables
from ..errors import UserError
from ..solver.conflict import Conflict
from ..solver.matrix import build_universe
from ..solver.policy import Policy
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from ..solver.solve import resolve
from .compose import Composition

__all__ = ["ConflictError", "solve", "solved"]


class ConflictError(UserError):
    """The project's lines cannot hold together; `conflict` says which, and what would help."""

    def __init__(self, conflict: Conflict) -> None:
        from ..solver.text import conflict_text

        super().__init__(f"no set of versions fits this project\n\n{conflict_text(conflict)}")
        self.conflict = conflict


def solve(
    composition: Composition,
    *,
    extra: Iterable[Requirement] = (),
    policy: Policy | None = None,
) -> Resolution | Conflict:
    """The best versions for a project, or why there are none.

    extra: what was asked for beside the project.
    Raises UserError for a platform that no table knows and for specifiers that cannot be read.
    """
    wanted = (*composition.requirements, *extra)
    roots = {requirement.package for requirement in wanted}
    universe = build_universe(Tables.load(), platform=composition.platform, roots=roots)
    return resolve(wanted, universe, policy)


def solved(
    composition: Composition,
    *,
    extra: Iterable[Requirement] = (),
    policy: Policy | None = None,
) -> Resolution:
    """As `solve`, but raises ConflictError when there is no solution."""
    outcome = solve(composition, extra=extra, policy=policy)
    if isinstance(outcome, Conflict):
        raise ConflictError(outcome)
    return outcome
