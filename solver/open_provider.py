"""The open world as resolvelib asks for it: which candidates there are and what they need.

A package with an extra is a candidate of its own, `name[extra]`, that needs its base in the same
version. What makes a candidate unusable (its metadata cannot be had, its Python is another one) is
put as a demand that nothing meets, so that it is found out only when the candidate comes up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.version import Version
from resolvelib import AbstractProvider, BaseReporter
from resolvelib.structs import RequirementInformation

from ..index.metadata import Metadata, NoMetadata
from .open_catalog import Offer, View
from .open_memo import Dead, Memo, Node, read_ahead
from .open_model import ANY, Ask, Dependency, Range, dependency, range_of

__all__ = [
    "Demand",
    "MissingFileError",
    "MissingMatrixError",
    "Node",
    "OpenProvider",
    "OpenReporter",
    "depends",
]

UNUSABLE = "<unusable>"

_NOTHING: Mapping[str, Iterator[Node]] = {}


@dataclass(frozen=True, eq=False)
class Demand:
    """Something that must be met.

    key: the identifier. direct: the one offer that meets it. exact: the one version that does.
    ask: the user's line, of a root. reason: why nothing can meet it.
    """

    key: str
    name: str
    range: Range = ANY
    extra: str = ""
    direct: Offer | None = None
    exact: Version | None = None
    ask: Ask | None = None
    reason: str = ""

    @property
    def text(self) -> str:
        """As a requirement, for messages."""
        return self.reason or f"{self.key}{self.range.text}"


class MissingMatrixError(Exception):
    """A package of the matrix is needed that the assignment does not have.

    demand: what is needed. parent: what needs it.
    """

    def __init__(self, demand: Demand, parent: Node | None) -> None:
        super().__init__(demand.text)
        self.demand = demand
        self.parent = parent


class MissingFileError(Exception):
    """The index has no file that suits of what was settled."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


Information = RequirementInformation[Demand, Node]


