"""The sources as the subjects see them: pages, metadata and documents, or `UnreachedError`.

It decides what may be believed. A source that fails, refuses, or answers with what cannot be true
is not reached, and nothing follows from it. That a server has no page counts only when it has
another one that was asked for: else it is the wrong server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlsplit

from packaging.version import Version

from ...errors import Failure
from ...index import Fetcher, File, IndexClient, Location, Metadata, NoMetadata, Page
from ...index.location import display, parse_location
from ...index.pagecache import PageCache

__all__ = ["SOURCES", "UnreachedError", "World", "lost_half"]

SOURCES: Mapping[str, str] = {
    # PyTorch's own package index, a folder for each variant.
    "pytorch": "https://download.pytorch.org/whl",
    # What each release has kernels for stands in RELEASE.md of its branch and of main.
    "pytorch-notes": "https://raw.githubusercontent.com/pytorch/pytorch",
    # The end of life of each minor of Python: release-cycle.json.
    "python-cycle": "https://peps.python.org/api",
    # The releases of Python: v2/downloads/release/.
    "python-releases": "https://www.python.org/api",
    # The registry behind docker.io.
    "docker.io": "https://registry-1.docker.io",
}
"""Source -> where it lives when no mirror is named."""


class UnreachedError(Exception):
    """A source was not reached, or what it said cannot be true; the text says which and why."""


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
        try:
            page = self.client.page(location, name)
        except Failure as error:
            raise UnreachedError(str(error.faults[0])) from error
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
        try:
            return self.client.metadata(name, files, self.index(url))
        except Failure as error:
            raise UnreachedError(str(error.faults[0])) from error

    def document(self, url: str) -> bytes | None:
        """A document, asked for conditionally; None when it does not exist.

        Raises UnreachedError.
        """
        try:
            return self.cache.get(
                url,
                "*/*",
                lambda target, headers: self.documents.get(target, headers=headers),
                lambda answer: answer.body,
                refresh=True,
            )
        except Failure as error:
            raise UnreachedError(str(error.faults[0])) from error

    @cached_property
    def registry(self) -> Registry:
        """The registry behind docker.io."""
        return Registry(self.address("docker.io"), self.documents, self.cache)

    @cached_property
    def _answering(self) -> set[str]:
        return set()


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

