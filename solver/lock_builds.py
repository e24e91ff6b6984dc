"""What a lock's sdists and folders are built with, and how that stands in `[tool.cogpack]`.

PEP 751 has no place for it. How these versions are found is `open_build`'s subject.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

import msgspec

from .lock_package import LockedPackage

__all__ = ["BuildTable", "LockedBuild", "build_data", "read_build"]


@dataclass(frozen=True, order=True)
class LockedBuild:
    """An environment in which packages are built, one for all that do not disagree.

    requires: name of a package that is built -> its build requirements as it writes them, sorted
        by name. packages: all that these need, each one file with its URL, or path in the project,
        and hashes; sorted.
    """

    requires: tuple[tuple[str, tuple[str, ...]], ...]
    packages: tuple[LockedPackage, ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """The packages that are built in it."""
        return frozenset(name for name, _ in self.requires)

    def without(self, names: Container[str]) -> LockedBuild | None:
        """The environment of the others; None when there are none."""
        kept = tuple(one for one in self.requires if one[0] not in names)
        return replace(self, requires=kept) if kept else None


class _File(msgspec.Struct, omit_defaults=True):
    name: str
    version: str
    filename: str
    hashes: Mapping[str, str]
    url: str = ""
    path: str = ""
    index: str = ""


class BuildTable(msgspec.Struct, omit_defaults=True):
    """A `LockedBuild` as it stands in the file."""

    requires: Mapping[str, tuple[str, ...]]
    packages: tuple[_File, ...] = ()


def build_data(build: LockedBuild) -> BuildTable:
    """The table of an environment."""
    return BuildTable(dict(build.requires), tuple(map(_written, build.packages)))


def read_build(table: BuildTable) -> LockedBuild:
    """The environment of a table. Raises ValueError for a file without a hash."""
    return LockedBuild(
        tuple(sorted(table.requires.items())), tuple(sorted(map(_read, table.packages)))
    )


def _written(one: LockedPackage) -> _File:
    hashes = dict(one.hashes)
    return _File(one.name, one.version, one.filename, hashes, one.url, one.path, one.index)


def _read(one: _File) -> LockedPackage:
    for what, value in (("hash", one.hashes), ("URL", one.url or one.path)):
        if not value:
            raise ValueError(f"{one.name}, which something is built with, has no {what}")
    return LockedPackage(
        one.name,
        one.version,
        "archive",
        filename=one.filename,
        url=one.url,
        path=one.path,
        hashes=tuple(sorted(one.hashes.items())),
        index=one.index,
    )