class OpenProvider(AbstractProvider[Demand, Node, str]):
    """Answers resolvelib's questions.

    fixed: the version of each package that was settled elsewhere, by name; None: it is absent.
    strict: what needs an absent one is refused; else `MissingMatrixError` is raised for it.
    gaps: settled packages that may have no file; for any other `MissingFileError` is raised. None:
        all may. limits: ranges that a package has to keep when it comes up, whoever asks for it.
    """

    def __init__(
        self,
        view: View,
        fixed: Mapping[str, Version | None],
        limits: Mapping[str, Sequence[Range]],
        *,
        gaps: Container[str] | None = None,
        strict: bool = False,
    ) -> None:
        self.view = view
        self.conflicts: Counter[str] = Counter()
        self.seen_fixed: set[str] = set()
        self._fixed = fixed
        self._gaps = gaps
        self._limits = limits
        self._strict = strict
        asks = view.catalog.asks
        self._direct = {ask.name for ask in asks if ask.is_direct and not ask.constraint}
        self._nodes: dict[tuple[str, Offer], Node] = {}
        self._needs: dict[Node, tuple[Demand, ...]] = {}
        self._matches: dict[tuple[object, ...], Memo] = {}
        self._dead = Dead()
        self._met: dict[tuple[Demand, Node], bool] = {}
        self._order: dict[str, int] = {}
        self._causes: tuple[object, frozenset[str]] = (None, frozenset())

    def roots(self, asks: Iterable[Ask]) -> list[Demand]:
        """The demands of the user's lines that hold for the target; constraints make none."""
        from packaging.markers import Marker

        found: list[Demand] = []
        for ask in asks:
            if ask.constraint:
                continue
            if ask.marker and not self.view.applies(Marker(ask.marker)):
                continue
            direct = self.view.catalog.direct(ask) if ask.is_direct else None
            wanted = ANY if direct else range_of(ask.specifier)
            found += _demands(ask.name, ask.extras, wanted, direct=direct, ask=ask)
        for demand in found:
            self._order.setdefault(demand.key, len(self._order))
        return found

    def identify(self, requirement_or_candidate: Demand | Node) -> str:
        return requirement_or_candidate.key

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Node],
        candidates: Mapping[str, Iterator[Node]],
        information: Mapping[str, Iterator[Information]],
        backtrack_causes: Sequence[Information],
    ) -> tuple[bool, int, bool, int, str]:
        """What is settled comes first, then what clashed most, pins, and the user's order.

        An extra comes after its base, whose version it shares.
        """
        del resolutions, candidates, backtrack_causes
        name, bracket, _ = identifier.partition("[")
        settled = name in self._fixed or name == UNUSABLE
        pinned = False
        for one in information[identifier]:
            demand = one.requirement
            if demand.range.pins or demand.direct is not None or demand.exact is not None:
                pinned = True
                break
        place = self._order.setdefault(identifier, len(self._order))
        clashes = self.conflicts[identifier]
        return not settled, -clashes, not pinned, place + (1 << 20 if bracket else 0), identifier

    def narrow_requirement_selection(
        self,
        identifiers: Iterable[str],
        resolutions: Mapping[str, Node],
        candidates: Mapping[str, Iterator[Node]],
        information: Mapping[str, Iterator[Information]],
        backtrack_causes: Sequence[Information],
    ) -> Iterable[str]:
        """What clashed last is settled first, so that a dead end shows early."""
        del resolutions, candidates, information
        if not backtrack_causes:
            return identifiers
        names = self._cause_names(backtrack_causes)
        wanted = list(identifiers)
        return [one for one in wanted if one in names] or wanted

    def _cause_names(self, causes: Sequence[Information]) -> frozenset[str]:
        if self._causes[0] is not causes:
            found = {one.requirement.key for one in causes}
            found |= {one.parent.key for one in causes if one.parent is not None}
            self._causes = (causes, frozenset(found))
        return self._causes[1]

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Demand]],
        incompatibilities: Mapping[str, Iterator[Node]],
    ) -> Callable[[], Iterator[Node]]:
        demands = tuple(requirements[identifier])
        barred = frozenset(incompatibilities.get(identifier, ()))
        if identifier == UNUSABLE:
            return Memo(iter(()), self._dead)
        name, bracket, _ = identifier.partition("[")
        # The base's demands hold for its extras: they share the version.
        base = tuple(requirements.get(name, ())) if bracket else ()
        ranges = frozenset(one.range for one in (*demands, *base) if one.range is not ANY)
        exact = frozenset(one.exact for one in (*demands, *base) if one.exact is not None)
        direct = frozenset(one.direct for one in (*demands, *base) if one.direct is not None)
        key = (identifier, ranges, exact, direct, barred)
        if key not in self._matches:
            offers = self._offers(name, ranges, exact, direct)
            nodes = (
                node
                for offer in offers
                if (node := self._node(identifier, name, offer)) not in barred
            )
            self._matches[key] = Memo(nodes, self._dead)
        return self._matches[key]

    def is_satisfied_by(self, requirement: Demand, candidate: Node) -> bool:
        # resolvelib asks for every pair again in each round.
        key = (requirement, candidate)
        met = self._met.get(key)
        if met is None:
            met = self._met[key] = _is_met(requirement, candidate.offer)
        return met

    def get_dependencies(self, candidate: Node) -> tuple[Demand, ...]:
        needs = self._needs.get(candidate)
        if needs is None:
            needs = self._needs[candidate] = tuple(self._dependencies(candidate))
        # What can never be met, whatever else is chosen, rules the candidate out for good: else
        # each way to it would be tried again.
        if candidate not in self._dead and any(self._is_hopeless(one) for one in needs):
            self._dead.add(candidate)
        return needs

    def _is_hopeless(self, demand: Demand) -> bool:
        """Whether nothing meets the demand alone."""
        matches = self.find_matches(demand.key, {demand.key: iter((demand,))}, _NOTHING)
        return next(matches(), None) is None

    def metadata(self, node: Node) -> Metadata | None:
        """What a node of a solution says of itself."""
        found = self.view.metadata(node.offer)
        return found if isinstance(found, Metadata) else None

    def _dependencies(self, node: Node) -> Iterator[Demand]:
        metadata = self.view.metadata(node.offer)
        if isinstance(metadata, NoMetadata):
            yield Demand(UNUSABLE, UNUSABLE, reason=str(metadata))
            return
        if not self.view.admits_python(metadata.requires_python_text):
            text = f"{node.name} {node.version} needs Python {metadata.requires_python_text}"
            yield Demand(UNUSABLE, UNUSABLE, reason=text)
            return
        if node.extra:
            yield Demand(node.name, node.name, exact=node.version, direct=_direct(node.offer))
        for found in depends(metadata, node.extra, self.view.applies):
            if found.url and found.name not in self._direct:
                # An index may have another package of that name, by whomever.
                reason = f"{node.name} {node.version} needs {found.by_url}"
                yield Demand(UNUSABLE, UNUSABLE, reason=reason)
                continue
            given = {node.name, found.name} <= self.view.as_they_are
            for demand in _demands(found.name, found.extras, ANY if given else found.range):
                if demand.name in self._fixed and self._fixed[demand.name] is None:
                    if not self._strict:
                        raise MissingMatrixError(demand, node)
                    self.seen_fixed.add(demand.name)
                yield demand

    def _offers(
        self,
        name: str,
        ranges: frozenset[Range],
        exact: frozenset[Version],
        direct: frozenset[Offer],
    ) -> Iterator[Offer]:
        limits = self._limits.get(name, ())

        def admits(version: Version) -> bool:
            return all(one.admits(version) for one in ranges) and all(
                one.admits(version) for one in limits
            )

        if len(exact) > 1 or len(direct) > 1:
            return
        if direct:
            (only,) = direct
            if admits(only.version) and not any(one != only.version for one in exact):
                yield only
            return
        if name in self._fixed:
            self.seen_fixed.add(name)
            settled = self._fixed[name]
            if settled is not None and admits(settled) and all(one == settled for one in exact):
                found = self.view.offer(name, settled)
                if found is not None:
                    yield found
                elif self._gaps is not None and name not in self._gaps:
                    raise MissingFileError(name)
            return
        if exact:
            (version,) = exact
            found = self.view.offer(name, version) if admits(version) else None
            if found is not None:
                yield found
            return
        yield from read_ahead(self._indexed(name, ranges, limits, admits), self.view)

    def _indexed(
        self,
        name: str,
        ranges: frozenset[Range],
        limits: Sequence[Range],
        admits: Callable[[Version], bool],
    ) -> Iterator[Offer]:
        """Offers of an index, the preferred version first, then newest first."""
        options = self.view.options
        versions = self.view.versions(name)
        early = options.admits_prereleases(name, (*ranges, *limits) or (ANY,), versions)
        pins = [one.pins for one in (*ranges, *limits)]
        for version in _first(options.preferred.get(name), versions):
            if not admits(version) or (version.is_prerelease and not early):
                continue
            offer = self.view.offer(name, version)
            if offer is None or (offer.yanked and not any(version in one for one in pins)):
                continue
            yield offer

    def _node(self, key: str, name: str, offer: Offer) -> Node:
        known = self._nodes.get((key, offer))
        if known is None:
            extra = key[len(name) + 1 : -1]
            known = self._nodes[key, offer] = Node(key, name, extra, offer)
        return known


