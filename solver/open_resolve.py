"""Resolving the open world under one assignment of the matrix: resolvelib does it.

What to do when it fails is the loop's subject.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.version import Version
from resolvelib import ResolutionImpossible
from resolvelib.resolvers import Criterion, Resolution, ResolutionTooDeep

from ..errors import UserError
from .open_catalog import Offer, View
from .open_model import Ask, Range, range_of
from .open_prefetch import Scout
from .open_provider import (
    UNUSABLE,
    Demand,
    MissingFileError,
    MissingMatrixError,
    Node,
    OpenProvider,
    OpenReporter,
)

__all__ = [
    "MAX_ROUNDS",
    "Lacking",
    "Missing",
    "OpenFailure",
    "OpenSolution",
    "Outcome",
    "Settled",
    "resolve_open",
]

# Rounds after which the search is given up. Large projects take some hundreds; this many mean that
# packages push one another through all their versions.
MAX_ROUNDS = 20_000

# Packages that a message names when the search is given up.
_NAMED = 5


@dataclass(frozen=True)
class Settled:
    """A package of the solution.

    extras: that are part of it. requires: names of the packages that it needs, sorted.
    """

    name: str
    offer: Offer
    extras: tuple[str, ...]
    requires: tuple[str, ...]

    @property
    def version(self) -> Version:
        """The version that was chosen."""
        return self.offer.version


@dataclass(frozen=True)
class OpenSolution:
    """One version of everything that is needed, sorted by name."""

    packages: tuple[Settled, ...]
    rounds: int

    def __getitem__(self, name: str) -> Settled:
        return next(one for one in self.packages if one.name == name)


@dataclass(frozen=True)
class OpenFailure:
    """No set of versions meets the demands under the assignment.

    names: packages that stood in a clash. last: those of the last one.
    fixed: settled packages that were looked at. reasons: why single releases are of no use.
    by_minor: whether it would fail with every patch release of the Python.
    """

    names: frozenset[str]
    last: frozenset[str]
    fixed: frozenset[str]
    reasons: tuple[str, ...]
    by_minor: bool = False


@dataclass(frozen=True)
class Missing:
    """A package of the matrix is needed and absent; needed by a release or by the user's line."""

    name: str
    specifier: str
    needed_by: str


@dataclass(frozen=True)
class Lacking:
    """A package of the matrix is needed in the version that was settled, and its index lacks it."""

    name: str


Outcome = OpenSolution | OpenFailure | Missing | Lacking
"""What a search comes to."""


class _Search(Resolution[Demand, Node, str]):
    """resolvelib's search, with an answer that it computes anew in each round remembered.

    A criterion and a pin are never changed, only replaced; whether the one meets the other is
    asked for all packages twice a round, which took a third of the time of 200 packages.
    """

    def __init__(self, provider: OpenProvider, reporter: OpenReporter) -> None:
        super().__init__(provider, reporter)
        self._satisfying: dict[str, tuple[Criterion[Demand, Node], Node, bool]] = {}

    def _attempt_to_pin_criterion(self, name: str) -> list[Criterion[Demand, Node]]:
        causes = super()._attempt_to_pin_criterion(name)
        # Why so few candidates were left is a cause as well: without it the search jumps back over
        # the release that ruled the others out.
        return [*causes, self.state.criteria[name]] if causes else causes

    def _is_current_pin_satisfying(self, name: str, criterion: Criterion[Demand, Node]) -> bool:
        pin = self.state.mapping.get(name)
        if pin is None:
            return False
        known = self._satisfying.get(name)
        if known is not None and known[0] is criterion and known[1] is pin:
            return known[2]
        found = super()._is_current_pin_satisfying(name, criterion)
        self._satisfying[name] = (criterion, pin, found)
        return found


