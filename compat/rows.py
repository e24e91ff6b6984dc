"""The rows of the tables, typed: one class a table, one field a column.

A field's type says how its cell is read (see `READERS`); what the columns mean is told in README.md
beside the tables. Reading files is `tables`' subject.

They are structs: as frozen as dataclasses, and defined in a fraction of the time, for which every
command would pay at its start.
"""

# No deferred annotations here: the types themselves are looked up when rows are read.

from collections.abc import Callable, Mapping
from functools import cache
from typing import Protocol

from msgspec import Struct
from packaging.version import Version

__all__ = [
    "LEFT_OUT",
    "OPTIONAL",
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
    "Override",
    "Pin",
    "PythonRelease",
    "Row",
    "Schema",
    "System",
    "TensorflowBuild",
    "Tool",
    "TorchBuild",
    "Wheel",
    "columns",
]


class Row(Protocol):
    """What every row has beside its own columns."""

    @property
    def source(self) -> str:
        """Where the facts come from, for a reader who wants to check them."""

    @property
    def checked(self) -> str:
        """The day on which they were last read there, ISO 8601."""

    @property
    def file(self) -> str:
        """The file in which the row stands, as messages name it; no column."""

    @property
    def line(self) -> int:
        """The line of that file, counted from 1; no column."""


class PythonRelease(Struct, frozen=True):
    """A CPython release. managed: architectures for which uv offers a build of it."""

    version: Version
    end_of_life: str
    managed: tuple[str, ...]
    source: str
    checked: str
    file: str
    line: int


class TorchBuild(Struct, frozen=True):
    """A build of torch: a release, its variant and an architecture."""

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
    index_url: str
    withdrawn: str
    source: str
    checked: str
    file: str
    line: int


class CompanionBuild(Struct, frozen=True):
    """A release of a library that is built against torch, variant by variant."""

    version: Version
    architecture: str
    python: str
    glibc: str
    torch: str
    variants: tuple[str, ...]
    withdrawn: str
    source: str
    checked: str
    file: str
    line: int


class Wheel(Struct, frozen=True):
    """A release that only asks for a Python and a glibc: triton, jaxlib."""

    version: Version
    architecture: str
    python: str
    glibc: str
    withdrawn: str
    source: str
    checked: str
    file: str
    line: int


class TensorflowBuild(Struct, frozen=True):
    """A release of tensorflow; empty CUDA columns where it has no GPU support."""

    version: Version
    architecture: str
    python: str
    glibc: str
    cuda: str
    cudnn: str
    cuda_packages: str
    cudnn_packages: str
    withdrawn: str
    source: str
    checked: str
    file: str
    line: int


class JaxRelease(Struct, frozen=True):
    """A release of jax and what it asks of jaxlib and of its CUDA plugins."""

    version: Version
    python: str
    jaxlib: str
    cuda12_plugin: str
    cuda13_plugin: str
    withdrawn: str
    source: str
    checked: str
    file: str
    line: int


class JaxPlugin(Struct, frozen=True):
    """A release of a CUDA plugin of jax."""

    package: str
    version: Version
    architecture: str
    python: str
    glibc: str
    cuda_major: str
    cuda_packages: str
    cudnn_packages: str
    withdrawn: str
    source: str
    checked: str
    file: str
    line: int


class Pin(Struct, frozen=True):
    """A release of a library that pins frameworks.

    requires: dependencies as PEP 508 has them, `torch==2.7.1; torchvision==0.22.1`.
    """

    package: str
    version: Version
    python: str
    requires: str
    withdrawn: str
    source: str
    checked: str
    file: str
    line: int


class Override(Struct, frozen=True):
    """A correction of metadata that is valid and yet makes a broken stack.

    versions: specifier of the releases that it is about. requires: a requirement as PEP 508 has it,
    that holds when the package it names is there too. evidence: a sentence without a full stop.
    """

    package: str
    versions: str
    requires: str
    evidence: str
    source: str
    checked: str
    file: str
    line: int


class Cuda(Struct, frozen=True):
    """A CUDA toolkit: the driver that it shipped with, the oldest that runs it, the oldest GPU."""

    version: Version
    driver: str
    minimal_driver: str
    oldest_capability: str
    source: str
    checked: str
    file: str
    line: int


