"""The compact form of an index page: what the cache keeps, and what a `Page` is made of.

It is grouped by version, so that a resolver that looks at five versions of a project decodes the
files of five and not of five hundred. How pages are read is in `links.py`. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit, urlunsplit

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from .links import SDIST_SUFFIXES, Link, Listing, PageError, base_of, kind_of
from .page import QUARANTINED, File, Page, Versions, is_endless

__all__ = ["pack", "unpack"]

_REMOTE = ("https://", "http://")
_LOCAL = "file:"


class _Packed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A file in the compact form: `url` is absolute and ends with `/` when the file name follows.

    The rest is as it was read: what nobody looks at is never brought into form.
    """

    filename: str
    url: str
    hashes: dict[str, str]
    requires_python: str | None
    yanked: bool | str | None
    upload_time: str | None
    size: int | None
    metadata: bool | dict[str, str] | None


class _Marked(msgspec.Struct, frozen=True):
    """The compact form of a page whose project has a status; without one it is `releases` alone."""

    releases: list[tuple[str, msgspec.Raw]]
    status: str
    reason: str


_decode_releases = msgspec.msgpack.Decoder(list[tuple[str, msgspec.Raw]] | _Marked).decode
_decode_files = msgspec.msgpack.Decoder(list[_Packed]).decode
_encode = msgspec.msgpack.Encoder().encode


def pack(name: str, base_url: str, listing: Listing) -> bytes:
    """The compact form of a page, with what is no file of the project left out.

    name: normalised project name. base_url: what relative URLs start from.
    """
    releases = {} if listing.status == QUARANTINED else _grouped(name, base_url, listing)
    newest_first = sorted(filter(releases.get, releases), reverse=True)
    packed = [(str(version), releases[version]) for version in newest_first]
    if not listing.status:
        return _encode(packed)
    return _encode({"releases": packed, "status": listing.status, "reason": listing.reason})


def unpack(name: str, index: str, body: bytes) -> Page:
    """The page of a compact form; its files are decoded when they are asked for.

    Raises PageError when the bytes are no compact form.
    """
    try:
        packed = _decode_releases(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PageError(str(error)) from error
    if isinstance(packed, _Marked):
        return Page(name, index, _Releases(packed.releases), packed.status, packed.reason)
    return Page(name, index, _Releases(packed))


class _Releases(Mapping[Version, tuple[File, ...]]):
    """Files by version; versions and files are read when they are first looked at.

    versions: the keys, newest first.
    """

    def __init__(self, packed: Sequence[tuple[str, msgspec.Raw]]) -> None:
        self._packed = packed
        self.versions = Versions([text for text, _ in packed])
        self._places: dict[Version, int] = {}
        self._read: dict[Version, tuple[File, ...]] = {}

    def __getitem__(self, version: Version) -> tuple[File, ...]:
        files = self._read.get(version)
        if files is None:
            raw = self._packed[self._place(version)][1]
            found = (_unpack_file(item, version) for item in _decode_files(raw))
            files = self._read[version] = tuple(sorted(found, key=_file_order))
        return files

    def _place(self, version: Version) -> int:
        """Where the version is, or KeyError; what is passed on the way is remembered."""
        place = self._places.get(version)
        if place is not None:
            return place
        for number, known in enumerate(self.versions):
            self._places[known] = number
            if known == version:
                return number
        raise KeyError(version)

    def __iter__(self) -> Iterator[Version]:
        return iter(self.versions)

    def __len__(self) -> int:
        return len(self._packed)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self.items()) == dict(other.items())

    __hash__ = None  # type: ignore[assignment]


