"""Reads pages of an index: PEP 691 JSON and PEP 503 HTML into the same links.

What of them is a file of the project is `compact`'s subject. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote, urljoin

import msgspec

from .page import QUARANTINED

__all__ = [
    "SDIST_SUFFIXES",
    "Link",
    "Listing",
    "PageError",
    "base_of",
    "kind_of",
    "read_html",
    "read_json",
    "resolve",
]

SDIST_SUFFIXES = (".tar.gz", ".zip")
"""The formats of sdists: PEP 625, and the zip files that came before it."""

# PEP 629 and PEP 691: a client reads minor versions that it does not know, never majors.
_KNOWN_MAJOR = "1"

# What a user should know of a project (PEP 792); `active` is what all are that say nothing.
_STATUSES = frozenset({"archived", "deprecated", QUARANTINED})

# Characters of a reason that are shown.
_REASON_LENGTH = 200

# Digits of a size in bytes; more is no size.
_SIZE_DIGITS = 18


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


@dataclass(frozen=True)
class Listing:
    """What a page lists.

    base: where its relative URLs start, if not at the page; may be relative to it.
    status, reason: of the project (PEP 792); empty for an ordinary one.
    """

    files: Sequence[Link]
    base: str = ""
    status: str = ""
    reason: str = ""


class _JsonPage(msgspec.Struct, frozen=True, rename="kebab"):
    files: list[Link]
    meta: dict[str, Any] = {}
    project_status: Any = None


_decode_json = msgspec.json.Decoder(_JsonPage).decode


def read_json(body: bytes) -> Listing:
    """What a PEP 691 page lists.

    Raises PageError when the page is cut, malformed or of a later protocol.
    """
    try:
        page = _decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PageError(f"its JSON cannot be read ({error})") from error
    _check_protocol(str(page.meta.get("api-version", "1.0")))
    found = page.project_status if isinstance(page.project_status, dict) else {}
    return Listing(page.files, "", *_marks(found.get("status"), found.get("reason")))


def read_html(body: bytes, charset: str | None = None) -> Listing:
    """What a PEP 503 page lists, or any HTML page that links to files.

    charset: of the Content-Type header; without one the parser follows HTML's own rules.
    Raises PageError when the page is of a later protocol.
    """
    from selectolax.lexbor import LexborHTMLParser

    text: bytes | str = body
    if charset and charset.lower() not in {"utf-8", "utf8"}:
        try:
            text = body.decode(charset, "replace")
        except (LookupError, ValueError):
            # No encoding, or one of those that are none of texts (`idna`, `undefined`).
            text = body
    tree = LexborHTMLParser(text)

    def told(name: str) -> str:
        meta = tree.css_first(f'meta[name="pypi:{name}"]')
        return (meta.attributes.get("content") or "") if meta is not None else ""

    _check_protocol(told("repository-version") or "1.0")
    # Another one may only name a target.
    root = tree.css_first("base[href]")
    base = (root.attributes.get("href") or "").strip() if root is not None else ""
    links = (_html_link(node.attributes) for node in tree.css("a[href]"))
    files = [link for link in links if link is not None]
    return Listing(files, base, *_marks(told("project-status"), told("project-status-reason")))


def resolve(listing: Listing, page_url: str) -> list[Link]:
    """The links with absolute URLs."""
    base_url = base_of(page_url, listing)
    return [
        msgspec.structs.replace(link, url=_joined(base_url, link.url)) for link in listing.files
    ]


def _marks(status: object, reason: object) -> tuple[str, str]:
    """Status and reason of a project out of what a page says, whatever that is."""
    if not isinstance(status, str) or status not in _STATUSES:
        return "", ""
    return status, " ".join(reason.split())[:_REASON_LENGTH] if isinstance(reason, str) else ""


def _check_protocol(version: str) -> None:
    if version.strip().partition(".")[0] != _KNOWN_MAJOR:
        raise PageError(f"it follows protocol version {version}, of which only 1.x is known")


def _html_link(attributes: Mapping[str, str | None]) -> Link | None:
    href = (attributes.get("href") or "").strip()
    if not href:
        return None
    url, _, fragment = href.partition("#")
    filename = unquote(url.partition("?")[0].rpartition("/")[2])
    if not kind_of(filename):
        return None
    algorithm, _, digest = fragment.partition("&")[0].partition("=")
    yanked: bool | str = False
    if "data-yanked" in attributes:
        yanked = attributes["data-yanked"] or True
    size = attributes.get("data-size") or ""
    return Link(
        filename=filename,
        url=url,
        hashes={algorithm: digest} if digest.isalnum() and algorithm.isalnum() else {},
        requires_python=attributes.get("data-requires-python"),
        yanked=yanked,
        upload_time=attributes.get("data-upload-time"),
        size=int(size) if size.isdecimal() and len(size) <= _SIZE_DIGITS else None,
        core_metadata=_html_metadata(attributes.get("data-core-metadata")),
        dist_info_metadata=_html_metadata(attributes.get("data-dist-info-metadata")),
    )


def base_of(page_url: str, listing: Listing) -> str:
    """Where the relative URLs of a listing start."""
    return _joined(page_url, listing.base) if listing.base else page_url


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


def kind_of(filename: str) -> Literal["wheel", "sdist"] | None:
    """What kind of distribution a file name is of; None for other files."""
    if filename.endswith(".whl"):
        return "wheel"
    return "sdist" if filename.endswith(SDIST_SUFFIXES) else None
