"""What new tables would change for projects: which resolutions become others, and why.

A project is solved under the options that its lock was made with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..compat.tables import overlaid
from ..errors import UserError
from ..origin import Origin
from ..solver.conflict import Conflict
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from ..solver.solve import resolve
from ..solver.universe import Candidate, Universe
from .compose import Composition
from .locking import load_to_lock
from .said import Said
from .solve import policy_of, requirements_of, universe_of

__all__ = ["Drift", "Moved", "drifts", "projects_in", "text"]

_IMAGES = {"base image": "runtime", "build image": "build"}

Outcome = Resolution | Conflict


@dataclass(frozen=True)
class Moved:
    """A package that another version is chosen of. before, after: empty where it is not there."""

    package: str
    before: str
    after: str
    why: str


@dataclass(frozen=True)
class Drift:
    """A project under old and new tables.

    fault: why it cannot be compared. broken, mended: it has a solution under one of the two only;
    then `why` tells the conflict. moved: packages, empty when nothing changes.
    options: of the project's lock, as they are written.
    """

    project: Path
    fault: str = ""
    broken: bool = False
    mended: bool = False
    why: str = ""
    moved: tuple[Moved, ...] = ()
    options: tuple[str, ...] = ()


def projects_in(folder: Path) -> tuple[Path, ...]:
    """The folder itself if it is a project, and the projects right below it, sorted."""
    candidates = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    return tuple(path for path in candidates if (path / "cog.yaml").exists())


def drifts(folder: Path, old: Path, new: Path) -> tuple[Drift, ...]:
    """Every project of a folder, solved under the tables of `old` and of `new`.

    Raises UserError when the folder holds no project, and what `Tables` raises.
    """
    found = projects_in(folder)
    if not found:
        raise UserError(f"{folder} holds no project", hint="name a folder of folders with cog.yaml")
    return tuple(_drift(project, old, new) for project in found)


def _drift(project: Path, old: Path, new: Path) -> Drift:
    try:
        before, _ = _solved(project, old)
        after, universes = _solved(project, new)
    except UserError as error:
        return Drift(project, fault=str(error.faults[0]))
    options = universes.composition.options.words
    if isinstance(before, Conflict) or isinstance(after, Conflict):
        return replace(_unsolved(project, before, after), options=options)
    with overlaid([old]):
        earlier = universe_of(universes.composition, universes.roots)
    moved = tuple(_moved(before, after, earlier, universes))
    return Drift(project, moved=moved, options=options)


@dataclass(frozen=True)
class _Question:
    composition: Composition
    requirements: tuple[Requirement, ...]
    universe: Universe

    @property
    def roots(self) -> frozenset[str]:
        return frozenset(one.package for one in self.requirements)


def _solved(project: Path, folder: Path) -> tuple[Outcome, _Question]:
    with overlaid([folder]):
        composition = load_to_lock(project, Said())
        requirements = requirements_of(composition)
        universe = universe_of(composition, {one.package for one in requirements})
    outcome = resolve(requirements, universe, policy_of(composition))
    return outcome, _Question(composition, requirements, universe)


def _unsolved(project: Path, before: Outcome, after: Outcome) -> Drift:
    from ..solver.text import conflict_text

    if isinstance(before, Conflict) and isinstance(after, Conflict):
        return Drift(project)
    conflict = before if isinstance(before, Conflict) else after
    assert isinstance(conflict, Conflict)  # noqa: S101  # one of the two is
    why = conflict_text(conflict)
    return Drift(project, broken=conflict is after, mended=conflict is before, why=why)


def _moved(
    before: Resolution, after: Resolution, earlier: Universe, question: _Question
) -> Iterator[Moved]:
    old, new = _choices(before), _choices(after)
    changed = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    for name in changed:
        was, now = old.get(name, ""), new.get(name, "")
        yield Moved(name, was, now, _reason(name, was, now, earlier, question, changed))


def _choices(resolution: Resolution) -> Mapping[str, str]:
    chosen = {choice.package: choice.version for choice in resolution}
    images = resolution.base_images
    for name, role in _IMAGES.items():
        chosen[name] = getattr(images, role).ref
    return chosen


def _reason(
    name: str,
    was: str,
    now: str,
    earlier: Universe,
    question: _Question,
    changed: Iterable[str],
) -> str:
    package = {"base image": "runtime-image", "build image": "build-image"}.get(name, name)
    new, old = _candidate(question.universe, package, now), _candidate(earlier, package, now)
    if now and old is None and new is not None:
        return f"{now} is new in the tables"
    if was and _candidate(question.universe, package, was) is None:
        return f"{was} is no longer in the tables"
    if was and (notes := _notes(question.universe, package, was)):
        return notes[0]
    if was and not _is_possible(question, package, was):
        return f"{was} is no longer possible: {_obstacle(question, package, was)}"
    facts = {fact.fact.text for fact in new.relations} if new else set()
    fresh = sorted(facts - ({fact.fact.text for fact in old.relations} if old else set()))
    if fresh:
        return f"a row says another thing now: {fresh[0]}"
    others = [other for other in changed if other != name]
    return f"it follows from {', '.join(others)}" if others else "the tables prefer it now"


def _candidate(universe: Universe, package: str, label: str) -> Candidate | None:
    if package not in universe or label not in universe[package].position:
        return None
    return universe[package].candidates[universe[package].position[label]]


def _notes(universe: Universe, package: str, label: str) -> tuple[str, ...]:
    found = _candidate(universe, package, label)
    return found.notes if found else ()


def _pinned(question: _Question, package: str, label: str) -> Outcome:
    pin = Requirement(package, f"=={label}", Origin(asker="the old tables", text=label))
    policy = policy_of(question.composition)
    return resolve([*question.requirements, pin], question.universe, policy)


def _is_possible(question: _Question, package: str, label: str) -> bool:
    return isinstance(_pinned(question, package, label), Resolution)


def _obstacle(question: _Question, package: str, label: str) -> str:
    conflict = _pinned(question, package, label)
    if isinstance(conflict, Conflict):
        facts = sorted(fact.text for clash in conflict.clashes for fact in clash.facts)
        if facts:
            return facts[0]
    return "the other requirements are in the way"


def text(found: Iterable[Drift]) -> str:
    """The drifts for a reader: a paragraph for each project that changes, a count of the rest."""
    lines = []
    same = 0
    for drift in found:
        name = " ".join((drift.project.name or str(drift.project), *drift.options))
        if drift.fault:
            lines += [f"{name}: cannot be compared: {drift.fault}"]
        elif drift.broken:
            lines += [f"{name}: has no solution any longer", *_indented(drift.why)]
        elif drift.mended:
            lines += [f"{name}: has a solution now; before:", *_indented(drift.why)]
        elif drift.moved:
            lines += [f"{name}:"]
            lines += [
                f"  {one.package} {one.before or 'absent'} -> {one.after or 'absent'}: {one.why}"
                for one in drift.moved
            ]
        else:
            same += 1
    if same:
        lines += [
            "1 project resolves as before" if same == 1 else f"{same} projects resolve as before"
        ]
    return "".join(f"{line}\n" for line in lines)


def _indented(told: str) -> Iterator[str]:
    return (f"  {line}".rstrip() for line in told.splitlines())
