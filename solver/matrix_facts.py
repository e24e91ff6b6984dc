"""What the builders of the matrix share: the tables of one platform, facts, and their wording."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, cached_property

from msgspec import Struct
from packaging.version import Version

from ..compat.rows import CompanionBuild, Row, System, TensorflowBuild, TorchBuild
from ..compat.tables import Tables
from .universe import Fact, Relation, Term

__all__ = [
    "ACCELERATOR",
    "CUDA_BUILD_WITHOUT_GPU",
    "CUDA_MISMATCH",
    "CUDNN_MISMATCH",
    "OTHER_INDEX",
    "SYSTEM_CUDA_MISMATCH",
    "UNTESTED_CUDA",
    "USUAL",
    "WITHDRAWN",
    "Matrix",
    "cuda_libraries",
    "minor_range",
    "minor_series",
    "python_text",
    "range_text",
]

USUAL = "amd64"
"""The architecture that people mean when they name none."""

ACCELERATOR = "accelerator"
CUDA_MISMATCH = "cuda-mismatch"
CUDNN_MISMATCH = "cudnn-mismatch"
SYSTEM_CUDA_MISMATCH = "system-cuda-mismatch"
OTHER_INDEX = "other-index"
UNTESTED_CUDA = "untested-cuda"
CUDA_BUILD_WITHOUT_GPU = "cuda-build-without-gpu"
WITHDRAWN = "withdrawn-release"

_CLAUSE = re.compile(r"\s*(===|[<>=!~]=|[<>])\s*(.+)")


class Matrix(Struct, frozen=True, dict=True):
    """The tables as one platform sees them.

    architecture: `amd64` or `arm64`.
    with_cuda_images, with_compilers: whether NVIDIA's images and those with a compiler are among
        the base images. No policy prefers them, so they only cost time when nothing needs them.
    """

    tables: Tables
    architecture: str
    with_cuda_images: bool = True
    with_compilers: bool = True

    @property
    def there(self) -> str:
        """Ends a fact that may be another one on the usual architecture: ` on arm64`."""
        return f" on {self.architecture}" if self.architecture != USUAL else ""

    @cached_property
    def torch(self) -> tuple[TorchBuild, ...]:
        """The builds of torch for the platform."""
        return tuple(row for row in self.tables.torch if row.architecture == self.architecture)

    @cached_property
    def default_torch(self) -> Mapping[str, TorchBuild]:
        """The builds of torch on the default index, by version; one release has one build there."""
        return {str(row.version): row for row in self.torch if not row.index_url}

    @cached_property
    def tensorflow(self) -> tuple[TensorflowBuild, ...]:
        """The builds of tensorflow for the platform."""
        return tuple(row for row in self.tables.tensorflow if row.architecture == self.architecture)

    def companions(self, package: str) -> tuple[CompanionBuild, ...]:
        """The builds of torchvision or torchaudio for the platform."""
        rows = self.tables.torchvision if package == "torchvision" else self.tables.torchaudio
        return tuple(row for row in rows if row.architecture == self.architecture)

    @cached_property
    def indexes(self) -> Mapping[str, str]:
        """Variant of torch -> the index that serves it."""
        return {row.variant: row.index_url for row in self.tables.torch if row.index_url}

    @cached_property
    def minimal_drivers(self) -> Mapping[str, str]:
        """CUDA minor (`12.6`) -> the oldest driver that runs it."""
        found: dict[str, str] = {}
        for row in self.tables.cuda:
            found.setdefault(minor_series(row.version), row.minimal_driver)
        return found

    def stand_ins(self, minor: str) -> list[Version]:
        """CUDA releases whose libraries do for what was built with this minor, in order.

        They are of its major, not older, and run on the same drivers, which is how NVIDIA's release
        notes say which releases are compatible (CUDA minor version compatibility).
        """
        rows = self.tables.cuda
        own = [row for row in rows if minor_series(row.version) == minor]
        drivers = {row.minimal_driver for row in own}
        built = Version(minor)
        return sorted(
            row.version
            for row in rows
            if row.version.major == built.major
            and row.version >= built
            and row.minimal_driver in drivers
        )

    @cached_property
    def oldest_capabilities(self) -> Mapping[str, str]:
        """CUDA minor -> the oldest compute capability that its compiler still knows."""
        return {minor_series(row.version): row.oldest_capability for row in self.tables.cuda}

    @cached_property
    def systems(self) -> Mapping[str, System]:
        """Operating systems by name."""
        return {row.name: row for row in self.tables.os}

    @cached_property
    def patches(self) -> Mapping[tuple[int, ...], list[Version]]:
        """The releases of each Python minor, such as (3, 12)."""
        found: dict[tuple[int, ...], list[Version]] = {}
        for row in self.tables.python:
            found.setdefault(row.version.release[:2], []).append(row.version)
        return found

    @cached_property
    def managed_pythons(self) -> str:
        """The specifier of the Pythons that uv can fetch: all but those known to be missing."""
        missing = (row for row in self.tables.python if self.architecture not in row.managed)
        return ",".join(f"!={row.version}" for row in missing)

    def fact(self, row: Row, key: str, text: str) -> Fact:
        """What a row states; see `universe.Fact` for key and text."""
        return Fact(row.file, row.line, key, text)

    def python(self, row: Row, key: str, specifier: str) -> tuple[Relation, ...]:
        """The row's thing installs on these Pythons only; nothing when it does not say."""
        if not specifier:
            return ()
        fact = self.fact(row, key, f"{key} has wheels for {python_text(specifier)}")
        return (Relation(fact, (Term("python", specifier),)),)

    def glibc(self, row: Row, key: str, floor: str) -> tuple[Relation, ...]:
        """The row's thing needs a glibc of at least this version; nothing when it does not say."""
        if not floor:
            return ()
        fact = self.fact(row, key, f"the wheels of {key} need glibc {floor} or newer")
        return (Relation(fact, (Term("glibc", f">={floor}"),)),)

    def withdrawn(self, row: Row, key: str) -> tuple[Relation, ...]:
        """The row's thing was withdrawn upstream, so it is taken only if nothing else will do."""
        text = self.withdrawal(row, key)
        return (Relation(self.fact(row, key, text[0]), (Term(WITHDRAWN),)),) if text else ()

    def withdrawal(self, row: Row, key: str) -> tuple[str, ...]:
        """What to tell who gets a thing that was withdrawn; nothing for one that was not."""
        day = getattr(row, "withdrawn", "")
        return (f"{key} was withdrawn upstream (seen on {day}): it may not install",) if day else ()

    def driver(self, row: Row, key: str, cuda: str, unless: Iterable[Term]) -> Relation:
        """The row's thing runs CUDA of this minor, so it needs a driver for it."""
        floor = self.minimal_drivers[cuda]
        fact = self.fact(
            row, key, f"{key} runs CUDA {cuda}, which needs NVIDIA driver {floor} or newer"
        )
        return Relation(fact, (Term("driver", f">={floor}"), *unless))

    def capability(self, row: Row, key: str, cuda: str, unless: Iterable[Term] = ()) -> Relation:
        """The row's thing runs CUDA of this minor, which knows no GPU that is too old for it."""
        oldest = self.oldest_capabilities[cuda]
        text = f"{key} runs CUDA {cuda}, which knows no compute capability below {oldest}"
        term = Term("gpu-capability", f">={oldest}", absent_ok=True)
        return Relation(self.fact(row, key, text), (term, *unless))


