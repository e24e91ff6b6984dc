"""What must hold of the tables, each invariant by name; `cogpack compat check` runs them all.

These need nothing but the tables. That every row can be chosen is proved by solving, which stands
above them in `solver/reachable.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from .rows import OPTIONAL, TABLES, Row
from .texts import SPECIFIERS

__all__ = ["CHECKS", "Check", "Problem", "Rows", "run_checks"]

Rows = Mapping[str, tuple[Row, ...]]
"""Every table by name, as `Tables.read_all` gives them."""

FRAMEWORKS = ("jax", "jaxlib", "tensorflow", "torch", "torchaudio", "torchvision", "triton")

_KERNEL = re.compile(r"\d+\.\d(\+PTX)?")
_LIBRARIES = frozenset({"", "packages", "wheel"})


@dataclass(frozen=True)
class Problem:
    """A row that breaks an invariant; `text` says how, without a final full stop."""

    row: Row
    text: str

    def __str__(self) -> str:
        return f"{self.row.file}:{self.row.line}: {self.text}"


@dataclass(frozen=True)
class Check:
    """One invariant. title: what holds when there is no problem. find: the problems."""

    name: str
    title: str
    find: Callable[[_Tables], Iterator[Problem]]


class _Tables:
    """The tables, without the types: a check names the columns that it is about."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def __getattr__(self, name: str) -> tuple[Any, ...]:
        return self._rows[name]

    def items(self) -> Iterable[tuple[str, tuple[Any, ...]]]:
        return self._rows.items()

    def values(self) -> Iterable[tuple[Any, ...]]:
        return self._rows.values()


def run_checks(rows: Rows) -> Mapping[str, tuple[Problem, ...]]:
    """Every check by name, with what breaks it."""
    tables = _Tables(rows)
    return {check.name: tuple(check.find(tables)) for check in CHECKS}


def _sorted(tables: _Tables) -> Iterator[Problem]:
    for name, rows in tables.items():
        key = TABLES[name].key
        for earlier, later in pairwise(rows):
            before, after = (tuple(getattr(one, part) for part in key) for one in (earlier, later))
            if before == after:
                yield Problem(later, f"the row stands twice: {_shown(after)}")
            elif before > after:
                yield Problem(later, f"{_shown(after)} stands behind {_shown(before)}")


def _sources(tables: _Tables) -> Iterator[Problem]:
    for rows in tables.values():
        for row in rows:
            if not row.source.strip():
                yield Problem(row, "the row has no source")
            for column in ("checked", OPTIONAL):
                text = getattr(row, column, "")
                if (text or column == "checked") and not _is_day(text):
                    yield Problem(row, f"{column}: {text!r} is no day as ISO 8601 has it")


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _specifiers(tables: _Tables) -> Iterator[Problem]:
    for name, wanted in SPECIFIERS.items():
        for row in getattr(tables, name):
            for column in wanted:
                text = getattr(row, column)
                if not _is_specifier(text):
                    yield Problem(row, f"{column}: {text!r} is no version specifier")


def _is_specifier(text: str) -> bool:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        return False
    return True


def _pythons(tables: _Tables) -> Iterator[Problem]:
    releases = [row.version for row in tables.python]
    minors = {version.release[:2]: version for version in releases}
    for name in SPECIFIERS:
        for row in getattr(tables, name):
            if _is_specifier(row.python) and not any(
                SpecifierSet(row.python).contains(version) for version in minors.values()
            ):
                yield Problem(row, f"python: no known release is in {row.python!r}")


def _kernels(tables: _Tables) -> Iterator[Problem]:
    for row in tables.torch:
        for kernel in row.kernels:
            if not _KERNEL.fullmatch(kernel):
                yield Problem(row, f"kernels: {kernel!r} is no compute capability")


