"""Reading files of bounded size, and writing them so that a reader never sees a part."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from .errors import BuilderError

__all__ = ["home_folder", "is_file", "read_file", "write_atomically"]

# Seconds after which a file that was never renamed is one of a process that was killed.
_LEFT_BEHIND = 3600

# Of a file that is read whole: far more than any lock or table, far less than a machine's memory.
_MAX_BYTES = 64 << 20


def read_file(path: Path, limit: int = _MAX_BYTES) -> bytes:
    """The bytes of a regular file.

    A pipe or a device in the place of a file would hold the reader for ever, or fill its memory.
    limit: bytes that a file of its kind may have.

    Raises OSError, with a sentence in `strerror` that says what is wrong with it.
    """
    name = str(path)
    try:
        found = path.stat()
    except ValueError:  # a NUL
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise OSError(errno.EINVAL, "it is no regular file", name)
    if found.st_size > limit:
        message = f"it is {found.st_size} bytes long; the limit is {limit}"
        raise OSError(errno.EFBIG, message, name)
    return path.read_bytes()


def is_file(path: Path) -> bool:
    """Whether there is a regular file; no path, however long or odd, is an error."""
    return os.path.isfile(path)  # noqa: PTH113  # unlike it, pathlib raises for long names


def home_folder(environ: Mapping[str, str]) -> Path | None:
    """The user's folder; None when neither HOME nor the machine's list of users knows it."""
    found = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111  # does not raise
    return None if found == "~" else Path(found)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` to `path`: to a file beside it first, which then takes its name.

    The file gets the mode that the umask gives to new files, or keeps that of the one it replaces.
    What writers that were killed left beside it goes.
    Raises BuilderError when the folder or the disk refuses; `path` is then as it was.
    """
    # Most runs write nothing, and should not pay for the import.
    import tempfile

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
    import glob
    import time

    for other in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        # Another writer may be renaming its own just now, and may own what it left.
        with contextlib.suppress(OSError):
            if time.time() - other.stat().st_mtime > _LEFT_BEHIND:
                other.unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
