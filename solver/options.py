"""What command-line options ask of the solver: a GPU, a driver, a what-if."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..compat.tables import Tables
from ..errors import Fault, UserError
from ..origin import Origin
from .matrix import gpu_capability
from .requirement import Requirement
from .universe import Candidate, Universe

__all__ = ["driver_requirement", "gpu_requirement", "overridden", "override_requirements"]

DRIVER = "driver"
GPU_CAPABILITY = "gpu-capability"

# A driver named by its branch alone (`535`) stands for the newest of the branch, and no release
# of a branch is numbered as high as this.
_BRANCH_END = 9999

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
    except InvalidVersion:
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

    overrides: `torch=2.4.1`, `torch==2.4.1` or `torch>=2.4,<2.6`.

    Raises UserError with every override that cannot be read.
    """
    found = []
    faults = []
    for text in overrides:
        origin = Origin(asker="--override", text=f"--override {text}")
        parts = _OVERRIDE.fullmatch(text)
        specifier = _specifier(parts[2]) if parts else None
        if parts is None or specifier is None:
            hint = "write package=version, for example torch=2.4.1"
            faults.append(Fault(f"'{text}' is no override", origin, hint))
        else:
            found.append(Requirement(canonicalize_name(parts[1]), specifier, origin))
    if faults:
        raise UserError(faults)
    return tuple(found)


def overridden(
    requirements: Iterable[Requirement], replacing: Sequence[Requirement], universe: Universe
) -> tuple[Requirement, ...]:
    """The requirements, those on the packages of `replacing` replaced by it.

    Raises UserError with every package that the universe does not know.
    """
    faults = []
    for one in replacing:
        if one.package not in universe:
            hint = f"{near}?" if (near := _near(one.package, universe.packages)) else ""
            faults.append(Fault(f"the tables know no package '{one.package}'", one.origin, hint))
    if faults:
        raise UserError(faults)
    names = {one.package for one in replacing}
    return tuple(sorted({*(one for one in requirements if one.package not in names), *replacing}))


def _specifier(text: str) -> str | None:
    """`=2.4.1` means `==2.4.1`; None when it is neither that nor PEP 440."""
    plain = f"={text}" if re.match(r"=[^=]", text) else text
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
