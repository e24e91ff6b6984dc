"""Where releases fit: the Pythons and the glibc that their files and markers name, as relations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

from packaging.markers import Marker
from packaging.tags import Tag
from packaging.version import Version

from ..index.page import File, python_specifier
from .open_model import OpenOptions
from .open_target import Target
from .universe import Fact, Relation, Term, requires

__all__ = ["INDEX", "Fits", "fits_for", "index_fact"]

INDEX = "package index"
"""Where the facts of indexes stand, in place of a table's file."""

# A glibc that no system has: with it every manylinux wheel of an architecture fits.
_ANY_GLIBC = (2, 99)

_MINOR_CLAUSE = re.compile(r"(>=|<)\s*\d+(\.\d+)?(\.0)?|(==|!=)\s*\d+(\.\d+)?\.\*|~=\s*\d+\.\d+")

T = TypeVar("T")


@lru_cache(maxsize=8)
def fits_for(pythons: tuple[str, ...], machine: str, options: OpenOptions) -> Fits:
    """The `Fits` of these Pythons; the same one each time, for it remembers what it worked out."""
    return Fits(pythons, machine, options)


class Fits:
    """Judges for all Pythons of a matrix at once.

    pythons: their versions. machine: of the image.
    """

    def __init__(self, pythons: Iterable[str], machine: str, options: OpenOptions) -> None:
        self._machine = machine
        self._options = options
        self._pythons = {label: Version(label) for label in pythons}
        self._all_pythons = frozenset(self._pythons)
        self._files: dict[tuple[object, ...], list[Relation]] = {}
        self._targets: dict[tuple[int, ...], Target] = {}
        self._marker_pythons: dict[tuple[str, str], frozenset[str]] = {}

    def conditioned(self, fact: Fact, where: frozenset[str], *terms: Term) -> Relation:
        """Terms of which one need hold on some Pythons only."""
        if where == self._all_pythons:
            return requires(fact, *terms)
        elsewhere = Term("python", labels=self._all_pythons - where)
        return requires(fact, elsewhere, *terms)

    def where(self, marker: Marker | None, extra: str) -> frozenset[str]:
        """The Pythons on which a marker holds."""
        if marker is None:
            return self._all_pythons
        key = (str(marker), extra)
        if key not in self._marker_pythons:

            def holds(python: Version) -> bool:
                target = self._target(python, exact=True)
                also_without = bool(extra) and target.applies(marker, "")
                return target.applies(marker, extra) and not also_without

            by_minor = "full_version" not in key[0] and "implementation_version" not in key[0]
            found = self._on_each(holds, by_minor=by_minor)
            self._marker_pythons[key] = frozenset(label for label, one in found.items() if one)
        return self._marker_pythons[key]

    def python(self, key: str, text: str) -> list[Relation]:
        """What a `Requires-Python` obliges."""
        answers = self._on_each(lambda one: _admits(text, one), by_minor=_is_by_minor(text))
        admitted = frozenset(label for label, one in answers.items() if one)
        if admitted == self._all_pythons:
            return []
        fact = index_fact(key, f"{key} needs Python {text}")
        return [requires(fact, Term("python", labels=admitted))]

    def files(self, key: str, name: str, files: Sequence[File]) -> list[Relation]:
        """What the files of a release oblige."""
        question = (key, name, *((one.filename, one.requires_python) for one in files))
        if question not in self._files:
            self._files[question] = self._relations(key, name, files)
        return self._files[question]

    def _relations(self, key: str, name: str, files: Sequence[File]) -> list[Relation]:
        texts = sorted({file.requires_python or "" for file in files})
        answers: dict[tuple[object, ...], int | None] = {}
        floors: dict[str, int | None] = {}
        for label, python in self._pythons.items():
            # Few texts and few minors make few kinds of Pythons.
            kind = (python.release[:2], *(_admits(text, python) for text in texts))
            if kind not in answers:
                answers[kind] = self._floor(name, files, python)
            floors[label] = answers[kind]
        known = {label: floor for label, floor in floors.items() if floor is not None}
        found = []
        if len(known) < len(floors):
            pythons = _minors(known)
            text = f"{key} has files for Python {pythons}" if known else self._unfit(key, name)
            found.append(requires(index_fact(key, text), Term("python", labels=frozenset(known))))
        for floor in sorted({one for one in known.values() if one}):
            lower = frozenset(label for label in floors if (known.get(label) or 0) < floor)
            text = f"the wheels of {key} need glibc 2.{floor} or newer"
            terms = [Term("glibc", f">=2.{floor}")]
            if lower:
                terms.insert(0, Term("python", labels=lower))
            found.append(requires(index_fact(key, text), *terms))
        return found

    def _unfit(self, key: str, name: str) -> str:
        """That no file fits, and which option has a part in it."""
        if self._options.refuses_wheels(name):
            return f"{key} has no sdist that fits, and --no-binary takes no wheel"
        if self._options.refuses_sdists(name):
            return f"{key} has no wheel that fits, and --only-binary takes no sdist"
        return f"{key} has no file that fits"

    def _on_each(self, ask: Callable[[Version], T], *, by_minor: bool) -> dict[str, T]:
        """The answer for each Python; by_minor: releases of one minor have the same."""
        answers: dict[tuple[int, ...], T] = {}
        found = {}
        for label, python in self._pythons.items():
            key = python.release[:2] if by_minor else python.release
            if key not in answers:
                answers[key] = ask(python)
            found[label] = answers[key]
        return found

    def _floor(self, name: str, files: Sequence[File], python: Version) -> int | None:
        """The lowest glibc minor with which a file fits a Python; None when none does."""
        target = self._target(python)
        floors = [
            floor
            for file in files
            if _admits(file.requires_python or "", python)
            and (floor := self._file_floor(name, file, files, target)) is not None
        ]
        return min(floors, default=None)

    def _file_floor(
        self, name: str, file: File, files: Sequence[File], target: Target
    ) -> int | None:
        options = self._options
        if file.kind == "sdist":
            wheels = any(one.kind == "wheel" for one in files)
            refused = wheels and not options.compile and not options.refuses_wheels(name)
            return None if refused or options.refuses_sdists(name) else 0
        if options.refuses_wheels(name):
            return None
        fits = [_glibc(tag) for tag in file.tags if tag in target.ranks]
        return min(fits, default=None)

    def _target(self, python: Version, *, exact: bool = False) -> Target:
        key = python.release if exact else python.release[:2]
        if key not in self._targets:
            self._targets[key] = Target(python, _ANY_GLIBC, self._machine)
        return self._targets[key]


