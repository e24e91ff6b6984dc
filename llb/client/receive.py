"""Receiving a file tree from the daemon: the other side of `filesync.send`.

The tree is written into a fresh folder, so nothing in it can be someone else's; a path that leaves
it or comes out of order is refused. Files get this user as their owner.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ...errors import BuilderError
from ..proto import fsutil_pb2
from .walk import (
    GO_CHAR_DEVICE,
    GO_DIR,
    GO_NAMED_PIPE,
    GO_SYMLINK,
    GO_TYPE,
    posix_permissions,
)

__all__ = ["receive"]

Packet = fsutil_pb2.Packet


# How many files are asked for at a time. A sender of fsutil queues 128 requests and then blocks,
# even when the call has ended meanwhile: with more, an error here would leave the daemon hanging.
_MOST_REQUESTS = 100


@dataclass
class _Reception:
    """What has come so far. Folders get their mode and time last: a read-only one must fill up."""

    root: Path
    folders: list[fsutil_pb2.Stat] = field(default_factory=list)
    folder_paths: set[str] = field(default_factory=lambda: {""})
    file_paths: set[str] = field(default_factory=set)
    unasked: deque[tuple[int, fsutil_pb2.Stat]] = field(default_factory=deque)
    waiting: dict[int, fsutil_pb2.Stat] = field(default_factory=dict)
    open: dict[int, BinaryIO] = field(default_factory=dict)


def receive(root: Path, packets: Iterator[Packet]) -> Iterator[Sequence[Packet]]:
    """Write what the packets describe into `root`, an empty folder; yields batches of answers.

    Raises BuilderError when the daemon breaks the protocol or reports an error, OSError when
    writing fails.
    """
    state = _Reception(root)
    try:
        yield from _receive(state, packets)
    finally:
        for file in state.open.values():
            # Closing flushes, and on a full disk that fails once more.
            with contextlib.suppress(OSError):
                file.close()
    for entry in reversed(state.folders):
        _finish(root / entry.path, entry)


def _receive(state: _Reception, packets: Iterator[Packet]) -> Iterator[Sequence[Packet]]:
    number = 0
    walked = False
    for packet in packets:
        if packet.type == Packet.PACKET_FIN:
            return
        if packet.type == Packet.PACKET_ERR:
            reason = packet.data.decode("utf-8", "replace")
            raise BuilderError(f"the daemon could not send the files: {reason}")
        if packet.type == Packet.PACKET_DATA:
            _take_data(state, packet)
        elif packet.HasField("stat"):
            _take_stat(state, number, packet.stat)
            number += 1
        else:
            walked = True
        if state.unasked and len(state.waiting) <= _MOST_REQUESTS // 2:
            yield _ask(state)
        if walked and not state.waiting:
            walked = False
            yield [Packet(type=Packet.PACKET_FIN)]
    raise BuilderError("the daemon broke off while it sent the files")


def _ask(state: _Reception) -> list[Packet]:
    """Ask for as many files as may be asked for."""
    requests = []
    while state.unasked and len(state.waiting) < _MOST_REQUESTS:
        number, entry = state.unasked.popleft()
        state.waiting[number] = entry
        requests.append(Packet(type=Packet.PACKET_REQ, ID=number))
    return requests


def _take_stat(state: _Reception, number: int, entry: fsutil_pb2.Stat) -> None:
    """Make one entry; a file's contents are still to be asked for."""
    parent, name = posixpath.split(entry.path)
    if parent not in state.folder_paths or name in ("", ".", "..") or "\0" in name:
        raise BuilderError(f"the daemon sent the path `{entry.path}`, which is not a proper one")
    path = state.root / entry.path
    kind = entry.mode & GO_TYPE
    if kind == GO_DIR:
        path.mkdir(mode=0o700)
        state.folder_paths.add(entry.path)
        state.folders.append(entry)
    elif kind == GO_SYMLINK:
        path.symlink_to(entry.linkname)
        os.utime(path, ns=(entry.modTime, entry.modTime), follow_symlinks=False)
    elif kind:
        _make_special(path, entry)
    elif entry.linkname:
        _link(state, path, entry)
    else:
        state.file_paths.add(entry.path)
        state.unasked.append((number, entry))


def _link(state: _Reception, path: Path, entry: fsutil_pb2.Stat) -> None:
    """A hard link; the contents of its first name may still be on their way."""
    if entry.linkname not in state.file_paths:
        raise BuilderError(f"the daemon sent a link to `{entry.linkname}`, which it did not send")
    first = state.root / entry.linkname
    first.touch()
    path.hardlink_to(first)
    state.file_paths.add(entry.path)


def _make_special(path: Path, entry: fsutil_pb2.Stat) -> None:
    kind = entry.mode & GO_TYPE
    if kind == GO_NAMED_PIPE:
        os.mkfifo(path)
    else:
        form = stat.S_IFCHR if kind & GO_CHAR_DEVICE else stat.S_IFBLK
        os.mknod(path, form | 0o600, os.makedev(entry.devmajor, entry.devminor))
    _finish(path, entry)


def _take_data(state: _Reception, packet: Packet) -> None:
    """Append to a file; an empty packet ends it."""
    entry = state.waiting.get(packet.ID)
    if entry is None:
        raise BuilderError("the daemon sent the contents of a file that was not asked for")
    path = state.root / entry.path
    if packet.ID not in state.open:
        state.open[packet.ID] = path.open("wb")
    file = state.open[packet.ID]
    if packet.data:
        file.write(packet.data)
        return
    file.close()
    del state.open[packet.ID], state.waiting[packet.ID]
    _finish(path, entry)


def _finish(path: Path, entry: fsutil_pb2.Stat) -> None:
    path.chmod(posix_permissions(entry.mode))
    os.utime(path, ns=(entry.modTime, entry.modTime))
