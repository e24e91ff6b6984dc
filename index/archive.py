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
from dataclasses import dataclass
from functools import partial
from typing import IO, Protocol, Self, cast

from packaging.utils import canonicalize_name

from .metadata import MetadataError

__all__ = ["Limits", "RangeReader", "sdist_files", "wheel_metadata"]

# Methods of a ZIP whose unpacking can be stopped at a size; wheels and sdists use no others.
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})

# Members of a tar file that hold text about the next one; the library reads them whole.
_HEADERS = frozenset(
    {
        tarfile.XHDTYPE,
        tarfile.XGLTYPE,
        tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    }
)

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

# A file of an sdist: its path, its size as announced, and what reads it.
_Member = tuple[str, int, Callable[[], bytes]]

# Reads behind the end of an archive. tarfile skips a member whose header promises more than there
# is by reading on, block by block: of a damaged or made-up size for ever.
_EMPTY_READS = 16


@dataclass(frozen=True)
class Limits:
    """Bytes that an archive may make this process hold or read.

    member: of a file that is read; the longest descriptions seen are a few hundred KiB.
    script: of pyproject.toml, setup.cfg or setup.py, whose parsers take many times their size.
    header: of what a tar file says about its members: one at a time, global ones together.
    directory: of a ZIP; that of a wheel with 20,000 files has 3 MiB.
    unpacked: of an sdist, while its PKG-INFO is looked for.
    """

    member: int = 8 << 20
    script: int = 1 << 20
    header: int = 1 << 20
    directory: int = 16 << 20
    unpacked: int = 1 << 30

    def of(self, path: str) -> int:
        """The limit of a file of an sdist."""
        return self.script if path.endswith((".toml", ".cfg", ".py")) else self.member


_LIMITS = Limits()


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


def wheel_metadata(file: IO[bytes] | RangeReader, name: str, limits: Limits = _LIMITS) -> bytes:
    """The METADATA member of a wheel.

    file: the wheel, seekable. name: normalised project name; its .dist-info is the one read.

    Raises MetadataError when the file is no wheel of that project.
    """
    try:
        with _zip(file, limits) as wheel:
            info = wheel.getinfo(_find_metadata(wheel.namelist(), name))
            if info.file_size > limits.member:
                raise MetadataError(f"its METADATA has {info.file_size} bytes")
            return _unzipped(wheel, info, limits.member)
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


def sdist_files(
    body: bytes, filename: str, is_wanted: Callable[[str], bool], limits: Limits = _LIMITS
) -> dict[str, bytes]:
    """Files of an sdist by path, without its top folder; of two with a path the first.

    is_wanted: chooses by path. Files that are longer than any should be are left out.

    Raises MetadataError when the archive cannot be read.
    """
    walk = _zip_files if filename.endswith(".zip") else _tar_files
    found: dict[str, bytes] = {}
    try:
        for path, size, read in walk(body, limits):
            inner = path.removeprefix("./").partition("/")[2]
            if inner not in found and is_wanted(inner) and size <= limits.of(inner):
                found[inner] = read()
    except MetadataError:
        raise
    except _BROKEN as error:
        raise MetadataError(f"the sdist cannot be read ({error})") from error
    return found


def _tar_files(body: bytes, limits: Limits) -> Iterator[_Member]:
    with (
        gzip.GzipFile(fileobj=io.BytesIO(body)) as unzipped,
        tarfile.open(
            fileobj=_Bounded(unzipped.read, limits.unpacked),
            mode="r|",
            tarinfo=_headers(limits.header),
        ) as archive,
    ):
        while (member := archive.next()) is not None:
            # The library keeps what it has passed, be it a million empty files.
            archive.members = []  # type: ignore[attr-defined]  # stable since it is there
            opened = archive.extractfile(member) if member.isfile() else None
            if opened is not None:
                yield member.name, member.size, opened.read


def _headers(limit: int) -> type[tarfile.TarInfo]:
    """A reader of tar headers that refuses what would fill the memory before anybody looks at it.

    limit: bytes of one header that is about the next file, and of all that are about every file.
    """

    class Bounded(tarfile.TarInfo):
        global_bytes = 0

        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
            found = super().frombuf(buf, encoding, errors)
            if found.type == tarfile.GNUTYPE_SPARSE:
                raise MetadataError("the sdist cannot be read (it has a sparse file)")
            if found.type == tarfile.XGLTYPE:
                cls.global_bytes += found.size
            size = max(found.size, cls.global_bytes) if found.type in _HEADERS else 0
            if size > limit:
                raise MetadataError(f"the sdist has a header of {size} bytes")
            return found

        def _proc_gnusparse_10(self, *_: object) -> None:
            # Its map is read number by number until as many have come as it says.
            raise MetadataError("the sdist cannot be read (it has a sparse file)")

    return Bounded


def _zip_files(body: bytes, limits: Limits) -> Iterator[_Member]:
    with _zip(io.BytesIO(body), limits) as archive:
        for info in archive.infolist():
            read = partial(_unzipped, archive, info, limits.of(info.filename))
            yield info.filename, info.file_size, read


def _zip(file: IO[bytes] | RangeReader, limits: Limits) -> zipfile.ZipFile:
    return zipfile.ZipFile(cast("IO[bytes]", _Frugal(file, max(limits.directory, limits.member))))


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int) -> bytes:
    """A member, however long it turns out to be in spite of what the directory says."""
    if info.compress_type not in _METHODS:
        raise MetadataError(f"{info.filename} is packed in a way that is not read")
    with archive.open(info) as member:
        body = member.read(limit + 1)
    if len(body) > limit:
        raise MetadataError(f"{info.filename} has more than {limit} bytes")
    return body


class _Frugal:
    """A file of which no more than so much is read at once; ZIP directories are read in one go."""

    def __init__(self, file: IO[bytes] | RangeReader, limit: int) -> None:
        self._file = file
        self._limit = limit
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, all that is left when it is negative."""
        wanted = size if size >= 0 else self._limit + 1
        if wanted > self._limit + 1:
            raise MetadataError(f"the archive has a directory of {wanted} bytes")
        return self._file.read(wanted) or b""


class _Bounded(io.RawIOBase):
    """A stream that fails where more is unpacked than any sdist holds, or asked for than it has."""

    def __init__(self, read: Callable[[int], bytes], limit: int) -> None:
        super().__init__()
        self._read = read
        self._left = limit
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
