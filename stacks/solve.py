"""Solving what a composition asks for, over the tables."""

from __future__ import annotations

from collections.abc import Iterable

from ..compat.tables import Tables
from ..errors import UserError
from ..references import split_digest
from ..solver.conflict import Conflict
from ..solver.matrix import build_universe
from ..solver.own_image import OwnImage, with_own_image
from ..solver.policy import Policy
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from ..solver.solve import resolve
from ..solver.universe import Universe
from .compose import Composition

__all__ = ["ConflictError", "solve", "solved", "universe_of"]


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
    universe = universe_of(composition, {requirement.package for requirement in wanted})
    return resolve(wanted, universe, policy)


def universe_of(composition: Composition, roots: Iterable[str]) -> Universe:
    """The universe of a project: what the packages asked for can bring in, and its own base image.

    Raises UserError for a platform that no table knows.
    """
    tables, platform = Tables.load(), composition.platform
    universe = build_universe(tables, platform=platform, roots=roots)
    base = composition.project.base_image
    if base is None:
        return universe
    ref, digest = split_digest(base.reference)
    own = OwnImage(ref, digest, base.python, base.origin)
    return with_own_image(universe, tables, platform, own)


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