def index_fact(key: str, text: str) -> Fact:
    """A fact that an index states. key, text: see `Fact`."""
    return Fact(INDEX, 0, key, text)


def _glibc(tag: Tag) -> int:
    """The glibc minor that a platform tag asks for; 0 for none."""
    words = tag.platform.split("_")
    if words[0] == "manylinux" and len(words) > 2:
        return int(words[2])
    return {"manylinux2014": 17, "manylinux2010": 12, "manylinux1": 5}.get(words[0], 0)


@lru_cache(maxsize=65536)
def _admits(text: str, python: Version) -> bool:
    specifier = python_specifier(text)
    return specifier is None or specifier.contains(python, prereleases=True)


@lru_cache(maxsize=65536)
def _is_by_minor(text: str) -> bool:
    """Whether a `Requires-Python` treats the releases of a minor alike."""
    return all(_MINOR_CLAUSE.fullmatch(clause.strip()) for clause in text.split(",") if clause)


def _minors(labels: Iterable[str]) -> str:
    """`3.10 to 3.13` for the labels of these Pythons."""
    minors = sorted({Version(label).release[:2] for label in labels})
    if not minors:
        return "none"
    first, last = (".".join(map(str, one)) for one in (minors[0], minors[-1]))
    return first if first == last else f"{first} to {last}"
