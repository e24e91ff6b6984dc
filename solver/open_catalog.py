"""What can be installed: the files of the indexes and the user's own, and what they say.

A `Catalog` is the knowledge of one run, whatever is tried; a `View` is the catalog as one target
and one set of indexes see it. What is chosen among the offers is the provider's subject.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from packaging.markers import Marker
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import Version

from ..errors import Fault, UserError
from ..index.client import IndexClient
from ..index.indexset import IndexSet, Sources
from ..index.location import Location, parse_location
from ..index.metadata import Metadata, NoMetadata, stated_metadata, with_extra
from ..index.page import File, Page, python_specifier
from .open_model import Ask, OpenOptions, Range, as_they_are, range_of, wanted_versions
from .open_target import Target

__all__ = [
    "Catalog",
    "Offer",
    "View",
    "fitting",
    "hashed",
    "hashed_lines",
    "hashes_for",
    "limitations",
]

# Variables of markers that tell patch releases apart.
_FULL_VERSIONS = ("python_full_version", "implementation_version")


@dataclass(frozen=True, eq=False)
class Offer:
    """One release that suits a target; the same release is the same object within a view.

    files: of the release, the one to install first; empty for a folder.
    index: URL of the index; empty for what the user named by URL or path.
    ask: the user's line, of a direct one.
    """

    name: str
    version: Version
    files: tuple[File, ...]
    index: str = ""
    ask: Ask | None = None

    @property
    def file(self) -> File:
        """The file to install."""
        return self.files[0]

    @property
    def is_sdist(self) -> bool:
        """Whether it would be built in the image."""
        return bool(self.files) and self.files[0].kind == "sdist"

    @property
    def yanked(self) -> bool:
        """Whether its author took it back (PEP 592)."""
        return bool(self.files) and self.files[0].yanked


class Statement(Protocol):
    """What the user says that a release needs, or every release when version is empty.

    name: normalised. requires: PEP 508 lines. requires_python: a specifier set.
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def requires(self) -> tuple[str, ...]: ...
    @property
    def requires_python(self) -> str: ...


@dataclass
class Catalog:
    """Opens the indexes and remembers what was seen of them.

    root: the project folder, that direct asks start from. environ: for variables in URLs.
    exclude_newer: files uploaded at or after it do not exist.
    stated: what the user says of releases; it counts in place of their own metadata.
    metadata: everything that was read, by name, index and version. pages: the same for pages.
    missing: packages that no index has, each with the one index that was asked, empty for all.
    """

    client: IndexClient
    sources: Sources
    asks: tuple[Ask, ...] = ()
    root: Path = Path()
    environ: Mapping[str, str] = field(default_factory=dict)
    exclude_newer: datetime | None = None
    stated: tuple[Statement, ...] = ()
    metadata: dict[tuple[str, str, Version], Metadata | NoMetadata] = field(default_factory=dict)
    pages: dict[tuple[str, str], Page] = field(default_factory=dict)
    missing: set[tuple[str, str]] = field(default_factory=set)
    _direct: dict[Ask, Offer] = field(default_factory=dict)

    def view(
        self,
        target: Target,
        options: OpenOptions | None = None,
        pinned: Mapping[str, Location] = MappingProxyType({}),
    ) -> View:
        """The catalog for a target, some packages coming from indexes of their own."""
        sources = self.sources.pin(pinned) if pinned else self.sources
        index = IndexSet(
            self.client,
            sources,
            exclude_newer=self.exclude_newer,
            wanted=wanted_versions(self.asks) if sources.copies else {},
        )
        return View(self, index, target, options or OpenOptions())

    def direct(self, ask: Ask) -> Offer:
        """The offer of an ask that names its file or folder.

        Raises UserError when it cannot be read; see `limitations` for what is no use asking.
        """
        if ask not in self._direct:
            self._direct[ask] = self._folder(ask) if ask.kind == "folder" else self._archive(ask)
        return self._direct[ask]

    def _folder(self, ask: Ask) -> Offer:
        declared = ask.declared
        version = Version(declared.version) if declared and declared.version else Version("0")
        return Offer(ask.name, version, (), ask=ask)

    def _archive(self, ask: Ask) -> Offer:
        hashes = dict(item.split(":", 1) for item in ask.hashes)
        if ask.kind == "url":
            location = parse_location(ask.url, kind="flat", environ=self.environ)
            parts = urlsplit(location.url)
            filename = unquote(parts.path.rpartition("/")[2])
            algorithm, equals, digest = urlsplit(ask.url).fragment.partition("=")
            if equals and algorithm.startswith("sha"):
                hashes.setdefault(algorithm, digest.partition("&")[0])
            url, size = location.url, None
        else:
            path = (self.root / ask.path).absolute()
            try:
                body = path.read_bytes()
            except OSError as error:
                message = f"{ask.path} cannot be read: {error.strerror}"
                raise UserError(Fault(message, ask.origin)) from None
            own = sha256(body).hexdigest()
            if "sha256" in hashes and f"sha256:{own}" not in ask.hashes:
                message = f"{ask.path} has another hash than its line says"
                raise UserError(Fault(message, ask.origin, f"it is sha256:{own}"))
            hashes, url, size, filename = {"sha256": own}, path.as_uri(), len(body), path.name
        kind, version = _of_filename(filename)
        file = File(filename, url, kind, version, tuple(sorted(hashes.items())), size=size)
        return Offer(ask.name, version, (file,), ask=ask)

    def location_of(self, ask: Ask) -> Location | None:
        """Whom to tell a credential that stands in an ask's URL."""
        if ask.kind != "url":
            return None
        return parse_location(ask.url, kind="flat", environ=self.environ)


