"""Several indexes as one: which index a package comes from.

The rule: a package comes from one index only. A pinned package comes from its index and no other;
any other from the first of find-links, extra indexes, default index, in the user's order, that has
files of it. So nobody can put a package of the same name and a higher version in front of a private
one (dependency confusion). Of an index that holds old copies of others' packages, as that of a
framework does, a package comes only when what follows has nothing better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from .buildsystem import BuildSystem
from .client import IndexClient
from .location import Location
from .metadata import Metadata, NoMetadata
from .page import File, Page

__all__ = ["IndexSet", "Sources"]


@dataclass(frozen=True)
class Sources:
    """The indexes of one project, in order of priority.

    default: asked last; None when the user wants none (`--no-index`).
    extra: asked before the default, the first one first.
    find_links: flat indexes, asked before all.
    pinned: the index of single packages, by normalised name; an index that stands here alone
        serves nothing else.
    copies: those of `extra` that hold copies of packages at home elsewhere.
    notes: what a user should know about how they were found.
    """

    default: Location | None
    extra: tuple[Location, ...] = ()
    find_links: tuple[Location, ...] = ()
    pinned: Mapping[str, Location] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = field(default=(), compare=False)
    copies: frozenset[Location] = frozenset()

    @property
    def all(self) -> tuple[Location, ...]:
        """Every index once, in order of priority."""
        found = [*self.find_links, *self.extra, *([self.default] if self.default else [])]
        found.extend(self.pinned[name] for name in sorted(self.pinned))
        return tuple(dict.fromkeys(found))

    def order(self, name: str) -> tuple[Location, ...]:
        """The indexes that are asked for a package, in turn.

        name: normalised project name.
        """
        if name in self.pinned:
            return (self.pinned[name],)
        return (*self.find_links, *self.extra, *([self.default] if self.default else []))

    def pin(self, packages: Mapping[str, Location]) -> Sources:
        """The same with further packages pinned to indexes of their own."""
        merged: dict[str, Location] = dict(self.pinned)
        merged.update((canonicalize_name(name), place) for name, place in packages.items())
        return Sources(
            self.default,
            self.extra,
            self.find_links,
            MappingProxyType(merged),
            self.notes,
            self.copies,
        )


class IndexSet:
    """Answers a resolver's questions about packages; safe to use from several threads.

    client: reads the indexes; closing it is the caller's business.
    exclude_newer: with a time zone; files uploaded at or after it do not exist.
    wanted: which versions the project asks for, by normalised name, where it does.
    """

    def __init__(
        self,
        client: IndexClient,
        sources: Sources,
        *,
        exclude_newer: datetime | None = None,
        wanted: Mapping[str, SpecifierSet] = MappingProxyType({}),
    ) -> None:
        if exclude_newer is not None and exclude_newer.tzinfo is None:
            raise ValueError("exclude_newer needs a time zone")
        self.client = client
        self.sources = sources
        self._exclude_newer = exclude_newer
        self._wanted = wanted
        self._places: dict[str, Location] = {}
        self._filtered: dict[str, Page] = {}

    def page(self, name: str) -> Page | None:
        """The page of a package on the index that it comes from; None when no index has it.

        name: project name in any spelling.

        Raises what `IndexClient.page` raises: an index that fails is never passed over, because the
        next one would then answer for it.
        """
        name = canonicalize_name(name)
        if name in self._filtered:
            return self._filtered[name]
        found: Page | None = None
        place: Location | None = None
        for location in self.sources.order(name):
            page = self.page_at(location, name)
            # What an index holds back (quarantined, too new) no other answers for.
            if page is None or not page.answers:
                continue
            if found is None or self._best(page) > self._best(found):
                found, place = page, location
            if location not in self.sources.copies:
                break
        if found is not None and place is not None:
            self._places[name] = place
            self._filtered[name] = found
        return found

    def _best(self, page: Page) -> tuple[bool, Version]:
        """The newest version of a page that the project can mean, or that there is none."""
        wanted = self._wanted.get(page.name, _ANY)
        best = next((one for one in page.versions if wanted.contains(one, prereleases=True)), None)
        return best is not None, best or _NONE

    def page_at(self, location: Location, name: str) -> Page | None:
        """The page of a package on one index, whatever the order of the indexes says.

        name: normalised project name. Files that are too new are left out, as everywhere.

        Raises what `IndexClient.page` raises.
        """
        page = self.client.page(location, name)
        if page is None or self._exclude_newer is None:
            return page
        return page.exclude_newer(self._exclude_newer)

    def pages(self, names: Iterable[str]) -> dict[str, Page | None]:
        """The pages of several packages, fetched side by side; in the order of the names."""
        wanted = list(dict.fromkeys(canonicalize_name(name) for name in names))
        self.prefetch(wanted)
        return {name: self.page(name) for name in wanted}

    def metadata(self, name: str, version: Version) -> Metadata | NoMetadata:
        """The metadata of a release.

        Raises what `IndexClient.metadata` raises, KeyError when there is no such release.
        """
        name = canonicalize_name(name)
        page = self.page(name)
        if page is None:
            raise KeyError(name)
        return self.metadata_of(name, page.releases[version])

    def metadata_of(self, name: str, files: Sequence[File]) -> Metadata | NoMetadata:
        """The metadata of a release of which these files suit, the best one first."""
        name = canonicalize_name(name)
        return self.client.metadata(name, files, self._places.get(name))

    def build_system(self, name: str, sdist: File) -> BuildSystem:
        """What an sdist of a package is built with.

        Raises what `IndexClient.build_system` raises.
        """
        self.page(name)
        return self.client.build_system(sdist, self._places.get(canonicalize_name(name)))

    def prefetch(self, names: Iterable[str]) -> None:
        """Begin to fetch pages; returns at once. What fails shows when the page is asked for."""
        self.client.start([_page_job(self, name) for name in names])

    def prefetch_metadata(self, releases: Iterable[tuple[str, Sequence[File]]]) -> None:
        """Begin to fetch the metadata of releases; returns at once."""
        self.client.start([_metadata_job(self, name, files) for name, files in releases])


_ANY = SpecifierSet()
_NONE = Version("0")


def _page_job(index: IndexSet, name: str) -> Callable[[], object]:
    return lambda: index.page(name)


def _metadata_job(index: IndexSet, name: str, files: Sequence[File]) -> Callable[[], object]:
    return lambda: index.metadata_of(name, files)
