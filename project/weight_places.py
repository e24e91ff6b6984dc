"""The sources of `weights` as they are written, and those that are folders of this machine.

Every project's weights are looked at, so nothing here is dear to load; what the URIs of other
machines mean stands in `weight_sources`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..origin import Origin
from ..patterns import PatternSet
from .paths import LeavesProjectError, project_path

if TYPE_CHECKING:
    from .cogyaml import CogConfig

__all__ = [
    "WrittenSource",
    "is_remote",
    "outside_context",
    "outside_folders",
    "outside_place",
    "remote_sources",
    "selected",
    "uri_origin",
]


class WrittenSource(NamedTuple):
    """A source as cog.yaml has it, with its place."""

    entry: str
    number: int
    uri: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    origin: Origin


def is_remote(text: str) -> bool:
    """Whether a URI names something of another machine; a wrong one counts as such."""
    return "://" in text and not text.startswith("file://")


def remote_sources(config: CogConfig | None) -> tuple[WrittenSource, ...]:
    """The sources of `weights` that are not files of this machine, in the order of the file."""
    if config is None:
        return ()
    return tuple(source for source in _written(config) if is_remote(source.uri))


def outside_place(root: Path, uri: str) -> Path | None:
    """The file or folder of this machine outside of a project that a URI names by its full path.

    root: the project folder. None for what is in the project, or should be.
    """
    written = uri.removeprefix("file://")
    if is_remote(uri) or not written.startswith("/"):
        return None
    try:
        project_path(root, written)
    except LeavesProjectError:
        return Path(written)
    return None


def outside_folders(root: Path, config: CogConfig | None) -> dict[str, Path]:
    """The folders outside of a project that its weights come from, by the name of their context."""
    folders = {}
    for source in _written(config) if config is not None else ():
        place = outside_place(root, source.uri)
        if place is not None:
            name = outside_context(source.entry, source.number)
            folders[name] = place.parent if place.is_file() else place
    return folders


def outside_context(entry: str, index: int) -> str:
    """The name under which the builder is offered the folder of a source outside of the project."""
    return f"weights-{index}-{entry}"


def _written(config: CogConfig) -> Iterator[WrittenSource]:
    for number, entry in enumerate(config.weights):
        for index, source in enumerate(entry.source):
            yield WrittenSource(
                entry.name,
                index,
                source.uri,
                tuple(source.include),
                tuple(source.exclude),
                uri_origin(config, number, index),
            )


def uri_origin(config: CogConfig, number: int, index: int) -> Origin:
    """Where a source's URI was written. number: of the entry. index: of the source in it.

    A source may stand alone or in a list; the place that was written is the later line.
    """
    place = f"weights[{number}].source"
    found = (config.origin(f"{place}.uri"), config.origin(f"{place}[{index}].uri"))
    return max(found, key=lambda origin: origin.line)


def selected(
    paths: Iterable[str], include: Iterable[str], exclude: Iterable[str]
) -> tuple[str, ...]:
    """The paths that the patterns of a source leave, in their order.

    include, exclude: patterns as in .gitignore; without the first all paths count, and the second
    has the last word.
    """
    wanted = PatternSet(map(_floating, include))
    unwanted = PatternSet(map(_floating, exclude))
    return tuple(
        path for path in paths if (not wanted or wanted.covers(path)) and not unwanted.covers(path)
    )


def _floating(pattern: str) -> str:
    """A pattern of .gitignore as one of .dockerignore: without a slash it counts in any folder.

    One that ends in a slash means what lies in a folder, and no file of that name.
    """
    bare = pattern.rstrip("/")
    floating = bare.lstrip("/") if "/" in bare else f"**/{bare}"
    return floating if bare == pattern else f"{floating}/**"
