"""Random matrices with random indexes beside them, and brute force over both as the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, product
from typing import Any, cast

from hypothesis import strategies as st
from packaging.requirements import Requirement as Dependency
from packaging.version import Version

from cogpack.index import CachePolicy, File, IndexClient, Location, Metadata, Page, Sources
from cogpack.origin import Origin
from cogpack.solver.conflict import Change
from cogpack.solver.loop import Question
from cogpack.solver.open_catalog import Catalog
from cogpack.solver.open_model import Ask, OpenOptions
from cogpack.solver.requirement import Requirement
from cogpack.solver.universe import Candidate, Fact, Relation, Term, Universe

__all__ = ["Release", "World", "has_answer", "is_answer", "matrix_of", "world_of", "worlds"]

PYTHONS = ("3.11.4", "3.12.2")
MATRIX = ("m", "n")
OPEN = ("a", "b", "c")
VERSIONS = ("1", "2", "3")
SPECIFIERS = ("", "==1", "==2", ">=2", "<2", "!=2", "<3")
MARKERS = ("", "", "", "; python_version < '3.12'", "; python_version >= '3.12'")
INDEX = "https://index.invalid/simple/"


@dataclass(frozen=True)
class Release:
    """A release on the index: what it needs and on which Pythons it installs."""

    requires: tuple[str, ...] = ()
    requires_python: str = ""
    more: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """All lines of its metadata; `more` belongs to its extra `x`."""
        return (*self.requires, *(f"{line} ; extra == 'x'" for line in self.more))


@dataclass(frozen=True)
class World:
    """A matrix, an index that has its distributions and others, and a user's lines."""

    universe: Universe
    index: Mapping[str, Mapping[str, Release]]
    asks: tuple[Ask, ...]
    python: str

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """What a project's blocks ask of the matrix."""
        return (
            Requirement("python", self.python, Origin("cog.yaml", 2, f"python: {self.python}")),
            *(
                Requirement(ask.name, ask.specifier, ask.origin)
                for ask in self.asks
                if ask.name in MATRIX and not ask.constraint
            ),
        )

    @property
    def question(self) -> Question:
        """The question to both worlds."""
        return Question(
            self.requirements,
            lambda _: self.universe,
            self.asks,
            frozenset(MATRIX),
            options=OpenOptions(compile=True),
        )

    def catalog(self) -> Catalog:
        """The index without any network."""
        client = cast("IndexClient", _Client(self.index))
        return Catalog(client, Sources(Location(INDEX)), self.asks)

    def changed(self, changes: Sequence[Change]) -> World:
        """The world after an edit of the user's lines."""
        by_origin = {change.requirement.origin: change for change in changes}
        kept = []
        for ask in self.asks:
            change = by_origin.get(ask.origin)
            specifier = ask.specifier if change is None else change.specifier
            if specifier is not None:
                kept.append(
                    Ask(
                        ask.origin,
                        ask.name,
                        specifier,
                        ask.extras,
                        ask.marker,
                        constraint=ask.constraint,
                    )
                )
        python = self.python
        for change in changes:
            if change.requirement.package == "python":
                python = change.specifier or ""
        return World(self.universe, self.index, tuple(kept), python)


class _Client:
    """Answers like an `IndexClient`, at once and from memory."""

    def __init__(self, index: Mapping[str, Mapping[str, Release]]) -> None:
        self.policy = CachePolicy(offline=True)
        self._index = index

    def page(self, location: Location, name: str) -> Page | None:
        releases = self._index.get(name)
        if not releases:
            return None
        found = {
            Version(version): (_file(name, version, release),)
            for version, release in sorted(releases.items(), reverse=True)
        }
        return Page(name, location.url, found)

    def metadata(self, name: str, files: Sequence[File], location: Location | None) -> Metadata:
        version = str(files[0].version)
        release = self._index[name][version]
        return Metadata(name, files[0].version, release.lines, release.requires_python, ("x",))

    def start(self, jobs: Sequence[Callable[[], object]]) -> list[Future[object]]:
        return []


