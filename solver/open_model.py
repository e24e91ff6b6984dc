"""What the open world consists of: asks of the user, dependencies, ranges of versions.

Nothing here asks an index or decides anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..index.buildsystem import without_credential
from ..origin import Origin

__all__ = [
    "ANY",
    "Ask",
    "Declared",
    "Dependency",
    "OpenOptions",
    "Range",
    "as_they_are",
    "dependency",
    "range_of",
    "wanted_versions",
]

_PINS = frozenset({"==", "==="})


@dataclass(frozen=True, order=True)
class Declared:
    """What the pyproject.toml of a folder says for itself.

    version: as written; empty when only a build would tell. requires: PEP 508 lines.
    """

    version: str = ""
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    extras: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, order=True)
class Ask:
    """A requirement or a constraint of the user, in the open world.

    kind: `index`, `url` (an archive), `vcs`, `wheel`, `sdist` or `folder` (a path of the project).
    name: PEP 503 normalised; empty where only a build could tell it.
    extras: normalised. specifier: PEP 440; of no meaning but for `index` and constraints.
    url: without credentials: those are the index client's business.
    path: relative to the project. hashes: `sha256:…`; empty accepts any.
    constraint: it limits the package and does not bring it in.
    declared: of a folder whose pyproject.toml lists the dependencies.
    """

    origin: Origin
    name: str
    specifier: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""
    kind: Literal["index", "url", "vcs", "wheel", "sdist", "folder"] = "index"
    url: str = ""
    path: str = ""
    hashes: tuple[str, ...] = ()
    editable: bool = False
    constraint: bool = False
    declared: Declared | None = None

    @property
    def is_direct(self) -> bool:
        """Whether it names the one file or folder that it wants."""
        return self.kind != "index"

    @property
    def text(self) -> str:
        """The user's words, or what stands in their place."""
        return self.origin.text or f"{self.name}{self.specifier}"


@dataclass(frozen=True)
class OpenOptions:
    """How candidates are taken.

    no_binary, only_binary: normalised names, or `:all:`.
    all_releases: names whose pre-releases count as releases, or `:all:`. only_final: names that
        never have one.
    prefer: versions that are tried first, by name (those of an old lock).
    compile: also take an sdist of a release that has wheels, for other targets only: it would have
        to be compiled.
    """

    no_binary: frozenset[str] = frozenset()
    only_binary: frozenset[str] = frozenset()
    all_releases: frozenset[str] = frozenset()
    only_final: frozenset[str] = frozenset()
    prefer: tuple[tuple[str, str], ...] = ()
    compile: bool = False

    def refuses_wheels(self, name: str) -> bool:
        """Whether the package is to be built from source."""
        return _named(self.no_binary, name)

    def refuses_sdists(self, name: str) -> bool:
        """Whether the package is to come as a wheel."""
        return _named(self.only_binary, name)

    def admits_prereleases(
        self, name: str, ranges: Iterable[Range], versions: Sequence[Version]
    ) -> bool:
        """Whether a package's pre-releases are candidates (PEP 440).

        They are when a range names one, or when it has no final release at all.
        versions: all of the package's.
        """
        if _named(self.only_final, name):
            return False
        if _named(self.all_releases, name):
            return True
        # A page is read from its newest version on, as far as it takes to find a final release.
        return any(
            one.names_prerelease
            or not any(one.admits(version) for version in versions if not version.is_prerelease)
            for one in ranges
        )

    @cached_property
    def preferred(self) -> dict[str, Version]:
        """`prefer` as versions."""
        return {name: Version(text) for name, text in self.prefer}


class Range:
    """The versions that a specifier set admits; made by `range_of`, compared by identity.

    names_prerelease: whether a clause names one, which asks for them (PEP 440).
    pins: the versions that an `==` or `===` clause names, without wildcard.
    """

    __slots__ = ("_known", "_specifiers", "names_prerelease", "pins", "text")

    def __init__(self, text: str) -> None:
        self._specifiers = SpecifierSet(text)
        self.text = str(self._specifiers)
        self._known: dict[Version, bool] = {}
        self.names_prerelease = bool(self._specifiers.prereleases)
        self.pins = _pins(self._specifiers)

    def admits(self, version: Version) -> bool:
        """Whether a version is in the range, pre-releases included."""
        known = self._known.get(version)
        if known is None:
            known = self._known[version] = self._specifiers.contains(version, prereleases=True)
        return known

    def __repr__(self) -> str:
        return f"Range({self.text!r})"


@lru_cache(maxsize=65536)
def range_of(text: str) -> Range:
    """The range of a specifier set; the same object for the same text.

    Raises packaging.specifiers.InvalidSpecifier.
    """
    return Range(text)


@dataclass(frozen=True)
class Dependency:
    """A `Requires-Dist` line, read; url is empty for one by name."""

    text: str
    name: str
    extras: tuple[str, ...]
    range: Range
    marker: Marker | None
    url: str

    @property
    def by_url(self) -> str:
        """What is to be done about one that names no package of an index; no credential in it."""
        return f"{without_credential(self.text)}: name that in the requirements too, as it stands"


@lru_cache(maxsize=65536)
def dependency(text: str) -> Dependency | None:
    """The dependency of a `Requires-Dist` line; None when it cannot be read."""
    try:
        read = Requirement(text)
        found = range_of(str(read.specifier))
    except (InvalidRequirement, InvalidSpecifier):
        return None
    extras = tuple(sorted({canonicalize_name(extra) for extra in read.extras}))
    return Dependency(
        text, canonicalize_name(read.name), extras, found, read.marker, read.url or ""
    )


def wanted_versions(asks: Iterable[Ask]) -> dict[str, SpecifierSet]:
    """The versions that asks admit, by name: of those that hold under every marker."""
    found: dict[str, SpecifierSet] = {}
    for ask in asks:
        if ask.name and ask.specifier and not ask.marker:
            own = SpecifierSet(ask.specifier)
            found[ask.name] = found[ask.name] & own if ask.name in found else own
    return found


def as_they_are(asks: Iterable[Ask]) -> frozenset[str]:
    """Packages that were solved elsewhere: those of the user's lines, if all have pin and hash.

    What they say of one another does not bind; whoever wrote the lines has decided.
    """
    own = [ask for ask in asks if ask.origin.file and not ask.constraint]
    if all(ask.hashes and (ask.is_direct or range_of(ask.specifier).pins) for ask in own):
        return frozenset(ask.name for ask in own)
    return frozenset()


def _pins(specifiers: Iterable[Specifier]) -> frozenset[Version]:
    found = set()
    for clause in specifiers:
        if clause.operator in _PINS and not clause.version.endswith(".*"):
            try:
                found.add(Version(clause.version))
            except InvalidVersion:
                continue
    return frozenset(found)


def _named(names: frozenset[str], name: str) -> bool:
    return name in names or ":all:" in names


ANY = range_of("")
"""Every version; its identity tells it."""