class View:
    """Offers for one target; for use from one thread.

    by_minor: whether everything that was asked would be the same with another patch release of the
    target's Python. as_they_are: packages that the user's lines have as they are to be.
    """

    def __init__(
        self, catalog: Catalog, index: IndexSet, target: Target, options: OpenOptions
    ) -> None:
        self.catalog = catalog
        self.index = index
        self.target = target
        self.options = options
        self._offers: dict[tuple[str, Version], Offer | None] = {}
        holding = (a for a in catalog.asks if not a.marker or target.applies(Marker(a.marker)))
        self._hashes = hashed_lines(holding)
        self.as_they_are = as_they_are(catalog.asks)
        self.by_minor = True

    def admits_python(self, text: str) -> bool:
        """Whether a `Requires-Python` admits the target's Python."""
        admitted, by_minor = _admits_python(text, self.target.python)
        self.by_minor &= by_minor
        return admitted

    def applies(self, marker: Marker | None, extra: str = "") -> bool:
        """Whether a marker holds when the extra is asked for."""
        if marker is not None and self.by_minor:
            self.by_minor = not any(word in str(marker) for word in _FULL_VERSIONS)
        return self.target.applies(marker, extra)

    def page(self, name: str) -> Page | None:
        """The page of a package; None when no index has it."""
        page = self.index.page(name)
        if page is not None:
            self.catalog.pages[name, page.index] = page
        else:
            pinned = self.index.sources.pinned.get(name)
            self.catalog.missing.add((name, pinned.url if pinned is not None else ""))
        return page

    def versions(self, name: str) -> Sequence[Version]:
        """All versions of the page, newest first."""
        page = self.page(name)
        return page.versions if page is not None else ()

    def offer(self, name: str, version: Version) -> Offer | None:
        """The release as an offer; None when no file of it suits the target."""
        key = (name, version)
        if key not in self._offers:
            page = self.page(name)
            files = page.releases.get(version, ()) if page is not None else ()
            hashes = hashes_for(self._hashes.get(name, ()), version)
            chosen = fitting(files, self.target, self.options, name, hashes, self.admits_python)
            index = page.index if page is not None else ""
            self._offers[key] = Offer(name, version, chosen, index) if chosen else None
        return self._offers[key]

    def metadata(self, offer: Offer) -> Metadata | NoMetadata:
        """What an offer says of itself.

        Raises what `IndexClient.metadata` raises.
        """
        key = (offer.name, offer.index or _direct_key(offer), offer.version)
        found = self.catalog.metadata.get(key)
        if found is None:
            found = self._read(offer)
            self.catalog.metadata[key] = found
        return found

    def prefetch(self, offers: Iterable[Offer]) -> None:
        """Begin to fetch the metadata of offers of an index; returns at once."""
        if not self.catalog.client.policy.offline:
            known = self.catalog.metadata
            fresh = (one for one in offers if (one.name, one.index, one.version) not in known)
            self.index.prefetch_metadata((one.name, one.files) for one in fresh)

    def _read(self, offer: Offer) -> Metadata | NoMetadata:
        ask = offer.ask
        told = _told(self.catalog.stated, offer)
        if told is not None:
            return told
        if ask is None:
            return self.index.metadata_of(offer.name, offer.files)
        if ask.declared is not None:
            return _declared(ask)
        return self.catalog.client.metadata(offer.name, offer.files, self.catalog.location_of(ask))


def fitting(
    files: Sequence[File],
    target: Target,
    options: OpenOptions,
    name: str,
    hashes: frozenset[str] | None = None,
    admits_python: Callable[[str], bool] | None = None,
) -> tuple[File, ...]:
    """The files of a release, the one to install first; none when none can be.

    hashes: `sha256:…` of the files that the user admits; None admits all.
    admits_python: judges a `Requires-Python`; the target does without it.
    The files behind the first may stand in for its metadata.
    """
    ask = admits_python or (lambda text: _admits_python(text, target.python)[0])
    admitted = [
        file
        for file in hashed(files, hashes)
        if not file.requires_python or ask(file.requires_python)
    ]
    ranks = target.ranks
    wheels: list[tuple[int, tuple[int, str], File]] = []
    if not options.refuses_wheels(name):
        for file in admitted:
            if file.kind == "wheel":
                rank = min((ranks[tag] for tag in file.tags if tag in ranks), default=-1)
                if rank >= 0:
                    build = file.build or (-1, "")
                    wheels.append((rank, (-build[0], build[1]), file))
    rest = [file for file in files if file.kind == "wheel"]
    if wheels:
        best = min(wheels, key=lambda one: one[:2])[2]
        sdists = [file for file in admitted if file.kind == "sdist"]
        return (best, *(file for file in (*rest, *sdists) if file is not best))
    if options.refuses_sdists(name):
        return ()
    if rest and not options.compile and not options.refuses_wheels(name):
        return ()
    sdists = [file for file in admitted if file.kind == "sdist"]
    return (*sdists[:1], *rest, *sdists[1:]) if sdists else ()


