"""uv.lock: which packages it holds, and which of them an environment gets.

The file is read for what it says about versions; installing it is uv's own work.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from ..errors import Fault, UserError
from ..files import read_file
from ..origin import Origin
from .redact import quote_text
from .requirement_model import Entry
from .uv_markers import Choice

__all__ = ["Dependency", "LockedPackage", "LockedWheel", "UvLock", "Wanted", "read_uv_lock"]

FILE = "uv.lock"
VERSION = 1
"""The format's version; its revisions are compatible (docs.astral.sh/uv/concepts/resolution)."""

_OUTDATED = "bring it up to date: uv lock"

_LOCAL = ("path", "directory", "editable", "virtual")


@dataclass(frozen=True)
class Dependency:
    """An edge of the lock.

    version, registry: empty where the package is locked in one version, from one source.
    """

    name: str
    version: str = ""
    marker: str = ""
    extras: tuple[str, ...] = ()
    registry: str = ""


@dataclass(frozen=True)
class LockedWheel:
    """A wheel of a package. hash: `sha256:…`, empty when the index announced none. size: in bytes,
    0 when it did not tell.
    """

    filename: str
    url: str
    hash: str = ""
    size: int = 0


@dataclass(frozen=True)
class Wanted:
    """A dependency as it stood in the metadata. extra: of which one, or empty.

    has_source: whether it has a source of its own, which keeps its version elsewhere.
    """

    name: str
    specifier: str
    extra: str
    has_source: bool


