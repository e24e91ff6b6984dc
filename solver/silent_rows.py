"""Rows of the tables for a release that they do not have, from its files and its metadata.

What these do not tell is taken from the nearest known row, or from the tables of CUDA, and is
written down as assumed. Which releases are read, and how, is `silent_index`'s subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import cast

from msgspec import structs
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from ..compat.cells import Cells, row_of
from ..compat.rows import (
    CompanionBuild,
    Cuda,
    JaxPlugin,
    JaxRelease,
    Row,
    TensorflowBuild,
    TorchBuild,
)
from ..compat.tables import Tables
from ..compat.updater import metadata as told_by
from ..compat.updater.wheels import Build, builds, pure_python
from ..index.metadata import Metadata, NoMetadata
from ..index.page import File
from .silent_model import COMPANIONS, LIBRARIES, WHEELS, Release, Rows, table_of

__all__ = ["Writer"]

_NAMES = {"cuda": "CUDA", "cudnn": "cuDNN"}


class Writer:
    """Writes rows for one architecture, over these tables."""

    def __init__(self, tables: Tables, architecture: str) -> None:
        self._tables = tables
        self._architecture = architecture

    @staticmethod
    def needs_metadata(package: str, version: Version) -> bool:
        """Whether a release's metadata tell more than the names of its files."""
        return package not in WHEELS and version.local != told_by.CPU

    def rows(self, release: Release) -> Rows | None:
        """The rows of a release; None when its metadata do not tell enough for any."""
        table = table_of(self._tables, release.package)
        found = {
            "jax": self._jax,
            "jax_plugins": self._jax_plugin,
            LIBRARIES: self._library,
            "tensorflow": self._tensorflow,
            "torch": self._torch,
        }.get(table, self._companion if table in COMPANIONS else self._wheel)(release)
        return self._with_cuda(found) if found is not None else None

    def build_of(self, package: str, files: tuple[File, ...]) -> Build | None:
        """What of a release counts for the architecture; None when it has nothing for it.

        A library may be an sdist, or have wheels for others alone: the tables do not mind.
        """
        found = builds(files).get(self._architecture)
        if found is None and files and table_of(self._tables, package) == LIBRARIES:
            return Build(self._architecture, pure_python(files), "", files)
        return found

    def known(self, package: str) -> tuple[Row, ...]:
        """The tables' rows of a package for the architecture, oldest first."""
        table = table_of(self._tables, package)
        rows = cast("tuple[Row, ...]", getattr(self._tables, table))
        return tuple(
            row
            for row in rows
            if getattr(row, "architecture", self._architecture) == self._architecture
            and getattr(row, "package", package) == package
        )

    def index_of(self, variant: str) -> str:
        """The index that serves a variant of torch; empty when the tables do not let one tell.

        The URL of a variant that no row has is that of the others, with its name in theirs' place.
        """
        known = {row.variant: row.index_url for row in self._tables.torch if row.index_url}
        if variant in known:
            return known[variant]
        root = self.root_index
        return f"{root}/{variant}" if root and told_by.VARIANT.fullmatch(variant) else ""

    @cached_property
    def root_index(self) -> str:
        """The index that has all variants of torch: the folder of theirs; empty without one."""
        rows = [row for row in self._tables.torch if row.index_url.endswith(f"/{row.variant}")]
        parents = {row.index_url.rpartition("/")[0] for row in rows}
        return parents.pop() if len(parents) == 1 else ""

    # Each package

    def _wheel(self, release: Release) -> Rows:
        return Rows({release.package: (self._row(release, {}),)})

    def _torch(self, release: Release) -> Rows | None:
        variant = release.version.local or ""
        near = cast("TorchBuild | None", self._near(release))
        told = self._told_of_torch(release)
        if told is None and near is None:
            return None
        cells = self._torch_cells(release, told, near)
        assumed: list[str] = []
        if told is None and near is not None:
            assumed.append(
                "its cuDNN and triton are not known, for its metadata cannot be had"
                if variant
                else _as("its CUDA, cuDNN and triton", near, "torch")
            )
        if not release.build.glibc and near is not None:
            cells |= {"glibc": near.glibc}
            assumed.append(_as("its glibc", near, "torch"))
        assumed += _gpus(cells.get("cuda", ""))
        own = cast("TorchBuild", self._row(release, cells))
        labels = {("torch", str(own.version)): tuple(assumed)}
        if release.variants is not None:
            offered = [self._offered(own, name, release) for name in sorted(release.variants)]
            for row in offered:
                labels["torch", str(row.version)] = _gpus(row.cuda)
            return Rows({"torch": (own, *offered)}, labels, _triton(own))
        others = [] if variant else self._variants(own)
        for row in others:
            known = _key(near, "torch") if near is not None else "no other"
            clause = f"that it has a build for {row.variant} at all is assumed as of {known}"
            labels["torch", str(row.version)] = (clause,)
        doubtful = frozenset(("torch", str(row.version)) for row in others)
        return Rows({"torch": (own, *others)}, labels, _triton(own), doubtful)

    def _told_of_torch(self, release: Release) -> Cells | None:
        """What the metadata tell of CUDA, cuDNN and triton; None when they do not."""
        metadata, variant = release.metadata, release.version.local or ""
        if isinstance(metadata, NoMetadata):
            return None
        by_name = told_by.torch_variant(variant or told_by.CPU, None)
        if metadata is None:
            return by_name
        told = told_by.torch(metadata, release.build, self._pythons(release))
        if told is not None:
            return {**told, **(by_name if variant else {})}
        if not variant and told_by.names_cuda(metadata):
            return None
        # A CUDA build that asks for no libraries has them in its wheel.
        return {**by_name, "libraries": "wheel" if by_name.get("cuda") else ""}

    def _torch_cells(
        self, release: Release, told: Cells | None, near: TorchBuild | None
    ) -> dict[str, str]:
        variant = release.version.local or ""
        cells = {"variant": variant, "index_url": self.index_of(variant) if variant else ""}
        if told is not None:
            return {**cells, **told}
        if variant or near is None:
            return {**cells, **told_by.torch_variant(variant or told_by.CPU, None)}
        names = ("variant", "cuda", "cudnn", "triton", "libraries")
        return {**cells, **{name: str(getattr(near, name)) for name in names}}

    def _offered(self, own: TorchBuild, variant: str, release: Release) -> TorchBuild:
        """The build of a variant, as the name of its files and the default build tell it."""
        build = (release.variants or {})[variant]
        default = {"triton": own.triton, "libraries": own.libraries}
        version = Version(f"{own.version.public}+{variant}")
        cells = {
            "glibc": build.glibc or own.glibc,
            "index_url": self.index_of(variant),
            **told_by.torch_variant(variant, default),
        }
        named = replace(release, version=version, build=build, metadata=None)
        return cast("TorchBuild", self._row(named, cells))

    def _variants(self, own: TorchBuild) -> list[TorchBuild]:
        """The builds of the nearest known release on torch's own index, under a new version."""
        near = self._nearest("torch", own.version)
        return [
            structs.replace(
                row,
                version=Version(f"{own.version.public}+{row.variant}"),
                python=own.python,
                glibc=own.glibc,
                triton=own.triton if row.cuda and own.triton else row.triton,
                file=own.file,
                line=own.line,
            )
            for row in cast("Sequence[TorchBuild]", near)
            if row.index_url and row.variant != own.variant
        ]

    def _companion(self, release: Release) -> Rows | None:
        package, near = release.package, cast("CompanionBuild | None", self._near(release))
        public, variant = release.version.public, release.version.local or ""
        torch = ""
        if isinstance(release.metadata, Metadata):
            torch = told_by.companion(release.metadata, release.build, self._pythons(release))
        assumed = []
        if not torch:
            if near is None:
                return None
            torch = near.torch
            assumed.append(_as("the torch that it goes with", near, package))
        variants = (variant,) if variant else near.variants if near else ()
        if release.variants is not None:
            variants = tuple(sorted(release.variants))
        cells = {"version": public, "torch": torch, "variants": " ".join(variants)}
        labels = {(package, public): tuple(assumed)}
        doubtful = set()
        if not variant and near is not None and release.variants is None:
            for name in variants:
                doubtful.add((package, f"{public}+{name}"))
                clause = f"that it has a build for {name} is assumed as of {_key(near, package)}"
                labels[package, f"{public}+{name}"] = (*assumed, clause)
        rows = {package: (self._row(release, cells),)}
        return Rows(rows, labels, (("torch", torch),), frozenset(doubtful))

    def _tensorflow(self, release: Release) -> Rows | None:
        near = cast("TensorflowBuild | None", self._near(release))
        label = ("tensorflow", str(release.version))
        if isinstance(release.metadata, Metadata):
            read, guessed = told_by.tensorflow(
                release.metadata, release.build, self._pythons(release)
            )
            assumed: list[str] = []
            if any(guessed.values()):
                assumed.append("the CUDA and cuDNN that it was tested with are read off its extra")
            unsaid = [name for name, text in guessed.items() if not text]
            if unsaid and near is not None:
                what = " and ".join(_NAMES[name] for name in unsaid)
                assumed.append(_as(f"its {what}", near, "tensorflow"))
                guessed = {**guessed, **{name: getattr(near, name) for name in unsaid}}
            row = self._row(release, {**read, **guessed})
            return Rows({"tensorflow": (row,)}, {label: tuple(assumed)})
        if near is None:
            return None
        names = ("cuda", "cudnn", "cuda_packages", "cudnn_packages")
        cells = {name: getattr(near, name) for name in names}
        return Rows(
            {"tensorflow": (self._row(release, cells),)},
            {label: (_as("its CUDA and cuDNN", near, "tensorflow"),)},
        )

    def _jax(self, release: Release) -> Rows | None:
        if not isinstance(release.metadata, Metadata):
            return None
        python = release.build.python or pure_python(release.files)
        read = told_by.jax(release.metadata, self._pythons(release))
        if not read["jaxlib"]:
            return None
        row = cast("JaxRelease", self._row(release, {**read, "python": python}))
        plugins = (
            ("jax-cuda12-plugin", row.cuda12_plugin),
            ("jax-cuda13-plugin", row.cuda13_plugin),
        )
        needs = (("jaxlib", row.jaxlib), *(one for one in plugins if one[1]))
        return Rows({"jax": (row,)}, {}, needs)

    def _jax_plugin(self, release: Release) -> Rows | None:
        near = cast("JaxPlugin | None", self._near(release))
        if near is None:
            return None
        cells: Cells
        if isinstance(release.metadata, Metadata):
            cells = told_by.jax_plugin(
                near.cuda_major, release.metadata, release.build, self._pythons(release)
            )
            assumed: tuple[str, ...] = ()
        else:
            names = ("cuda_packages", "cudnn_packages")
            cells = {name: getattr(near, name) for name in names}
            assumed = (_as("its CUDA packages", near, near.package),)
        known = {"package": near.package, "cuda_major": near.cuda_major}
        row = self._row(release, {**cells, **known})
        return Rows({"jax_plugins": (row,)}, {(near.package, str(release.version)): assumed})

    def _library(self, release: Release) -> Rows | None:
        if not isinstance(release.metadata, Metadata):
            return None
        pins = told_by.pins(release.metadata, self._pythons(release))
        requires = "; ".join(map("".join, pins))
        row = self._row(release, {"package": release.package, "requires": requires})
        return Rows({LIBRARIES: (row,)}, needs=pins)

    # CUDA and cuDNN that no table has

    def _with_cuda(self, found: Rows) -> Rows:
        rows = {name: list(more) for name, more in found.rows.items()}
        assumed = dict(found.assumed)
        minors = {f"{row.version.major}.{row.version.minor}" for row in self._tables.cuda}
        releases = {row.version for row in self._tables.cudnn}
        for row in (one for more in found.rows.values() for one in more):
            cuda = getattr(row, "cuda", "")
            if cuda and cuda not in minors:
                near = self._nearest_cuda(Version(cuda))
                minors.add(cuda)
                rows.setdefault("cuda", []).append(
                    structs.replace(near, version=Version(f"{cuda}.0"), driver="")
                )
                clause = f"CUDA {cuda} is not in the tables: the driver and the GPUs that it needs"
                assumed["cuda", f"{cuda}.0"] = (f"{clause} are assumed as of CUDA {near.version}",)
            cudnn = getattr(row, "cudnn", "") if isinstance(row, TorchBuild) else ""
            if cudnn and Version(cudnn) not in releases:
                releases.add(Version(cudnn))
                new = row_of("cudnn", {"version": cudnn}, row.file, row.line)
                rows.setdefault("cudnn", []).append(new)
        return replace(
            found, rows={name: tuple(more) for name, more in rows.items()}, assumed=assumed
        )

    def _nearest_cuda(self, cuda: Version) -> Cuda:
        of_major = [row for row in self._tables.cuda if row.version.major == cuda.major]
        return (of_major or self._tables.cuda)[-1]

    # What all have in common

    def _row(self, release: Release, cells: Cells) -> Row:
        package, build = release.package, release.build
        common = {
            "version": str(release.version),
            "architecture": build.architecture,
            "python": build.python,
            "glibc": build.glibc,
        }
        file = f"index metadata of {package} {release.version}"
        return row_of(table_of(self._tables, package), {**common, **cells}, file)

    def _near(self, release: Release) -> Row | None:
        """The row of the nearest known release, in the same variant where it has one."""
        rows = self._nearest(release.package, release.version)
        variant = release.version.local or ""
        for row in rows:
            if getattr(row, "variant", variant) == variant or not variant:
                return row
        return rows[0] if rows else None

    def _nearest(self, package: str, version: Version) -> tuple[Row, ...]:
        """The rows of the newest known release below a version; the default build first."""
        known = [(_version(row), row) for row in self.known(package)]
        below = [pair for pair in known if Version(pair[0].public) < Version(version.public)]
        if not below:
            return ()
        newest = max(pair[0] for pair in below).public
        return tuple(row for one, row in sorted(below, key=_by_version) if one.public == newest)

    def _pythons(self, release: Release) -> tuple[Version, ...]:
        allowed = SpecifierSet(release.build.python)
        return tuple(python for python in self._newest_pythons if allowed.contains(python))

    @cached_property
    def _newest_pythons(self) -> tuple[Version, ...]:
        newest = {row.version.release[:2]: row.version for row in self._tables.python}
        return tuple(newest.values())


def _gpus(cuda: str) -> tuple[str, ...]:
    """Which kernels a build has stands in no metadata; what CUDA itself has left is known."""
    return (f"the GPUs that it runs on are all those of CUDA {cuda} in the tables",) if cuda else ()


def _triton(row: TorchBuild) -> tuple[tuple[str, str], ...]:
    return (("triton", row.triton),) if row.triton else ()


def _version(row: Row) -> Version:
    return cast("Version", row.version)  # type: ignore[attr-defined]


def _by_version(pair: tuple[Version, Row]) -> Version:
    return pair[0]


def _key(row: Row, package: str) -> str:
    return f"{package} {_version(row).public}"


def _as(what: str, row: Row, package: str) -> str:
    return f"{what} {'are' if ' and ' in what else 'is'} assumed as of {_key(row, package)}"