def _torch_variants(tables: _Tables) -> Iterator[Problem]:
    for row in tables.torch:
        if bool(row.version.local) != bool(row.index_url):
            yield Problem(row, "a local version and an index_url go together")
        if row.version.local and row.version.local != row.variant:
            yield Problem(row, f"the variant is {row.variant}, the version says otherwise")
        named = f"cu{row.cuda.replace('.', '')}" if row.cuda else "cpu"
        if row.variant != named:
            yield Problem(row, f"the variant is {row.variant}, its CUDA is {row.cuda or 'none'}")
        if not row.cuda and (row.cudnn or row.triton or row.kernels or row.libraries):
            yield Problem(row, "a CPU build has no cudnn, triton, kernels or libraries")
        if row.libraries not in _LIBRARIES:
            yield Problem(row, f"libraries: {row.libraries!r} is neither packages nor wheel")


def _cudas(tables: _Tables) -> Iterator[Problem]:
    minors = {f"{row.version.major}.{row.version.minor}" for row in tables.cuda}
    majors = {str(row.version.major) for row in tables.cuda}
    cudnns = {str(row.version) for row in tables.cudnn}
    for row in (*tables.torch, *tables.tensorflow):
        if row.cuda and row.cuda not in minors:
            yield Problem(row, f"cuda.csv has no toolkit of CUDA {row.cuda}")
    for row in tables.torch:
        if row.cudnn and row.cudnn not in cudnns:
            yield Problem(row, f"cudnn.csv has no cuDNN {row.cudnn}")
    for row in tables.jax_plugins:
        if row.cuda_major not in majors:
            yield Problem(row, f"cuda.csv has no toolkit of CUDA {row.cuda_major}")


def _torch_cuda(tables: _Tables) -> Iterator[Problem]:
    imaged = {f"{row.cuda.major}.{row.cuda.minor}" for row in tables.cuda_images}
    for row in tables.torch:
        if row.cuda and not row.libraries and row.cuda not in imaged:
            yield Problem(row, f"no image has CUDA {row.cuda}, nor does the build bring it")


def _glibc(tables: _Tables) -> Iterator[Problem]:
    newest = max(Version(row.glibc) for row in tables.os)
    for name, rows in tables.items():
        for row in rows:
            floor = getattr(row, "glibc", "")
            if name != "os" and floor and Version(floor) > newest:
                yield Problem(row, f"no system of os.csv has glibc {floor}")


def _torch_triton(tables: _Tables) -> Iterator[Problem]:
    for row in tables.torch:
        if row.triton and not _has(tables.triton, row.triton, row.architecture):
            yield Problem(row, f"triton.csv has no triton {row.triton} for {row.architecture}")


def _companions(tables: _Tables) -> Iterator[Problem]:
    for row in (*tables.torchaudio, *tables.torchvision):
        matching = [
            build
            for build in tables.torch
            if build.architecture == row.architecture and _admits(row.torch, build.version)
        ]
        if not any(not build.index_url for build in matching):
            yield Problem(row, f"torch.csv has no torch {row.torch} for {row.architecture}")
        for variant in sorted({*row.variants} - {build.variant for build in matching}):
            yield Problem(row, f"torch.csv has no variant {variant} of torch {row.torch}")


def _jax(tables: _Tables) -> Iterator[Problem]:
    for row in tables.jax:
        if not _has(tables.jaxlib, row.jaxlib):
            yield Problem(row, f"jaxlib.csv has no jaxlib {row.jaxlib}")
        named = {"12": row.cuda12_plugin, "13": row.cuda13_plugin}
        # Some releases name a plugin that first came with a later one; one that exists is enough.
        if any(named.values()) and not any(
            named.get(plugin.cuda_major) and _admits(named[plugin.cuda_major], plugin.version)
            for plugin in tables.jax_plugins
        ):
            yield Problem(row, "jax_plugins.csv has none of the plugins that the row names")