class OpenReporter(BaseReporter[Demand, Node, str]):
    """Counts how often a package stood in a clash: the provider settles such packages early."""

    def __init__(self, conflicts: Counter[str]) -> None:
        self._conflicts = conflicts
        self.rounds = 0

    def starting_round(self, index: int) -> None:
        self.rounds = index + 1

    def rejecting_candidate(self, criterion: Any, candidate: Node) -> None:
        names = {one.requirement.key for one in criterion.information}
        for name in names | {candidate.key}:
            self._conflicts[name] += 1


def depends(
    metadata: Metadata, extra: str, applies: Callable[[Any, str], bool]
) -> Iterator[Dependency]:
    """The dependencies of a release, or those that an extra of it adds.

    applies: whether a marker holds with an extra.
    """
    for text in metadata.requirement_texts:
        # Most lines of a metadata file belong to extras that nobody asked for.
        if not extra and "extra ==" in text and " or " not in text:
            continue
        found = dependency(text)
        if found is None:
            continue
        if extra:
            if not applies(found.marker, extra) or applies(found.marker, ""):
                continue
        elif not applies(found.marker, ""):
            continue
        yield found


def _demands(
    name: str,
    extras: Iterable[str],
    wanted: Range,
    *,
    direct: Offer | None = None,
    ask: Ask | None = None,
) -> Iterator[Demand]:
    yield Demand(name, name, wanted, direct=direct, ask=ask)
    for extra in extras:
        yield Demand(f"{name}[{extra}]", name, wanted, extra, direct, ask=ask)


def _is_met(demand: Demand, offer: Offer) -> bool:
    if demand.direct is not None:
        return offer is demand.direct
    if demand.exact is not None:
        return offer.version == demand.exact
    return demand.range is ANY or demand.range.admits(offer.version)


def _direct(offer: Offer) -> Offer | None:
    return offer if offer.ask is not None else None


def _first(preferred: Version | None, versions: Sequence[Version]) -> Iterable[Version]:
    if preferred is None or preferred not in versions:
        return versions
    return (preferred, *(version for version in versions if version != preferred))
