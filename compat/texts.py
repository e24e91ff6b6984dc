"""Which text cells of the tables are versions and which are specifiers, and whether one is.

The rows keep them as they are written, since most are only compared by the solver. cogpack's own
tables are checked by `check`; what others lay over them is checked as it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from packaging.specifiers import SpecifierSet
from packaging.version import Version

__all__ = ["SPECIFIERS", "VERSIONS", "checked_text"]

SPECIFIERS: Mapping[str, tuple[str, ...]] = {
    "cog": ("python", "coglet"),
    "jax": ("python", "jaxlib", "cuda12_plugin", "cuda13_plugin"),
    "jax_plugins": ("python", "cuda_packages", "cudnn_packages"),
    "jaxlib": ("python",),
    "pins": ("python",),
    "tensorflow": ("python", "cuda_packages", "cudnn_packages"),
    "torch": ("python", "triton"),
    "torchaudio": ("python", "torch"),
    "torchvision": ("python", "torch"),
    "triton": ("python",),
}
"""Table -> the columns that hold PEP 440 specifiers."""

VERSIONS: Mapping[str, tuple[str, ...]] = {
    "base_images": ("python", "patch_from"),
    "cog": ("glibc",),
    "cuda": ("driver", "minimal_driver", "oldest_capability"),
    "cuda_images": ("cudnn",),
    "jax_plugins": ("glibc", "cuda_major"),
    "jaxlib": ("glibc",),
    "os": ("glibc",),
    "tensorflow": ("glibc", "cuda", "cudnn"),
    "torch": ("glibc", "cuda", "cudnn"),
    "torchaudio": ("glibc",),
    "torchvision": ("glibc",),
    "triton": ("glibc",),
}
"""Table -> the columns that hold a version, or nothing."""

# No system is without a glibc.
_NEVER_EMPTY = {("os", "glibc")}


def checked_text(table: str, column: str) -> Callable[[str], str] | None:
    """What reads a text cell of a column and raises ValueError for a bad one; None for any text."""
    if column in VERSIONS.get(table, ()):
        return _needed_version if (table, column) in _NEVER_EMPTY else _version
    return _specifier if column in SPECIFIERS.get(table, ()) else None


def _needed_version(cell: str) -> str:
    Version(cell)
    return cell


def _version(cell: str) -> str:
    return _needed_version(cell) if cell else cell


def _specifier(cell: str) -> str:
    for clause in SpecifierSet(cell):
        if clause.operator != "===":
            Version(clause.version.removesuffix(".*"))
    return cell
