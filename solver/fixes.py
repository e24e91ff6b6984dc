"""Ways out of a conflict: the least invasive edits of the user's lines, each tried by solving."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from itertools import chain, combinations, islice, product

from msgspec.structs import replace

from .conflict import Change, Clash, Fix
from .edits import Move, Unit, applied, drop, editable, move, moves, units
from .explain import clashes, sources
from .policy import COMPROMISES
from .problem import Problem, prepare, solvable
from .requirement import Requirement
from .sat import Engine
from .universe import Package

__all__ = ["MAX_CHANGES", "MAX_FIXES", "explained", "one_of_each"]

# More than this helps nobody to choose.
MAX_FIXES = 6
# Whoever has to change more lines than this at once is better served by the clashes themselves.
MAX_CHANGES = 3
# Ways to pick one fix of each group; the first that works is taken.
MAX_COMBINATIONS = 256

Group = tuple[Clash, ...]


def explained(problem: Problem, engine: Engine) -> tuple[Clash, ...]:
    """Every clash of a problem without solution, with its fixes.

    engine: one over the problem's universe and requirements, without `explain`.
    """
    found = clashes(problem.universe, problem.requirements)
    search = _Search(problem, engine)
    groups = _connected(found)
    fixed = _fixes(search, groups)
    if not all(fixed):
        # Ways out that bar one another: look for edits of all of it together.
        groups = (found,)
        fixed = _fixes(search, groups)
    by_clash = {clash: fixes for group, fixes in zip(groups, fixed, strict=True) for clash in group}
    return _told_apart(replace(clash, fixes=by_clash[clash]) for clash in found)


def _told_apart(found: Iterable[Clash]) -> tuple[Clash, ...]:
    """Without clashes that read the same: one line may ask for several packages, all in vain.

    Nor such that say what another one says, with more lines or facts and the same way out.
    """
    first: dict[object, Clash] = {}
    for clash in found:
        lines = sources(clash)
        first.setdefault((lines, clash.facts, clash.notes, clash.fixes), clash)
    kept = tuple(first.values())
    return tuple(one for one in kept if not any(_says_it(other, one) for other in kept))


def _says_it(other: Clash, clash: Clash) -> bool:
    """Whether another clash says the same with fewer of the user's lines, or with fewer facts."""
    own, less = ({r.origin for r in one.requirements if editable(r)} for one in (clash, other))
    if not less or other.fixes != clash.fixes:
        return False
    return less < own or (less == own and set(other.facts) < set(clash.facts))


def _connected(found: Sequence[Clash]) -> tuple[Group, ...]:
    """Clashes that share a line, directly or through others, stand in one group."""
    groups: list[list[Clash]] = []
    for clash in found:
        members = sources(clash)
        touching = [group for group in groups if any(members & sources(c) for c in group)]
        groups = [group for group in groups if group not in touching]
        groups.append([*(one for group in touching for one in group), clash])
    return tuple(sorted(tuple(sorted(group)) for group in groups))


def _fixes(search: _Search, groups: Sequence[Group]) -> list[tuple[Fix, ...]]:
    """For each group the fixes that work together with the first fix of every other group."""
    proposals = [_proposals(search, group, groups) for group in groups]
    # The first ones work together more often than not.
    first = next(
        (
            chosen
            for chosen in one_of_each(proposals)
            if search.works([change for fix in chosen for change in fix.changes])
        ),
        None,
    )
    if first is None:
        return [() for _ in groups]
    checked = []
    for number, found in enumerate(proposals):
        others = [change for i, fix in enumerate(first) if i != number for change in fix.changes]
        works = (
            fix for fix in found if fix != first[number] and search.works([*fix.changes, *others])
        )
        checked.append((first[number], *works)[:MAX_FIXES])
    return checked


def one_of_each(groups: Iterable[Sequence[Fix]]) -> list[tuple[Fix, ...]]:
    """The ways to take one fix of each group, the least invasive first; at most 256 of them."""
    chosen = islice(product(*map(enumerate, groups)), MAX_COMBINATIONS)
    by_place = sorted(chosen, key=lambda one: sum(place for place, _ in one))
    return [tuple(fix for _, fix in one) for one in by_place]


def _proposals(search: _Search, group: Group, groups: Sequence[Group]) -> tuple[Fix, ...]:
    """Edits that end the clashes of one group as if the other groups were not there."""
    elsewhere = {
        requirement
        for other in groups
        if other is not group
        for clash in other
        for requirement in clash.requirements
    }
    # A line may ask for more than what clashes; its edit changes all of it.
    origins = {requirement.origin for clash in group for requirement in clash.requirements}
    pool = units({one for one in search.problem.requirements if one.origin in origins})
    for count in range(1, min(MAX_CHANGES, len(pool)) + 1):
        found = [
            pair
            for chosen in combinations(pool, count)
            for pair in (
                search.single(chosen[0], elsewhere)
                if count == 1
                else search.joint(chosen, elsewhere)
            )
        ]
        if found:
            return tuple(fix for _, fix in sorted(found))
    return ()


