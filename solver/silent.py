"""What to do when the tables are silent: the user pins a version that they do not know.

Without an index to ask, the nearest known row's facts are taken over and a warning says so; it is
never a reason to refuse. `MetadataSource` is the seam for an index that knows better.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from .requirement import Requirement
from .selection import Selector
from .universe import Candidate, Package, Relation, Term, Universe

__all__ = ["MetadataSource", "fill_in"]

# Operators whose version may itself be the one that is wanted.
NAMING = frozenset({"==", "===", ">=", "~="})


class MetadataSource(Protocol):
    """Knows versions that the tables do not, from package metadata for example."""

    def candidates(self, package: str, requirement: Requirement) -> Iterable[Candidate]:
        """Candidates that the requirement admits; none when the source cannot tell."""


def fill_in(
    universe: Universe,
    requirements: Iterable[Requirement],
    source: MetadataSource | None = None,
) -> Universe:
    """The universe, with candidates for the versions that requirements name and no table knows.

    A version is taken for real when it is newer than every known one, or newer than every known
    one of its own series (the same first two numbers). One that the tables skip is not.
    source: asked first; the nearest known release's facts are taken when it knows nothing.
    """
    selector = Selector()
    extra: dict[tuple[str, str], Candidate] = {}
    for requirement in sorted(requirements):
        package = universe[requirement.package]
        if package.name in universe.complete:
            continue
        if package.opaque or selector.specifier(package, requirement.specifier):
            continue
        found = tuple(source.candidates(package.name, requirement)) if source else ()
        for candidate in found or _guesses(package, requirement):
            extra[candidate.package, candidate.label] = candidate
    if not extra:
        return universe
    return universe.extended(_coupled(tuple(extra.values())))


def _guesses(package: Package, requirement: Requirement) -> tuple[Candidate, ...]:
    """The candidates that stand for the unknown version, one a variant of the nearest release."""
    wanted = _named_version(requirement)
    if wanted is None:
        return ()
    near = _nearest(package, wanted)
    if not near:
        return ()
    release = Version(wanted.public)
    if not wanted.local or any(one.variant == wanted.local for one in near):
        return tuple(_copy(one, release, one.variant, near) for one in near)
    return (_copy(near[-1], release, wanted.local, near),)


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
    """All variants of the newest known release below `wanted`, if the tables end there."""
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


def _copy(
    near: Candidate, release: Version, variant: str, variants: Sequence[Candidate]
) -> Candidate:
    """The nearest candidate under the unknown version's name."""
    local = near.version.local if near.version else None
    if variant != near.variant:
        # A variant that even the nearest release does not have: what binds only one of its
        # variants says nothing about this one.
        shared = [r for r in near.relations if all(r in one.relations for one in variants)]
        near = replace(
            near, relations=tuple(shared), index=near.index.replace(near.variant, variant)
        )
        local = variant
    label = f"{release}+{local}" if local else str(release)
    known = near.version.public if near.version else near.label
    note = (
        f"the tables do not know {near.package} {release}; "
        f"the facts of {near.package} {known}, the nearest known release, were taken for it"
    )
    return replace(
        near,
        label=label,
        version=Version(label),
        variant=variant,
        size=near.size,
        digest="",
        notes=(*near.notes, note),
    )


def _coupled(guesses: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Guesses admit one another: torchvision's nearest row cannot know the torch it came with."""
    labels: dict[str, set[str]] = {}
    for guess in guesses:
        labels.setdefault(guess.package, set()).add(guess.label)

    def widened(relation: Relation) -> Relation:
        extra = tuple(
            Term(term.package, labels=frozenset(labels[term.package]))
            for term in relation.any_of
            if term.package in labels
        )
        return replace(relation, any_of=(*relation.any_of, *extra)) if extra else relation

    return tuple(
        replace(guess, relations=tuple(widened(relation) for relation in guess.relations))
        for guess in guesses
    )
