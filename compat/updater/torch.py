"""torch.csv from the default index and from PyTorch's own, one folder a variant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from packaging.version import Version

from ...index import Metadata, NoMetadata
from ..cells import Cells, Key, Sheet, sort_key
from .finding import Finding, Found, Missed
from .kernels import NOTES_SOURCE, Kernels, read_notes
from .metadata import CPU, VARIANT, torch, torch_variant
from .releases import (
    DEFAULT_SOURCE,
    History,
    Release,
    admitted,
    history,
    left_out,
    newest_pythons,
    read_metadata,
)
from .sources import SOURCES, UnreachedError
from .wheels import Build
from .world import World

__all__ = ["VARIANT_SOURCE", "find", "pages", "variant_url"]

VARIANT_SOURCE = "pytorch wheel index"


def variant_url(variant: str) -> str:
    """The `index_url` cell of a variant."""
    return f"{SOURCES['pytorch']}/{variant}"


def pages(sheet: Sheet) -> Iterator[tuple[str, str]]:
    """The pages that `find` asks for."""
    yield "", "torch"
    yield SOURCES["pytorch"], "torch"
    for url in sorted({row["index_url"] for row in sheet.rows} - {""}):
        yield url, "torch"


def find(sheet: Sheet, world: World, sheets: Mapping[str, Sheet]) -> Finding:
    """What the indexes have of torch; each index that fails leaves its own rows as they are."""
    reader = _Reader(sheet, world, newest_pythons(sheets["python"]))
    reader.read("")
    for url in reader.variant_urls():
        reader.read(url)
    reader.add_kernels()
    return reader.finding()


class _Reader:
    """Collects the finding, index by index."""

    def __init__(self, sheet: Sheet, world: World, pythons: tuple[Version, ...]) -> None:
        self._sheet = sheet
        self._world = world
        self._pythons = pythons
        self._found: dict[Key, Found] = {}
        self._absent: set[Key] = set()
        self._notes: list[str] = []
        self._missed: list[Missed] = []

    def finding(self) -> Finding:
        return Finding(
            tuple(self._found.values()),
            frozenset(self._absent),
            tuple(self._notes),
            tuple(self._missed),
        )

    def variant_urls(self) -> list[str]:
        """The indexes of the variants: those of the table, and those that have come since."""
        urls = {row["index_url"] for row in self._sheet.rows} - {""}
        try:
            page = self._world.page(SOURCES["pytorch"], "torch")
        except UnreachedError as error:
            self._missed.append(Missed(str(error), "new variants of torch"))
            return sorted(urls)
        oldest = self._oldest()
        releases = page.releases if page else ()
        offered = {version.local or "" for version in releases if version >= oldest}
        # A table of somebody's own may have a variant from another server.
        fresh = offered - {url.rpartition("/")[2] for url in urls}
        return sorted(urls | {variant_url(name) for name in fresh if VARIANT.fullmatch(name)})

    def read(self, url: str) -> None:
        """Read one index."""
        variant = url.rpartition("/")[2]
        rows = [row for row in self._sheet.rows if row["index_url"] == url]
        try:
            past = history(
                self._world,
                "torch",
                rows,
                url,
                oldest=self._oldest(),
                counts=lambda version: (version.local or "") == variant,
            )
            self._read_builds(past, variant)
        except UnreachedError as error:
            missed = Missed(str(error), "the variants of torch", variant)
            self._missed.append(missed if url else Missed(str(error), "torch"))
            return
        self._absent |= past.absent("torch", self._world.since)

    def _oldest(self) -> Version:
        return min(Version(Version(row["version"]).public) for row in self._sheet.rows)

    def _read_builds(self, past: History, variant: str) -> None:
        listed: list[tuple[Release, Build]] = []
        asked: list[tuple[Release, Build]] = []
        for release in past.releases:
            for build in release.builds.values():
                is_known = past.is_known(release.version, build.architecture)
                wanted = self._world.recheck or not is_known
                (asked if wanted and variant != CPU else listed).append((release, build))
        fresh = [self._plain(past.url, release, build) for release, build in listed]
        files = [(release, build.files) for release, build in asked]
        answers = read_metadata(self._world, past, files)
        for (release, build), (_, _, metadata) in zip(asked, answers, strict=True):
            plain = self._plain(past.url, release, build)
            known = past.is_known(release.version, build.architecture)
            full = self._with_metadata(plain, build, variant, metadata, is_known=known)
            if full is not None:
                fresh.append(full)
        self._found |= {sort_key("torch", found.cells): found for found in fresh}

    def _plain(self, url: str, release: Release, build: Build) -> Found:
        """What the page alone tells."""
        cells = {
            "version": str(release.version),
            "architecture": build.architecture,
            "python": build.python,
            "index_url": url,
        }
        glibc = build.glibc or self._floor_of_default(release.version, build.architecture)
        cells |= {"glibc": glibc} if glibc else {}
        variant = release.version.local or ""
        cells |= {"variant": variant} if variant else {}
        return Found(cells, {"": VARIANT_SOURCE if url else DEFAULT_SOURCE})

    def _floor_of_default(self, version: Version, architecture: str) -> str:
        """The glibc of the default build, for wheels whose tag is a plain `linux`."""
        row = self._default_row(version, architecture)
        return row["glibc"] if row else ""

    def _default_row(self, version: Version, architecture: str) -> Cells | None:
        key = sort_key("torch", {"version": version.public, "architecture": architecture})
        old, found = self._sheet.by_key.get(key), self._found.get(key)
        if found is None:
            return old
        return {**(old or found.defaults), **found.cells}

    def _with_metadata(
        self,
        plain: Found,
        build: Build,
        variant: str,
        metadata: Metadata | NoMetadata,
        *,
        is_known: bool,
    ) -> Found | None:
        """What page and metadata tell together; None when too little for a row."""
        version = Version(plain.cells["version"])
        if isinstance(metadata, NoMetadata):
            if variant:
                cells = torch_variant(variant, self._default_row(version, build.architecture))
                return replace(plain, defaults=cells)
            if not is_known:
                self._notes.append(left_out(metadata))
                return None
            return plain
        told = torch(metadata, build, admitted(self._pythons, build.python))
        if told is None:
            # A CUDA build that asks for no libraries has them in its wheel.
            bundled = {**torch_variant(variant, None), "libraries": "wheel"}
            return replace(plain, defaults=bundled if variant else torch_variant(CPU, None))
        # A variant is what its name says, whichever build of the runtime it asks for.
        cells = {**told, **(torch_variant(variant, None) if variant else {})}
        return replace(plain, cells={**plain.cells, **cells})

    def add_kernels(self) -> None:
        """Add what RELEASE.md says to rows that have no kernels yet."""
        lacking = {key: found for key, found in self._found.items() if self._lacks(key, found)}
        fresh = {_minor(key) for key in lacking if key not in self._sheet.by_key}
        try:
            kernels = read_notes(self._world, {_minor(key) for key in lacking}, fresh)
        except UnreachedError as error:
            self._missed.append(Missed(str(error), "the kernels of new builds of torch"))
            return
        for key, found in lacking.items():
            if told := self._kernels_of(kernels, key, found):
                self._found[key] = replace(
                    found,
                    cells={**found.cells, "kernels": told},
                    source={**found.source, "kernels": NOTES_SOURCE},
                )

    def _lacks(self, key: Key, found: Found) -> bool:
        old = self._sheet.by_key.get(key, {})
        merged = {**found.defaults, **old, **found.cells}
        return bool(merged.get("cuda")) and not merged.get("kernels")

    def _kernels_of(self, kernels: Kernels, key: Key, found: Found) -> str:
        old = self._sheet.by_key.get(key, {})
        merged = {**found.defaults, **old, **found.cells}
        return kernels.get((_minor(key), merged["cuda"], merged["architecture"]), "")


def _minor(key: Key) -> str:
    version = key[0]
    assert isinstance(version, Version)  # noqa: S101  # the key's first column
    return f"{version.major}.{version.minor}"