class CudaImage(Struct, frozen=True):
    """NVIDIA's images of one CUDA toolkit on one operating system, in all flavours."""

    cuda: Version
    os: str
    cudnn: str
    cudnn_tag: str
    withdrawn: str
    source: str
    checked: str
    file: str
    line: int


class Cudnn(Struct, frozen=True):
    """A cuDNN release that a framework's build names."""

    version: Version
    source: str
    checked: str
    file: str
    line: int


class BaseImage(Struct, frozen=True):
    """A base image without CUDA."""

    ref: str
    python: str
    patch_ref: str
    patch_from: str
    os: str
    architectures: tuple[str, ...]
    packages: tuple[str, ...]
    rank: int
    withdrawn: str
    source: str
    checked: str
    file: str
    line: int


class System(Struct, frozen=True):
    """An operating system release. preference: among images of one rank the lowest is taken."""

    name: str
    title: str
    codename: str
    glibc: str
    preference: int
    source: str
    checked: str
    file: str
    line: int


class Gpu(Struct, frozen=True):
    """A GPU model, the other names it goes by, and its compute capability."""

    name: str
    capability: Version
    generation: str
    aliases: tuple[str, ...]
    source: str
    checked: str
    file: str
    line: int


class CogRelease(Struct, frozen=True):
    """A release of cog or coglet. coglet: what cog asks of coglet, empty before 0.17."""

    package: str
    version: Version
    architectures: tuple[str, ...]
    python: str
    glibc: str
    coglet: str
    withdrawn: str
    source: str
    checked: str
    file: str
    line: int


class Tool(Struct, frozen=True):
    """A tool that builds use, at the version that is pinned.

    sha256: of its wheels for Linux with glibc, for every architecture; empty where nobody knows.
    """

    tool: str
    version: Version
    sha256: tuple[str, ...]
    source: str
    checked: str
    file: str
    line: int


class Schema(Struct, frozen=True):
    """A table: the class of its rows, and the columns that identify a row and sort the table."""

    row: type[Struct]
    key: tuple[str, ...]


TABLES: Mapping[str, Schema] = {
    "base_images": Schema(BaseImage, ("ref",)),
    "cog": Schema(CogRelease, ("package", "version")),
    "cuda": Schema(Cuda, ("version",)),
    "cuda_images": Schema(CudaImage, ("cuda", "os")),
    "cudnn": Schema(Cudnn, ("version",)),
    "gpus": Schema(Gpu, ("capability", "name")),
    "jax": Schema(JaxRelease, ("version",)),
    "jax_plugins": Schema(JaxPlugin, ("package", "version", "architecture")),
    "jaxlib": Schema(Wheel, ("version", "architecture")),
    "os": Schema(System, ("name",)),
    "overrides": Schema(Override, ("package", "versions", "requires")),
    "pins": Schema(Pin, ("package", "version")),
    "python": Schema(PythonRelease, ("version",)),
    "tensorflow": Schema(TensorflowBuild, ("version", "architecture")),
    "tools": Schema(Tool, ("tool", "version")),
    "torch": Schema(TorchBuild, ("version", "architecture")),
    "torchaudio": Schema(CompanionBuild, ("version", "architecture")),
    "torchvision": Schema(CompanionBuild, ("version", "architecture")),
    "triton": Schema(Wheel, ("version", "architecture")),
}
"""Table name (the file without `.csv`) -> what is in it."""

READERS: Mapping[object, Callable[[str], object]] = {
    str: str,
    int: int,
    Version: cache(Version),
    tuple[str, ...]: lambda cell: tuple(cell.split()),
}
"""Type of a field -> how its cell is read; each raises ValueError for a bad cell."""

OPTIONAL = "withdrawn"
"""A column that a file may leave out: then no row of it is withdrawn."""

LEFT_OUT = frozenset({OPTIONAL, "sha256"})
"""Columns that a file may leave out; they are then empty in all its rows."""

COMMON = ("source", "checked", "file", "line")
"""The last fields of every row."""


@cache
def columns(table: str) -> tuple[tuple[str, Callable[[str], object]], ...]:
    """Name and reader of each column of a table but `source` and `checked`, as the fields stand."""
    return tuple(
        (name, READERS[kind])
        for name, kind in TABLES[table].row.__annotations__.items()
        if name not in COMMON
    )
