"""The releases of a project on an index, beside the rows that a table has of it.

What all subjects that read package indexes share: which releases count, which rows are new, and
which ones the index has no longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from ...index import File, Metadata, NoMetadata
from ..cells import Cells, Key, Sheet, sort_key
from .wheels import Build, builds, released
from .world import World, lost_half

__all__ = [
    "DEFAULT_SOURCE",
    "History",
    "Release",
    "admitted",
    "history",
    "left_out",
    "newest_pythons",
    "read_metadata",
]

DEFAULT_SOURCE = "PyPI"
"""How rows name the default index, whatever mirror of it answered."""


@dataclass(frozen=True)
class Release:
    """A final release that is not yanked. builds: by architecture, wheels for Linux only."""

    version: Version
    files: tuple[File, ...]
    builds: Mapping[str, Build]


@dataclass(frozen=True)
class History:
    """A project on an index and in a table.

    rows: the table's rows of it. releases: oldest first, from the oldest row on.
    """

    package: str
    url: str
    rows: tuple[Cells, ...]
    releases: tuple[Release, ...]

    def is_known(self, version: Version, architecture: str = "") -> bool:
        """Whether the table has a row of it."""
        return any(
            Version(row["version"]) == version
            and architecture in {"", row.get("architecture", architecture)}
            for row in self.rows
        )

    def absent(self, name: str, since: Version | None) -> frozenset[Key]:
        """The keys of the rows that the index has no longer, in the table `name`."""
        offered = {
            (release.version, architecture)
            for release in self.releases
            for architecture in ("", *release.builds)
        }
        return frozenset(
            sort_key(name, row)
            for row in self.rows
            if (version := Version(row["version"])) >= (since or version)
            and (version, row.get("architecture", "")) not in offered
        )


def history(
    world: World,
    package: str,
    rows: Sequence[Cells],
    url: str = "",
    *,
    oldest: Version | None = None,
    counts: Callable[[Version], bool] = lambda version: not version.local,
) -> History:
    """The releases of a project, from the table's oldest on.

    oldest: where to begin when the table has no row yet. counts: which versions are wanted.

    Raises UnreachedError.
    """
    page = world.page(url, package)
    versions = [Version(row["version"]) for row in rows]
    since = world.since or Version("0")
    held = [row for row in rows if not row.get("withdrawn")]
    lost_half(package, [v for row in held if (v := Version(row["version"])) >= since], page)
    first = min(versions, default=oldest)
    if world.since is not None:
        first = max(first, world.since) if first else world.since
    found = []
    for version in sorted(page.releases) if page else ():
        if version.is_prerelease or (first and version < first) or not counts(version):
            continue
        files = released(page.releases[version]) if page else ()
        if files:
            found.append(Release(version, files, builds(files)))
    return History(package, url, tuple(rows), tuple(found))


def newest_pythons(sheet: Sheet) -> tuple[Version, ...]:
    """The newest release of each minor in python.csv, oldest first."""
    newest: dict[tuple[int, ...], Version] = {}
    for row in sheet.rows:
        version = Version(row["version"])
        newest[version.release[:2]] = version
    return tuple(newest.values())


def admitted(pythons: Iterable[Version], specifier: str) -> tuple[Version, ...]:
    """The Pythons that a `python` cell admits."""
    allowed = SpecifierSet(specifier)
    return tuple(python for python in pythons if allowed.contains(python))


def read_metadata(
    world: World, past: History, wanted: Iterable[tuple[Release, tuple[File, ...]]]
) -> Iterator[tuple[Release, tuple[File, ...], Metadata | NoMetadata]]:
    """The metadata of releases, asked for a few at a time, given in order.

    wanted: each release with the files whose metadata counts.

    Raises UnreachedError at the first release that the network fails for.
    """
    listed = list(wanted)

    def question(files: tuple[File, ...]) -> Callable[[], object]:
        return lambda: world.metadata(past.package, files, past.url)

    world.ask_ahead(question(files) for _, files in listed)
    for release, files in listed:
        yield release, files, world.metadata(past.package, files, past.url)


def left_out(found: NoMetadata) -> str:
    """The note on a release whose metadata cannot be had."""
    return f"{found.name} {found.version} is left out, its metadata cannot be had: " + "; ".join(
        found.reasons
    )