@dataclass(frozen=True)
class LockedPackage:
    """A package of the lock.

    registry: the URL of the index that it comes from; empty for another source.
    path: of a package in the project, relative to it, `.` for the project itself; else empty.
    installed: whether it is a package at all; uv takes a project without [build-system] for none.
    wheels: in the order of the file. markers: environments that it is for; empty means all.
    optional, groups: further dependencies by extra and by dependency group.
    wanted: what the project's metadata asked for when it was locked. wanted_groups: the same of its
        dependency groups.
    """

    name: str
    version: str
    origin: Origin
    registry: str = ""
    path: str = ""
    installed: bool = True
    wheels: tuple[LockedWheel, ...] = ()
    markers: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    optional: Mapping[str, tuple[Dependency, ...]] = field(default_factory=dict)
    groups: Mapping[str, tuple[Dependency, ...]] = field(default_factory=dict)
    wanted: tuple[Wanted, ...] = ()
    wanted_groups: Mapping[str, tuple[Wanted, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class UvLock:
    """The lock. root: the project itself, one of the packages.

    is_entangled: whether extras or groups of other packages than the project exclude one another;
        only uv knows then what is installed.
    """

    packages: tuple[LockedPackage, ...]
    root: LockedPackage
    is_entangled: bool = False

    def selected(
        self,
        environment: Mapping[str, str],
        groups: Iterable[str] | None = None,
        extras: Iterable[str] = (),
    ) -> tuple[LockedPackage, ...]:
        """What `uv sync` installs: all that the project needs, sorted by name, without itself.

        environment: the variables of markers. groups: dependency groups; None means all.
        extras: of the project, normalised.
        """
        root = self.root
        names = tuple(root.groups if groups is None else groups)
        chosen = self._with_own(extras)
        needs = [
            *root.dependencies,
            *(one for name in names for one in root.groups.get(name, ())),
            *(one for name in chosen for one in root.optional.get(name, ())),
        ]
        active = frozenset(
            f"{kind}-{len(root.name)}-{root.name}-{name}"
            for kind, members in (("extra", chosen), ("group", names))
            for name in members
        )
        return self._reached(needs, Choice(environment, active))

    def _with_own(self, extras: Iterable[str]) -> tuple[str, ...]:
        """The extras, and those of the project itself that they name."""
        queue, found = list(extras), dict.fromkeys(extras)
        while queue:
            for need in self.root.optional.get(queue.pop(), ()):
                if need.name == self.root.name:
                    queue += [name for name in need.extras if name not in found]
                    found |= dict.fromkeys(need.extras)
        return tuple(found)

    def _reached(self, needs: Iterable[Dependency], choice: Choice) -> tuple[LockedPackage, ...]:
        by_name: dict[str, list[LockedPackage]] = {}
        for package in self.packages:
            by_name.setdefault(package.name, []).append(package)
        found: dict[str, LockedPackage] = {}
        seen: set[tuple[str, str]] = set()
        queue = list(needs)
        while queue:
            need = queue.pop()
            if not choice.holds(need.marker):
                continue
            chosen = _pick(by_name.get(need.name, []), need, choice)
            if chosen is None:
                continue
            found[chosen.name] = chosen
            for extra in ("", *need.extras):
                if (chosen.name, extra) not in seen:
                    seen.add((chosen.name, extra))
                    queue += chosen.optional.get(extra, ()) if extra else chosen.dependencies
        found.pop(self.root.name, None)
        return tuple(package for _, package in sorted(found.items()))


def read_uv_lock(
    root: Path,
    dependencies: Iterable[Entry],
    optional: Mapping[str, Iterable[Entry]] | None = None,
    groups: Mapping[str, Iterable[Entry]] | None = None,
) -> UvLock:
    """Read uv.lock of a project folder.

    dependencies: what [project] asks for now. optional: the same of the extras that are installed,
    by their normalised names. groups: the same of the dependency groups that are installed.

    Raises UserError when the file cannot be read, is of another format, or does not fit the
    dependencies any more.
    """
    try:
        text = read_file(root / FILE).decode()
        tables = tomllib.loads(text)
    except OSError as error:
        raise _fault(f"{FILE} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise _fault(f"not valid TOML: {error}") from None
    if tables.get("version") != VERSION:
        format_ = quote_text(str(tables.get("version")))
        message = f"{FILE} has the format {format_}, and cogpack reads {VERSION}"
        raise _fault(message, "lock with a uv that writes it")
    try:
        packages = tuple(_packages(tables.get("package", []), _lines(text)))
        project = next(one for one in packages if one.path == ".")
        is_entangled = _is_entangled(tables.get("conflicts", []), project)
    except StopIteration:
        raise _fault(f"{FILE} is damaged: no package of it is this project") from None
    except (AttributeError, LookupError, TypeError, ValueError):
        raise _fault(f"{FILE} is damaged: a package of it is not as uv writes them") from None
    if faults := [*_all_differences(project, dependencies, optional or {}, groups or {})]:
        raise UserError(faults)
    return UvLock(packages, project, is_entangled)


def _is_entangled(conflicts: list[list[dict[str, str]]], root: LockedPackage) -> bool:
    items = [one for members in conflicts for one in members]
    return any(one.get("package") != root.name or not {"extra", "group"} & {*one} for one in items)


def _fault(message: str, hint: str = "write it again: uv lock") -> UserError:
    return UserError(Fault(message, Origin(FILE), hint))


def _lines(text: str) -> list[int]:
    """The line of each package's name, in the file's order: tomllib keeps no positions."""
    lines = enumerate(text.splitlines(), 1)
    return [number + 1 for number, line in lines if line.strip() == "[[package]]"]


def _packages(tables: list[dict[str, Any]], lines: list[int]) -> Iterator[LockedPackage]:
    for number, table in enumerate(tables):
        source = table["source"]
        name, version = canonicalize_name(table["name"]), _version(table)
        line = lines[number] if number < len(lines) else 0
        metadata = table.get("metadata", {})
        yield LockedPackage(
            name=name,
            version=version,
            origin=Origin(FILE, line, f"{name}=={version}" if version else name),
            registry=_registry(source),
            path=next((str(source[kind]) for kind in _LOCAL if kind in source), ""),
            installed="virtual" not in source,
            wheels=tuple(_wheels(table.get("wheels", []))),
            markers=_texts(table.get("resolution-markers", [])),
            dependencies=_dependencies(table.get("dependencies", [])),
            optional=_by_name(table.get("optional-dependencies", {})),
            groups=_by_name(table.get("dev-dependencies", {})),
            wanted=tuple(_wanted(metadata.get("requires-dist", []))),
            wanted_groups={
                group: tuple(_wanted(members))
                for group, members in sorted(metadata.get("requires-dev", {}).items())
            },
        )


def _registry(source: Mapping[str, Any]) -> str:
    """The URL of the index; empty for another source, and for a folder."""
    url = str(source.get("registry", ""))
    return url.rstrip("/") if "://" in url else ""


def _wheels(tables: list[dict[str, Any]]) -> Iterator[LockedWheel]:
    for one in tables:
        url = str(one.get("url", ""))
        name = str(one.get("filename", "")) or unquote(urlsplit(url).path).rpartition("/")[2]
        yield LockedWheel(name, url, str(one.get("hash", "")), int(one.get("size", 0)))


def _dependencies(tables: list[dict[str, Any]]) -> tuple[Dependency, ...]:
    return tuple(
        Dependency(
            canonicalize_name(one["name"]),
            _version(one),
            _text(one.get("marker", "")),
            _texts(one.get("extra", [])),
            _registry(one.get("source", {})),
        )
        for one in tables
    )


def _version(table: dict[str, Any]) -> str:
    """The version of a table; empty for a folder whose build alone knows it."""
    text = _text(table.get("version", ""))
    if text:
        Version(text)
    return text


def _texts(values: list[Any]) -> tuple[str, ...]:
    return tuple(map(_text, values))


def _text(value: object) -> str:
    """The value, which uv writes as a text. Raises TypeError for what somebody made of it."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _by_name(tables: dict[str, Any]) -> dict[str, tuple[Dependency, ...]]:
    return {name: _dependencies(tables[name]) for name in sorted(tables)}


def _wanted(tables: list[dict[str, Any]]) -> Iterator[Wanted]:
    for one in tables:
        marker = one.get("marker", "")
        # uv writes the extra's normalised name in single quotes, alone or as the last condition.
        extra = marker.partition("extra == '")[2].partition("'")[0]
        has_source = bool(one.keys() - {"name", "specifier", "marker", "extras"})
        specifier = _text(one.get("specifier", ""))
        yield Wanted(canonicalize_name(one["name"]), specifier, extra, has_source)


def _all_differences(
    project: LockedPackage,
    dependencies: Iterable[Entry],
    optional: Mapping[str, Iterable[Entry]],
    groups: Mapping[str, Iterable[Entry]],
) -> Iterator[Fault]:
    for extra, entries in {"": dependencies, **optional}.items():
        wanted = [one for one in project.wanted if one.extra == extra]
        of = f" in the extra {extra}" if extra else ""
        yield from _differences(wanted, entries, of)
        for name in sorted({one.name for one in wanted} - {entry.name for entry in entries}):
            message = f"{FILE} has {name}{of}, which the project asks for no more"
            yield Fault(message, Origin(FILE), _OUTDATED)
    if project.groups and not project.wanted_groups:
        return  # by an older uv, which did not write down what groups asked for
    for group, entries in groups.items():
        # What it has beside them may come of uv's older table of development dependencies.
        wanted = [*project.wanted_groups.get(group, ())]
        yield from _differences(wanted, entries, f" in the group {group}")


def _differences(
    wanted: Iterable[Wanted], dependencies: Iterable[Entry], of: str
) -> Iterator[Fault]:
    """A lock that is older than the dependencies would leave some out in silence."""
    locked: dict[str, list[Wanted]] = {}
    for one in wanted:
        locked.setdefault(one.name, []).append(one)
    for entry in dependencies:
        known = locked.get(entry.name, [])
        if not known:
            yield Fault(f"{FILE} does not have {entry.name}{of}", entry.origin, _OUTDATED)
        elif not any(one.has_source or _same(one.specifier, entry.specifier) for one in known):
            was = " or ".join(one.specifier or "any version" for one in known)
            message = f"{FILE} was made for {entry.name} {was}, not for {entry.origin.text}"
            yield Fault(message, entry.origin, _OUTDATED)


def _same(one: str, other: str) -> bool:
    try:
        return SpecifierSet(one) == SpecifierSet(other)
    except ValueError:  # InvalidSpecifier, or more digits than Python reads
        return one == other


def _pick(
    candidates: list[LockedPackage], need: Dependency, choice: Choice
) -> LockedPackage | None:
    """The package that an edge means where several versions or sources of it are locked."""
    named = [
        one
        for one in candidates
        if need.version in ("", one.version) and need.registry in ("", one.registry)
    ] or candidates
    fitting = [one for one in named if not one.markers or any(map(choice.holds, one.markers))]
    return next(iter(fitting or named), None)
