"""The closed world that the engines search: packages, their candidates, and what binds them.

A candidate is a version, a variant of one, or an opaque label such as an image reference. It
carries relations; a relation is a disjunction of terms and the fact (a table row) that states it.
How relations come out of the tables is `matrix`'s subject, how they are searched `sat`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TypeVar, cast

from msgspec import Struct, field
from msgspec.structs import replace
from packaging.version import Version

__all__ = [
    "BUILD_IMAGE",
    "PYTHON",
    "RUNTIME_IMAGE",
    "Candidate",
    "Fact",
    "Package",
    "Relation",
    "Term",
    "Universe",
    "constrains",
    "requires",
]

BUILD_IMAGE = "build-image"
RUNTIME_IMAGE = "runtime-image"
PYTHON = "python"

Answer = TypeVar("Answer")


class Fact(Struct, frozen=True, order=True):
    """What a table row states, for people.

    table: file of the table, relative to the package: `compat/torch.csv`.
    row: 1-based line number in that file; 0 for what a package index says.
    key: what identifies the row to a reader: `torch 2.4.1`.
    text: a sentence without a final full stop: `torch 2.4.1 has wheels for Python 3.8 to 3.12`.
    """

    table: str
    row: int
    key: str
    text: str


class Term(Struct, frozen=True, order=True):
    """A set of candidates of one package; it holds when the chosen one is in the set.

    package: name of the package.
    specifier: PEP 440 specifier set over the candidates' versions; pre-releases are admitted when
        they are in the range. Empty admits every candidate. A package with opaque labels knows
        `==label`, `!=label` and commas, nothing else.
    variants: admits only these variants; None admits all.
    labels: admits only these labels; None admits all. Specifier, variants and labels must all hold.
    absent_ok: the term also holds when the package is not chosen at all.
    """

    package: str
    specifier: str = ""
    variants: frozenset[str] | None = None
    labels: frozenset[str] | None = None
    absent_ok: bool = False


class Relation(Struct, frozen=True, order=True):
    """A candidate that is chosen obliges: at least one of the terms holds, as the fact states."""

    fact: Fact
    any_of: tuple[Term, ...]


def requires(fact: Fact, *alternatives: Term) -> Relation:
    """The candidate needs one of the alternatives to be present."""
    return Relation(fact, alternatives)


def constrains(
    fact: Fact,
    package: str,
    specifier: str = "",
    *,
    variants: frozenset[str] | None = None,
    labels: frozenset[str] | None = None,
) -> Relation:
    """If `package` is present, it must be in the set; `labels=frozenset()` means never present."""
    return Relation(fact, (Term(package, specifier, variants, labels, absent_ok=True),))


class Candidate(Struct, frozen=True):
    """One thing that can be chosen for a package.

    package: PEP 503 normalised name.
    label: as people read it, unique in its package: `2.7.1+cu128`, `docker.io/library/debian:12`.
    version: the label as a PEP 440 version; None for an opaque label (then `order` ranks it).
    order: rank of an opaque label, small is old; ignored when there is a version.
    variant: build variant (`cu128`, `cpu`); empty where the package has none.
    index: package index that serves it; empty for the default index or for no Python package.
    size: approximate compressed size in MB, or any measure that orders alike; 0 when unknown.
    digest: `sha256:…` of an image where it is known.
    provides: of an image, name -> version of what it contains.
    relations: what it obliges. The same Relation object may hang on many candidates.
    notes: warnings that come with choosing it ("torch 2.16.0 is not in the tables …").
    facts: where its facts come from when no table has it; empty when one does.
    """

    package: str
    label: str
    version: Version | None = None
    order: int = 0
    variant: str = ""
    index: str = ""
    size: int = 0
    digest: str = ""
    provides: Mapping[str, str] = field(default_factory=dict)
    relations: tuple[Relation, ...] = ()
    notes: tuple[str, ...] = ()
    facts: str = ""

    def __hash__(self) -> int:
        # Equal candidates have equal labels; a mapping has no hash.
        return hash((self.package, self.label))


class Package(Struct, frozen=True, dict=True):
    """A package and its candidates, oldest first."""

    name: str
    candidates: tuple[Candidate, ...]

    @property
    def opaque(self) -> bool:
        """Whether the labels are no PEP 440 versions."""
        return bool(self.candidates) and self.candidates[0].version is None

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Label -> position in `candidates`."""
        return {candidate.label: i for i, candidate in enumerate(self.candidates)}

    def once(self, question: Hashable, answer: Callable[[], Answer]) -> Answer:
        """What is asked about the package again and again and never changes: worked out once.

        question: what identifies it. answer: works it out, from the package and the question alone.
        """
        known = self._answers
        if question not in known:
            known[question] = answer()
        return cast("Answer", known[question])

    @cached_property
    def _answers(self) -> dict[Hashable, object]:
        return {}


class Universe(Struct, frozen=True):
    """All packages by name; make one with `Universe.of`.

    complete: packages of which all versions are known, so that one that is not there does not
    exist.
    partial: packages of which only the versions from some day on are known, so that any that is not
    there may exist.
    platform: for messages, where it is not the usual one: `linux/arm64`.
    """

    packages: Mapping[str, Package]
    complete: frozenset[str] = frozenset()
    partial: frozenset[str] = frozenset()
    platform: str = ""

    @classmethod
    def of(cls, candidates: Iterable[Candidate]) -> Universe:
        """The universe of these candidates, in any order.

        Raises ValueError when a package has a label twice, or both versions and opaque labels.
        """
        grouped = _grouped(candidates)
        return cls({name: _package(name, grouped[name]) for name in sorted(grouped)})

    def __contains__(self, name: str) -> bool:
        return name in self.packages

    def __getitem__(self, name: str) -> Package:
        return self.packages[name]

    def __iter__(self) -> Iterator[Candidate]:
        for package in self.packages.values():
            yield from package.candidates

    def extended(self, extra: Iterable[Candidate]) -> Universe:
        """This universe and more candidates; one with a known label takes the old one's place."""
        packages = dict(self.packages)
        for name, added in _grouped(extra).items():
            known = packages[name].candidates if name in packages else ()
            merged = {candidate.label: candidate for candidate in (*known, *added)}
            packages[name] = _package(name, list(merged.values()))
        return replace(self, packages={name: packages[name] for name in sorted(packages)})

    def completed(self, names: Iterable[str]) -> Universe:
        """This universe with more packages of which all versions are known."""
        return replace(self, complete=self.complete.union(names))


def _grouped(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    grouped: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        grouped.setdefault(candidate.package, []).append(candidate)
    return grouped


def _package(name: str, candidates: list[Candidate]) -> Package:
    opaque = sum(candidate.version is None for candidate in candidates)
    if 0 < opaque < len(candidates):
        raise ValueError(f"{name}: some candidates have a version and some have none")
    if opaque:
        ordered = sorted(candidates, key=lambda candidate: (candidate.order, candidate.label))
    else:
        ordered = sorted(candidates, key=_version_key)
    labels = {candidate.label for candidate in ordered}
    if len(labels) < len(ordered):
        raise ValueError(f"{name}: a label stands twice")
    return Package(name, tuple(ordered))


def _version_key(candidate: Candidate) -> tuple[Version, str]:
    assert candidate.version is not None  # noqa: S101  # _package has looked
    return candidate.version, candidate.label
