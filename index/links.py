"""Reads pages of an index (PEP 691 JSON, PEP 503 HTML, a list of files) into one compact form.

The compact form is what the cache keeps: grouped by version, so that a resolver that looks at five
versions of a project decodes the files of five and not of five hundred. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from .page import File, Page, Versions

__all__ = ["Link", "PageError", "pack", "read_html", "read_json", "resolve", "unpack"]

# The formats of sdists: PEP 625, and the zip files that came before it.
_SDIST_SUFFIXES = (".tar.gz", ".zip")

# PEP 629 and PEP 691: a client reads minor versions that it does not know, never majors.
_KNOWN_MAJOR = "1"


class PageError(ValueError):
    """A page that cannot be read: it is cut, no index page, or of a later protocol."""


class Link(msgspec.Struct, frozen=True, rename="kebab", gc=False):
    """A file as PEP 691 describes it; HTML pages are brought to this form.

    yanked: false, true, or the reason. core_metadata: false, true, or hashes; absent is None.
    """

    filename: str
    url: str
    hashes: dict[str, str] = {}
    requires_python: str | None = None
    yanked: bool | str | None = False
    upload_time: str | None = None
    size: int | None = None
    core_metadata: bool | dict[str, str] | None = None
    dist_info_metadata: bool | dict[str, str] | None = None


class _JsonPage(msgspec.Struct, frozen=True):
    files: list[Link]
    meta: dict[str, Any] = {}


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


_decode_json = msgspec.json.Decoder(_JsonPage).decode
_decode_releases = msgspec.msgpack.Decoder(list[tuple[str, msgspec.Raw]]).decode
_decode_files = msgspec.msgpack.Decoder(list[_Packed]).decode
_encode = msgspec.msgpack.Encoder().encode


def read_json(body: bytes) -> list[Link]:
    """The files of a PEP 691 page.

    Raises PageError when the page is cut, malformed or of a later protocol.
    """
    try:
        page = _decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PageError(f"its JSON cannot be read ({error})") from error
    _check_protocol(str(page.meta.get("api-version", "1.0")))
    return page.files


def read_html(body: bytes, charset: str | None = None) -> list[Link]:
    """The files of a PEP 503 page, or of any HTML page that links to files.

    charset: of the Content-Type header; without one the parser follows HTML's own rules.
    Raises PageError when the page is of a later protocol.
    """
    from selectolax.lexbor import LexborHTMLParser

    text: bytes | str = body
    if charset and charset.lower() not in {"utf-8", "utf8"}:
        try:
            text = body.decode(charset, "replace")
        except LookupError:
            text = body
    tree = LexborHTMLParser(text)
    meta = tree.css_first('meta[name="pypi:repository-version"]')
    if meta is not None:
        _check_protocol(str(meta.attributes.get("content") or "1.0"))
    root = tree.css_first("base")
    base = (root.attributes.get("href") or "") if root is not None else ""
    links = (_html_link(node.attributes, base) for node in tree.css("a[href]"))
    return [link for link in links if link is not None]


def pack(name: str, base_url: str, links: Iterable[Link]) -> bytes:
    """The compact form of a page, with what is no file of the project left out.

    name: normalised project name. base_url: what relative URLs start from.
    """
    releases: dict[Version, list[_Packed]] = {}
    # A page has thousands of files and hundreds of versions: each text is parsed once.
    by_text: dict[str, list[_Packed] | None] = {}
    version_of = _version_reader(name)
    for link in links:
        text = version_of(link.filename)
        if text is None:
            continue
        if text not in by_text:
            by_text[text] = _release(releases, text)
        release = by_text[text]
        packed = _pack_link(link, base_url) if release is not None else None
        if release is not None and packed is not None:
            release.append(packed)
    newest_first = sorted(filter(releases.get, releases), reverse=True)
    return _encode([(str(version), releases[version]) for version in newest_first])


def resolve(links: Iterable[Link], base_url: str) -> list[Link]:
    """The links with absolute URLs."""
    return [msgspec.structs.replace(link, url=_joined(base_url, link.url)) for link in links]


def unpack(name: str, index: str, body: bytes) -> Page:
    """The page of a compact form; its files are decoded when they are asked for.

    Raises PageError when the bytes are no compact form.
    """
    try:
        packed = _decode_releases(body)
    except msgspec.DecodeError as error:
        raise PageError(str(error)) from error
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


def _check_protocol(version: str) -> None:
    if version.partition(".")[0] != _KNOWN_MAJOR:
        raise PageError(f"it follows protocol version {version}, of which only 1.x is known")


def _html_link(attributes: Mapping[str, str | None], base: str) -> Link | None:
    href = (attributes.get("href") or "").strip()
    if not href:
        return None
    url, _, fragment = href.partition("#")
    filename = unquote(url.partition("?")[0].rpartition("/")[2])
    if not _kind(filename):
        return None
    algorithm, equals, digest = fragment.partition("=")
    yanked: bool | str = False
    if "data-yanked" in attributes:
        yanked = attributes["data-yanked"] or True
    size = attributes.get("data-size") or ""
    return Link(
        filename=filename,
        url=_joined(base, url) if base else url,
        hashes={algorithm: digest.partition("&")[0]} if equals and digest else {},
        requires_python=attributes.get("data-requires-python"),
        yanked=yanked,
        upload_time=attributes.get("data-upload-time"),
        size=int(size) if size.isdecimal() else None,
        core_metadata=_html_metadata(attributes.get("data-core-metadata")),
        dist_info_metadata=_html_metadata(attributes.get("data-dist-info-metadata")),
    )


def _joined(base: str, url: str) -> str:
    try:
        return urljoin(base, url)
    except ValueError:
        return url


def _html_metadata(value: str | None) -> bool | dict[str, str] | None:
    if value is None:
        return None
    algorithm, equals, digest = value.partition("=")
    return {algorithm: digest} if equals else value.lower() == "true"


def _kind(filename: str) -> Literal["wheel", "sdist"] | None:
    if filename.endswith(".whl"):
        return "wheel"
    return "sdist" if filename.endswith(_SDIST_SUFFIXES) else None


def _release(releases: dict[Version, list[_Packed]], text: str) -> list[_Packed] | None:
    try:
        return releases.setdefault(Version(text), [])
    except InvalidVersion:
        return None


def _version_reader(name: str) -> Callable[[str], str | None]:
    """A function from a file name to its version; None for junk and other projects' files."""
    own: dict[str, bool] = {}

    def is_own(text: str) -> bool:
        found = own.get(text)
        if found is None:
            found = own[text] = canonicalize_name(text) == name
        return found

    def read(filename: str) -> str | None:
        is_wheel = filename.endswith(".whl")
        return _wheel_version(filename, is_own) if is_wheel else _sdist_version(filename, is_own)

    return read


