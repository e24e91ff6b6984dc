"""The solver's front door: requirements and a universe in, a Resolution or a Conflict out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from packaging.specifiers import SpecifierSet

from ..origin import Origin
from .conflict import Conflict
from .matrix_facts import ACCELERATOR, CUDA_MISMATCH
from .policy import COMPROMISES, POLICIES, Policy
from .problem import IMAGES, prepare
from .requirement import Requirement
from .resolution import BaseImage, BaseImages, Choice, Resolution
from .sat import Engine
from .silent import MetadataSource, is_guess
from .universe import PYTHON, Candidate, Universe

# Packages that are facts about the image and never installed.
OF_IMAGES = ("glibc", "os")

WITHOUT_CUDA = (
    "gpu is true, and nothing that the tables know of brings CUDA: if a package takes it from the "
    "image, as onnxruntime-gpu does, set cuda in build"
)

__all__ = ["all_versions", "askers", "holds", "needs", "resolution_of", "resolve"]


def resolve(
    requirements: Iterable[Requirement],
    universe: Universe,
    policy: Policy | None = None,
    source: MetadataSource | None = None,
) -> Resolution | Conflict:
    """The best consistent set of versions, or why there is none.

    requirements: in any order. Those on packages that the universe does not know belong to the
        open world and are passed over.
    policy: what "best" means; the default policy without it.
    source: knows versions that the tables do not; see `silent`.

    Raises UserError with every requirement whose specifier cannot be read.
    """
    problem = prepare(requirements, universe, source)
    with Engine(problem.universe, problem.requirements) as engine:
        optimum = engine.optimum(policy or POLICIES["newest"], settle=True)
        if optimum is not None:
            return resolution_of(problem.requirements, optimum.chosen)
        # Explanations are needed only now: the way to a resolution stays free of their import.
        from .fixes import explained

        return Conflict(explained(problem, engine))


def all_versions(
    package: str,
    requirements: Iterable[Requirement],
    universe: Universe,
    source: MetadataSource | None = None,
) -> tuple[Candidate, ...]:
    """Every candidate of the package that still has a solution, newest first.

    Raises UserError as `resolve` does.
    """
    problem = prepare(requirements, universe, source)
    if package not in problem.universe:
        return ()
    # The package need not be asked for by anybody: an empty requirement puts it in reach.
    extra = Requirement(package, "", Origin(asker=f"--all {package}", text=package))
    with Engine(problem.universe, [*problem.requirements, extra]) as engine:
        members = engine.encoding.packages[package]
        found = [
            candidate
            for position, candidate in enumerate(members.candidates)
            if engine.solve([*engine.selectors, engine.among(members, [position])])
        ]
    return tuple(reversed(found))


def resolution_of(
    requirements: Sequence[Requirement], chosen: Mapping[str, Candidate]
) -> Resolution:
    """What was chosen, as others see it: without images and compromises among the packages."""
    origins = askers(requirements, chosen)
    images = [_image(chosen.get(name)) for name in IMAGES]
    # What an image brings is no choice; of one that is not known it would be a mere assumption.
    assumed = () if all(image.is_known for image in images) else OF_IMAGES
    choices = tuple(
        Choice(
            package=name,
            version=candidate.label,
            variant=candidate.variant,
            index=candidate.index,
            because=origins[name],
            facts=candidate.facts,
        )
        for name, candidate in sorted(chosen.items())
        if name not in IMAGES and name not in COMPROMISES and name not in assumed
    )
    notes = {note for candidate in chosen.values() for note in candidate.notes}
    if not assumed and _is_without_cuda(chosen):
        notes.add(WITHOUT_CUDA)
    return Resolution(choices, BaseImages(*images), tuple(sorted(notes)))


def _is_without_cuda(chosen: Mapping[str, Candidate]) -> bool:
    """Whether nothing brings CUDA to a GPU project, as far as the packages are known."""
    on_gpu = ACCELERATOR in chosen and chosen[ACCELERATOR].label == "cuda"
    # Where packages are built for several CUDAs, none of them is the one that the project goes by.
    is_there = "cuda" in chosen or CUDA_MISMATCH in chosen
    return on_gpu and not is_there and not any(map(is_guess, chosen.values()))


def _image(candidate: Candidate | None) -> BaseImage:
    if candidate is None:
        return BaseImage("")
    provides = dict(sorted(candidate.provides.items()))
    return BaseImage(candidate.label, candidate.digest, provides)


def askers(
    requirements: Sequence[Requirement], chosen: Mapping[str, Candidate]
) -> dict[str, tuple[Origin, ...]]:
    """For each chosen package the origins of the requirements that brought it in, sorted.

    A package that somebody asked for by name has those origins; another has the origins of the
    packages that need it.
    """
    origins: dict[str, set[Origin]] = {name: set() for name in chosen}
    limits: dict[str, set[Origin]] = {name: set() for name in chosen}
    for requirement in requirements:
        if requirement.package in chosen and holds(requirement, chosen):
            found = origins if requirement.brings else limits
            found[requirement.package].add(requirement.origin)
    named = {name for name, found in origins.items() if found}
    for root in sorted(named):
        seen = set(named)
        queue = [root]
        while queue:
            for needed in needs(chosen[queue.pop()], chosen):
                if needed not in seen:
                    seen.add(needed)
                    origins[needed] |= origins[root]
                    queue.append(needed)
    return {name: tuple(sorted(found | limits[name])) for name, found in origins.items()}


def holds(requirement: Requirement, chosen: Mapping[str, Candidate]) -> bool:
    """Whether a requirement asks anything of the Python that was chosen."""
    if not requirement.pythons:
        return True
    version = chosen[PYTHON].version if PYTHON in chosen else None
    asked = SpecifierSet(requirement.pythons)
    return version is not None and asked.contains(version, prereleases=True)


def needs(candidate: Candidate, chosen: Mapping[str, Candidate]) -> tuple[str, ...]:
    """The present packages that a chosen candidate needs to be there, sorted."""
    return tuple(
        sorted(
            {
                term.package
                for relation in candidate.relations
                for term in relation.any_of
                if not term.absent_ok and term.package in chosen
            }
        )
    )
