"""Paths that the user wrote, as paths relative to the project; none may leave it."""

from __future__ import annotations

import posixpath
from pathlib import Path

__all__ = ["LeavesProjectError", "project_path"]


class LeavesProjectError(ValueError):
    """The path points outside the project folder, by itself or through a symbolic link."""


def project_path(root: Path, written: str, base: str = "") -> str:
    """The path relative to the project, with `/`, `.` for the project folder itself.

    root: the project folder. written: the user's path, relative to `base` or absolute.
    base: a folder relative to the project. The path need not exist.
    Raises LeavesProjectError when the path points outside the project.
    """
    if "\0" in written:
        raise LeavesProjectError(written)
    if written.startswith("/"):
        relative = posixpath.relpath(posixpath.normpath(written), str(root.resolve()))
    else:
        relative = posixpath.normpath(posixpath.join(base, written))
    if relative == ".." or relative.startswith("../"):
        raise LeavesProjectError(written)
    try:
        resolved = (root / relative).resolve()
    except (OSError, RuntimeError):  # a loop of links, or a name that is too long: it is missing
        return relative
    if not resolved.is_relative_to(root.resolve()):
        raise LeavesProjectError(written)
    return relative
