"""Reads metadata out of distribution files: a wheel behind HTTP ranges, a wheel, an sdist.

Archives come from strangers: sizes are bounded, nothing is unpacked to disk, nothing is run.
"""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Protocol, cast

from packaging.utils import canonicalize_name

from .metadata import MetadataError

__all__ = ["RangeReader", "sdist_files", "wheel_metadata"]

# Bytes of a METADATA member: the longest descriptions seen are a few hundred KiB.
_MEMBER_LIMIT = 16 << 20

# Bytes that an sdist may unpack to while its PKG-INFO is looked for.
_UNPACKED_LIMIT = 1 << 30

# Bytes fetched at once. The tail of a wheel holds its directory and, as wheels are written with
# their .dist-info last (PEP 427's advice), in most cases METADATA too.
_TAIL = 64 << 10
_BLOCK = 32 << 10

# What zipfile, tarfile and the decompressors raise for damaged archives.
_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)

# Reads behind the end of an archive. tarfile skips a member whose header promises more than there
# is by reading on, block by block: of a damaged or made-up size for ever.
_EMPTY_READS = 16


class RangeSource(Protocol):
    """A remote file that is read in pieces."""

    def tail(self, count: int) -> tuple[int, bytes]:
        """The size of the file and its last `count` bytes (all when it is shorter)."""
        ...

    def piece(self, start: int, end: int) -> bytes:
        """Bytes from start up to, not including, end."""
        ...


class RangeReader(io.RawIOBase):
    """A seekable file over ranges of a remote one; what was read once is kept."""

    def __init__(self, source: RangeSource) -> None:
        super().__init__()
        self._source = source
        self._size, tail = source.tail(_TAIL)
        self._pieces: list[tuple[int, bytes]] = [(self._size - len(tail), tail)]
        self._position = 0

    def readable(self) -> bool:
        """True: it is read only."""
        return True

    def seekable(self) -> bool:
        """True: any position may be asked for."""
        return True

    def tell(self) -> int:
        """The position, in bytes from the start."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position; see `io.IOBase.seek`."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from the position; see `io.RawIOBase.readinto`."""
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        found = self._kept(self._position, end) or self._fetch(self._position, end)
        count = len(found)
        buffer[:count] = found
        self._position += count
        return count

    def _kept(self, start: int, end: int) -> bytes:
        for first, piece in self._pieces:
            if first <= start and end <= first + len(piece):
                return piece[start - first : end - first]
        return b""

    def _fetch(self, start: int, end: int) -> bytes:
        # The header of a member is read before its body: fetch both in one go.
        stop = min(max(end, start + _BLOCK), self._size)
        piece = self._source.piece(start, stop)
        self._pieces.append((start, piece))
        return piece[: end - start]


def wheel_metadata(file: IO[bytes] | RangeReader, name: str) -> bytes:
    """The METADATA member of a wheel.

    file: the wheel, seekable. name: normalised project name; its .dist-info is the one read.

    Raises MetadataError when the file is no wheel of that project.
    """
    try:
        with zipfile.ZipFile(cast("IO[bytes]", file)) as wheel:
            member = _find_metadata(wheel.namelist(), name)
            info = wheel.getinfo(member)
            if info.file_size > _MEMBER_LIMIT:
                raise MetadataError(f"its METADATA has {info.file_size} bytes")
            return wheel.read(info)
    except MetadataError:
        raise
    except _BROKEN as error:
        raise MetadataError(f"the wheel cannot be read ({error})") from error


def _find_metadata(names: list[str], project: str) -> str:
    found = []
    for path in names:
        folder, _, rest = path.partition("/")
        owner = folder.removesuffix(".dist-info").partition("-")[0]
        is_info = rest == "METADATA" and folder.endswith(".dist-info")
        if is_info and canonicalize_name(owner) == project:
            found.append(path)
    if len(found) != 1:
        raise MetadataError(f"the wheel has {len(found)} METADATA files of {project}, not one")
    return found[0]


def sdist_files(body: bytes, filename: str, is_wanted: Callable[[str], bool]) -> dict[str, bytes]:
    """Files of an sdist by path, without its top folder; of two with a path the first.

    is_wanted: chooses by path. Files that are longer than any should be are left out.

    Raises MetadataError when the archive cannot be read.
    """
    walk = _zip_files if filename.endswith(".zip") else _tar_files
    found: dict[str, bytes] = {}
    try:
        for path, size, read in walk(body):
            inner = path.removeprefix("./").partition("/")[2]
            if size <= _MEMBER_LIMIT and inner not in found and is_wanted(inner):
                found[inner] = read()
    except MetadataError:
        raise
    except _BROKEN as error:
        raise MetadataError(f"the sdist cannot be read ({error})") from error
    return found


def _tar_files(body: bytes) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    with (
        gzip.GzipFile(fileobj=io.BytesIO(body)) as unzipped,
        tarfile.open(fileobj=_Bounded(unzipped.read), mode="r|") as archive,
    ):
        for member in archive:
            opened = archive.extractfile(member) if member.isfile() else None
            if opened is not None:
                yield member.name, member.size, opened.read


def _zip_files(body: bytes) -> Iterator[tuple[str, int, Callable[[], bytes]]]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        for info in archive.infolist():
            yield info.filename, info.file_size, partial(archive.read, info)


class _Bounded(io.RawIOBase):
    """A stream that fails where more is unpacked than any sdist holds, or asked for than it has."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        super().__init__()
        self._read = read
        self._left = _UNPACKED_LIMIT
        self._empty_left = _EMPTY_READS

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes."""
        data = self._read(size)
        self._left -= len(data)
        self._empty_left -= not data
        if self._left < 0:
            raise MetadataError("the sdist unpacks to more than any sdist should")
        if self._empty_left < 0:
            raise MetadataError("the sdist ends in the middle of a file")
        return data
