"""The cache of index pages: what is fresh is read here, what is not is asked for again.

Pages are kept in the form of `compact.py`, so that a hit costs neither HTML nor JSON parsing.
How long a page is fresh is decided here and not by the server. Asking again is the subject of
`revalidate.py`, which alone loads the HTTP and cache libraries: a run whose pages are all fresh, or
that may not use the network, does without them. Credentials never reach this layer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from .store import Store

if TYPE_CHECKING:
    from .http import Answer

__all__ = ["Entry", "PageCache", "entry_name", "read_entry", "remove_entry", "write_entry"]

_KIND = "pages"

Ask = Callable[[str, Mapping[str, str]], "Answer"]
Convert = Callable[["Answer"], bytes]


class Entry(msgspec.Struct, array_like=True):
    """An answer as it is kept: `headers` has what revalidation needs and `date`, its time."""

    url: str
    status: int
    headers: dict[str, str]
    body: bytes


_decode = msgspec.msgpack.Decoder(Entry).decode


class PageCache:
    """Answers requests for pages from the cache, asks the server when it must.

    store: the cache folder.
    freshness: seconds during which a page is not asked for again; None: for ever (offline), and
        what is not there is asked for without being kept.
    """

    def __init__(self, store: Store, freshness: int | None) -> None:
        self._store = store
        self._freshness = freshness

    def get(
        self, url: str, accept: str, ask: Ask, convert: Convert, *, refresh: bool = False
    ) -> bytes | None:
        """The converted body of a page; None when the server has none.

        accept: the Accept header.
        ask: fetches a URL with headers; what it raises the caller sees.
        convert: makes the bytes to keep from an answer with a body.
        refresh: ask the server even when the page is fresh.
        """
        key = _key(url, accept)
        entry = None if refresh else read_entry(self._store, entry_name(key))
        if entry is not None and self._is_fresh(entry):
            return entry.body if entry.status == 200 else None
        if self._freshness is None:
            answer = ask(url, {"accept": accept})
            return convert(answer) if answer.status == 200 else None
        from .revalidate import revalidated

        # What is not fresh by this clock is asked for, whatever the library thinks of its date.
        refresh = refresh or entry is not None
        return revalidated(
            self._store, self._freshness, url, accept, key, ask, convert, refresh=refresh
        )

    def forget(self, url: str, accept: str) -> None:
        """Drop a page whose kept form its asker cannot read: a 304 would bring it back."""
        remove_entry(self._store, entry_name(_key(url, accept)))

    def _is_fresh(self, entry: Entry) -> bool:
        return self._freshness is None or 0 <= _age(entry) < self._freshness


def _key(url: str, accept: str) -> str:
    """A page that is read in two ways has two compact forms."""
    return f"{accept} {url}"


def entry_name(key: str) -> str:
    """The 128 bits of a key that fit a UUID: hishel's id of an entry must lead back to its file."""
    return sha256(key.encode()).hexdigest()[:32]


def read_entry(store: Store, name: str) -> Entry | None:
    """The entry of that name; None when there is none, or one that cannot be read."""
    found = store.read(_KIND, name)
    if found is None:
        return None
    try:
        return _decode(found)
    except msgspec.DecodeError:
        return None


def write_entry(store: Store, name: str, entry: Entry) -> None:
    """Keep an entry."""
    store.write(_KIND, name, msgspec.msgpack.encode(entry))


def remove_entry(store: Store, name: str) -> None:
    """Forget an entry."""
    store.remove(_KIND, name)


def _age(entry: Entry) -> float:
    """Seconds since the answer; negative, so of no use, when its date cannot be read."""
    try:
        moment = parsedate_to_datetime(entry.headers.get("date", ""))
    except (TypeError, ValueError):
        return -1.0
    return time.time() - moment.timestamp()
