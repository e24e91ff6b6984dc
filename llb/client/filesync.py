"""The service through which the daemon reads local folders: FileSync/DiffCopy.

The daemon is the receiver. We send the stat of every entry and an empty one at the end; it asks by
number for the contents that it lacks, while the walk is still going on, and says FIN when it has
all. The protocol is that of tonistiigi/fsutil (receive.go).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote_plus

from ...errors import CogpackError, UserError
from ...patterns import PatternError
from ..proto import fsutil_pb2
from .rpc_server import Messages, Metadata, Service
from .walk import GO_TYPE, Tree, unreadable

__all__ = ["filesync_service", "send"]

Packet = fsutil_pb2.Packet

# The contents of one DATA packet, bytes; BuildKit takes messages of up to 16 MiB.
CHUNK_BYTES = 1 << 18

# How many entries go out together. Between two such batches waiting requests are answered: the
# daemon writes files while the rest of the tree is still being walked.
_BATCH_ENTRIES = 128


def filesync_service(folders: Mapping[str, Path], *, plain_modes: bool = False) -> Service:
    """Serve folders by name; the name and the patterns come with the call, as metadata.

    plain_modes: as in `walk.Tree`.
    """

    def diff_copy(metadata: Metadata, messages: Messages) -> Iterator[Sequence[bytes]]:
        tree = _tree(folders, _decoded(metadata), plain_modes)
        for batch in send(tree, messages):
            yield [packet.SerializeToString() for packet in batch]

    return Service("moby.filesync.v1.FileSync", {"DiffCopy": diff_copy})


def _tree(folders: Mapping[str, Path], options: Metadata, plain_modes: bool) -> Tree:
    name = next(iter(options.get("dir-name", ())), "")
    if name not in folders:
        raise CogpackError(f"the build reads the local folder `{name}`, which was not offered")
    try:
        return Tree(
            folders[name],
            options.get("include-patterns", ()),
            options.get("exclude-patterns", ()),
            options.get("followpaths", ()),
            plain_modes,
        )
    except PatternError as error:
        raise UserError(f"{error} (in the patterns for the local folder `{name}`)") from None


def _decoded(metadata: Metadata) -> Metadata:
    """Values that are not plain ASCII come query-escaped, and another header says so."""
    return {
        key: tuple(map(unquote_plus, values))
        if metadata.get(f"{key}-encoded", ())[:1] == ("1",)
        else values
        for key, values in metadata.items()
    }


class Incoming(Protocol):
    """The receiver's messages, and whether one has come already (`rpc_server.Messages`)."""

    def __next__(self) -> bytes: ...

    def waiting(self) -> bool: ...


class _Requests:
    """The numbers of files that the receiver asks for; they end at its FIN."""

    def __init__(self, messages: Incoming) -> None:
        self._messages = messages
        self.ended = False

    def take(self, *, wait: bool) -> int | None:
        """The next number; None at the end, and without `wait` when none is there yet."""
        while not self.ended and (wait or self._messages.waiting()):
            data = next(self._messages, None)
            packet = Packet.FromString(data) if data is not None else None
            if packet is None or packet.type == Packet.PACKET_FIN:
                self.ended = True
            elif packet.type == Packet.PACKET_REQ:
                return packet.ID
        return None

    def waiting(self) -> bool:
        """Whether the next number, or the end, is there already."""
        return self.ended or self._messages.waiting()


def send(tree: Tree, messages: Incoming) -> Iterator[Sequence[Packet]]:
    """The packets to send for a tree, in batches; `messages` is what the receiver says meanwhile.

    Raises UserError when something of the tree cannot be read.
    """
    requests = _Requests(messages)
    files: dict[int, fsutil_pb2.Stat] = {}
    batch: list[Packet] = []
    for number, entry in enumerate(tree.walk()):
        batch.append(Packet(type=Packet.PACKET_STAT, stat=entry))
        if not entry.mode & GO_TYPE:
            files[number] = entry
        if len(batch) == _BATCH_ENTRIES:
            yield batch
            batch = []
            yield from _answer(tree, requests, files, wait=False)
            if requests.ended:
                return
    yield [*batch, Packet(type=Packet.PACKET_STAT)]
    yield from _answer(tree, requests, files, wait=True)
    yield [Packet(type=Packet.PACKET_FIN)]


def _answer(
    tree: Tree, requests: _Requests, files: dict[int, fsutil_pb2.Stat], *, wait: bool
) -> Iterator[Sequence[Packet]]:
    """The contents asked for, small files together: until now, or with `wait` until the end."""
    batch: list[Packet] = []
    size = 0
    while (number := requests.take(wait=wait)) is not None:
        for packet in _contents(tree, number, files):
            batch.append(packet)
            size += len(packet.data)
            if size >= CHUNK_BYTES:
                yield batch
                batch, size = [], 0
        if batch and not requests.waiting():
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _contents(tree: Tree, number: int, files: dict[int, fsutil_pb2.Stat]) -> Iterator[Packet]:
    """A file's bytes and the empty packet that ends them.

    No more than the announced size is read: a file that grows as fast as it is read would never
    end otherwise.
    """
    entry = files.pop(number, None)
    if entry is None:
        raise CogpackError(f"the daemon asks for the file number {number}, which was not offered")
    try:
        descriptor = _open(tree, entry.path)
        try:
            left = entry.size
            while left and (data := os.read(descriptor, min(left, CHUNK_BYTES))):
                left -= len(data)
                yield Packet(type=Packet.PACKET_DATA, ID=number, data=data)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unreadable(tree.root, entry.path, "file", error) from None
    yield Packet(type=Packet.PACKET_DATA, ID=number)


def _open(tree: Tree, path: str) -> int:
    """Open a file that was a regular one when it was walked. Raises OSError, UserError."""
    # Neither a pipe put in the file's place blocks, nor is a link put there followed.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(tree.root / path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UserError(f"the file `{path}` changed its kind while it was being read")
    return descriptor
