"""Why there is no solution, or no better one: minimal sets of requirements and facts.

Everything here works on literals of an `Engine` made with `explain`; a set is minimal when it has
no solution and every part of it has one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import reduce

from ..origin import Origin
from .conflict import Clash
from .edits import editable, moves
from .matrix_facts import range_text
from .requirement import Requirement
from .sat import Engine
from .selection import Selector, intersect
from .silent import is_guess
from .universe import Fact, Package, Universe

__all__ = ["MAX_CLASHES", "clashes", "facts_against", "minimal", "minimal_core", "sources"]

GPU = "gpu-capability"

# A project with more clashes than this is told about the first ones; mending those shows the rest.
MAX_CLASHES = 12


def minimal(
    members: Sequence[int], refuted: Callable[[Sequence[int]], frozenset[int] | None]
) -> tuple[int, ...]:
    """A minimal part of `members` that has no solution, found by deletion.

    members: literals that together have none; earlier ones are tried for removal first.
    refuted: given literals, those of them that already have no solution together, or None when
        there is a solution. Every such core narrows the search.
    """
    needed: list[int] = []
    left = list(members)
    while left:
        first, rest = left[0], left[1:]
        core = refuted([*needed, *rest])
        if core is None:
            needed.append(first)
            left = rest
        else:
            left = [literal for literal in rest if literal in core]
    return tuple(needed)


def minimal_core(
    ask: Callable[[Sequence[int]], bool],
    engine: Engine,
    members: Sequence[int],
    fixed: Sequence[int] = (),
) -> tuple[int, ...]:
    """`minimal` over an engine; empty when there is a solution.

    ask: `engine.solve` when all facts hold besides, `engine.check` when only the given ones do.
    fixed: literals that always hold and are not part of the answer.
    """

    def refuted(literals: Sequence[int]) -> frozenset[int] | None:
        return None if ask([*fixed, *literals]) else engine.core()

    core = refuted(members)
    if core is None:
        return ()
    return minimal([literal for literal in members if literal in core], refuted)


def clashes(universe: Universe, requirements: Iterable[Requirement]) -> tuple[Clash, ...]:
    """Every minimal set of lines that cannot hold together, with the facts behind it.

    Sorted; empty when there is a solution; at most MAX_CLASHES. The fixes are left empty.
    """
    ordered = sorted(set(requirements), key=_keep_first)
    with Engine(universe, ordered, explain=True) as engine:
        by_literal = dict(zip(engine.selectors, ordered, strict=True))
        found = []
        for literals in map(sorted, _minimal_sets(engine)):
            members = tuple(sorted(by_literal[literal] for literal in literals))
            facts = facts_against(engine, literals, {one.package for one in members})
            notes = (*_notes(engine, members), *_missing(universe, facts))
            found.append(Clash(members, facts, notes=notes))
    # A line may ask for several packages, so a set that is minimal in what is asked for may have
    # more lines than another one: whoever reads lines is told the lesser.
    lines = [sources(one) for one in found]
    least = (
        one for one, own in zip(found, lines, strict=True) if not any(few < own for few in lines)
    )
    return tuple(sorted(least))


def sources(clash: Clash) -> frozenset[Origin | Requirement]:
    """The lines and options of a clash; what a block asks for stands for itself."""
    return frozenset(one.origin if editable(one) else one for one in clash.requirements)


def facts_against(
    engine: Engine, literals: Sequence[int], about: Collection[str]
) -> tuple[Fact, ...]:
    """A minimal set of facts with which the literals have no solution, sorted.

    The literals were refuted before: the facts that came up then suffice.
    about: the packages that the literals speak of; if what is known of these is enough, nothing is
        told of others, for that torchvision has no wheels is plainer than that its torch has none.
    """
    facts = dict(sorted(engine.facts.items()))
    direct = [literal for fact, literal in facts.items() if fact.key.partition(" ")[0] in about]
    kept: set[int] = set()
    for members in (direct, tuple(facts.values())):
        kept = kept or set(minimal_core(engine.check, engine, members, fixed=literals))
    return tuple(fact for fact, literal in facts.items() if literal in kept)


def _keep_first(requirement: Requirement) -> tuple[bool, Requirement]:
    """Deletion starts with what nobody wrote in a file, so that the user's lines are kept."""
    return bool(requirement.origin.file), requirement