def cuda_libraries(major: str) -> str:
    """The package that stands for the CUDA libraries of one major on the package index."""
    return f"cuda-libraries-cu{major}"


def minor_series(version: Version) -> str:
    """`12.6` for 12.6.3."""
    return f"{version.major}.{version.minor}"


@cache
def minor_range(specifier: str) -> str:
    """A specifier over the versions of CUDA's components, as one over CUDA's minors.

    `==12.5.82` is `==12.5.*`, `>=12.5.82,<13.0` is `>=12.5,<13.0`: a component's third number
    counts builds and says nothing about the toolkit's updates. Where a bound cuts through a minor,
    some build of that minor is in the range, so the minor is.
    """
    return ",".join(filter(None, map(_minors, specifier.split(","))))


def _minors(clause: str) -> str:
    """`minor_range` of one clause; empty when it leaves every minor something."""
    operator, text = _split(clause)
    numbers = text.removesuffix(".*").split(".")
    major, minor = numbers[0], ".".join(numbers[:2])
    if not all(number.isdecimal() for number in numbers):
        return ""
    if operator == "!=":
        return f"!={text}" if text.endswith(".*") else ""
    if operator in {"==", "==="}:
        return f"=={minor}.*"
    if operator == "~=":
        return f"=={minor}.*" if len(numbers) > 2 else f">={minor},=={major}.*"
    if operator in {">", ">="}:
        return f">={minor}"
    # Up to a number of a minor is up to the end of that minor.
    if operator == "<" and not any(map(int, numbers[2:])):
        return f"<{minor}"
    return f"<{major}.{int([*numbers, '0'][1]) + 1}"


def python_text(specifier: str) -> str:
    """`Python 3.9 to 3.13` for `>=3.9,<3.14`, as sentences need it."""
    return f"Python {range_text(specifier)}"


@cache
def range_text(specifier: str) -> str:
    """A specifier as words: `3.9 to 3.13`, `2.14.0 and newer, below 3`, `2.7.1`, else itself."""
    lower = upper = ""
    rest = []
    for clause in filter(None, specifier.split(",")):
        operator, text = _split(clause)
        if operator == ">=" and not lower:
            lower = text
        elif operator == "<" and not upper and re.fullmatch(r"3\.[1-9]\d*", text):
            upper = f"3.{int(text[2:]) - 1}"
        elif operator == "<=" and not upper:
            upper = text
        elif operator == "<":
            rest.append(f"below {text}")
        elif operator == "==":
            rest.append(text.removesuffix(".*"))
        elif operator == "!=":
            rest.append(f"not {text.removesuffix('.*')}")
        else:
            rest.append(clause.strip())
    if lower and upper:
        bounds = [lower if lower == upper else f"{lower} to {upper}"]
    elif lower:
        bounds = [f"{lower} and newer"]
    else:
        bounds = [f"up to {upper}"] if upper else []
    return ", ".join(bounds + rest)


def _split(clause: str) -> tuple[str, str]:
    found = _CLAUSE.fullmatch(clause)
    if found is None:
        raise ValueError(f"{clause!r} is no version specifier")
    return found[1], found[2].strip()
