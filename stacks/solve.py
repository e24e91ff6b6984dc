"""Solving what a composition asks for, over the tables."""

from __future__ import annotations

from collections.abc import Iterable

from ..compat.tables import Tables
from ..errors import UserError
from ..origin import Origin
from ..references import split_digest
from ..solver.conflict import Conflict
from ..solver.matrix import build_universe
from ..solver.options import driver_requirement, gpu_requirement
from ..solver.policy import POLICIES, Policy
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from ..solver.silent import MetadataSource
from ..solver.solve import resolve
from ..solver.universe import Universe
from .compose import Composition

__all__ = [
    "ConflictError",
    "policy_of",
    "requirements_of",
    "solve",
    "solved",
    "universe_of",
]


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
    source: MetadataSource | None = None,
) -> Resolution | Conflict:
    """The best versions for a project, or why there are none.

    extra: what was asked for beside the project and its options. policy: in place of theirs.
    source: knows versions that the tables do not, such as `unknown.ProjectIndexes`; without one the
        nearest known ones stand for them.
    Raises UserError for a platform that no table knows and for specifiers that cannot be read.
    """
    wanted = (*requirements_of(composition), *extra)
    universe = universe_of(composition, {requirement.package for requirement in wanted})
    return resolve(wanted, universe, policy or policy_of(composition), source)


def policy_of(composition: Composition) -> Policy:
    """Which answer is the best. Raises UserError when the options name no policy."""
    name = composition.options.prefer
    if name not in POLICIES:
        known = ", ".join(sorted(POLICIES))
        raise UserError(f"there is no policy {name}", hint=f"the policies are {known}")
    return POLICIES[name]


def requirements_of(composition: Composition) -> tuple[Requirement, ...]:
    """What the blocks ask for, and what the options add to it.

    Raises UserError for a GPU that no table knows and a driver that is no version.
    """
    options = composition.options
    wanted = list(composition.requirements)
    if options.gpu:
        wanted.append(gpu_requirement(options.gpu, Tables.load()))
    if options.driver:
        wanted.append(driver_requirement(options.driver, Universe.of([]))[0])
    return tuple(wanted)


def universe_of(composition: Composition, roots: Iterable[str]) -> Universe:
    """The universe of a project: what the packages asked for can bring in, and its own base image.

    Raises UserError for a platform that no table knows.
    """
    tables, platform, driver = Tables.load(), composition.platform, composition.options.driver
    universe = build_universe(tables, platform=platform, roots=roots)
    if driver:
        universe = driver_requirement(driver, universe)[1]
    if named := _indexes(composition):
        from ..solver.own_index import with_own_index

        universe = with_own_index(universe, named)
    base = composition.project.base_image
    if base is None:
        return universe
    from ..solver.own_image import OwnImage, with_own_image

    ref, digest = split_digest(base.reference)
    own = OwnImage(ref, digest, base.python, base.origin)
    return with_own_image(universe, tables, platform, own)


def _indexes(composition: Composition) -> dict[str, Origin]:
    """The indexes that the project names, with the lines that name them."""
    options = composition.project.requirements.options
    lines = (*([options.index_url] if options.index_url else []), *options.extra_index_urls)
    return {one.url.raw.rstrip("/"): one.origin for one in lines}


def solved(
    composition: Composition,
    *,
    extra: Iterable[Requirement] = (),
    policy: Policy | None = None,
    source: MetadataSource | None = None,
) -> Resolution:
    """As `solve`, but raises ConflictError when there is no solution."""
    outcome = solve(composition, extra=extra, policy=policy, source=source)
    if isinstance(outcome, Conflict):
        raise ConflictError(outcome)
    return outcome