def _file(name: str, version: str, release: Release) -> File:
    filename = f"{name}-{version}-py3-none-any.whl"
    hashes = (("sha256", "0" * 64),)
    python = release.requires_python or None
    url = f"{INDEX}{filename}"
    return File(filename, url, "wheel", Version(version), hashes, requires_python=python)


# Drawing

_lines = st.builds(
    "{}{}{}{}".format,
    st.sampled_from((*OPEN, *OPEN, *MATRIX)),
    st.sampled_from(("", "", "", "[x]")),
    st.sampled_from(SPECIFIERS),
    st.sampled_from(MARKERS),
).map(lambda line: line.replace("m[x]", "m").replace("n[x]", "n"))
_plain = st.builds("{}{}".format, st.sampled_from(OPEN), st.sampled_from(SPECIFIERS))
_releases = st.builds(
    Release,
    st.lists(_lines, max_size=2).map(tuple),
    st.sampled_from(("", "", "", ">=3.12", "<3.12")),
    st.lists(_plain, max_size=1).map(tuple),
)
_pages = st.dictionaries(st.sampled_from(VERSIONS), _releases, max_size=2)
_indexes = st.fixed_dictionaries(dict.fromkeys((*OPEN, *MATRIX), _pages))
_terms = st.builds(
    Term,
    package=st.sampled_from((*MATRIX, "python")),
    specifier=st.sampled_from(("", "==1", ">=2", "==3.12.*", "==3.11.*")),
    absent_ok=st.booleans(),
)
_obligations = st.lists(st.lists(_terms, min_size=1, max_size=2).map(tuple), max_size=1)
_labels = st.dictionaries(st.sampled_from(("1", "2")), _obligations, min_size=1)
_wishes = st.lists(st.tuples(_lines, st.booleans()), min_size=1, max_size=4)


def matrix_of(matrix: Mapping[str, Mapping[str, Sequence[tuple[Term, ...]]]]) -> Universe:
    """Two Pythons, a glibc, and distributions with what each version obliges."""
    rows = count(1)
    candidates = [Candidate("python", one, Version(one)) for one in PYTHONS]
    candidates.append(Candidate("glibc", "2.36", Version("2.36")))
    for name, labels in matrix.items():
        for label, obligations in labels.items():
            relations = tuple(
                Relation(Fact("compat/test.csv", next(rows), f"{name} {label}", "fact"), terms)
                for terms in obligations
            )
            candidates.append(Candidate(name, label, Version(label), relations=relations))
    return Universe.of(candidates).completed(matrix)


def _world(
    matrix: Mapping[str, Mapping[str, Sequence[tuple[Term, ...]]]],
    index: Mapping[str, Mapping[str, Release]],
    wishes: Sequence[tuple[str, bool]],
    python: str,
) -> World:
    asks = tuple(_ask(line, number, limit) for number, (line, limit) in enumerate(wishes, 1))
    return World(matrix_of(matrix), index, asks, python)


def world_of(
    matrix: Mapping[str, Mapping[str, Sequence[tuple[Term, ...]]]],
    index: Mapping[str, Mapping[str, Release]],
    lines: Sequence[str],
) -> World:
    """A world of these lines of requirements.txt; a package that `index` has not is on none."""
    pages = {name: index.get(name, {}) for name in (*OPEN, *MATRIX)}
    return _world(matrix, pages, [(line, False) for line in lines], "")


def _ask(line: str, number: int, constraint: bool) -> Ask:
    read = Dependency(line)
    # A matrix line with a marker is judged by the blocks, before the loop.
    marker = "" if read.name in MATRIX else str(read.marker or "")
    extras = () if constraint else tuple(sorted(read.extras))
    specifier = str(read.specifier)
    file = "constraints.txt" if constraint else "requirements.txt"
    origin = Origin(file, number, f"{read.name}{specifier}")
    return Ask(origin, read.name, specifier, extras, marker, constraint=constraint)