def _grouped(name: str, page_url: str, listing: Listing) -> dict[Version, list[_Packed]]:
    base_url = base_of(page_url, listing)
    # A page of a server says nothing about the files of this machine.
    schemes = (*_REMOTE, _LOCAL) if page_url.startswith(_LOCAL) else _REMOTE
    releases: dict[Version, list[_Packed]] = {}
    # A page has thousands of files and hundreds of versions: each text is parsed once.
    by_text: dict[str, list[_Packed] | None] = {}
    version_of = _version_reader(name)
    for link in listing.files:
        text = version_of(link.filename)
        if text is None:
            continue
        if text not in by_text:
            by_text[text] = _release(releases, text)
        release = by_text[text]
        packed = _pack_link(link, base_url, schemes) if release is not None else None
        if release is not None and packed is not None:
            release.append(packed)
    return releases


def _release(releases: dict[Version, list[_Packed]], text: str) -> list[_Packed] | None:
    if is_endless(text):
        return None
    try:
        return releases.setdefault(Version(text), [])
    except InvalidVersion:
        return None


def _version_reader(name: str) -> Callable[[str], str | None]:
    """A function from a file name to its version; None for junk and other projects' files.

    A name with a `/` would be a path wherever it is written, so it is junk.
    """
    own: dict[str, bool] = {}

    def is_own(text: str) -> bool:
        found = own.get(text)
        if found is None:
            found = own[text] = canonicalize_name(text) == name
        return found

    def read(filename: str) -> str | None:
        if "/" in filename or "\\" in filename or not filename.isprintable():
            return None
        is_wheel = filename.endswith(".whl")
        return _wheel_version(filename, is_own) if is_wheel else _sdist_version(filename, is_own)

    return read


def _wheel_version(filename: str, is_own: Callable[[str], bool]) -> str | None:
    parts = filename.split("-")
    if len(parts) != 5 and (len(parts) != 6 or not parts[2][:1].isdigit()):
        return None
    return parts[1] if is_own(parts[0]) and all(parts) else None


def _sdist_version(filename: str, is_own: Callable[[str], bool]) -> str | None:
    suffix = next((item for item in SDIST_SUFFIXES if filename.endswith(item)), None)
    if suffix is None:
        return None
    stem = filename.removesuffix(suffix)
    dash = stem.find("-")
    while dash > 0:
        if is_own(stem[:dash]):
            return stem[dash + 1 :]
        dash = stem.find("-", dash + 1)
    return None


def _pack_link(link: Link, base_url: str, schemes: tuple[str, ...]) -> _Packed | None:
    """The compact form of a link; None when its URL is malformed or of another scheme."""
    url, filename = link.url, link.filename
    if "#" in url or "@" in url or not url.startswith(_REMOTE):
        try:
            url = _clean(urljoin(base_url, url.partition("#")[0]))
        except ValueError:
            return None
        if not url.startswith(schemes):
            return None
    if url.endswith("/" + filename):
        url = url[: -len(filename)]
    metadata = link.core_metadata
    return _Packed(
        filename,
        url,
        link.hashes,
        link.requires_python,
        link.yanked,
        link.upload_time,
        link.size,
        link.dist_info_metadata if metadata is None else metadata,
    )


def _clean(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, parts.query, ""))


def _metadata_mark(value: bool | dict[str, str] | None) -> str | None:
    if isinstance(value, dict):
        return value.get("sha256", "yes").lower()
    return None if value is None else "yes" if value else "no"


def _moment(text: str | None) -> datetime | None:
    """The time of an ISO 8601 text, in UTC; None for one that cannot be read."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _unpack_file(item: _Packed, version: Version) -> File:
    hashes = item.hashes.items()
    return File(
        filename=item.filename,
        url=item.url + item.filename if item.url.endswith("/") else item.url,
        kind=kind_of(item.filename) or "sdist",
        version=version,
        hashes=tuple(sorted((name.lower(), digest.lower()) for name, digest in hashes)),
        requires_python=item.requires_python or None,
        yanked=bool(item.yanked),
        yanked_reason=item.yanked if isinstance(item.yanked, str) else "",
        upload_time=_moment(item.upload_time),
        size=item.size if item.size is not None and item.size >= 0 else None,
        metadata=_metadata_mark(item.metadata),
    )


def _file_order(file: File) -> tuple[bool, str, str]:
    return file.kind != "wheel", file.filename, file.url
