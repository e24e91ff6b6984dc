"""The commit that a project folder has checked out, read from git's files; git is never run."""

from __future__ import annotations

from pathlib import Path

from ..files import read_file

__all__ = ["read_revision"]

_HEX = frozenset("0123456789abcdef")
# Lengths of a commit's name in hexadecimal digits: SHA-1 and SHA-256.
_LENGTHS = (40, 64)

# Of a file of git that holds one line.
_MAX_LINE_BYTES = 1 << 16


def read_revision(root: Path) -> str:
    """The name of the commit; empty when the folder is not the top of a git working tree.

    root: the project folder. What lies above it is not looked at: where a project has been put
    must not change its image. Changes that are not committed do not count either.
    """
    try:
        folder = _git_folder(root)
        head = _line(folder / "HEAD")
        if not head.startswith("ref: "):
            return _commit(head)
        name = head.removeprefix("ref: ")
        # A second working tree has its own HEAD, and its branches where the first has them.
        shared = folder / "commondir"
        common = folder / _line(shared) if shared.is_file() else folder
        for place in (folder, common):
            if (place / name).is_file():
                return _commit(_line(place / name))
        return _packed(common / "packed-refs", name)
    except (OSError, ValueError):
        return ""


def _git_folder(root: Path) -> Path:
    git = root / ".git"
    if git.is_file():
        return root / _line(git).removeprefix("gitdir: ")
    return git


def _packed(file: Path, name: str) -> str:
    for line in read_file(file).decode().splitlines():
        commit, _, ref = line.partition(" ")
        if ref == name:
            return _commit(commit)
    return ""


def _line(file: Path) -> str:
    return read_file(file, _MAX_LINE_BYTES).decode().strip()


def _commit(text: str) -> str:
    return text if len(text) in _LENGTHS and _HEX.issuperset(text) else ""
