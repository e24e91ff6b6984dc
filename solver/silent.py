"""What to do when the tables are silent: the user names a version that is newer than they are.

A `MetadataSource` is asked for its facts; `silent_index` is the one that reads package indexes.
Where it cannot tell, the nearest known release's facts are assumed. Either way a warning says so,
and it is never a reason to refuse.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace
from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from .requirement import Requirement
from .selection import Selector
from .universe import (
    BUILD_IMAGE,
    RUNTIME_IMAGE,
    Candidate,
    Package,
    Relation,
    Term,
    Universe,
)

__all__ = ["Found", "MetadataSource", "Unread", "fill_in", "is_beyond", "is_guess"]

# How the facts of a candidate are told that stands for one that nobody could tell about.
_ASSUMED = "as of "
_UNTOLD = "not known"

# Operators whose version may itself be the one that is wanted.
NAMING = frozenset({"==", "===", ">=", "~="})


class Unread(Struct, frozen=True):
    """A requirement that a source knows nothing for.

    reason: a clause without a final full stop, `the index has no torch==2.99.0`; empty when there
    was nobody to ask.
    """

    requirement: Requirement
    reason: str = ""


class Found(Struct, frozen=True):
    """What a source knows.

    candidates: for the universe, of whatever packages; one with a known label takes the old one's
        place. They carry notes that tell the source.
    """

    candidates: tuple[Candidate, ...] = ()
    unread: tuple[Unread, ...] = ()


class MetadataSource(Protocol):
    """Knows versions that the tables do not, from package metadata for example."""

    def find(
        self, unknown: Sequence[Requirement], asked: Sequence[Requirement], universe: Universe
    ) -> Found:
        """What it knows of the versions that `unknown` names; it never fails.

        unknown: requirements that no candidate meets, sorted. asked: all requirements, sorted.
        universe: the candidates that are known.
        """


def fill_in(
    universe: Universe,
    requirements: Iterable[Requirement],
    source: MetadataSource | None = None,
) -> Universe:
    """The universe, with candidates for the versions that requirements name and no table knows.

    A version is taken for real when it is newer than every known one, or newer than every known
    one of its own series (the same first two numbers). One that the tables skip is not. A build
    that is named (`2.16.0+cu130`) is taken for real when its release is newer than every one of
    which the tables know builds with an index of their own.
    source: asked first; the nearest known release's facts are taken for what it does not know.
    """
    selector = Selector()
    asked = sorted(requirements)
    brought = {one.package for one in asked if one.brings}
    unknown = tuple(one for one in asked if _is_unknown(universe, one, selector, brought))
    if not unknown:
        return universe
    if source is not None:
        found = source.find(unknown, asked, universe)
    else:
        found = Found(unread=tuple(map(Unread, unknown)))
    grown = universe.extended(found.candidates) if found.candidates else universe
    guesses: dict[tuple[str, str], Candidate] = {}
    for one in found.unread:
        package = grown[one.requirement.package]
        for candidate in _guesses(package, one, in_part=package.name in grown.partial):
            guesses[candidate.package, candidate.label] = candidate
    if not guesses:
        return grown
    new = {(one.package, one.label) for one in (*found.candidates, *guesses.values())}
    grown = grown.extended(_coupled(tuple(guesses.values()), new))
    return grown.extended(_bringing(grown, tuple(guesses.values())))


def is_guess(candidate: Candidate) -> bool:
    """Whether a candidate stands for a version that nobody could tell about."""
    return candidate.facts == _UNTOLD or candidate.facts.startswith(_ASSUMED)


def _is_unknown(
    universe: Universe, requirement: Requirement, selector: Selector, brought: Container[str]
) -> bool:
    """Whether a requirement asks for what is newer than all that is known, and only for that.

    Or for what is older, where that may exist. brought: packages that are not merely limited.
    """
    package = universe[requirement.package]
    if package.name in universe.complete or package.opaque:
        return False
    if selector.specifier(package, requirement.specifier):
        return False
    if package.name in universe.partial:
        return package.name in brought and is_beyond(package, requirement, selector)
    wanted = _named_version(requirement)
    if wanted is None:
        return _is_above(package, requirement)
    return bool(_nearest(package, wanted) or _nearest_builds(package, wanted))


def is_beyond(package: Package, requirement: Requirement, selector: Selector) -> bool:
    """Whether a requirement asks for versions other than the known ones.

    Not so one whose parts exclude one another: `>=2,<1`.
    """
    clauses = requirement.specifier.split(",")
    return any(not selector.specifier(package, clause) for clause in clauses)


def _is_above(package: Package, requirement: Requirement) -> bool:
    """Whether a `>` rules out everything known; which version it wants only an index can tell."""
    newest = package.candidates[-1].version if package.candidates else None
    clauses = SpecifierSet(requirement.specifier)
    return newest is not None and any(
        one.operator == ">" and Version(newest.public) <= Version(one.version) for one in clauses
    )


def _guesses(package: Package, unread: Unread, *, in_part: bool) -> tuple[Candidate, ...]:
    """The candidates that stand for the unknown version, one a variant of the nearest release.

    in_part: whether the tables know the package in part.
    """
    wanted = _named_version(unread.requirement)
    if wanted is None:
        return ()
    near = _nearest_builds(package, wanted) or _nearest(package, wanted)
    if not near and in_part:
        return (_bare(package.name, wanted, unread.reason),)
    if near and wanted.local:
        alike = [one for one in near if one.variant == wanted.local]
        near = (alike[-1] if alike else _in_variant(near, wanted.local),)
    return tuple(_renamed(one, wanted, unread.reason) for one in near)


def _bare(package: str, wanted: Version, reason: str) -> Candidate:
    """A version of which nothing is known: what the nearest one needs says nothing of it."""
    note = (
        f"{package} {wanted} is not in the tables{f', and {reason}' if reason else ''}; what it "
        "needs of other packages is not known here"
    )
    return Candidate(package, str(wanted), wanted, notes=(note,), facts=_UNTOLD)


def _named_version(requirement: Requirement) -> Version | None:
    """The version that a requirement names and itself admits; None when it names none."""
    specifiers = SpecifierSet(requirement.specifier)
    versions = [one for one in map(_version, specifiers) if one is not None]
    admitted = (one for one in versions if specifiers.contains(one, prereleases=True))
    return max(admitted, default=None)


def _version(clause: Specifier) -> Version | None:
    if clause.operator not in NAMING:
        return None
    try:
        return Version(clause.version.removesuffix(".*"))
    except InvalidVersion:
        return None


def _nearest(package: Package, wanted: Version) -> tuple[Candidate, ...]:
    """All variants of the newest known release below `wanted`, if what is known ends there."""
    known = [one for one in package.candidates if one.version is not None]
    series = [one for one in known if one.version and one.version.release[:2] == wanted.release[:2]]
    for group in (series, known):
        newest = group[-1].version if group else None
        if newest is not None and newest < wanted and newest.public != wanted.public:
            return tuple(
                one for one in group if one.version and one.version.public == newest.public
            )
        if group:
            return ()
    return ()


def _nearest_builds(package: Package, wanted: Version) -> tuple[Candidate, ...]:
    """For a build that is named (`2.16.0+cu130`) what stands for it; nothing when all are known.

    It is the build in that variant of the newest release that has one. Where none has, all builds
    of the newest release.
    """
    builds = [
        one for one in package.candidates if one.version is not None and one.index and wanted.local
    ]
    newest = builds[-1].version if builds else None
    if newest is None or Version(newest.public) >= Version(wanted.public):
        return ()
    alike = [one for one in builds if one.variant == wanted.local]
    if alike:
        return (alike[-1],)
    return tuple(
        one for one in package.candidates if one.version and one.version.public == newest.public
    )


def _in_variant(near: Sequence[Candidate], variant: str) -> Candidate:
    """A build in a variant that no known release has: what all builds of a release share.

    What binds only some of them says nothing about this one.
    """
    one = near[-1]
    shared = tuple(r for r in one.relations if all(r in other.relations for other in near))
    index = one.index.replace(one.variant, variant)
    return replace(one, relations=shared, variant=variant, index=index)


def _renamed(near: Candidate, wanted: Version, reason: str) -> Candidate:
    """The nearest candidate under the unknown version's name."""
    known = near.version.public if near.version else near.label
    local = near.version.local if near.version else None
    label = f"{wanted.public}+{local}" if local and not wanted.local else str(wanted)
    name = near.package
    if name.startswith("system-"):  # what an image has of it
        name = f"the image of {name.removeprefix('system-')}"
    note = (
        f"{name} {wanted} is not in the tables{f', and {reason}' if reason else ''}; the "
        f"facts of {name} {known}, the nearest known release, are assumed"
    )
    return replace(
        near,
        label=label,
        version=Version(label),
        digest="",
        notes=(*near.notes, note),
        facts=f"{_ASSUMED}{near.package} {known}",
    )