def resolve_open(
    view: View,
    asks: Sequence[Ask],
    fixed: Mapping[str, Version | None],
    *,
    limits: Mapping[str, Iterable[str]] | None = None,
    gaps: Container[str] | None = None,
    strict: bool = False,
    max_rounds: int = MAX_ROUNDS,
) -> Outcome:
    """One version of everything that the asks need, as new as it goes.

    fixed, gaps, strict: see `OpenProvider`. limits: further specifiers by package.

    Raises UserError when the search does not end, and what the index client raises.
    """
    limited = _limits(view, asks, limits or {})
    provider = OpenProvider(view, fixed, limited, gaps=gaps, strict=strict)
    reporter = OpenReporter(provider.conflicts)
    scout = Scout(view, fixed)
    # Not its `Resolver`: that sorts out what nobody needs by recursion, without end in a cycle.
    resolver = _Search(provider, reporter)
    roots = provider.roots(asks)
    scout.start(roots)
    try:
        pinned = resolver.resolve(roots, max_rounds=max_rounds).mapping
    except MissingMatrixError as error:
        parent = error.parent
        needed_by = f"{parent.name} {parent.version}" if parent is not None else ""
        return Missing(error.demand.name, error.demand.range.text, needed_by)
    except MissingFileError as error:
        # All releases of what needs it may fail alike, and to walk through them takes long.
        return Lacking(error.name)
    except ResolutionImpossible as error:
        names = {one.requirement.name for one in error.causes}
        names |= {one.parent.name for one in error.causes if one.parent is not None}
        reasons = {one.requirement.reason for one in error.causes} - {""}
        clashed = {key.partition("[")[0] for key in provider.conflicts} | names
        clashed.discard(UNUSABLE)
        seen = frozenset(provider.seen_fixed)
        return OpenFailure(
            frozenset(clashed), frozenset(names), seen, tuple(sorted(reasons)), view.by_minor
        )
    except ResolutionTooDeep:
        raise _endless(provider, max_rounds) from None
    finally:
        scout.stop()
    needed = _needed(provider, roots, pinned)
    return OpenSolution(tuple(_settled(provider, needed)), reporter.rounds)


def _limits(
    view: View, asks: Iterable[Ask], more: Mapping[str, Iterable[str]]
) -> dict[str, list[Range]]:
    """The user's constraints that hold for the target, and further ones."""
    from packaging.markers import Marker

    found: dict[str, list[Range]] = {}
    for ask in asks:
        holds = not ask.marker or view.applies(Marker(ask.marker))
        if ask.constraint and ask.specifier and holds:
            found.setdefault(ask.name, []).append(range_of(ask.specifier))
    for name, specifiers in more.items():
        found.setdefault(name, []).extend(range_of(one) for one in specifiers)
    return found


def _needed(
    provider: OpenProvider, roots: Iterable[Demand], pinned: Mapping[str, Node]
) -> dict[str, Node]:
    """What the roots lead to; backtracking leaves candidates behind that nothing needs."""
    found: dict[str, Node] = {}
    queue = [demand.key for demand in roots]
    while queue:
        key = queue.pop()
        if key not in found:
            found[key] = pinned[key]
            queue += [demand.key for demand in provider.get_dependencies(pinned[key])]
    return found


def _settled(provider: OpenProvider, mapping: Mapping[str, Node]) -> Iterable[Settled]:
    extras: dict[str, list[str]] = {}
    needs: dict[str, set[str]] = {}
    for node in mapping.values():
        if node.extra:
            extras.setdefault(node.name, []).append(node.extra)
        wanted = {demand.name for demand in provider.get_dependencies(node)}
        needs.setdefault(node.name, set()).update(wanted - {node.name})
    for name in sorted(needs):
        yield Settled(
            name,
            mapping[name].offer,
            tuple(sorted(extras.get(name, ()))),
            tuple(sorted(needs[name])),
        )


def _endless(provider: OpenProvider, rounds: int) -> UserError:
    worst = [name for name, _ in provider.conflicts.most_common(_NAMED)]
    return UserError(
        f"no set of versions was found in {rounds} rounds: {', '.join(worst)} push one another "
        "through their versions",
        hint=f"narrow them: ask for {worst[0]} in a range that you know to work, for example"
        if worst
        else "narrow the requirements",
    )
