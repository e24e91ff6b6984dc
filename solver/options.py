"""What command-line options ask of the solver: a GPU, a driver, a what-if."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec.structs import replace
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from ..compat.tables import Tables
from ..errors import Fault, UserError
from ..origin import Origin
from .matrix import gpu_capability
from .requirement import Requirement
from .universe import Candidate, Universe

__all__ = [
    "driver_requirement",
    "gpu_requirement",
    "overridden",
    "override_requirements",
    "unknown_package",
]

DRIVER = "driver"
GPU_CAPABILITY = "gpu-capability"

# A driver named by its branch alone (`535`) stands for the newest of the branch, and no release
# of a branch is numbered as high as this.
_BRANCH_END = 9999

# Packages of which cog.yaml asks for a series: `python_version: "3.12"` is any 3.12.
_BY_SERIES = frozenset({"cuda", "cudnn", "python", "system-cuda", "system-cudnn"})

_OVERRIDE = re.compile(r"\s*([A-Za-z0-9._-]*[A-Za-z0-9])\s*([=<>!~].*)")


def gpu_requirement(name: str, tables: Tables) -> Requirement:
    """The compute capability of a GPU.

    name: a model, however it is spelt, or a capability (`9.0`, `sm_90`).

    Raises UserError for a name that the tables do not know.
    """
    origin = Origin(asker="--gpu", text=f"--gpu {name}")
    capability = gpu_capability(tables, name)
    if capability is None:
        known = sorted({row.name for row in tables.gpus})
        hint = f"{near}? " if (near := _near(name.lower(), known)) else ""
        hint += "A compute capability does as well: --gpu 9.0"
        raise UserError(Fault(f"no GPU '{name}' is known", origin, hint))
    return Requirement(GPU_CAPABILITY, f"=={capability}", origin)


def driver_requirement(text: str, universe: Universe) -> tuple[Requirement, Universe]:
    """An NVIDIA driver that must do, and the universe with that driver in it.

    text: a release (`535.54.03`) or a branch (`535`), which stands for its newest release.

    Raises UserError when it is no version.
    """
    origin = Origin(asker="--driver", text=f"--driver {text}")
    try:
        version = Version(text)
    except ValueError:  # InvalidVersion, or more digits than Python reads
        hint = "write it as nvidia-smi shows it, for example 550.54.14, or its branch: 550"
        raise UserError(Fault(f"'{text}' is no driver version", origin, hint)) from None
    if len(version.release) == 1:
        version = Version(f"{version}.{_BRANCH_END}")
    driver = Candidate(DRIVER, text, version)
    known = universe[DRIVER].candidates if DRIVER in universe else ()
    extra = [] if any(one.version == version for one in known) else [driver]
    return Requirement(DRIVER, f"=={version}", origin), universe.extended(extra)


def override_requirements(overrides: Sequence[str]) -> tuple[Requirement, ...]:
    """The requirements of a what-if.

    overrides: `torch=2.4.1`, `torch==2.4.1` or `torch>=2.4,<2.6`; `python=3.12` and `cuda=12.6`
        mean any release of that series, as the keys of cog.yaml do.

    Raises UserError with every override that cannot be read.
    """
    found = []
    faults = []
    for text in overrides:
        origin = Origin(asker="--override", text=f"--override {text}")
        parts = _OVERRIDE.fullmatch(text)
        name = canonicalize_name(parts[1]) if parts else ""
        specifier = _specifier(name, parts[2]) if parts else None
        if specifier is None:
            hint = "write package=version, for example torch=2.4.1"
            faults.append(Fault(f"'{text}' is no override", origin, hint))
        else:
            found.append(Requirement(name, specifier, origin))
    if faults:
        raise UserError(faults)
    return tuple(found)


def overridden(
    requirements: Iterable[Requirement], replacing: Sequence[Requirement], universe: Universe
) -> tuple[Requirement, ...]:
    """The requirements, those on the packages of `replacing` replaced by it.

    Of a line that asks for one version of several packages, as `cuda:` does of CUDA and of that in
    the image, all of it is replaced.

    Raises UserError with every package that the universe does not know.
    """
    faults = [
        unknown_package(one.package, one.origin, universe)
        for one in replacing
        if one.package not in universe
    ]
    if faults:
        raise UserError(faults)
    asked = tuple(requirements)
    by_name = {one.package: one for one in replacing}
    by_line = {
        (one.origin, one.specifier): by_name[one.package]
        for one in asked
        if one.package in by_name and one.origin.file
    }
    kept = []
    for one in asked:
        new = by_line.get((one.origin, one.specifier))
        if one.package not in by_name:
            kept.append(replace(new, package=one.package) if new else one)
    return tuple(sorted({*kept, *replacing}))


def unknown_package(name: str, origin: Origin, universe: Universe) -> Fault:
    """That an option names a package that is no part of the tables."""
    near = _near(name, universe.packages)
    hint = (
        f"{near}?" if near else "of other packages the index has the versions, see resolve --lock"
    )
    return Fault(f"the tables know no package '{name}'", origin, hint)


def _specifier(name: str, text: str) -> str | None:
    """`=2.4.1` means `==2.4.1`; None when it is neither that nor PEP 440."""
    plain = f"={text}" if re.match(r"=[^=]", text) else text
    if name in _BY_SERIES and re.fullmatch(r"=\s*\d+(\.\d+)?\s*", text):
        plain = f"={text.rstrip()}.*"
    try:
        SpecifierSet(plain)
    except InvalidSpecifier:
        return None
    return plain.strip()


def _near(name: str, known: Iterable[str]) -> str:
    """What may have been meant; empty when nothing is near."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=3)
    return f"did you mean {' or '.join(close)}" if close else ""
