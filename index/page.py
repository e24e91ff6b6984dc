"""A project's page as the rest of cogpack sees it: `Page` and its `File`s, both frozen.

How a page is read from HTML, JSON or a folder is in `links.py`; where it is fetched, elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Literal, overload

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import BuildTag, InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

__all__ = ["QUARANTINED", "File", "Page", "Versions", "is_endless", "python_specifier"]

QUARANTINED = "quarantined"
"""The status of a project that is not safe to use: no file of it may be offered (PEP 792)."""

# Files or versions that a note names.
_NAMED = 3

# Digits in a row that no version has; int() refuses thousands of them with an error of its own.
_ENDLESS = re.compile(r"[0-9]{200}")


@dataclass(frozen=True)
class File:
    """One distribution file of a page.

    url: absolute, without credentials and fragment.
    kind: `wheel` or `sdist`.
    hashes: (algorithm, hex digest) as the index announces them, sorted.
    requires_python: the specifier as written; None when the index gives none.
    yanked: PEP 592; yanked_reason may be empty.
    upload_time: PEP 700, UTC; None when the index gives none.
    size: bytes; None when the index gives none.
    metadata: PEP 658: None when the index says nothing, `no`, `yes`, or the SHA-256 of the file.
    """

    filename: str
    url: str
    kind: Literal["wheel", "sdist"]
    version: Version
    hashes: tuple[tuple[str, str], ...] = ()
    requires_python: str | None = None
    yanked: bool = False
    yanked_reason: str = ""
    upload_time: datetime | None = None
    size: int | None = None
    metadata: str | None = None

    @property
    def sha256(self) -> str | None:
        """The SHA-256 that the index announces, if it does."""
        return dict(self.hashes).get("sha256")

    @cached_property
    def tags(self) -> frozenset[Tag]:
        """The wheel's tags; empty for an sdist and for a wheel whose name is malformed."""
        return self._wheel[0]

    @cached_property
    def build(self) -> BuildTag:
        """The wheel's build tag, `()` without one: the highest counts among equal wheels."""
        return self._wheel[1]

    @cached_property
    def _wheel(self) -> tuple[frozenset[Tag], BuildTag]:
        if self.kind != "wheel":
            return frozenset(), ()
        try:
            _, _, build, tags = parse_wheel_filename(self.filename)
        except InvalidWheelFilename:
            return frozenset(), ()
        return tags, build


class Versions(Sequence[Version]):
    """Versions in the order of a page, each read when it is first looked at.

    A page has hundreds, and a resolver takes one of the first in most cases. Safe to use from
    several threads: what two of them read at once is the same.
    """

    def __init__(self, source: Sequence[str | Version]) -> None:
        self._found: list[str | Version] = list(source)

    @overload
    def __getitem__(self, index: int) -> Version: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Version, ...]: ...
    def __getitem__(self, index: int | slice) -> Version | tuple[Version, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        found = self._found[index]
        if isinstance(found, str):
            found = self._found[index] = Version(found)
        return found

    def __iter__(self) -> Iterator[Version]:
        for position, found in enumerate(self._found):
            yield self[position] if isinstance(found, str) else found

    def __len__(self) -> int:
        return len(self._found)

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, Sequence) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))


@dataclass(frozen=True)
class Page:
    """What one index has of one project.

    name: normalised project name.
    index: URL of the index, without credentials.
    releases: the files by version, newest version first; files by kind (wheels first) and name.
    status: of the project, as the index marks it (PEP 792); empty when it does not.
    reason: of the status, in the index's words; may be empty.
    left_out: the files that `exclude_newer` took away.
    """

    name: str
    index: str
    releases: Mapping[Version, tuple[File, ...]]
    status: str = field(default="", compare=False)
    reason: str = field(default="", compare=False)
    left_out: tuple[File, ...] = field(default=(), compare=False)

    @cached_property
    def versions(self) -> Versions:
        """The versions, newest first."""
        known = getattr(self.releases, "versions", None)
        return known if isinstance(known, Versions) else Versions(list(self.releases))

    @cached_property
    def files(self) -> tuple[File, ...]:
        """All files, of the newest version first."""
        return tuple(file for files in self.releases.values() for file in files)

    @property
    def answers(self) -> bool:
        """Whether the index has the project, be it with files that are left out."""
        return bool(self.releases or self.left_out) or self.status == QUARANTINED

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user may want to know: the status, files that count as absent for want of a date.

        Each is a clause that names the index.
        """
        return tuple(filter(None, (self.marked, self.undated())))

    def undated(self, admits: Callable[[Version], bool] = lambda _: True) -> str:
        """The clause that names files which are left out as their time is unknown; else empty.

        admits: which versions it is about.
        """
        names = [
            file.filename
            for file in self.left_out
            if file.upload_time is None and admits(file.version)
        ]
        if not names:
            return ""
        shown = _some(names)
        return f"{self.index} gives no upload time of {shown}: left out because of exclude-newer"

    def gap(self, admits: Callable[[Version], bool] = lambda _: True) -> str:
        """Why there is nothing of what the index has or had: a clause; empty for no such reason.

        admits: which versions are wanted.
        """
        dated = {
            file.version: None
            for file in self.left_out
            if file.upload_time is not None and admits(file.version)
        }
        newer = f"{self.index} has {self.name} {_some(dated)}, too new for exclude-newer"
        marked = self.marked if self.status == QUARANTINED else ""
        return "; ".join(filter(None, (marked, newer if dated else "", self.undated(admits))))

    def exclude_newer(self, moment: datetime) -> Page:
        """The page as it was at a moment (PEP 700).

        moment: with a time zone. A file uploaded at or after it is left out, and so is one whose
        index gives no upload time: that one may be newer.
        """
        kept: dict[Version, tuple[File, ...]] = {}
        lost: list[File] = []
        for version, files in self.releases.items():
            old = tuple(file for file in files if file.upload_time and file.upload_time < moment)
            if old:
                kept[version] = old
            known = frozenset(old)
            lost.extend(file for file in files if file not in known)
        return replace(self, releases=kept, left_out=tuple(lost))

    @property
    def marked(self) -> str:
        """The clause that tells the status of the project; empty for an ordinary one."""
        if not self.status:
            return ""
        why = f" ({self.reason})" if self.reason else ""
        if self.status == QUARANTINED:
            return f"{self.index} has quarantined {self.name} and offers no files of it{why}"
        return f"{self.name} is {self.status} on {self.index}{why}"


def _some(items: Iterable[object]) -> str:
    """The first of some things, and how many more there are."""
    texts = [str(one) for one in items]
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return ", ".join(texts[:_NAMED]) + more


def python_specifier(text: str | None) -> SpecifierSet | None:
    """The specifier of a `Requires-Python`, upper bounds included; None when it admits everything.

    Faults that real packages have are mended: a wildcard after an ordered comparison (`>=3.6.*`).
    One that still cannot be read restricts nothing, as in pip.
    """
    if not text or is_endless(text):
        return None
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        pass
    try:
        return SpecifierSet(mend_specifier(text))
    except InvalidSpecifier:
        return None


def is_endless(text: str) -> bool:
    """Whether a text has a number so long that nothing reads it as one."""
    return _ENDLESS.search(text) is not None


def mend_specifier(text: str) -> str:
    """Specifiers without the `.*` that PEP 440 forbids after `<`, `<=`, `>`, `>=` and `~=`."""
    mended = []
    for clause in text.split(","):
        clause = clause.strip()
        if clause.startswith(("<", ">", "~=")):
            clause = clause.removesuffix("*").rstrip(".")
        mended.append(clause)
    return ",".join(filter(None, mended))
