"""What reading a release of an index comes to: `Release` goes in, `Rows` of the tables come out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.version import Version

from ..compat.rows import Row
from ..compat.tables import Tables
from ..compat.updater.wheels import Build
from ..index.metadata import Metadata, NoMetadata
from ..index.page import File

__all__ = ["COMPANIONS", "LIBRARIES", "WHEELS", "Release", "Rows", "table_of"]

COMPANIONS = ("torchaudio", "torchvision")
"""Packages that are built against one release of torch, variant by variant."""

WHEELS = ("jaxlib", "triton")
"""Packages of which the names of the files tell all."""

LIBRARIES = "pins"
"""The table of libraries that pin frameworks."""

_FRAMEWORKS = frozenset({"jax", "tensorflow", "torch", *COMPANIONS, *WHEELS})


@dataclass(frozen=True)
class Release:
    """A release as an index has it.

    version: with its local part. build: its wheels for the platform. files: all that count.
    metadata: None for one that is not needed: the names of the files tell all.
    variants: of a default build, its other builds on torch's own index by variant; None when that
        index could not be asked.
    """

    package: str
    version: Version
    build: Build
    files: tuple[File, ...]
    metadata: Metadata | NoMetadata | None = None
    variants: Mapping[str, Build] | None = None


@dataclass(frozen=True)
class Rows:
    """What follows from a release. rows: by table.

    assumed: package and label -> what of it is assumed, and from where, as clauses; a label
        without a local part is about the release, with all its builds.
    doubtful: packages and labels of builds that the release may not have at all.
    needs: what its rows ask of other packages of the tables, as package and specifier.
    """

    rows: Mapping[str, tuple[Row, ...]]
    assumed: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    needs: tuple[tuple[str, str], ...] = ()
    doubtful: frozenset[tuple[str, str]] = frozenset()


def table_of(tables: Tables, package: str) -> str:
    """The table that a package's releases stand in; empty when no index metadata make its rows."""
    if package in _FRAMEWORKS:
        return package
    if any(row.package == package for row in tables.jax_plugins):
        return "jax_plugins"
    return LIBRARIES if any(row.package == package for row in tables.pins) else ""
