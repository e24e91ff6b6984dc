"""Gets the metadata of one release from the cheapest source that has it.

In order: the metadata file beside a wheel (PEP 658), METADATA read out of the wheel by ranges,
the same for the release's other wheels, what the sdist tells without a build (`static.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import BuilderError, RetryableError, UserError
from .archive import Limits, RangeReader, sdist_files, wheel_metadata
from .buildsystem import BuildSystem, read_build_system
from .http import Fetcher, OversizedError
from .location import Location, display
from .metadata import Metadata, MetadataError, NoMetadata, UnservedError, parse_metadata
from .page import File
from .static import is_read, static_metadata

__all__ = ["ReleaseReader"]

# Wheels of one release that are opened before its metadata counts as missing.
_OTHER_WHEELS = 2

_METADATA_LIMIT = Limits().member

# Digits of a position in a file; more is no position.
_SIZE_DIGITS = 18


class ReleaseReader:
    """Reads metadata through a fetcher.

    download_limit: bytes of a wheel (from a server without ranges) or an sdist that are fetched
        whole for its metadata.
    """

    def __init__(self, fetcher: Fetcher, *, download_limit: int = 64 << 20) -> None:
        self._fetcher = fetcher
        self._limit = download_limit
        # Metadata files that a server lacked, less those that it had, of what was not announced.
        self._lacking: Counter[str] = Counter()

    def read(
        self, name: str, files: Sequence[File], location: Location | None = None
    ) -> Metadata | NoMetadata:
        """The metadata of a release.

        name: normalised project name.
        files: files of one release, the one to be installed first.

        Raises RetryableError or UserError as `Fetcher.get` does, when the network is at fault.
        """
        wheels = [file for file in files if file.kind == "wheel"][: 1 + _OTHER_WHEELS]
        faults: list[tuple[File, MetadataError]] = []
        for number, wheel in enumerate(wheels):
            found = self._of_wheel(name, wheel, location, faults)
            if found is not None:
                return found if number == 0 else replace(found, source="another wheel")
        for sdist in (file for file in files if file.kind == "sdist"):
            try:
                body = self._whole(sdist, location)
                found = static_metadata(
                    sdist_files(body, sdist.filename, is_read), name, sdist.version
                )
                return _same(found, name, sdist)
            except MetadataError as fault:
                faults.append((sdist, fault))
        reasons = tuple(f"{file.filename}: {fault}" for file, fault in faults)
        return NoMetadata(
            name,
            files[0].version,
            reasons or ("the release has no wheel or sdist",),
            is_final=not any(isinstance(fault, UnservedError) for _, fault in faults),
        )

    def build_system(self, sdist: File, location: Location | None = None) -> BuildSystem:
        """What an sdist is built with.

        Raises MetadataError when it cannot be read, and what `Fetcher.get` raises.
        """
        body = self._whole(sdist, location)
        return read_build_system(sdist_files(body, sdist.filename, is_read))

    def _of_wheel(
        self,
        name: str,
        wheel: File,
        location: Location | None,
        faults: list[tuple[File, MetadataError]],
    ) -> Metadata | None:
        steps = [("the metadata file", self._sibling), ("the wheel", self._inside)]
        # To be told that there is none takes some servers longer than to send a part of the wheel.
        if wheel.metadata is None and self._lacking[urlsplit(wheel.url).netloc] > 0:
            steps.reverse()
        for source, step in steps:
            try:
                body = step(name, wheel, location)
                if body is not None:
                    return _same(parse_metadata(body, source=source), name, wheel)
            except MetadataError as fault:
                faults.append((wheel, fault))
        return None

    def _sibling(self, name: str, wheel: File, location: Location | None) -> bytes | None:
        """The metadata file, tried even when nothing announces it; None when there is none."""
        if wheel.metadata == "no":
            return None
        if _is_local(wheel.url):
            path = _local_path(wheel.url + ".metadata")
            return path.read_bytes() if path.is_file() else None
        try:
            answer = self._fetcher.get(
                wheel.url + ".metadata", location=location, limit=_METADATA_LIMIT
            )
        except OversizedError as error:
            raise MetadataError("its metadata file is longer than any should be") from error
        except RetryableError:
            raise
        except (BuilderError, UserError):
            # Object stores answer 400 or 403 for what they do not have. When it is the credential
            # that is refused, the wheel is refused too, and that is told.
            return None
        is_there = answer.status == 200
        if wheel.metadata is None:
            self._lacking[urlsplit(wheel.url).netloc] += -1 if is_there else 1
        if not is_there:
            return None
        announced = wheel.metadata if wheel.metadata != "yes" else None
        if announced and sha256(answer.body).hexdigest() != announced:
            raise MetadataError("its metadata file has another hash than the index announces")
        return answer.body

    def _inside(self, name: str, wheel: File, location: Location | None) -> bytes:
        if _is_local(wheel.url):
            try:
                with _local_path(wheel.url).open("rb") as file:
                    return wheel_metadata(file, name)
            except OSError as error:
                raise MetadataError(f"it cannot be read ({error.strerror})") from error
        try:
            with RangeReader(_Ranges(self._fetcher, wheel, location, self._limit)) as file:
                return wheel_metadata(file, name)
        except OversizedError as error:
            raise MetadataError(
                f"the server serves no ranges and the wheel has more than {self._limit} bytes"
            ) from error

    def _whole(self, file: File, location: Location | None) -> bytes:
        if _is_local(file.url):
            try:
                return _local_path(file.url).read_bytes()
            except OSError as error:
                raise MetadataError(f"it cannot be read ({error.strerror})") from error
        try:
            answer = self._fetcher.get(file.url, location=location, limit=self._limit)
        except OversizedError as error:
            raise MetadataError(f"it has more than {self._limit} bytes") from error
        if answer.status != 200:
            raise UnservedError(f"the server answered {answer.status}")
        _check_hash(file, answer.body)
        return answer.body


def _same(metadata: Metadata, name: str, file: File) -> Metadata:
    if (metadata.name, metadata.version) != (name, file.version):
        raise MetadataError(f"it says it is {metadata.name} {metadata.version}")
    return metadata


class _Ranges:
    """A remote wheel in pieces (`archive.RangeSource`); whole when the server has no ranges."""

    def __init__(self, fetcher: Fetcher, file: File, location: Location | None, limit: int) -> None:
        self._fetcher = fetcher
        self._file = file
        self._location = location
        self._limit = limit
        self._size = 0
        self._whole: bytes | None = None

    def tail(self, count: int) -> tuple[int, bytes]:
        """Size and last bytes."""
        if self._file.size:
            start = max(0, self._file.size - count)
            body = self._get(f"bytes={start}-{self._file.size - 1}", start)
        else:
            body = self._get(f"bytes=-{count}", None)
        return self._size, body[-count:]

    def piece(self, start: int, end: int) -> bytes:
        """Bytes from start up to, not including, end."""
        if self._whole is not None:
            return self._whole[start:end]
        body = self._get(f"bytes={start}-{end - 1}", start)
        return body if self._whole is None else body[start:end]

    def _get(self, wanted: str, start: int | None) -> bytes:
        headers = {"range": wanted, "accept-encoding": "identity"}
        answer = self._fetcher.get(
            self._file.url, headers=headers, location=self._location, limit=self._limit
        )
        if answer.is_absent:
            raise UnservedError(f"the server answered {answer.status}")
        if answer.status == 416:
            # No such range: an empty file, or a server that does not know ranges from the end.
            answer = self._fetcher.get(self._file.url, location=self._location, limit=self._limit)
        if answer.status != 206:
            _check_hash(self._file, answer.body)
            self._whole, self._size = answer.body, len(answer.body)
            return answer.body
        first, size = _content_range(answer.headers.get("content-range", ""))
        if (start is not None and first != start) or self._size not in {0, size}:
            raise MetadataError("the server answered with another range than asked for")
        self._size = size
        return answer.body


def _content_range(text: str) -> tuple[int, int]:
    """First byte and size of the whole out of `bytes 10-19/200` (RFC 9110)."""
    unit, _, rest = text.partition(" ")
    span, _, size = rest.partition("/")
    first = span.partition("-")[0]
    is_number = all(one.isdecimal() and len(one) <= _SIZE_DIGITS for one in (first, size))
    if unit != "bytes" or not is_number:
        raise MetadataError(f"the server answered with a malformed Content-Range {text!r}")
    return int(first), int(size)


def _check_hash(file: File, body: bytes) -> None:
    if file.sha256 and sha256(body).hexdigest() != file.sha256:
        raise MetadataError(f"{display(file.url)} has another hash than the index announces")


def _is_local(url: str) -> bool:
    return url.startswith("file:")


def _local_path(url: str) -> Path:
    return Path(unquote(urlsplit(url).path))
