"""Index clients for tests: over a cache in a folder, with a clock that only sleeping moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cogpack.index import (
    CachePolicy,
    CredentialBook,
    Fetcher,
    File,
    HttpSettings,
    IndexClient,
    Location,
    Metadata,
    NoMetadata,
    parse_location,
)
from support.index_server import IndexServer

__all__ = ["Clients", "Clock", "at", "clients", "files_of", "metadata_of"]


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Clients:
    """Makes clients, each as a new run would have it.

    folder: where their caches lie.
    """

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self._folder = folder
        self._made: list[IndexClient] = []

    def __call__(self, *, cache: str = "cache", **policy: Any) -> IndexClient:
        """A client; cache names its folder, the rest is its `CachePolicy`."""
        book = CredentialBook(use_keyring=False)
        fetcher = Fetcher(HttpSettings(), book, sleep=self.clock.sleep, clock=self.clock)
        self._made.append(IndexClient(self._folder / cache, CachePolicy(**policy), fetcher))
        return self._made[-1]

    def close(self) -> None:
        """Close all of them."""
        for client in self._made:
            client.close()


@contextmanager
def clients(folder: Path) -> Iterator[Clients]:
    """A maker of clients that closes them at the end."""
    made = Clients(folder)
    try:
        yield made
    finally:
        made.close()


def at(server: IndexServer) -> Location:
    return parse_location(server.url, origin="--index-url")


def files_of(client: IndexClient, server: IndexServer, name: str) -> tuple[File, ...]:
    page = client.page(at(server), name)
    assert page is not None
    return page.releases[page.versions[0]]


def metadata_of(client: IndexClient, server: IndexServer, name: str) -> Metadata | NoMetadata:
    return client.metadata(name, files_of(client, server, name), at(server))
