"""The sources as the subjects see them: pages, metadata and documents, or `UnreachedError`.

It decides what may be believed. A source that fails, refuses, or answers with what cannot be true
is not reached, and nothing follows from it. That a server has no page counts only when it has
another one that was asked for: else it is the wrong server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

from packaging.version import Version

from ...errors import Failure
from ...index import Fetcher, File, IndexClient, Location, Metadata, NoMetadata, Page
from ...index.location import display, parse_location
from ...index.pagecache import PageCache
from ...registry.access import Access
from ...registry.reader import Registry
from .sources import SOURCES, UnreachedError

__all__ = ["World", "lost_half"]


@dataclass(frozen=True)
class World:
    """The sources of one run.

    default: the default package index; None when the user has switched it off.
    mirrors: source -> where to read it instead; see `SOURCES`.
    documents: fetches what is no page of an index. cache: keeps its answers, which are asked for
        again conditionally each time.
    recheck: read the metadata of releases again that the tables know already.
    since: the oldest version that matters; None: as old as the tables are.
    """

    client: IndexClient
    default: Location | None
    documents: Fetcher
    cache: PageCache
    mirrors: Mapping[str, str] = field(default_factory=dict)
    recheck: bool = False
    since: Version | None = None

    def address(self, source: str) -> str:
        """Where a source lives, without a final slash."""
        return (self.mirrors.get(source) or SOURCES[source]).rstrip("/")

    def index(self, url: str) -> Location:
        """The package index of an `index_url` cell; empty is the default index.

        Raises UnreachedError when there is no default index.
        """
        if not url:
            if self.default is None:
                raise UnreachedError("there is no default package index: it is switched off")
            return self.default
        own = SOURCES["pytorch"]
        if url == own or url.startswith(f"{own}/"):
            url = self.address("pytorch") + url.removeprefix(own)
        return parse_location(url, origin="the tables")

    def ask_ahead(self, jobs: Iterable[Callable[[], object]]) -> None:
        """Run questions a few at a time; their answers are kept for whoever asks next."""
        for future in self.client.start(jobs):
            future.exception()

    def page(self, url: str, name: str) -> Page | None:
        """A project's page on an index; None when the index surely has it no longer.

        Raises UnreachedError.
        """
        location = self.index(url)
        with self._reached(location.url):
            page = self.client.page(location, name)
        host = urlsplit(location.url).netloc
        if page is not None:
            self._answering.add(host)
        elif host not in self._answering:
            raise UnreachedError(
                f"{location.display} has no page of {name}, nor any other that was asked for"
            )
        return page

    def metadata(self, name: str, files: tuple[File, ...], url: str) -> Metadata | NoMetadata:
        """The metadata of a release; `NoMetadata` when it cannot be had from any of its files.

        Raises UnreachedError when the network is at fault.
        """
        location = self.index(url)
        with self._reached(location.url):
            return self.client.metadata(name, files, location)

    def document(self, url: str) -> bytes | None:
        """A document, asked for conditionally; None when it does not exist.

        Raises UnreachedError.
        """
        with self._reached(url):
            return self.cache.get(
                url,
                "*/*",
                lambda target, headers: self.documents.get(target, headers=headers),
                lambda answer: answer.body,
                refresh=True,
            )

    @cached_property
    def registry(self) -> Registry:
        """The registry behind docker.io."""
        return Registry(Access(self.address("docker.io"), self.documents), self.cache)

    @contextmanager
    def _reached(self, url: str) -> Iterator[None]:
        """Raises UnreachedError for what fails in the block, at once for a server that is gone."""
        host = urlsplit(url).netloc
        if host in self._gone:
            raise UnreachedError(self._gone[host])
        try:
            yield
        except Failure as error:
            text = str(error.faults[0])
            if _is_unconnected(error):
                text = self._gone.setdefault(host, text)
            raise UnreachedError(text) from error

    @cached_property
    def _gone(self) -> dict[str, str]:
        return {}

    @cached_property
    def _answering(self) -> set[str]:
        return set()


def _is_unconnected(error: BaseException | None) -> bool:
    import httpx

    while error is not None:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return True
        error = error.__cause__
    return False


def lost_half(what: str, known: Iterable[Version], page: Page | None) -> None:
    """Nothing when the page has at least half of the releases that the table knows.

    A page that was cut, or that is no index page at all, reads like one that has lost releases.
    Raises UnreachedError for it: so many are never withdrawn at once.
    """
    wanted = set(known)
    if page is None or not wanted:
        return
    kept = sum(version in page.releases for version in wanted)
    if 2 * kept < len(wanted):
        raise UnreachedError(
            f"the page of {what} on {display(page.index)} has only {kept} of the {len(wanted)} "
            "releases that the table knows: it is not believed"
        )
