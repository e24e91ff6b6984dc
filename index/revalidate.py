"""Asks a server again for a page that is not fresh: hishel's RFC 9111 rules over `pagecache.py`.

What is asked again is asked conditionally (ETag, Last-Modified), and a 304 makes the kept page
fresh. Requests themselves are made by the caller's function.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate

import hishel
import httpx
from hishel.httpx import CacheTransport

from ..errors import BuilderError
from .http import Answer
from .location import display
from .pagecache import Entry, entry_name, read_entry, remove_entry, write_entry
from .store import Store

__all__ = ["revalidated"]

# Status codes of answers that are kept: a page, and that there is none.
_KEPT = frozenset({200, 404, 410})

# The headers that revalidation needs; the others of the server are of no use in the cache.
_KEPT_HEADERS = ("etag", "last-modified")

Ask = Callable[[str, Mapping[str, str]], Answer]
Convert = Callable[[Answer], bytes]


def revalidated(
    store: Store,
    freshness: int,
    url: str,
    accept: str,
    key: str,
    ask: Ask,
    convert: Convert,
    *,
    refresh: bool,
) -> bytes | None:
    """The converted body of a page, asked for when it has to be; None when the server has none.

    freshness: seconds. key: of the entry. The rest is as in `PageCache.get`.
    """
    transport = CacheTransport(
        _Converter(ask, convert),
        storage=_Storage(store, freshness),
        rfc=hishel.CacheOptions(shared=False),
    )
    headers = {"accept": accept}
    if refresh:
        headers["cache-control"] = "no-cache"
    try:
        request = httpx.Request("GET", url, headers=headers, extensions={"caching": {"key": key}})
    except (httpx.InvalidURL, UnicodeError) as error:
        raise BuilderError(f"{display(url)} is malformed ({error})") from error
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
        name = entry_name(key)
        entry = read_entry(self._store, name)
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
        return hishel.Entry(id=uuid.UUID(hex=entry_name(key)), request=request, response=kept)

    def update_headers(self, id: uuid.UUID, headers: hishel.Headers) -> None:  # noqa: A002
        entry = read_entry(self._store, id.hex)
        if entry is not None:
            entry.headers = _plain(headers)
            write_entry(self._store, id.hex, entry)

    def remove_entry(self, id: uuid.UUID) -> None:  # noqa: A002
        remove_entry(self._store, id.hex)

    def _save(
        self, request: hishel.Request, response: hishel.Response, key: str, pieces: Iterator[bytes]
    ) -> Iterator[bytes]:
        body = b"".join(pieces)
        if response.status_code in _KEPT:
            entry = Entry(request.url, response.status_code, _plain(response.headers), body)
            write_entry(self._store, entry_name(key), entry)
        yield body


def _plain(headers: hishel.Headers) -> dict[str, str]:
    return {name: headers[name] for name in headers if name in {"date", *_KEPT_HEADERS}}
