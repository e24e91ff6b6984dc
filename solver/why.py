"""Why a package was chosen as it was: who needs it, and what ruled out every better candidate."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from .conflict import Conflict
from .explain import facts_against, minimal_core
from .policy import POLICIES, Policy, Step, ranking
from .problem import IMAGES, prepare
from .requirement import Requirement
from .sat import Decision, Engine, Optimum
from .silent import MetadataSource
from .solve import holds
from .universe import Candidate, Fact, Package, Universe

__all__ = ["Link", "Preferred", "Refusal", "Why", "why"]


@dataclass(frozen=True, order=True)
class Link:
    """One reason for a package: a requirement on it, or a fact about a chosen candidate.

    holder: `torch 2.7.1+cu128`, the candidate whose fact it is; empty for a requirement.
    narrows: the fact only limits the package, it does not bring it in.
    """

    package: str
    reason: Requirement | Fact
    holder: str = ""
    narrows: bool = False


@dataclass(frozen=True)
class Preferred:
    """A choice of higher importance that was settled first.

    label: what was chosen; empty when it was settled that the package is absent.
    avoided: what the package would have meant, if its candidates say so.
    """

    step: Step
    label: str
    avoided: str = ""


@dataclass(frozen=True)
class Refusal:
    """Candidates that would have been better, best first, and the least that rules them out."""

    labels: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    facts: tuple[Fact, ...]
    preferred: tuple[Preferred, ...]


@dataclass(frozen=True)
class Why:
    """The explanation of one package; chosen is None when the package is not there.

    links: of a package that is not there, the lines and facts that speak of it and are met without
        it. decided: whether the tables have the package at all.
    """

    package: str
    chosen: Candidate | None
    links: tuple[Link, ...]
    refusals: tuple[Refusal, ...]
    decided: bool = True


def why(
    package: str,
    requirements: Iterable[Requirement],
    universe: Universe,
    policy: Policy | None = None,
    source: MetadataSource | None = None,
) -> Why | Conflict:
    """Why `resolve` with the same arguments chooses this package's version, or leaves it out.

    Raises UserError as `resolve` does.
    """
    requirements = sorted(requirements)
    problem = prepare(requirements, universe, source)
    with Engine(problem.universe, problem.requirements, explain=True) as engine:
        optimum = engine.optimum(policy or POLICIES["newest"])
        if optimum is None:
            from .fixes import explained

            with Engine(problem.universe, problem.requirements) as plain:
                return Conflict(explained(problem, plain))
        chosen = optimum.chosen.get(package)
        if chosen is None:
            said = (Link(package, one) for one in requirements if one.package == package)
            return Why(
                package,
                None,
                (*said, *_met_without(package, optimum.chosen)),
                (),
                package in universe,
            )
        links = _links(package, problem.requirements, optimum.chosen)
        return Why(package, chosen, links, _refusals(engine, package, optimum))


def _links(
    package: str, requirements: Sequence[Requirement], chosen: Mapping[str, Candidate]
) -> tuple[Link, ...]:
    """The reasons for a package, then those for what needs it, up to the requirements."""
    found: list[Link] = []
    queue, seen = [package], {package}
    while queue:
        name = queue.pop(0)
        found += [
            Link(name, one, narrows=not one.brings)
            for one in requirements
            if one.package == name and holds(one, chosen)
        ]
        links = sorted(_facts_about(name, chosen), key=lambda one: (one.narrows, one))
        found += [one for one in links if name == package or not one.narrows]
        for link in links:
            holder = link.holder.partition(" ")[0]
            if not link.narrows and holder not in {*seen, *IMAGES}:
                seen.add(holder)
                queue.append(holder)
    return tuple(found)


def _met_without(package: str, chosen: Mapping[str, Candidate]) -> tuple[Link, ...]:
    """The facts that would have the package there, had nothing else met them."""
    return tuple(sorted(link for link in _facts_about(package, chosen) if not link.narrows))


def _facts_about(name: str, chosen: Mapping[str, Candidate]) -> set[Link]:
    links = set()
    for holder in chosen.values():
        for relation in holder.relations:
            terms = [term for term in relation.any_of if term.package == name]
            if terms and holder.package != name:
                narrows = all(term.absent_ok for term in terms)
                label = f"{holder.package} {holder.label}"
                links.add(Link(name, relation.fact, label, narrows))
    return links


def _refusals(engine: Engine, name: str, optimum: Optimum) -> tuple[Refusal, ...]:
    """What ruled out each candidate that the policy would have liked better."""
    package = engine.encoding.packages[name]
    found: list[tuple[list[str], tuple[int, ...], int]] = []
    for position, settled in _better(package, optimum):
        label = package.candidates[position].label
        wanted = engine.among(package, [position])
        if found and not engine.check([wanted, *found[-1][1]]):
            found[-1][0].append(label)
        else:
            core = _core(engine, name, wanted, optimum, settled)
            found.append(([label], core, settled))
    return tuple(_refusal(engine, optimum, *one) for one in found)


def _core(
    engine: Engine, name: str, wanted: int, optimum: Optimum, settled: int
) -> tuple[int, ...]:
    """Literals of requirements, facts and earlier decisions that rule out `wanted`.

    name: the package that `wanted` is about.
    """
    above = minimal_core(engine.solve, engine, engine.selectors, fixed=[wanted])
    if above or not engine.solve([wanted, *engine.selectors]):
        return _with_facts(engine, name, wanted, above)
    # It could be had, but only at the price of something that matters more.
    earlier = _earlier(engine, optimum.decisions[:settled])

    def rule_out(count: int) -> bool:
        return not engine.solve([wanted, *engine.selectors, *earlier[:count]])

    # What matters most says most, unless it takes more rows to see it.
    fewest = bisect_left(range(len(earlier)), True, key=rule_out)
    found = []
    for decisions in (earlier[:fewest], earlier):
        members = list(dict.fromkeys([*reversed(decisions), *engine.selectors]))
        above = minimal_core(engine.solve, engine, members, fixed=[wanted])
        core = _with_facts(engine, name, wanted, above)
        found.append((len(core) - len(above), core))
    return min(found, key=itemgetter(0))[1]


def _earlier(engine: Engine, decisions: Iterable[Decision]) -> list[int]:
    """The literals of what was preferred; what a requirement leaves no choice of never was."""
    asked = [
        (engine.encoding.packages[one.package], one.specifier)
        for one in engine.requirements
        if one.is_certain
    ]
    given = {
        package.name
        for package, specifier in asked
        if sum(high + 1 - low for low, high in engine.encoding.positions(package, specifier)) == 1
    }
    # That a line with a marker applies is a choice of the Python, whatever the line asks for.
    return [
        one.literal
        for one in decisions
        if one.literal and (one.step.prefer == "present" or one.step.package not in given)
    ]


def _with_facts(engine: Engine, name: str, wanted: int, above: Sequence[int]) -> tuple[int, ...]:
    pairs = zip(engine.selectors, engine.requirements, strict=True)
    about = {name, *(one.package for literal, one in pairs if literal in above)}
    facts = facts_against(engine, [wanted, *above], about)
    return (*above, *(engine.facts[fact] for fact in facts))


def _refusal(
    engine: Engine, optimum: Optimum, labels: Sequence[str], core: Sequence[int], settled: int
) -> Refusal:
    literals = set(core)
    pairs = zip(engine.selectors, engine.requirements, strict=True)
    return Refusal(
        tuple(labels),
        tuple(sorted(one for literal, one in pairs if literal in literals)),
        tuple(sorted(fact for fact, literal in engine.facts.items() if literal in literals)),
        _preferred(engine, literals, optimum, settled),
    )


def _better(package: Package, optimum: Optimum) -> list[tuple[int, int]]:
    """Positions of better candidates, best first, each with how many decisions came before it."""
    chosen = package.position[optimum.chosen[package.name].label]
    better: list[tuple[int, int]] = []
    equal = set(range(len(package.candidates)))
    for number, decision in enumerate(optimum.decisions):
        if decision.step.package != package.name:
            continue
        for group in ranking(package, decision.step.prefer):
            members = equal.intersection(group)
            if chosen in members:
                equal = members
                break
            better += [(position, number) for position in sorted(members, reverse=True)]
    return better


def _preferred(
    engine: Engine, literals: set[int], optimum: Optimum, settled: int
) -> tuple[Preferred, ...]:
    found = []
    for decision in optimum.decisions[:settled]:
        if decision.literal in literals:
            name = decision.step.package
            notes = engine.encoding.universe[name].candidates[-1].notes
            chosen = optimum.chosen.get(name)
            label = chosen.label if chosen else ""
            found.append(Preferred(decision.step, label, "" if chosen else "; ".join(notes)))
    return tuple(found)