def limitations(asks: Iterable[Ask]) -> list[Fault]:
    """What cannot be resolved without running a build on this machine, which is never done."""
    faults = []
    for ask in asks:
        what = ""
        if ask.kind == "vcs":
            what = "a repository, whose dependencies only a checkout and a build would tell"
        elif ask.kind == "folder" and ask.declared is None:
            what = "a folder whose pyproject.toml does not list its dependencies"
        elif ask.kind in ("url", "sdist", "wheel") and not _is_known_archive(ask):
            what = "an archive whose name does not tell package and version"
        if what:
            message = f"{ask.text} cannot be locked: it is {what}"
            hint = "build a wheel of it and name that, or build without a lock"
            faults.append(Fault(message, ask.origin, hint))
    return faults


def _is_known_archive(ask: Ask) -> bool:
    path = urlsplit(ask.url).path if ask.kind == "url" else ask.path
    try:
        _of_filename(unquote(path.rpartition("/")[2]))
    except (InvalidWheelFilename, InvalidSdistFilename):
        return False
    return bool(ask.name)


def _of_filename(filename: str) -> tuple[Literal["wheel", "sdist"], Version]:
    if filename.endswith(".whl"):
        return "wheel", parse_wheel_filename(filename)[1]
    return "sdist", parse_sdist_filename(filename)[1]


def hashed(files: Sequence[File], hashes: frozenset[str] | None) -> Sequence[File]:
    """The files that have one of the hashes; all of them where hashes is None."""
    if hashes is None:
        return files
    return [one for one in files if any(f"{kind}:{text}" in hashes for kind, text in one.hashes)]


@lru_cache(maxsize=65536)
def _admits_python(text: str, python: Version) -> tuple[bool, bool]:
    """Whether a `Requires-Python` admits a Python, and whether it does so for its whole minor."""
    specifier = python_specifier(text)
    if specifier is None:
        return True, True
    minor = f"{python.major}.{python.minor}"
    admits = [
        specifier.contains(version, prereleases=True)
        for version in (python, Version(f"{minor}.0"), Version(f"{minor}.999"))
    ]
    # A clause on single patch releases lies between the ends.
    single = any(
        clause.operator in {"==", "===", "!="} and not clause.version.endswith(".*")
        for clause in specifier
    )
    return admits[0], len(set(admits)) == 1 and not single


def hashed_lines(asks: Iterable[Ask]) -> dict[str, list[tuple[Range, frozenset[str]]]]:
    """By package the user's lines that have hashes: which versions they are about, and which."""
    found: dict[str, list[tuple[Range, frozenset[str]]]] = {}
    for ask in asks:
        if ask.hashes and not ask.is_direct:
            line = range_of(ask.specifier), frozenset(ask.hashes)
            found.setdefault(ask.name, []).append(line)
    return found


def hashes_for(
    lines: Iterable[tuple[Range, frozenset[str]]], version: Version
) -> frozenset[str] | None:
    """The hashes that all lines on a version admit; None when none has any.

    A line on another version, for another Python most often, says nothing of this one.
    """
    found = [hashes for about, hashes in lines if about.admits(version)]
    return frozenset.intersection(*found) if found else None


def _direct_key(offer: Offer) -> str:
    ask = offer.ask
    return f"{ask.kind} {ask.url or ask.path}" if ask is not None else ""


def _declared(ask: Ask) -> Metadata:
    declared = ask.declared
    assert declared is not None  # noqa: S101  # the caller has looked
    lines = [*declared.requires]
    for extra, wanted in declared.extras:
        lines += (with_extra(line, extra) for line in wanted)
    return Metadata(
        name=ask.name,
        version=Version(declared.version or "0"),
        requirement_texts=tuple(lines),
        requires_python_text=declared.requires_python,
        provides_extra=tuple(extra for extra, _ in declared.extras),
        source="pyproject.toml",
    )


def _told(statements: Iterable[Statement], offer: Offer) -> Metadata | None:
    """What the user says of a release; of two statements the one that names its version counts."""
    fitting = [
        one
        for one in statements
        if one.name == offer.name and (not one.version or Version(one.version) == offer.version)
    ]
    if not fitting:
        return None
    one = max(fitting, key=lambda statement: bool(statement.version))
    source = "tool.uv.dependency-metadata of pyproject.toml"
    found = stated_metadata(
        offer.name, offer.version, one.requires, one.requires_python, source=source
    )
    return replace(found, warnings=(f"what it needs was taken from {source}",))
