"""Edits of what the user wrote: which other versions are near, and how the line reads then.

Whether an edit helps is `fixes`' subject; this module only knows distances and texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace
from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from .conflict import Change
from .requirement import Requirement
from .selection import Interval
from .universe import Candidate, Package

__all__ = ["Move", "Unit", "applied", "drop", "editable", "move", "moves", "units"]


@dataclass(frozen=True)
class Unit:
    """One thing that the user wrote and all requirements that come from it, sorted."""

    requirements: tuple[Requirement, ...]

    @property
    def first(self) -> Requirement:
        """The requirement that stands for the unit."""
        return self.requirements[0]

    @property
    def movable(self) -> bool:
        """Whether another version can be written in its place.

        What the same line asks for without a version stays as it is: an extra, or the cuDNN that
        CUDA in the image comes with.
        """
        asked = (requirement.specifier for requirement in self.requirements)
        versions = {one for one in asked if _clauses(one)}
        written = bool(self.first.origin.file) and not self.first.of_file
        return written and len(versions) == 1


@dataclass(frozen=True)
class Move:
    """Another version that could be asked for.

    distance: in steps of the table; positions: the candidates that it means; name: as written.
    """

    distance: int
    above: bool
    name: str
    positions: tuple[int, ...]


def editable(requirement: Requirement) -> bool:
    """Whether the user wrote it, in a file or as an option; what a block asks for nobody did."""
    origin = requirement.origin
    return bool(origin.file) or origin.asker.startswith("--")


def units(requirements: Iterable[Requirement]) -> tuple[Unit, ...]:
    """What the user can edit, sorted: lines of files and options, not what blocks ask for."""
    grouped: dict[object, list[Requirement]] = {}
    for requirement in sorted(requirements):
        if editable(requirement):
            grouped.setdefault(requirement.origin, []).append(requirement)
    return tuple(Unit(tuple(found)) for found in grouped.values())


def moves(package: Package, specifier: str, admitted: Sequence[Interval]) -> tuple[Move, ...]:
    """Versions other than those that the specifier admits, nearest first.

    They are as exact as the specifier: for `==3.13.*` series, for `==2.4.1` releases whatever
    their variant, for `==2.4.1+cu121` single candidates, those of the same variant being nearer.
    Pre-releases are not suggested.
    """
    inside = {i for low, high in admitted for i in range(low, high + 1)}
    precision, local = _precision(specifier)
    groups: dict[str, list[int]] = {}
    for position, candidate in enumerate(package.candidates):
        if candidate.version is None or not candidate.version.is_prerelease:
            groups.setdefault(_name(candidate, precision, local), []).append(position)
    releases = _releases(package, precision)
    home = sorted({releases[i] for i in inside}) or [_home(package, specifier, releases)]
    found = []
    for name, positions in groups.items():
        if inside.intersection(positions):
            continue
        there = releases[positions[0]]
        steps = min(abs(there - here) for here in home)
        foreign = bool(local) and package.candidates[positions[0]].variant != local
        above = there > home[-1]
        found.append(Move(2 * steps + foreign, above, name, tuple(positions)))
    return tuple(sorted(found, key=lambda one: (one.distance, -one.positions[-1])))


def move(requirement: Requirement, target: Move) -> Change:
    """The edit that asks for another version, in the way that the user asked."""
    clauses = list(_clauses(requirement.specifier))
    text = requirement.origin.text
    if len(clauses) == 1:
        operator, version = clauses[0].operator, clauses[0].version
        plain = version.removesuffix(".*")
        if operator == "==" and plain in text:
            if old := _other_name(text, requirement.package):
                before = text[: text.index(plain, len(old)) + len(plain)]
                after = f"{requirement.package}=={target.name}"
                return Change(requirement, before, after, f"=={target.name}")
            wildcard = ".*" if version != plain else ""
            return Change(requirement, plain, target.name, f"=={target.name}{wildcard}")
        if operator in {">", ">="} and not target.above:
            return _respecified(requirement, f">={_as_exact(target.name, version)}")
        if operator in {"<", "<="} and target.above:
            return _respecified(requirement, f"<={target.name}")
    series = ".*" if any(clause.version.endswith(".*") for clause in clauses) else ""
    return _respecified(requirement, f"=={target.name}{series}")


def _as_exact(name: str, written: str) -> str:
    """A bound with as many numbers as the user's: `3.12` in place of `3.13`, and not `3.12.16`.

    It is of two numbers at least: of `2` there is none beside it that means anything.
    """
    version = Version(name)
    count = max(2, len(Version(written).release))
    whole = name == version.base_version
    return ".".join(map(str, version.release[:count])) if whole else name


def _other_name(text: str, package: str) -> str:
    """The old name under which a line pins a package (tensorflow-gpu); empty for its own.

    Another version is asked for under the package's own name: under the old one there may be none.
    """
    name = text.partition("==")[0].strip()
    pinned = "==" in text and name.startswith(f"{package}-")
    return name if pinned else ""


def drop(requirement: Requirement) -> Change:
    """The edit that takes the line or the option away."""
    return Change(requirement, requirement.origin.text or requirement.specifier, None, None)


def applied(
    requirements: Iterable[Requirement], changes: Iterable[Change]
) -> tuple[Requirement, ...]:
    """The requirements after the edits; one edit changes all that a line says of one version."""
    by_origin = {change.requirement.origin: change for change in changes}
    # A line that names another build than before eases nothing either.
    gone = {
        origin
        for origin, change in by_origin.items()
        if _local(change.specifier or "") != _local(change.requirement.specifier)
    }
    edited = []
    for requirement in requirements:
        change = by_origin.get(requirement.origin)
        if change is None:
            if requirement.eased_by and gone.issuperset(requirement.eased_by):
                requirement = replace(requirement, specifier=requirement.strict, eased_by=())
            edited.append(requirement)
        elif change.specifier is not None and change.after is not None:
            text = requirement.origin.text.replace(change.before, change.after)
            same = requirement.specifier == change.requirement.specifier
            specifier = change.specifier if same else requirement.specifier
            origin = replace(requirement.origin, text=text)
            edited.append(replace(requirement, specifier=specifier, origin=origin))
    return tuple(edited)


def _local(specifier: str) -> str:
    return specifier.partition("+")[2]


def _respecified(requirement: Requirement, specifier: str) -> Change:
    text, written = requirement.origin.text, requirement.specifier
    if written not in text:
        # Spaces between the clauses, for example: what follows the name is what was written.
        line = text.partition(";")[0].partition(" #")[0]
        start = next((i for i, letter in enumerate(line) if letter in "=<>!~"), len(line))
        written = line[start:].strip() or written
    return Change(requirement, written, specifier, specifier)


def _clauses(specifier: str) -> tuple[Specifier, ...]:
    try:
        return tuple(SpecifierSet(specifier))
    except ValueError:
        return ()


def _version(clause: Specifier) -> Version | None:
    """The version of a clause; None for what `===` alone admits."""
    try:
        return Version(clause.version.removesuffix(".*"))
    except InvalidVersion:
        return None


def _precision(specifier: str) -> tuple[int, str]:
    """How many release numbers the user's pin has (0: all of them), and its local part."""
    for clause in _clauses(specifier):
        if clause.operator in {"==", "==="}:
            if clause.version.endswith(".*"):
                return len(Version(clause.version.removesuffix(".*")).release), ""
            return 0, clause.version.partition("+")[2]
    return 0, ""


def _name(candidate: Candidate, precision: int, local: str) -> str:
    version = candidate.version
    if version is None or local:
        return candidate.label
    if precision:
        return ".".join(str(number) for number in version.release[:precision])
    return version.public


def _releases(package: Package, precision: int) -> list[int]:
    """For each position the number of its release (or series) counted from the oldest."""
    numbers: list[int] = []
    before = ""
    for candidate in package.candidates:
        name = _name(candidate, precision, "")
        numbers.append(numbers[-1] + (name != before) if numbers else 0)
        before = name
    return numbers


def _home(package: Package, specifier: str, releases: Sequence[int]) -> int:
    """Where a version that no candidate has would stand: the release just below it."""
    wanted = max(filter(None, map(_version, _clauses(specifier))), default=None)
    below = [
        number
        for candidate, number in zip(package.candidates, releases, strict=True)
        if wanted is not None and candidate.version is not None and candidate.version <= wanted
    ]
    return below[-1] if below else 0
