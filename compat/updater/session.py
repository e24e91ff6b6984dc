"""Opens the sources for one run: settings of pip and uv, caches, few connections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from packaging.version import Version

from ...errors import UserError
from ...index import (
    CachePolicy,
    CredentialBook,
    Fetcher,
    HttpSettings,
    IndexClient,
    find_sources,
)
from ...index.pagecache import PageCache
from ...index.pipconf import read_pip
from ...index.settings import http_settings
from ...index.store import Store, cache_folder
from .sources import SOURCES
from .world import World

__all__ = ["open_world"]

# A refresh is in no hurry, and the servers are other people's.
_CONNECTIONS = 4

# Of a server that has a bad moment; one that is not there is asked once, see `World`.
_ATTEMPTS = 4


@contextmanager
def open_world(
    environ: Mapping[str, str],
    *,
    mirrors: Mapping[str, str],
    recheck: bool = False,
    since: Version | None = None,
    settings: HttpSettings | None = None,
) -> Iterator[World]:
    """The sources as the environment configures them: the index that pip and uv use, proxies.

    mirrors: source -> URL, see `SOURCES`. settings: how requests are made, else as pip's.

    Raises UserError for a mirror of an unknown source and for a malformed configuration.
    """
    if unknown := sorted(mirrors.keys() - SOURCES.keys()):
        raise UserError(
            f"--mirror: there is no source {', '.join(unknown)}",
            hint=f"the sources are {', '.join(SOURCES)}",
        )
    folder = cache_folder(environ)
    chosen = settings or _polite(http_settings(environ, read_pip(environ)))
    sources = find_sources(environ)
    fetcher = Fetcher(chosen, CredentialBook(sources.all, environ))
    # Documents and registries get no credential but the token that they hand out themselves.
    documents = Fetcher(chosen, CredentialBook(use_keyring=False))
    client = IndexClient(folder, CachePolicy(refresh=True), fetcher, workers=_CONNECTIONS)
    with client:
        try:
            yield World(
                client,
                sources.default,
                documents,
                PageCache(Store(folder), 0),
                mirrors,
                recheck,
                since,
            )
        finally:
            documents.close()


def _polite(settings: HttpSettings) -> HttpSettings:
    return replace(settings, connections=_CONNECTIONS, attempts=_ATTEMPTS)