def _wheel_version(filename: str, is_own: Callable[[str], bool]) -> str | None:
    parts = filename.split("-")
    if len(parts) != 5 and (len(parts) != 6 or not parts[2][:1].isdigit()):
        return None
    return parts[1] if is_own(parts[0]) and all(parts) else None


def _sdist_version(filename: str, is_own: Callable[[str], bool]) -> str | None:
    suffix = next((item for item in _SDIST_SUFFIXES if filename.endswith(item)), None)
    if suffix is None:
        return None
    stem = filename.removesuffix(suffix)
    dash = stem.find("-")
    while dash > 0:
        if is_own(stem[:dash]):
            return stem[dash + 1 :]
        dash = stem.find("-", dash + 1)
    return None


def _pack_link(link: Link, base_url: str) -> _Packed | None:
    """The compact form of a link; None when its URL is malformed."""
    url, filename = link.url, link.filename
    if "#" in url or "@" in url or not url.startswith(("https://", "http://")):
        try:
            url = _clean(urljoin(base_url, url.partition("#")[0]))
        except ValueError:
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
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _unpack_file(item: _Packed, version: Version) -> File:
    hashes = item.hashes.items()
    return File(
        filename=item.filename,
        url=item.url + item.filename if item.url.endswith("/") else item.url,
        kind=_kind(item.filename) or "sdist",
        version=version,
        hashes=tuple(sorted((name.lower(), digest.lower()) for name, digest in hashes)),
        requires_python=item.requires_python or None,
        yanked=bool(item.yanked),
        yanked_reason=item.yanked if isinstance(item.yanked, str) else "",
        upload_time=_moment(item.upload_time),
        size=item.size,
        metadata=_metadata_mark(item.metadata),
    )


def _file_order(file: File) -> tuple[bool, str, str]:
    return file.kind != "wheel", file.filename, file.url
