"""The rows of the tables, typed: one class a table, one field a column.

A field's annotation says how its cell is read (see `READERS`); what the columns mean is told in
README.md beside the tables. Reading files is `tables`' subject.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import ClassVar

from packaging.version import Version

__all__ = [
    "READERS",
    "TABLES",
    "BaseImage",
    "CogRelease",
    "CompanionBuild",
    "Cuda",
    "CudaImage",
    "Cudnn",
    "Gpu",
    "JaxPlugin",
    "JaxRelease",
    "Pin",
    "PythonRelease",
    "Row",
    "System",
    "TensorflowBuild",
    "Tool",
    "TorchBuild",
    "Wheel",
    "columns",
]


@dataclass(frozen=True, slots=True)
class Row:
    """What every row has beside its own columns.

    source: where the facts come from, for a reader who wants to check them.
    checked: the day on which they were last read there, ISO 8601.
    file, line: where the row stands, the line counted from 1; no columns.
    """

    KEY: ClassVar[tuple[str, ...]] = ()
    """The columns that identify a row, in the order in which a table is sorted by them."""
    source: str
    checked: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class PythonRelease(Row):
    """A CPython release. managed: architectures for which uv offers a build of it."""

    KEY: ClassVar[tuple[str, ...]] = ("version",)
    version: Version
    end_of_life: str
    managed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TorchBuild(Row):
    """A build of torch: a release, its variant and an architecture."""

    KEY: ClassVar[tuple[str, ...]] = ("version", "architecture")
    version: Version
    variant: str
    architecture: str
    python: str
    glibc: str
    cuda: str
    cudnn: str
    triton: str
    kernels: tuple[str, ...]
    libraries: str
    index: str


@dataclass(frozen=True, slots=True)
class CompanionBuild(Row):
    """A release of a library that is built against torch, variant by variant."""

    KEY: ClassVar[tuple[str, ...]] = ("version", "architecture")
    version: Version
    architecture: str
    python: str
    glibc: str
    torch: str
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wheel(Row):
    """A release that only asks for a Python and a glibc: triton, jaxlib."""

    KEY: ClassVar[tuple[str, ...]] = ("version", "architecture")
    version: Version
    architecture: str
    python: str
    glibc: str


@dataclass(frozen=True, slots=True)
class TensorflowBuild(Row):
    """A release of tensorflow; empty CUDA columns where it has no GPU support."""

    KEY: ClassVar[tuple[str, ...]] = ("version", "architecture")
    version: Version
    architecture: str
    python: str
    glibc: str
    cuda: str
    cudnn: str
    cuda_packages: str
    cudnn_packages: str


@dataclass(frozen=True, slots=True)
class JaxRelease(Row):
    """A release of jax and what it asks of jaxlib and of its CUDA plugins."""

    KEY: ClassVar[tuple[str, ...]] = ("version",)
    version: Version
    python: str
    jaxlib: str
    cuda12_plugin: str
    cuda13_plugin: str


@dataclass(frozen=True, slots=True)
class JaxPlugin(Row):
    """A release of a CUDA plugin of jax."""

    KEY: ClassVar[tuple[str, ...]] = ("package", "version", "architecture")
    package: str
    version: Version
    architecture: str
    python: str
    glibc: str
    cuda_major: str
    cuda_packages: str
    cudnn_packages: str


@dataclass(frozen=True, slots=True)
class Pin(Row):
    """A release of a library that pins frameworks.

    requires: dependencies as PEP 508 has them, `torch==2.7.1; torchvision==0.22.1`.
    """

    KEY: ClassVar[tuple[str, ...]] = ("package", "version")
    package: str
    version: Version
    python: str
    requires: str


@dataclass(frozen=True, slots=True)
class Cuda(Row):
    """A CUDA toolkit: the driver that it shipped with, the oldest that runs it, the oldest GPU."""

    KEY: ClassVar[tuple[str, ...]] = ("version",)
    version: Version
    driver: str
    minimal_driver: str
    oldest_capability: str


@dataclass(frozen=True, slots=True)
class CudaImage(Row):
    """NVIDIA's images of one CUDA toolkit on one operating system, in all flavours."""

    KEY: ClassVar[tuple[str, ...]] = ("cuda", "os")
    cuda: Version
    os: str
    cudnn: str
    cudnn_tag: str


@dataclass(frozen=True, slots=True)
class Cudnn(Row):
    """A cuDNN release that a framework's build names."""

    KEY: ClassVar[tuple[str, ...]] = ("version",)
    version: Version


@dataclass(frozen=True, slots=True)
class BaseImage(Row):
    """A base image without CUDA."""

    KEY: ClassVar[tuple[str, ...]] = ("ref",)
    ref: str
    python: str
    patch_ref: str
    patch_from: str
    os: str
    architectures: tuple[str, ...]
    packages: tuple[str, ...]
    rank: int


@dataclass(frozen=True, slots=True)
class System(Row):
    """An operating system release. preference: among images of one rank the lowest is taken."""

    KEY: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    title: str
    codename: str
    glibc: str
    preference: int


@dataclass(frozen=True, slots=True)
class Gpu(Row):
    """A GPU model, the other names it goes by, and its compute capability."""

    KEY: ClassVar[tuple[str, ...]] = ("capability", "name")
    name: str
    capability: Version
    generation: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CogRelease(Row):
    """A release of cog or coglet. coglet: what cog asks of coglet, empty before 0.17."""

    KEY: ClassVar[tuple[str, ...]] = ("package", "version")
    package: str
    version: Version
    architectures: tuple[str, ...]
    python: str
    glibc: str
    coglet: str


@dataclass(frozen=True, slots=True)
class Tool(Row):
    """A tool that builds use, at the version that is pinned."""

    KEY: ClassVar[tuple[str, ...]] = ("tool", "version")
    tool: str
    version: Version


TABLES: Mapping[str, type[Row]] = {
    "base_images": BaseImage,
    "cog": CogRelease,
    "cuda": Cuda,
    "cuda_images": CudaImage,
    "cudnn": Cudnn,
    "gpus": Gpu,
    "jax": JaxRelease,
    "jax_plugins": JaxPlugin,
    "jaxlib": Wheel,
    "os": System,
    "pins": Pin,
    "python": PythonRelease,
    "tensorflow": TensorflowBuild,
    "tools": Tool,
    "torch": TorchBuild,
    "torchaudio": CompanionBuild,
    "torchvision": CompanionBuild,
    "triton": Wheel,
}
"""Table name (the file without `.csv`) -> the class of its rows."""

READERS: Mapping[str, Callable[[str], object]] = {
    "str": str,
    "int": int,
    "Version": cache(Version),
    "tuple[str, ...]": lambda cell: tuple(cell.split()),
}
"""Annotation of a field -> how its cell is read; each raises ValueError for a bad cell."""


@cache
def columns(table: str) -> tuple[tuple[str, Callable[[str], object]], ...]:
    """Name and reader of each column of a table but `source` and `checked`, as the fields stand."""
    common = {field.name for field in fields(Row)}
    return tuple(
        (field.name, READERS[str(field.type)])
        for field in fields(TABLES[table])
        if field.name not in common
    )
