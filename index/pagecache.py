"""The HTTP cache for index pages: hishel's RFC 9111 rules over the files of `store.py`.

Pages are kept in the compact form of `links.py`, so that a hit costs neither HTML nor JSON parsing.
How long a page is fresh is decided here and not by the server; what is asked again is asked
conditionally (ETag, Last-Modified). Credentials never reach this layer.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate
from hashlib import sha256

import hishel
import httpx
import msgspec
from hishel.httpx import CacheTransport

from .http import Answer
from .store import Store

__all__ = ["PageCache"]

_KIND = "pages"

# Status codes of answers that are kept: a page, and that there is none.
_KEPT = frozenset({200, 404, 410})

# The headers that revalidation needs; the others of the server are of no use in the cache.
_KEPT_HEADERS = ("etag", "last-modified")

# Seconds; a page of this age counts as fresh for a run without network.
_FOREVER = 100 * 365 * 86400

Ask = Callable[[str, Mapping[str, str]], Answer]
Convert = Callable[[Answer], bytes]


class _Entry(msgspec.Struct, array_like=True):
    url: str
    status: int
    headers: dict[str, str]
    body: bytes


_decode = msgspec.msgpack.Decoder(_Entry).decode


class PageCache:
    """Answers requests for pages from the cache, asks the server when it must.

    store: the cache folder.
    freshness: seconds during which a page is not asked for again; None: for ever (offline).
    """

    def __init__(self, store: Store, freshness: int | None) -> None:
        self._storage = _Storage(store, _FOREVER if freshness is None else freshness)

    def get(
        self, url: str, accept: str, ask: Ask, convert: Convert, *, refresh: bool = False
    ) -> bytes | None:
        """The converted body of a page; None when the server has none.

        accept: the Accept header.
        ask: fetches a URL with headers; what it raises the caller sees.
        convert: makes the bytes to keep from an answer with a body.
        refresh: ask the server even when the page is fresh.
        """
        transport = CacheTransport(
            _Converter(ask, convert),
            storage=self._storage,
            rfc=hishel.CacheOptions(shared=False),
        )
        headers = {"accept": accept}
        if refresh:
            headers["cache-control"] = "no-cache"
        # A page that is read in two ways has two compact forms.
        extensions = {"caching": {"key": f"{accept} {url}"}}
        request = httpx.Request("GET", url, headers=headers, extensions=extensions)
        response = transport.handle_request(request)
        body = response.read()
        return body if response.status_code == 200 else None


class _Converter(httpx.BaseTransport):
    """The server as the cache sees it: converted bodies, our own headers."""

    def __init__(self, ask: Ask, convert: Convert) -> None:
        self._ask = ask
        self._convert = convert

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        wanted = ("accept", "if-none-match", "if-modified-since")
        headers = {name: request.headers[name] for name in wanted if name in request.headers}
        answer = self._ask(str(request.url), headers)
        kept = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
        kept["date"] = formatdate(usegmt=True)
        refused = "no-store" in answer.headers.get("cache-control", "")
        kept["cache-control"] = "no-store" if refused else "max-age=0"
        if answer.status == 304:
            return httpx.Response(304, headers=kept)
        body = self._convert(answer) if answer.status == 200 else b""
        return httpx.Response(answer.status, headers=kept, content=body)


class _Storage(hishel.BaseStorage):
    """hishel's storage over `Store`: one file an URL, the latest answer only."""

    def __init__(self, store: Store, freshness: int) -> None:
        super().__init__()
        self._store = store
        self._freshness = freshness

    def get_entries(self, key: str) -> list[hishel.Entry]:
        name = _name(key)
        entry = self._read(name)
        if entry is None:
            return []
        # The age limit is of the reader and not of the writer: it may be another each run.
        headers = {**entry.headers, "cache-control": f"max-age={self._freshness}"}
        return [
            hishel.Entry(
                id=uuid.UUID(hex=name),
                request=hishel.Request("GET", entry.url),
                response=hishel.Response(
                    entry.status, hishel.Headers(headers), iter((entry.body,))
                ),
            )
        ]

    def create_entry(
        self,
        request: hishel.Request,
        response: hishel.Response,
        key: str,
        *,
        ttl: float | None = None,
        tti: float | None = None,
    ) -> hishel.Entry:
        stream = response.stream
        pieces = iter(stream) if isinstance(stream, Iterator) else iter(())
        kept = hishel.Response(
            response.status_code, response.headers, self._save(request, response, key, pieces)
        )
        return hishel.Entry(id=uuid.UUID(hex=_name(key)), request=request, response=kept)

    def update_headers(self, id: uuid.UUID, headers: hishel.Headers) -> None:  # noqa: A002
        entry = self._read(id.hex)
        if entry is not None:
            entry.headers = _plain(headers)
            self._store.write(_KIND, id.hex, msgspec.msgpack.encode(entry))

    def remove_entry(self, id: uuid.UUID) -> None:  # noqa: A002
        self._store.remove(_KIND, id.hex)

    def _save(
        self, request: hishel.Request, response: hishel.Response, key: str, pieces: Iterator[bytes]
    ) -> Iterator[bytes]:
        body = b"".join(pieces)
        if response.status_code in _KEPT:
            entry = _Entry(request.url, response.status_code, _plain(response.headers), body)
            self._store.write(_KIND, _name(key), msgspec.msgpack.encode(entry))
        yield body

    def _read(self, name: str) -> _Entry | None:
        found = self._store.read(_KIND, name)
        if found is None:
            return None
        try:
            return _decode(found)
        except msgspec.DecodeError:
            return None


def _plain(headers: hishel.Headers) -> dict[str, str]:
    return {name: headers[name] for name in headers if name in {"date", *_KEPT_HEADERS}}


def _name(key: str) -> str:
    """The 128 bits of hishel's key that fit a UUID: an entry's id must lead back to its file."""
    return sha256(key.encode()).hexdigest()[:32]