def _pins(tables: _Tables) -> Iterator[Problem]:
    for row in tables.pins:
        if row.package != canonicalize_name(row.package):
            yield Problem(row, f"the name is normalised as {canonicalize_name(row.package)}")
        for text in row.requires.split(";"):
            try:
                pinned = Requirement(text)
            except InvalidRequirement:
                yield Problem(row, f"requires: {text.strip()!r} is no requirement")
                continue
            if pinned.name not in FRAMEWORKS:
                yield Problem(row, f"requires: {pinned.name} has no table")
            elif not _has(getattr(tables, pinned.name), str(pinned.specifier)):
                yield Problem(row, f"{pinned.name}.csv has no {text.strip()}")


def _cog(tables: _Tables) -> Iterator[Problem]:
    coglets = [row for row in tables.cog if row.package == "coglet"]
    for row in tables.cog:
        if row.coglet and not _has(coglets, row.coglet):
            yield Problem(row, f"cog.csv has no coglet {row.coglet}")


def _images(tables: _Tables) -> Iterator[Problem]:
    systems = {row.name for row in tables.os}
    pythons = {str(row.version) for row in tables.python}
    toolkits = {row.version for row in tables.cuda}
    for row in (*tables.base_images, *tables.cuda_images):
        if row.os not in systems:
            yield Problem(row, f"os.csv has no {row.os}")
    for row in tables.base_images:
        # A company's own image may have one Python and no tags for others.
        if bool(row.patch_ref) != bool(row.patch_from) or (row.patch_ref and not row.python):
            yield Problem(row, "patch_ref and patch_from go together, and with a python")
        for release in sorted({row.python, row.patch_from} - {""} - pythons):
            yield Problem(row, f"python.csv has no Python {release}")
    for row in tables.cuda_images:
        if row.cuda not in toolkits:
            yield Problem(row, f"cuda.csv has no CUDA {row.cuda}")
        if row.cudnn_tag not in {"cudnn", f"cudnn{row.cudnn}"}:
            yield Problem(row, f"cudnn_tag: {row.cudnn_tag!r} does not name cuDNN {row.cudnn}")


def _gpus(tables: _Tables) -> Iterator[Problem]:
    seen: dict[str, Any] = {}
    for row in tables.gpus:
        for name in (row.name, *row.aliases):
            plain = "".join(letter for letter in name.lower() if letter.isalnum())
            other = seen.setdefault(plain, row)
            if other.capability != row.capability:
                yield Problem(row, f"{name} is a GPU of line {other.line} too")


def _has(rows: Iterable[Any], specifier: str, architecture: str = "") -> bool:
    return any(
        _admits(specifier, row.version)
        and (not architecture or getattr(row, "architecture", architecture) == architecture)
        for row in rows
    )


def _admits(specifier: str, version: Version) -> bool:
    return _is_specifier(specifier) and SpecifierSet(specifier).contains(
        version.public, prereleases=True
    )


def _shown(key: Iterable[object]) -> str:
    return " ".join(map(str, key))


CHECKS = (
    Check("sorted", "rows are sorted by PEP 440 versions, and none stands twice", _sorted),
    Check("sources", "every row has a source and the day on which it was read", _sources),
    Check("specifiers", "every specifier can be read", _specifiers),
    Check("pythons", "every row admits a known release of Python", _pythons),
    Check("glibc", "every row runs on the glibc of some system", _glibc),
    Check("kernels", "kernels are compute capabilities", _kernels),
    Check("torch-variants", "a variant of torch is its local version and CUDA", _torch_variants),
    Check("cuda", "every CUDA and cuDNN that a build names is known", _cudas),
    Check("torch-cuda", "each CUDA of torch has an image, or comes with the build", _torch_cuda),
    Check("torch-triton", "the triton of every torch exists", _torch_triton),
    Check("companions", "the torch of every torchvision and torchaudio exists", _companions),
    Check("jax", "the jaxlib and a plugin of every jax exist", _jax),
    Check("pins", "every pin is about a release that exists", _pins),
    Check("cog", "the coglet of every cog exists", _cog),
    Check("images", "images stand on known systems and bring known releases", _images),
    Check("gpus", "a GPU's name means one compute capability", _gpus),
)
"""Every invariant, in the order in which they are told."""