def _coupled(guesses: Sequence[Candidate], new: Iterable[tuple[str, str]]) -> tuple[Candidate, ...]:
    """Guesses admit what is new: torchvision's nearest row cannot know the torch it came with.

    new: package and label of everything that was filled in.
    """
    labels: dict[str, set[str]] = {}
    for package, label in new:
        labels.setdefault(package, set()).add(label)

    def widened(relation: Relation) -> Relation:
        extra = tuple(
            Term(term.package, labels=frozenset(labels[term.package]))
            for term in relation.any_of
            if term.package in labels
        )
        return Relation(relation.fact, (*relation.any_of, *extra)) if extra else relation

    return tuple(
        replace(guess, relations=tuple(widened(relation) for relation in guess.relations))
        for guess in guesses
    )


def _bringing(universe: Universe, guesses: Sequence[Candidate]) -> Iterator[Candidate]:
    """The images that bring what a guess stands for: they bring the guess as well."""
    stands_for = {(one.package, _origin_label(one)): one.label for one in guesses}

    def widened(term: Term) -> Term:
        labels = term.labels or frozenset()
        more = {stands_for.get((term.package, label)) for label in labels} - {None}
        return replace(term, labels=labels.union(more)) if more else term

    for name in (BUILD_IMAGE, RUNTIME_IMAGE):
        for image in universe[name].candidates if name in universe else ():
            relations = tuple(
                Relation(one.fact, tuple(map(widened, one.any_of))) for one in image.relations
            )
            if relations != image.relations:
                yield replace(image, relations=relations)


def _origin_label(guess: Candidate) -> str:
    """The label of the candidate whose facts are assumed of a guess."""
    return guess.facts.removeprefix(f"{_ASSUMED}{guess.package} ")