class _Search:
    """Looks for edits with one engine; each proposal is a pair of its cost and the fix."""

    def __init__(self, problem: Problem, engine: Engine) -> None:
        self.problem = problem
        self.engine = engine

    def works(self, changes: Iterable[Change]) -> bool:
        """Whether the project has a solution after the edits."""
        after = applied(self.problem.requirements, changes)
        if self.problem.universe is not self.problem.given:
            # What was filled in for a line must not outlive the line.
            return solvable(prepare(after, self.problem.given, self.problem.source))
        return self.engine.solve([self.engine.selector(one) for one in after])

    def single(
        self, unit: Unit, elsewhere: Collection[Requirement]
    ) -> list[tuple[tuple[int, int], Fix]]:
        """The nearest move up, the nearest move down, and taking the line away.

        elsewhere: requirements that are left out of account.
        """
        rest = self._without((unit,), elsewhere)
        if not self.engine.solve(rest):
            return []
        found = []
        for above in (True, False):
            change = self._nearest(unit, rest, (above,))
            if change is not None:
                found.append(((0, change[0]), Fix((change[1],))))
        # To leave an option out changes no file.
        in_file = bool(unit.first.origin.file)
        found.append(((1, int(in_file)), Fix((drop(unit.first),))))
        return found

    def joint(
        self, chosen: Sequence[Unit], elsewhere: Collection[Requirement]
    ) -> list[tuple[tuple[int, int], Fix]]:
        """Edits of all chosen units together: the nearest moves, where there is one."""
        rest = self._without(chosen, elsewhere)
        if not self.engine.solve(rest):
            return []
        kept = [self._of_any_version(unit) for unit in chosen]
        if not self.engine.solve([*rest, *chain(*kept)]):
            kept = [[] for _ in chosen]
        changes, dropped, distance = [], 0, 0
        for number, unit in enumerate(chosen, start=1):
            # What comes nearest to one line may leave no version for the next.
            later = chain(*kept[number:])
            change = self._nearest(unit, [*rest, *later], (True, False))
            if change is None:
                dropped += 1
                changes.append(drop(unit.first))
                continue
            distance += change[0]
            changes.append(change[1])
            rest = [*rest, *change[2]]
        return [((dropped, distance), Fix(tuple(sorted(changes))))]

    def _of_any_version(self, unit: Unit) -> list[int]:
        """Literals that ask for what a unit does, whatever the versions."""
        if not unit.movable:
            return []
        asked = unit.requirements
        versions = {unit.first.specifier}
        loose = [replace(one, specifier="") if one.specifier in versions else one for one in asked]
        return [self.engine.selector(one) for one in loose]

    @cached_property
    def _sound(self) -> Sequence[int]:
        """Literals without which a solution has what works though nobody wants it."""
        encoding = self.engine.encoding
        return [-encoding.presence(name) for name in COMPROMISES if name in encoding.universe]

    def _without(self, chosen: Sequence[Unit], elsewhere: Collection[Requirement]) -> list[int]:
        away = {requirement for unit in chosen for requirement in unit.requirements}
        return [
            literal
            for one, literal in zip(self.engine.requirements, self.engine.selectors, strict=True)
            if one not in away and one not in elsewhere
        ]

    def _nearest(
        self, unit: Unit, rest: Sequence[int], directions: tuple[bool, ...]
    ) -> tuple[int, Change, Sequence[int]] | None:
        """Cost, edit and literals of the nearest version that does, a sound one if any.

        The cost is the distance; any version that is not sound costs more than each one that is.
        """
        requirement: Requirement = unit.first
        package = self.engine.encoding.packages[requirement.package]
        if not unit.movable or package.opaque:
            return None
        admitted = self.engine.encoding.positions(package, requirement.specifier)
        targets = [
            target
            for target in moves(package, requirement.specifier, admitted)
            if target.above in directions
        ]
        for unsound, always in enumerate(([*rest, *self._sound], rest)):
            found = self._first(unit, package, targets, always)
            if found is not None:
                target, literals = found
                cost = target.distance + unsound * 2 * len(package.candidates)
                return cost, move(requirement, target), literals
        return None

    def _first(
        self, unit: Unit, package: Package, targets: Sequence[Move], always: Sequence[int]
    ) -> tuple[Move, Sequence[int]] | None:
        """The first target that has a solution, and the literals that ask for it."""
        if not targets:
            return None
        if len(unit.requirements) == 1 and unit.first.is_certain:
            best = self.engine.nearest(package, [target.positions for target in targets], always)
            if best is None:
                return None
            return targets[best], [self.engine.among(package, targets[best].positions)]
        for target in targets:
            after = applied(unit.requirements, [move(unit.first, target)])
            literals = [self.engine.selector(one) for one in after]
            if self.engine.solve([*always, *literals]):
                return target, literals
        return None
