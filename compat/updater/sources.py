"""Where the tables come from, by name; a source that fails is an `UnreachedError`."""

from __future__ import annotations

from collections.abc import Mapping

from ...registry.errors import UnreachedError

__all__ = ["SOURCES", "UnreachedError"]

SOURCES: Mapping[str, str] = {
    # PyTorch's own package index, a folder for each variant.
    "pytorch": "https://download.pytorch.org/whl",
    # What each release has kernels for stands in RELEASE.md of its branch and of main.
    "pytorch-notes": "https://raw.githubusercontent.com/pytorch/pytorch",
    # The end of life of each minor of Python: release-cycle.json.
    "python-cycle": "https://peps.python.org/api",
    # The releases of Python: v2/downloads/release/.
    "python-releases": "https://www.python.org/api",
    # The registry behind docker.io.
    "docker.io": "https://registry-1.docker.io",
}
"""Source -> where it lives when no mirror is named."""
