"""The service through which the daemon delivers exports: FileSend/DiffCopy.

Everything is first written beside its destination, under a hidden name, and takes its place when
the build has succeeded (`Target.commit`); a build that fails leaves nothing (`Target.discard`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from ...errors import BuilderError, UserError
from ..proto import fsutil_pb2, session_pb2
from .export import STDOUT, Export
from .receive import receive
from .rpc_server import Messages, Metadata, Refused, Service, Status

__all__ = ["Target", "filesend_service", "open_targets"]

# By this key the daemon says which of several exports it delivers (session/filesync/filesync.go).
_EXPORT_KEY = "buildkit-attachable-exporter-id"


class Target(ABC):
    """Where one export goes. dest: for messages."""

    def __init__(self, dest: Path) -> None:
        self._dest = dest

    @abstractmethod
    def take(self, messages: Iterator[bytes]) -> Iterator[Sequence[bytes]]:
        """Consume what the daemon sends; yields batches of answers. Raises OSError, Failure."""

    @abstractmethod
    def commit(self) -> None:
        """Put what was received in its place. Raises OSError, Failure."""

    @abstractmethod
    def discard(self) -> None:
        """Remove what was received and not committed; harmless after `commit`."""

    def failure(self, error: OSError) -> BuilderError:
        """The failure for an error of `take` or `commit`."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return BuilderError(
                f"the output {self._dest} could not be written: the disk is full",
                hint="free some space, or choose another folder; nothing was left behind",
            )
        return BuilderError(
            f"the output {self._dest} could not be written: {error.strerror or error}"
        )


class FileTarget(Target):
    """A file that appears whole or not at all."""

    _partial: Path | None = None

    def take(self, messages: Iterator[bytes]) -> Iterator[Sequence[bytes]]:
        descriptor, name = tempfile.mkstemp(dir=self._dest.parent, prefix=f".{self._dest.name}.")
        self._partial = Path(name)
        with os.fdopen(descriptor, "wb") as file:
            # mkstemp makes its files for the owner alone; an export has the usual mode.
            os.fchmod(descriptor, 0o666 & ~_umask())
            _write(messages, file)
        yield from ()

    def commit(self) -> None:
        if self._partial is None:
            raise BuilderError(f"the daemon reported success but sent nothing for {self._dest}")
        self._partial.replace(self._dest)
        self._partial = None

    def discard(self) -> None:
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)


class StdoutTarget(Target):
    """Standard output; what was written cannot be taken back."""

    def take(self, messages: Iterator[bytes]) -> Iterator[Sequence[bytes]]:
        _write(messages, sys.stdout.buffer)
        yield from ()

    def commit(self) -> None:
        sys.stdout.buffer.flush()

    def discard(self) -> None:
        return


class TreeTarget(Target):
    """A folder. What is already there and not in the export stays."""

    _partial: Path | None = None

    def take(self, messages: Iterator[bytes]) -> Iterator[Sequence[bytes]]:
        name = tempfile.mkdtemp(dir=self._dest.parent, prefix=f".{self._dest.name}.")
        self._partial = Path(name)
        for batch in receive(self._partial, map(fsutil_pb2.Packet.FromString, messages)):
            yield [packet.SerializeToString() for packet in batch]
        self._partial.chmod(0o777 & ~_umask())

    def commit(self) -> None:
        if self._partial is None:
            raise BuilderError(f"the daemon reported success but sent nothing for {self._dest}")
        if self._dest.is_dir():
            _refuse_clashes(self._partial, self._dest)
            _merge(self._partial, self._dest)
            self.discard()
        else:
            self._partial.rename(self._dest)
        self._partial = None

    def discard(self) -> None:
        if self._partial is not None:
            _remove_tree(self._partial)


def open_targets(exports: Sequence[Export]) -> dict[int, Target]:
    """The targets of those exports that end here, by their number.

    Raises UserError when a destination cannot take its export: it is of the wrong kind, or its
    folder does not exist. Nothing is written yet.
    """
    targets: dict[int, Target] = {}
    for number, export in enumerate(exports):
        if export.type == "image":
            continue
        if export.dest == STDOUT:
            targets[number] = StdoutTarget(Path(STDOUT))
            continue
        dest = Path(export.dest).absolute()
        _check_dest(export, dest)
        targets[number] = TreeTarget(dest) if export.type == "local" else FileTarget(dest)
    return targets


def _check_dest(export: Export, dest: Path) -> None:
    if not dest.parent.is_dir():
        raise UserError(
            f"the output {export.dest} cannot be written: there is no folder {dest.parent}",
            hint="make the folder first",
        )
    if export.type == "local" and dest.exists() and not dest.is_dir():
        raise UserError(f"the output {export.dest} is a file, and type=local writes a folder")
    if export.type != "local" and dest.is_dir():
        raise UserError(
            f"the output {export.dest} is a folder, and type={export.type} writes a file",
            hint=f"add a name: dest={export.dest.rstrip('/')}/image.tar",
        )


def filesend_service(targets: Mapping[int, Target]) -> Service:
    """Take exports by their number."""

    def diff_copy(metadata: Metadata, messages: Messages) -> Iterator[Sequence[bytes]]:
        number = next(iter(metadata.get(_EXPORT_KEY, ())), "0")
        if not number.isdecimal() or int(number) not in targets:
            raise Refused(Status.NOT_FOUND, "there is no such export")
        target = targets[int(number)]
        try:
            yield from target.take(messages)
        except OSError as error:
            raise target.failure(error) from None

    return Service("moby.filesync.v1.FileSend", {"DiffCopy": diff_copy})


def _write(messages: Iterator[bytes], file: BinaryIO) -> None:
    for message in messages:
        file.write(session_pb2.BytesMessage.FromString(message).data)


def _refuse_clashes(source: Path, dest: Path) -> None:
    """Raise UserError when merging would have to remove something of another kind."""
    for entry in _entries(source):
        there = dest / entry.name
        if entry.is_dir(follow_symlinks=False):
            if there.is_symlink() or (there.exists() and not there.is_dir()):
                raise UserError(
                    f"the output has a folder {there}, where a file or a link stands",
                    hint="remove it, or choose another dest",
                )
            if there.is_dir():
                _refuse_clashes(Path(entry.path), there)
        elif there.is_dir() and not there.is_symlink():
            raise UserError(
                f"the output has a file {there}, where a folder stands",
                hint="remove it, or choose another dest",
            )


def _merge(source: Path, dest: Path) -> None:
    """Move what is in `source` to `dest`; a folder that is there takes the mode of the new one."""
    for entry in _entries(source):
        path, there = Path(entry.path), dest / entry.name
        if not entry.is_dir(follow_symlinks=False):
            path.replace(there)
            continue
        status = entry.stat(follow_symlinks=False)
        # Only a folder that can be written can be emptied or moved.
        path.chmod(0o700)
        if there.is_dir():
            _merge(path, there)
        else:
            path.rename(there)
        there.chmod(stat.S_IMODE(status.st_mode))
        os.utime(there, ns=(status.st_atime_ns, status.st_mtime_ns))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _remove_tree(folder: Path) -> None:
    """Remove a tree, read-only folders in it too."""
    for root, names, _ in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                path = Path(root, name)
                if not path.is_symlink():
                    path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _umask() -> int:
    """The process's umask; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
