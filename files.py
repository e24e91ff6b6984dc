"""Writing files so that a reader sees the old content or the new one, never a part."""

from __future__ import annotations

import glob
import os
import tempfile
import time
from pathlib import Path

from .errors import BuilderError

__all__ = ["write_atomically"]

# Seconds after which a file that was never renamed is one of a process that was killed.
_LEFT_BEHIND = 3600


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`: to a file beside it first, which then takes its name.

    The file gets the mode that the umask gives to new files, or keeps that of the one it replaces.
    What writers that were killed left beside it goes.
    Raises BuilderError when the folder or the disk refuses; `path` is then as it was.
    """
    try:
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask()
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", suffix=".tmp", delete=False
        ) as file:
            try:
                file.write(content)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        _remove_left_behind(path)
    except OSError as error:
        raise BuilderError(
            f"{path} cannot be written: {error.strerror}",
            hint="see that its folder exists, is yours to write to, and has room",
        ) from None


def _remove_left_behind(path: Path) -> None:
    for other in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        if time.time() - other.stat().st_mtime > _LEFT_BEHIND:
            other.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