def _minimal_sets(engine: Engine) -> list[frozenset[int]]:
    """Minimal sets of requirement literals without a solution.

    Takes one, then looks for others with each of its members away in turn: what is left over when
    one member is relaxed is another clash, which a single answer would hide.
    """
    found: list[frozenset[int]] = []
    seen: set[frozenset[int]] = set()
    queue = [frozenset[int]()]
    while queue and len(found) < MAX_CLASHES:
        relaxed = queue.pop(0)
        if relaxed in seen:
            continue
        seen.add(relaxed)
        known = next((one for one in found if not one & relaxed), None)
        if known is None:
            active = [literal for literal in engine.selectors if literal not in relaxed]
            known = frozenset(minimal_core(engine.solve, engine, active))
            if not known:
                continue
            found.append(known)
        queue += [relaxed | {literal} for literal in sorted(known)]
    return found


def _notes(engine: Engine, requirements: Sequence[Requirement]) -> tuple[str, ...]:
    """What the requirements say by themselves, without any table row."""
    notes = []
    for name in sorted({one.package for one in requirements}):
        package = engine.encoding.packages[name]
        asked = [one for one in requirements if one.package == name]
        admitted = [engine.encoding.positions(package, one.specifier) for one in asked]
        for requirement, intervals in zip(asked, admitted, strict=True):
            told = [package.candidates[i] for low, high in intervals for i in range(low, high + 1)]
            if not told:
                notes.append(_unknown(engine, package, requirement))
            elif all(map(is_guess, told)):
                # Else the facts would be of a release that no line names.
                notes.append(told[0].notes[-1])
            elif name == GPU and requirement.specifier[2:] not in requirement.origin.text:
                # Who names a model need not know what the tables call it.
                meant = requirement.specifier.removeprefix("==")
                notes.append(f"{requirement.origin.text} means compute capability {meant}")
        if all(admitted) and not reduce(intersect, admitted):
            notes.append(f"no known version of {name} is in all of these ranges")
    return tuple(notes)


def _missing(universe: Universe, facts: Iterable[Fact]) -> Iterator[str]:
    """What facts name and nobody knows: a jax that goes with a plugin that was never released."""
    told = set(facts)
    terms = {
        term
        for candidate in universe
        for relation in candidate.relations
        if relation.fact in told
        for term in relation.any_of
        if term.specifier and not term.absent_ok and term.package in universe
    }
    selector = Selector()
    for term in sorted(terms, key=lambda one: (one.package, one.specifier)):
        package = universe[term.package]
        if not selector.specifier(package, term.specifier):
            near = _near(package, Requirement(package.name, term.specifier, Origin()))
            yield f"no {package.name} {range_text(term.specifier)} is known{near}"


def _unknown(engine: Engine, package: Package, requirement: Requirement) -> str:
    """That a specifier admits nothing: its parts exclude one another, or it names what is not."""
    parts = requirement.specifier.split(",")
    if len(parts) > 1 and all(engine.encoding.positions(package, part) for part in parts):
        return f"no known version of {package.name} meets all of {', '.join(parts)}"
    universe = engine.encoding.universe
    where = f" for {universe.platform}" if universe.platform else ""
    # The image's CUDA is no other one to those who ask for it.
    name = package.name.removeprefix("system-")
    shown = f"{name}{requirement.specifier}"
    if requirement.specifier.endswith(".*") and requirement.specifier.startswith("=="):
        # A series, as cog.yaml has it.
        shown = f"{name} {requirement.specifier.removeprefix('==').removesuffix('.*')}"
    if name != package.name and engine.encoding.positions(universe[name], requirement.specifier):
        shown = f"image with {shown}"
    return f"no {shown} is known{where}{_near(package, requirement)}"


def _near(package: Package, requirement: Requirement) -> str:
    """The known versions around one that is not: `; 2.5.1 and 2.6.0 are`."""
    found = moves(package, requirement.specifier, ())
    beside = [one for one in found if one.distance <= 1 and not one.above]
    if len(beside) > 1:
        # The release is known, but not in this variant.
        names = sorted(one.name for one in beside)
        return f"; {', '.join(names[:-1])} and {names[-1]} are"
    nearest = (next((one.name for one in found if one.above == up), "") for up in (False, True))
    names = [name for name in nearest if name]
    return f"; {' and '.join(names)} {'are' if len(names) > 1 else 'is'}" if names else ""
