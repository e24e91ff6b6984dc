"""The files of the project folder: which are there, how large they are, and what is left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from ..errors import Fault, UserError
from ..patterns import Flags, PatternError, PatternSet
from .ignore import FILE

__all__ = ["TreeFile", "list_files"]


class TreeFile(Struct, frozen=True, order=True):
    """A file or a link, by its path relative to the folder that was listed, with `/`.

    size: in bytes; of a link, 0.
    """

    path: str
    size: int
    is_link: bool = False


def list_files(root: Path, ignore: Iterable[str] = ()) -> tuple[TreeFile, ...]:
    """What lies in a folder and its folders, sorted by path; links are not followed.

    root: the folder. ignore: patterns as in .dockerignore.
    Sockets, pipes and devices are left out: no image can hold them.
    Raises UserError for a malformed pattern and for a folder that cannot be read.
    """
    try:
        patterns = PatternSet(ignore)
    except PatternError as error:
        raise UserError(Fault(str(error), hint=f"correct it in {FILE}")) from None
    return tuple(sorted(_walk(root, "", patterns, ())))


def _walk(folder: Path, prefix: str, patterns: PatternSet, flags: Flags) -> Iterator[TreeFile]:
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise UserError(f"the folder {prefix or '.'} cannot be read: {error.strerror}") from None
    for entry in entries:
        path = f"{prefix}{entry.name}"
        ignored, below = patterns.match(path, flags)
        if entry.is_dir(follow_symlinks=False):
            if not ignored or patterns.may_except_below(path):
                yield from _walk(folder / entry.name, f"{path}/", patterns, below)
        elif not ignored:
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                yield TreeFile(path, 0, is_link=True)
            elif stat.S_ISREG(found.st_mode):
                yield TreeFile(path, found.st_size)
