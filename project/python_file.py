"""`.python-version`, in which uv and pyenv note the Python of a project."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import Fault
from ..files import read_file
from ..origin import Origin
from .redact import quote_text

__all__ = ["FILE", "read_python_file"]

FILE = ".python-version"
MAX_BYTES = 1 << 16

# `3.12`, `3.12.4`, `cpython-3.12`, `cpython@3.12.4`, `cpython-3.12.4-linux-x86_64-gnu`.
_VERSION = re.compile(r"(?:(?:cpython|python)[-@]?)?(3\.\d+(?:\.\d+)?)(?:-[\w.-]*)?", re.IGNORECASE)


def read_python_file(root: Path) -> tuple[tuple[str, Origin] | None, tuple[Fault, ...]]:
    """The version that the file names first, with its line, and what there is to warn of.

    None without a file, or when what it names is no version of CPython; then a warning says so.
    """
    try:
        text = read_file(root / FILE, MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return None, ()
    for number, line in enumerate(text.splitlines(), 1):
        word = line.partition("#")[0].strip()
        if not word:
            continue
        shown = quote_text(word)
        origin = Origin(FILE, number, shown)
        if found := _VERSION.fullmatch(word):
            return (found[1], origin), ()
        message = f'"{shown}" is no version of CPython, so the solver chooses one'
        return None, (Fault(message, origin, "write a version as 3.12 or 3.12.4"),)
    return None, ()
