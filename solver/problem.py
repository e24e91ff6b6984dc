"""What was asked, made ready for the engines: checked, sorted, and with silent tables filled in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from ..errors import Fault, UserError
from ..origin import Origin
from .requirement import Requirement
from .sat import Engine
from .selection import Selector
from .silent import MetadataSource, fill_in, is_beyond
from .universe import BUILD_IMAGE, RUNTIME_IMAGE, Universe

__all__ = ["IMAGES", "Problem", "prepare", "solvable"]

IMAGES = (BUILD_IMAGE, RUNTIME_IMAGE)

_EVERY_IMAGE = Origin(asker="every image", text="a base image")


class Problem(Struct, frozen=True):
    """Requirements and the universe in which they are to be met.

    given: the universe as it came, before versions that it does not know were filled in.
    """

    requirements: tuple[Requirement, ...]
    universe: Universe
    given: Universe
    source: MetadataSource | None = None


def prepare(
    requirements: Iterable[Requirement],
    universe: Universe,
    source: MetadataSource | None = None,
) -> Problem:
    """The problem that these requirements pose.

    Requirements on packages that the universe does not know belong to the open world and are
    passed over. Every image stands on a base, so the base images are asked for here.

    Raises UserError with every requirement whose specifier cannot be read.
    """
    asked = sorted({one for one in requirements if one.package in universe})
    _validate(asked, universe)
    images = [Requirement(name, "", _EVERY_IMAGE) for name in IMAGES if name in universe]
    wanted = tuple(sorted({*asked, *images}))
    filled = fill_in(universe, wanted, source)
    unknown = _beyond(wanted, filled)
    wanted = tuple(one for one in wanted if one.package not in unknown)
    return Problem(wanted, filled, universe, source)


def solvable(problem: Problem) -> bool:
    """Whether the problem has a solution."""
    with Engine(problem.universe, problem.requirements) as engine:
        return engine.solve(engine.selectors)


def _beyond(requirements: Iterable[Requirement], universe: Universe) -> set[str]:
    """Packages of which a range is asked for that is older than all that anybody could tell of.

    They are passed over as packages are that no table has: the installation takes what fits.
    """
    selector = Selector()
    return {
        one.package
        for one in requirements
        if one.package in universe.partial
        and one.brings
        and is_beyond(universe[one.package], one, selector)
    }


def _validate(requirements: Sequence[Requirement], universe: Universe) -> None:
    faults = []
    for requirement in requirements:
        if universe[requirement.package].opaque:
            continue
        try:
            SpecifierSet(requirement.specifier)
        except InvalidSpecifier:
            faults.append(
                Fault(
                    f"'{requirement.specifier}' is no version specifier for {requirement.package}",
                    requirement.origin,
                    "write it as PEP 440 has it, for example ==2.7.1 or >=2.0,<2.5",
                )
            )
    if faults:
        raise UserError(faults)
