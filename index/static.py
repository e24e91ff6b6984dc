"""What an sdist needs, as far as its files tell without running any of them.

In order: `PKG-INFO` of metadata 2.2 or later, `[project]` of pyproject.toml, `PKG-INFO` of a build
backend that computes no dependencies, and setup.cfg with setup.py (see `setupfiles.py`), which
count only when the author's own build, kept in the sdist as `*.egg-info`, had the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from .metadata import (
    Metadata,
    MetadataError,
    parse_metadata,
    requirement_of,
    stated_metadata,
    unreadable,
    with_extra,
)
from .setupfiles import Declared, read_setup_files
from .toml import read_toml

__all__ = ["is_read", "static_metadata"]

_READ = frozenset({"PKG-INFO", "pyproject.toml", "setup.cfg", "setup.py"})

# Build backends that write into PKG-INFO what pyproject.toml lists and can do nothing else.
_PLAIN_BACKENDS = frozenset(
    {
        "flit.buildapi",
        "flit_core.buildapi",
        "poetry.core.masonry.api",
        "poetry.masonry.api",
    }
)

# Backends whose input are setup.py and setup.cfg; the first stands for none named (PEP 517).
_SETUP_BACKENDS = frozenset({"", "setuptools.build_meta", "setuptools.build_meta:__legacy__"})

_PROJECT_FIELDS = ("dependencies", "optional-dependencies", "requires-python")

Need = tuple[str, tuple[str, ...], str, str, str]


def is_read(path: str) -> bool:
    """Whether a file of an sdist is one of those that tell something.

    path: within the sdist, without its top folder.
    """
    folder, _, name = path.rpartition("/")
    in_egg_info = folder.endswith(".egg-info") and name in ("PKG-INFO", "requires.txt")
    return path in _READ or (in_egg_info and folder.count("/") <= 1)


def static_metadata(files: Mapping[str, bytes], name: str, version: Version) -> Metadata:
    """What a release needs.

    files: content by path, those that `is_read` names. name: normalised project name.

    Raises MetadataError, saying why, when only a build would tell.
    """
    try:
        if "PKG-INFO" not in files:
            raise MetadataError("it has no PKG-INFO")
        return parse_metadata(files["PKG-INFO"], source="the sdist", sdist=True)
    except MetadataError as fault:
        try:
            return _told_elsewhere(files, name, version)
        except MetadataError as other:
            message = f"{fault}, and {other}: only a build would tell what it needs"
            raise MetadataError(message) from None


def _told_elsewhere(files: Mapping[str, bytes], name: str, version: Version) -> Metadata:
    tables = read_toml(files.get("pyproject.toml", b""))
    project = tables.get("project")
    if isinstance(project, dict):
        return _of_project(project, files, name, version)
    system = tables.get("build-system")
    system = system if isinstance(system, dict) else {}
    backend = str(system.get("build-backend", ""))
    if "backend-path" in system:
        raise MetadataError("it brings a build backend of its own")
    if backend in _PLAIN_BACKENDS and "PKG-INFO" in files:
        source = f"PKG-INFO of the sdist, as {backend.partition('.')[0]} wrote it"
        return parse_metadata(files["PKG-INFO"], source=source)
    if backend not in _SETUP_BACKENDS:
        raise MetadataError(f"{backend} is no build backend whose input is known")
    declared = read_setup_files(files)
    lines = [*declared.requires]
    lines += [with_extra(text, key) for key, texts in declared.extras for text in texts]
    source = f"{declared.source} of the sdist"
    found = stated_metadata(name, version, lines, declared.requires_python, source=source)
    _compare(files, declared)
    told = f"what it needs was read from {source}: nothing was built to find out"
    return replace(found, warnings=(told, *found.warnings))


def _of_project(
    project: Mapping[str, Any], files: Mapping[str, bytes], name: str, version: Version
) -> Metadata:
    dynamic = _texts(project, "dynamic")
    changing = [field for field in _PROJECT_FIELDS if field in dynamic]
    # Beside a setup.py an absent list may be one that setuptools takes from there.
    if "dependencies" not in project and ("setup.py" in files or "setup.cfg" in files):
        changing.append("dependencies")
    if changing:
        raise MetadataError(f"{changing[0]} is dynamic in its pyproject.toml")
    lines = _texts(project, "dependencies")
    extras = project.get("optional-dependencies", {})
    if not isinstance(extras, dict):
        raise MetadataError("optional-dependencies is no table in its pyproject.toml")
    for extra in extras:
        lines += [with_extra(text, extra) for text in _texts(extras, extra)]
    python = str(project.get("requires-python", ""))
    return stated_metadata(name, version, lines, python, source="pyproject.toml of the sdist")


def _texts(table: Mapping[str, Any], key: str) -> list[str]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise MetadataError(f"{key} is no list of texts in its pyproject.toml")
    return list(value)


def _compare(files: Mapping[str, bytes], declared: Declared) -> None:
    """Refuse what the author's own build did not have: something computes it after all."""
    folders = [path.rpartition("/")[0] for path in files if path.endswith(".egg-info/PKG-INFO")]
    if not folders:
        return
    built = {""}
    pairs: list[tuple[str, str]] = []
    section = ""
    for line in files.get(f"{folders[0]}/requires.txt", b"").decode("utf-8", "replace").split("\n"):
        text = line.strip()
        if text.startswith("[") and text.endswith("]"):
            section = text[1:-1]
            built.add(section)
        elif text:
            pairs.append((text, section))
    own = [(text, "") for text in declared.requires]
    own += [(text, key) for key, texts in declared.extras for text in texts]
    if set(_needs(pairs)) != set(_needs(own)):
        raise MetadataError(
            f"its {declared.source} tells something else than the author's build had"
        )


def _needs(pairs: Iterable[tuple[str, str]]) -> Iterator[Need]:
    """Requirements, each with the key of its extra, in a form that compares."""
    for text, key in pairs:
        extra, _, condition = key.partition(":")
        try:
            read = requirement_of(text)
            markers = [str(read.marker)] if read.marker is not None else []
            markers += [str(_marker(condition))] if condition else []
        except (InvalidRequirement, InvalidMarker) as error:
            raise unreadable(text, error) from error
        yield (
            canonicalize_name(read.name),
            tuple(sorted(canonicalize_name(one) for one in read.extras)),
            read.url or str(read.specifier),
            " and ".join(markers),
            canonicalize_name(extra) if extra else "",
        )


def _marker(text: str) -> Marker:
    try:
        return Marker(text)
    except RecursionError:
        raise InvalidMarker("it is nested too deep") from None
