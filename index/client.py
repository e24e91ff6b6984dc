"""The index client: pages and metadata of any index, from the cache or the network.

Which index a package comes from is `indexset.py`'s business. One client serves one run: what it has
answered once it answers again without looking, so that a run sees one state of the world.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

import msgspec

from ..errors import BuilderError, Failure, UserError
from .buildsystem import BuildSystem
from .compact import pack, unpack
from .flat import by_project, folder_links, local_page
from .http import Answer, Fetcher
from .links import Link, Listing, PageError, read_html, read_json, resolve
from .location import Location, display
from .metadata import (
    Metadata,
    MetadataError,
    NoMetadata,
    dump_failure,
    dump_metadata,
    load_failure,
    load_metadata,
)
from .page import File, Page
from .release import ReleaseReader
from .store import Store

if TYPE_CHECKING:
    from .pagecache import PageCache

__all__ = ["DEFAULT_FRESHNESS", "PAGE_ACCEPT", "CachePolicy", "IndexClient", "OfflineError"]

# Seconds. Ten minutes is what PyPI itself allows a cache to keep a page.
DEFAULT_FRESHNESS = 600

# PEP 691: JSON first, it is the cheapest to read and has sizes and upload times.
PAGE_ACCEPT = (
    "application/vnd.pypi.simple.v1+json, "
    "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)
_FLAT_ACCEPT = "text/html, application/xhtml+xml;q=0.9"

_JSON_TYPES = frozenset({"application/vnd.pypi.simple.v1+json", "application/json"})

_METADATA = "metadata"

# Releases that say nothing without a build; part of the name is the number of the rules by which
# that was found, which a release of cogpack that reads more raises.
_SILENT = "silent-2"
_SIZE = "size"
# With the number of the rules by which it was read, likewise.
_BUILD = "build-1"

T = TypeVar("T")


class OfflineError(UserError):
    """The cache has not what is needed, and the network may not be used."""


@dataclass(frozen=True)
class CachePolicy:
    """When the cache is believed.

    freshness: seconds during which a page is not asked for again.
    offline: never use the network; pages of any age count.
    refresh: ask for every page again, conditionally, and for metadata of files without a hash.
    """

    freshness: int = DEFAULT_FRESHNESS
    offline: bool = False
    refresh: bool = False


class IndexClient:
    """Reads package indexes; safe to use from several threads and processes.

    cache: the cache folder; None keeps nothing on disk.
    fetcher: how requests are made; closed with the client.
    workers: how many requests are under way at once.
    """

    def __init__(
        self,
        cache: Path | None = None,
        policy: CachePolicy | None = None,
        fetcher: Fetcher | None = None,
        *,
        workers: int = 16,
    ) -> None:
        self.policy = policy or CachePolicy()
        self._store = Store(cache)
        self._fetcher = fetcher or Fetcher()
        self._releases = ReleaseReader(self._fetcher)
        self._pages: PageCache | None = None
        self._workers = workers
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False
        self._answers: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def page(self, location: Location, name: str) -> Page | None:
        """A project's page on an index; None when the index does not have the project.

        name: normalised project name.

        Raises OfflineError, or what `Fetcher.get` raises.
        """
        return self._once(("page", location, name), lambda: self._page(location, name))

    def metadata(
        self, name: str, files: Sequence[File], location: Location | None = None
    ) -> Metadata | NoMetadata:
        """The metadata of a release.

        files: the release's files, the one to be installed first; others stand in for it when its
            metadata cannot be had.

        Raises OfflineError, or what `Fetcher.get` raises.
        """
        key = ("metadata", files[0].url)
        return self._once(key, lambda: self._metadata(name, files, location))

    def build_system(self, sdist: File, location: Location | None = None) -> BuildSystem:
        """What an sdist is built with.

        Raises MetadataError when it cannot be read, OfflineError, or what `Fetcher.get` raises.
        """
        return self._once(("build", sdist.url), lambda: self._build_system(sdist, location))

    def sha256(self, file: File, location: Location | None = None, *, limit: int) -> str:
        """The SHA-256 of a file, as hexadecimal digits, for an index that announces none.

        limit: bytes that are fetched at most.

        Raises OfflineError, OversizedError past the limit, BuilderError when it is not there, or
        what `Fetcher.get` raises.
        """
        if self.policy.offline:
            raise _offline(f"the index announces no hash of {file.filename}")
        answer = self._fetcher.get(file.url, location=location, limit=limit)
        if answer.status != 200:
            raise BuilderError(f"{display(file.url)} answered {answer.status}")
        return hashlib.sha256(answer.body).hexdigest()

    def size(self, file: File, location: Location | None = None) -> int | None:
        """The size of a file in bytes, for an index that announces none.

        None when the server does not tell, or may not be asked; what it told once is kept.
        """
        return self._once(("size", file.url), lambda: self._size(file, location))

    def start(self, jobs: Iterable[Callable[[], object]]) -> list[Future[object]]:
        """Run calls of this client on its pool; what they find is remembered.

        A call that fails fails again, with its message, when its answer is asked for.

        Raises RuntimeError when the client is closed: nobody would end the threads.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the client is closed")
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="cogpack-index")
            return [self._pool.submit(job) for job in jobs]

    def close(self) -> None:
        """Drop what is not begun, wait for the rest, close the connections."""
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)
        self._fetcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """The answer to a question: computed by the first that asks, waited for by the others."""
        with self._lock:
            known = cast("Future[T] | None", self._answers.get(key))
            future: Future[T] = known or Future()
            if known is None:
                self._answers[key] = future
        if known is None:
            try:
                future.set_result(compute())
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()

    def _page(self, location: Location, name: str) -> Page | None:
        if location.kind == "flat":
            links = self._flat(location).get(name, ())
            return self._build(location, name, Listing(links)) if links else None
        if location.is_local:
            found = local_page(location, name)
            return None if found is None else self._build(location, name, found)

        url = location.page_url(name)

        def read() -> Page | None:
            body = self._cached(
                location, url, PAGE_ACCEPT, lambda answer: _convert(answer, name, location)
            )
            return None if body is None else unpack(name, location.url, body)

        try:
            return read()
        except PageError:
            # What the cache has is no page to this release of cogpack.
            self._page_cache().forget(url, PAGE_ACCEPT)
            return read()

    def _flat(self, location: Location) -> Mapping[str, tuple[Link, ...]]:
        def read() -> Mapping[str, tuple[Link, ...]]:
            if location.is_local:
                return by_project(folder_links(location))
            body = self._cached(
                location,
                location.url,
                _FLAT_ACCEPT,
                lambda answer: msgspec.msgpack.encode(_resolved(answer, location)),
            )
            if body is None:
                where = f" ({location.origin})" if location.origin else ""
                raise UserError(f"find-links {location.display}{where} does not exist")
            return by_project(msgspec.msgpack.decode(body, type=list[Link]))

        return self._once(("flat", location), read)

    @staticmethod
    def _build(location: Location, name: str, listing: Listing) -> Page | None:
        url = location.url
        if location.kind == "simple":
            url = f"{url}{name}/"
        page = unpack(name, location.url, pack(name, url, listing))
        return page if page.answers else None

    def _cached(
        self, location: Location, url: str, accept: str, convert: Callable[[Answer], bytes]
    ) -> bytes | None:
        def ask(target: str, headers: Mapping[str, str]) -> Answer:
            if self.policy.offline:
                raise _offline(f"the page {display(target)} is not in the cache")
            return self._fetcher.get(target, headers=headers, location=location)

        cache = self._page_cache()
        return cache.get(url, accept, ask, convert, refresh=self.policy.refresh)

    def _page_cache(self) -> PageCache:
        from .pagecache import PageCache

        if self._pages is None:
            freshness = None if self.policy.offline else self.policy.freshness
            self._pages = PageCache(self._store, freshness)
        return self._pages

    def _size(self, file: File, location: Location | None) -> int | None:
        key = file.sha256
        kept = self._store.read(_SIZE, key) if key else None
        if kept is not None and kept.isdigit():
            return int(kept)
        if self.policy.offline or file.url.startswith("file:"):
            return None
        try:
            # Of the file itself, and not of a compressed transfer.
            answer = self._fetcher.get(
                file.url, headers={"accept-encoding": "identity"}, location=location, method="HEAD"
            )
        except Failure:
            return None
        told = answer.headers.get("content-length", "")
        if answer.status != 200 or not told.isdigit():
            return None
        if key:
            self._store.write(_SIZE, key, told.encode())
        return int(told)

    def _metadata(
        self, name: str, files: Sequence[File], location: Location | None
    ) -> Metadata | NoMetadata:
        file = files[0]
        key = file.sha256 or file.url
        is_kept = not file.url.startswith("file:")
        # What is known by its hash cannot have changed, so that --refresh has nothing to ask.
        if is_kept and (file.sha256 or not self.policy.refresh):
            found = self._stored(key, name, file)
            if found is not None:
                return found
        if is_kept and self.policy.offline:
            raise _offline(f"the metadata of {file.filename} is not in the cache")
        metadata = self._releases.read(name, files, location)
        if is_kept and isinstance(metadata, Metadata):
            self._store.write(_METADATA, key, dump_metadata(metadata))
        elif is_kept and isinstance(metadata, NoMetadata):
            self._store.write(_SILENT, key, dump_failure(metadata))
        return metadata

    def _build_system(self, sdist: File, location: Location | None) -> BuildSystem:
        key = sdist.sha256
        kept = self._store.read(_BUILD, key) if key else None
        if kept is not None:
            try:
                return msgspec.msgpack.decode(kept, type=BuildSystem)
            except msgspec.DecodeError:
                pass  # another release of cogpack wrote it
        if self.policy.offline and not sdist.url.startswith("file:"):
            raise _offline(f"the pyproject.toml of {sdist.filename} is not in the cache")
        found = self._releases.build_system(sdist, location)
        if key:
            self._store.write(_BUILD, key, msgspec.msgpack.encode(found))
        return found

    def _stored(self, key: str, name: str, file: File) -> Metadata | NoMetadata | None:
        for kind, load in ((_METADATA, load_metadata), (_SILENT, load_failure)):
            body = self._store.read(kind, key)
            if body is None:
                continue
            try:
                found = load(body)
            except MetadataError:
                continue
            if isinstance(found, NoMetadata) and not (self.policy.offline or found.is_final):
                continue
            if (found.name, found.version) == (name, file.version):
                return found
        return None


def _convert(answer: Answer, name: str, location: Location) -> bytes:
    return pack(name, answer.url, _read(answer, location))


def _resolved(answer: Answer, location: Location) -> list[Link]:
    return resolve(_read(answer, location), answer.url)


def _read(answer: Answer, location: Location) -> Listing:
    content_type, _, options = answer.headers.get("content-type", "text/html").partition(";")
    kind = content_type.strip().lower()
    try:
        if kind in _JSON_TYPES:
            return read_json(answer.body)
        if kind.endswith("html") or kind == "application/xhtml+xml":
            return read_html(answer.body, _charset(options))
        raise PageError(f"it is {kind or 'of no type'} and neither JSON nor HTML")
    except PageError as fault:
        raise BuilderError(
            f"package index {location.display}: {display(answer.url)} is no index page: {fault}",
            hint="check the URL of the index",
        ) from fault


def _charset(options: str) -> str | None:
    for option in options.split(";"):
        name, _, value = option.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"') or None
    return None


def _offline(what: str) -> OfflineError:
    return OfflineError(f"offline, and {what}", hint="run once without --offline")
