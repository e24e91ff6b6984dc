"""What pyproject.toml says about dependencies, and whether a uv.lock stands beside it.

Only static facts are read: no build backend runs. Dependencies of poetry's own table are told
apart, not translated.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from ..errors import Fault, UserError
from ..files import read_file
from ..origin import Origin
from .redact import quote_text
from .requirements import Entry, parse_packages
from .stated import Stated, read_stated

__all__ = ["FILE", "LOCK_FILE", "OptionalGroup", "PyProject", "read_pyproject"]

FILE = "pyproject.toml"
LOCK_FILE = "uv.lock"
MAX_BYTES = 1 << 20

# Of groups that include one another; each is a few calls on the stack.
_MAX_DEPTH = 50


@dataclass(frozen=True)
class OptionalGroup:
    """An extra or a dependency group of the project: its normalised name and what it needs."""

    name: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class PyProject:
    """The facts of pyproject.toml.

    name: normalised; empty without [project]. has_project: whether there is a [project] table.
    dynamic: fields that only the build backend knows. requires_python: a specifier set, canonical;
    empty without one, and `requires_python_origin`, its line, is None.
    build_requires, build_backend: of [build-system], empty without it.
    poetry: the line of [tool.poetry.dependencies] where [project] lists no dependencies, else None.
    poetry_sources: the line of the first [[tool.poetry.source]], None without one.
    groups: of [dependency-groups], each with what it includes (PEP 735).
    has_uv_lock: whether uv.lock stands beside it. default_groups: the dependency groups that uv
    installs by default ([tool.uv]); None means all. indexes: uv's own, name (may be empty) and URL.
    indexes_line: where the first of them stands.
    file_lists: URLs of those that are mere lists of files.
    no_binary: packages of whose wheels uv is to take none; `:all:` stands for all packages.
    scripts: of [project.scripts], name and `module:function`, each with its line.
    stated: what releases need, of [[tool.uv.dependency-metadata]].
    """

    name: str = ""
    has_project: bool = False
    dependencies: tuple[Entry, ...] = ()
    optional: tuple[OptionalGroup, ...] = ()
    groups: tuple[OptionalGroup, ...] = ()
    dynamic: tuple[str, ...] = ()
    requires_python: str = ""
    requires_python_origin: Origin | None = None
    build_requires: tuple[str, ...] = ()
    build_backend: str = ""
    poetry: Origin | None = None
    poetry_sources: Origin | None = None
    has_uv_lock: bool = False
    default_groups: tuple[str, ...] | None = ("dev",)
    indexes: tuple[tuple[str, str], ...] = ()
    indexes_line: int = 0
    file_lists: tuple[str, ...] = ()
    no_binary: tuple[str, ...] = ()
    scripts: tuple[tuple[str, str, Origin], ...] = ()
    stated: tuple[Stated, ...] = ()


def read_pyproject(root: Path) -> PyProject | None:
    """Read pyproject.toml of a project folder; None when there is none.

    Raises UserError with every fault of the file.
    """
    try:
        data = read_file(root / FILE, MAX_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(Fault(f"{FILE} cannot be read: {error.strerror}", Origin(FILE))) from None
    text = _decode(data)
    reader = _Reader(root, text, _tables(text))
    result = reader.read()
    if reader.faults:
        raise UserError(reader.faults)
    return result


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        message = f"{FILE} is {len(data)} bytes long; the limit is {MAX_BYTES}"
        raise UserError(Fault(message, Origin(FILE)))
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fault = Fault(f"{FILE} is not UTF-8 text", Origin(FILE, line), "save it as UTF-8")
        raise UserError(fault) from None


def _tables(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        number = place.removeprefix("line ").partition(",")[0]
        line = int(number) if number.isdigit() else text.count("\n") + 1
        fault = Fault(f"not valid TOML: {message}", Origin(FILE, line))
        raise UserError(fault) from None
    except RecursionError:
        raise UserError(Fault(f"{FILE} is nested too deeply", Origin(FILE))) from None
    except ValueError:
        message = "a number has more digits than any setting needs"
        raise UserError(Fault(message, Origin(FILE), "correct it, or put it in quotes")) from None


class _Reader:
    """Walks the tables; tomllib keeps no positions, so lines are found again in the text."""

    def __init__(self, root: Path, text: str, tables: dict[str, Any]) -> None:
        self.faults: list[Fault] = []
        self._root = root
        self._lines = text.split("\n")
        self._tables = tables
        self._members_of: dict[str, list[tuple[str, Origin]]] = {}

    def read(self) -> PyProject:
        project = self._table(self._tables, "project", "project")
        build = self._table(self._tables, "build-system", "build-system")
        has_lock = (self._root / LOCK_FILE).is_file()
        build_requires = tuple(text for text, _ in self._texts(build, "requires", "build-system"))
        build_backend = self._text(build, "build-backend", "build-system")
        if "project" not in self._tables:
            return PyProject(
                build_requires=build_requires,
                build_backend=build_backend,
                poetry=self._poetry(),
                has_uv_lock=has_lock,
                stated=self._stated(),
            )
        dynamic = tuple(text for text, _ in self._texts(project, "dynamic", "project"))
        python, python_origin = self._requires_python(project)
        name = self._text(project, "name", "project")
        return PyProject(
            name=canonicalize_name(name) if name else "",
            has_project=True,
            dependencies=self._entries(self._texts(project, "dependencies", "project")),
            optional=tuple(self._optional(project)),
            groups=tuple(self._groups()),
            dynamic=dynamic,
            requires_python=python,
            requires_python_origin=python_origin,
            build_requires=build_requires,
            build_backend=build_backend,
            poetry=self._poetry() if "dependencies" in dynamic else None,
            poetry_sources=self._poetry_sources(),
            has_uv_lock=has_lock,
            default_groups=self._default_groups(),
            indexes=tuple((name, url) for name, url, _ in self._indexes()),
            indexes_line=self._header("[tool.uv.index]"),
            file_lists=tuple(self._file_lists()),
            no_binary=tuple(self._no_binary()),
            scripts=tuple(self._scripts(project)),
            stated=self._stated(),
        )

    def _scripts(self, project: dict[str, Any]) -> Iterator[tuple[str, str, Origin]]:
        path = "project.scripts"
        scripts = self._table(project, "scripts", path)
        for name in sorted(scripts):
            place = self._text(scripts, name, path)
            line = self._key(name, path)
            yield name, place, Origin(FILE, line, f'{name} = "{quote_text(place)}"')

    def _uv(self) -> dict[str, Any]:
        tool = self._table(self._tables, "tool", "tool")
        return self._table(tool, "uv", "tool.uv")

    def _default_groups(self) -> tuple[str, ...] | None:
        uv = self._uv()
        if "default-groups" not in uv:
            return ("dev",)
        if uv["default-groups"] == "all":
            return None
        return tuple(text for text, _ in self._texts(uv, "default-groups", "tool.uv"))

    def _indexes(self) -> Iterator[tuple[str, str, bool]]:
        """Name and URL, and whether it is flat."""
        indexes = self._uv().get("index", [])
        for index in indexes if isinstance(indexes, list) else []:
            if isinstance(index, dict):
                is_flat = index.get("format") == "flat"
                yield str(index.get("name", "")), str(index.get("url", "")), is_flat

    def _file_lists(self) -> Iterator[str]:
        yield from (url for _, url, is_flat in self._indexes() if is_flat)
        links = self._uv().get("find-links", [])
        yield from map(str, links if isinstance(links, list) else [links])

    def _no_binary(self) -> Iterator[str]:
        uv = self._uv()
        if uv.get("no-binary") is True:
            yield ":all:"
        for name, _ in self._texts(uv, "no-binary-package", "tool.uv"):
            yield canonicalize_name(name)

    def _stated(self) -> tuple[Stated, ...]:
        def fault(message: str, near: str) -> None:
            self._fault(message, self._line(near), "see docs/lock.md")

        return tuple(read_stated(self._uv().get("dependency-metadata", []), fault))

    def _line(self, needle: str, after: int = 0) -> int:
        """The first line from `after` on that contains a text; `after` itself when none does."""
        for number, line in enumerate(self._lines[after - 1 if after else 0 :], after or 1):
            if needle in line and not line.lstrip().startswith("#"):
                return number
        return after

    def _header(self, table: str) -> int:
        for number, line in enumerate(self._lines, 1):
            if "".join(line.partition("#")[0].split()).startswith(f"[{table}]"):
                return number
        return self._line(table.rpartition(".")[2])

    def _key(self, key: str, table: str) -> int:
        start = self._header(table)
        for number, line in enumerate(self._lines[max(start - 1, 0) :], max(start, 1)):
            if line.partition("=")[0].strip().strip("\"'") in (key, f"{table}.{key}"):
                return number
        return self._line(key, start)

    def _fault(self, message: str, line: int, hint: str = "") -> None:
        self.faults.append(Fault(message, Origin(FILE, line), hint))

    def _table(self, above: dict[str, Any], key: str, path: str) -> dict[str, Any]:
        value = above.get(key, {})
        if isinstance(value, dict):
            return value
        self._fault(f"{path} must be a table", self._line(key), f"write it as [{path}]")
        return {}

    def _text(self, table: dict[str, Any], key: str, path: str) -> str:
        value = table.get(key, "")
        if isinstance(value, str):
            return value
        self._fault(f"{path}.{key} must be a text", self._key(key, path))
        return ""

    def _texts(self, table: dict[str, Any], key: str, path: str) -> list[tuple[str, Origin]]:
        value = table.get(key, [])
        line = self._key(key, path)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._fault(f"{path}.{key} must be a list of texts", line)
            return []
        found = []
        for text in value:
            line = self._line(text, line)
            found.append((text, Origin(FILE, line, quote_text(text))))
        return found

    def _entries(self, texts: list[tuple[str, Origin]]) -> tuple[Entry, ...]:
        try:
            return parse_packages(self._root, texts).entries
        except UserError as error:
            self.faults += error.faults
            return ()

    def _optional(self, project: dict[str, Any]) -> Iterator[OptionalGroup]:
        path = "project.optional-dependencies"
        groups = self._table(project, "optional-dependencies", path)
        for name in sorted(groups):
            entries = self._entries(self._texts(groups, name, path))
            yield OptionalGroup(canonicalize_name(name), entries)

    def _groups(self) -> Iterator[OptionalGroup]:
        path = "dependency-groups"
        tables = self._table(self._tables, path, path)
        groups: dict[str, tuple[int, Any]] = {
            canonicalize_name(name): (self._key(name, path), tables[name])
            for name in sorted(tables)
        }
        for name in groups:
            entries = self._entries(self._members(name, groups, ()))
            yield OptionalGroup(name, tuple(dict.fromkeys(entries)))

    def _members(
        self, name: str, groups: dict[str, tuple[int, Any]], above: tuple[str, ...]
    ) -> list[tuple[str, Origin]]:
        """The requirements of a group and of those that it includes.

        groups: line and members by name. above: the groups that include this one.
        """
        path = "dependency-groups"
        if name in self._members_of:
            return self._members_of[name]
        line, members = groups.get(name) or (self._header(path), [])
        is_deep = len(above) >= _MAX_DEPTH
        if name in above or name not in groups or is_deep:
            what = "includes itself" if name in above else "is included and does not exist"
            what = f"is included more than {_MAX_DEPTH} groups deep" if is_deep else what
            self._fault(f"{path}.{name} {what}", line, "remove the include-group")
            return []
        found: list[tuple[str, Origin]] = []
        for member in members if isinstance(members, list) else [None]:
            if isinstance(member, str):
                place = Origin(FILE, self._line(member, line), quote_text(member))
                found.append((member, place))
                continue
            match member:
                case {"include-group": str(included), **rest} if not rest:
                    found += self._members(canonicalize_name(included), groups, (*above, name))
                case _:
                    hint = 'its members are requirements and {include-group = "NAME"}'
                    self._fault(f"{path}.{name} is no list of requirements", line, hint)
        self._members_of[name] = list(dict.fromkeys(found))
        return self._members_of[name]

    def _requires_python(self, project: dict[str, Any]) -> tuple[str, Origin | None]:
        written = self._text(project, "requires-python", "project")
        if not written:
            return "", None
        line = self._key("requires-python", "project")
        try:
            specifier = str(SpecifierSet(written))
        except InvalidSpecifier:
            message = f'project.requires-python is "{quote_text(written)}", not a version range'
            self._fault(message, line, 'write it as ">=3.10"')
            specifier = ""
        text = f'requires-python = "{quote_text(written)}"'
        return specifier, Origin(FILE, line, text)

    def _poetry_table(self) -> dict[str, Any]:
        poetry = self._table(self._tables, "tool", "tool").get("poetry", {})
        return poetry if isinstance(poetry, dict) else {}

    def _poetry_sources(self) -> Origin | None:
        path = "[tool.poetry.source]"
        has_any = bool(self._poetry_table().get("source"))
        return Origin(FILE, self._header(path), f"[{path}]") if has_any else None

    def _poetry(self) -> Origin | None:
        needs = self._poetry_table().get("dependencies", {})
        if not isinstance(needs, dict) or not any(name != "python" for name in needs):
            return None
        path = "tool.poetry.dependencies"
        return Origin(FILE, self._header(path), f"[{path}]")