worlds = st.builds(
    _world,
    st.fixed_dictionaries(dict.fromkeys(MATRIX, _labels)),
    _indexes,
    _wishes,
    st.sampled_from(("", "", "==3.11.*", "==3.12.*")),
)
"""A matrix of two distributions over two Pythons, an index of five packages, one to four lines."""


# Judging

Assignment = Mapping[str, str]


def has_answer(world: World) -> bool:
    """Whether any assignment of the matrix goes with any set of packages, by trying all."""
    for assignment in _assignments(world):
        spaces = []
        for name in (*OPEN, *MATRIX):
            versions: list[str | None] = [None]
            if name in OPEN:
                versions += world.index.get(name, {})
            elif name in assignment and assignment[name] in world.index.get(name, {}):
                versions.append(assignment[name])
            spaces.append(versions)
        for chosen in product(*spaces):
            pairs = zip((*OPEN, *MATRIX), chosen, strict=True)
            installed = {name: version for name, version in pairs if version is not None}
            if _holds(world, assignment, installed):
                return True
    return False


def is_answer(world: World, assignment: Assignment, installed: Assignment) -> bool:
    """Whether an assignment and a set of packages are one."""
    return dict(assignment) in [dict(one) for one in _assignments(world)] and _holds(
        world, assignment, installed
    )


def _assignments(world: World) -> Iterator[Assignment]:
    names = ("python", "glibc", *MATRIX)
    spaces: list[list[Candidate | None]] = [
        [*world.universe[name].candidates, *([None] if name in MATRIX else [])] for name in names
    ]
    for chosen in product(*spaces):
        found = {one.package: one for one in chosen if one is not None}
        wanted = all(
            one.package in found and _admits(one.specifier, found[one.package].label)
            for one in world.requirements
        )
        if wanted and all(
            any(_term_holds(term, found) for term in relation.any_of)
            for one in found.values()
            for relation in one.relations
        ):
            yield {name: one.label for name, one in found.items()}


def _term_holds(term: Term, chosen: Mapping[str, Candidate]) -> bool:
    one = chosen.get(term.package)
    return term.absent_ok if one is None else _admits(term.specifier, one.label)


@lru_cache(maxsize=65536)
def _admits(specifier: str, version: str) -> bool:
    return _dependency(f"x{specifier}").specifier.contains(version)


@lru_cache(maxsize=65536)
def _dependency(text: str) -> Dependency:
    return Dependency(text)


@lru_cache(maxsize=65536)
def _marker_holds(marker: str, python: str) -> bool:
    environment = {"python_version": python[:4], "python_full_version": python}
    read = _dependency(f"x ; {marker}").marker if marker else None
    return read is None or read.evaluate(cast("Any", environment))


def _holds(world: World, assignment: Assignment, installed: Assignment) -> bool:
    """Whether everything that is needed is there, extras followed as far as they are asked for."""
    python = assignment["python"]
    if any(assignment.get(name) != installed[name] for name in MATRIX if name in installed):
        return False
    for name, version in installed.items():
        if not _admits(world.index[name][version].requires_python, python):
            return False
    needs: list[Dependency] = []
    for ask in world.asks:
        if ask.constraint:
            limits = ask.name in installed and _marker_holds(ask.marker, python)
            if limits and not _admits(ask.specifier, installed[ask.name]):
                return False
            continue
        if _marker_holds(ask.marker, python):
            extras = f"[{','.join(ask.extras)}]" if ask.extras else ""
            needs.append(_dependency(f"{ask.name}{extras}{ask.specifier}"))
    for name, version in installed.items():
        needs += map(_dependency, world.index[name][version].requires)
    seen: set[str] = set()
    while needs:
        need = needs.pop()
        if need.marker is not None and not _marker_holds(str(need.marker), python):
            continue
        version = installed.get(need.name, "")
        if not version or not need.specifier.contains(version):
            return False
        if need.extras and need.name not in seen:
            seen.add(need.name)
            needs += map(_dependency, world.index[need.name][version].more)
    return True
