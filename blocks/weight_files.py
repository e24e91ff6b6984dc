"""Which files of the project are weights, and how they are put into layers.

Two kinds count: what `weights` of cog.yaml names, and what is large in the source tree.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from ..errors import Fault, UserError
from ..origin import Origin
from ..project import Project
from ..project.cogyaml import Weights, WeightSource
from ..project.paths import LeavesProjectError, project_path
from ..project.tree import TreeFile, list_files
from ..project.weight_places import (
    is_remote,
    outside_context,
    outside_place,
    selected,
    uri_origin,
)
from .layout import SOURCE

__all__ = ["LARGE", "WeightCopy", "WeightFiles", "WeightLayer", "literal"]

LARGE = 10 * 1024 * 1024
"""Bytes from which on a file of the source tree is taken for weights: Cog's sizeThreshold
(pkg/weightslegacy). Code below it that changes pushes at most this much more for each such file."""

_MOST_LAYERS = 24
"""An image has at most 127 layers, and each costs a round trip: more files than the shards of a
large model share them by folder."""

_CODE = (".py", ".ipynb")
"""What makes a folder one of code, as for Cog: it changes with the source, whatever its size."""


class WeightCopy(Struct, frozen=True):
    """Files that go to one place of the image.

    src: a file or folder relative to the project, `.` for that itself. dest: where it goes, or
    what is in it.
    files: all that is meant, relative to the project; sorted. A folder stands for what is in it.
    without: patterns as in .dockerignore of what is not meant all the same.
    context: the folder that takes the project's place in this, by the name that the builder is
    offered it under; empty for the project.
    source: which source of its entry it is; -1 for what is in no entry.
    """

    src: str
    dest: str
    files: tuple[str, ...]
    context: str = ""
    source: int = -1
    without: tuple[str, ...] = ()

    @property
    def places(self) -> tuple[str, ...]:
        """Where each of the files goes in the image."""
        if self.files == (self.src,):
            return (self.dest,)
        return tuple(f"{self.dest}/{posixpath.relpath(file, self.src)}" for file in self.files)


class WeightLayer(Struct, frozen=True):
    """What becomes one layer. name: unique, fit for the id of a stage. title: for people.

    entry: of `weights`; empty for files that are in none.
    """

    name: str
    title: str
    copies: tuple[WeightCopy, ...]
    origin: Origin
    entry: str = ""


class WeightFiles:
    """The weights of a project; the tree is walked when they are first asked for."""

    def __init__(self, project: Project) -> None:
        self._project = project

    @cached_property
    def layers(self) -> tuple[WeightLayer, ...]:
        """The layers: first what cog.yaml names, in its order, then large files, then folders that
        are large without these; by path.

        Raises UserError with every source of cog.yaml that cannot be had.
        """
        named, ignored = self._named(), self._project.ignore.all
        taken = _paths(named)
        files = [one for one in list_files(self._project.root, ignored) if one.path not in taken]
        large = [file.path for file in files if file.size >= LARGE]
        elsewhere = sorted({*taken, *large})
        return (*named, *_large_layers(large), *_folder_layers(files, ignored, elsewhere))

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns of what is in one of the layers, sorted: the source has it no more."""
        return tuple(sorted(self._patterns()))

    def _patterns(self) -> Iterator[str]:
        for path in _paths(self.layers):
            yield literal(path)
            if (self._project.root / path).is_dir():
                # What an exception of .dockerignore takes in again below a folder that is left
                # out, a later pattern of that folder does not reach.
                yield f"{literal(path)}/**"

    def _named(self) -> tuple[WeightLayer, ...]:
        config = self._project.config
        faults: list[Fault] = []
        layers = []
        for number, entry in enumerate(config.weights if config else ()):
            copies = []
            for index, source in enumerate(entry.source):
                if is_remote(source.uri):
                    continue
                origin = uri_origin(config, number, index) if config else None
                try:
                    copies.append(self._copy(entry, index, origin))
                except UserError as error:
                    faults += error.faults
            if config is not None and copies:
                where = config.origin(f"weights[{number}].name")
                title = f"add weights {entry.name}"
                name = f"weights-{entry.name}"
                layers.append(WeightLayer(name, title, tuple(copies), where, entry.name))
        if faults:
            raise UserError(faults)
        return tuple(layers)

    def _copy(self, entry: Weights, index: int, origin: Origin | None) -> WeightCopy:
        source, root, context = entry.source[index], self._project.root, ""
        outside = outside_place(root, source.uri)
        if outside is not None:
            root, context = _outside(outside, origin), outside_context(entry.name, index)
            path = "." if root == outside else outside.name
        else:
            path = self._path(source.uri, origin)
        target, place = posixpath.normpath(entry.target), root / path
        if place.is_file():
            name = posixpath.basename(path)
            return WeightCopy(path, f"{target}/{name}", (path,), context, index)
        shown = path if outside is None else str(outside)
        chosen = _chosen(list_files(place), source)
        if not chosen:
            message = f"weights {entry.name}: no file of {shown} is left by include and exclude"
            raise UserError(Fault(message, origin, "correct the patterns"))
        if links := [file.path for file in chosen if file.is_link]:
            message = f"weights {entry.name}: {shown}/{links[0]} is a symbolic link"
            raise UserError(Fault(message, origin, "put the file itself there: cp -L"))
        prefix = "" if path == "." else f"{path}/"
        files = tuple(f"{prefix}{one.path}" for one in chosen)
        return WeightCopy(path, target, files, context, index)

    def _path(self, uri: str, origin: Origin | None) -> str:
        written = uri.removeprefix("file://")
        try:
            path = project_path(self._project.root, written)
        except LeavesProjectError:
            message = f"weights come from {written}, which is outside the project"
            raise UserError(Fault(message, origin, "move them into the project")) from None
        if path == ".":
            raise UserError(Fault("weights cannot be the whole project", origin, "name a folder"))
        if not (self._project.root / path).exists():
            message = f"weights come from {path}, which is not in the project"
            raise UserError(Fault(message, origin, "put them there, or correct the path"))
        return path


def _outside(place: Path, origin: Origin | None) -> Path:
    """The folder outside of the project that is offered to the builder for a file or a folder."""
    if place.is_file():
        return place.parent
    if not place.is_dir():
        message = f"weights come from {place}, which is not there"
        raise UserError(Fault(message, origin, "put them there, or correct the path"))
    return place


def _paths(layers: Iterable[WeightLayer]) -> set[str]:
    """The files and folders of the project that are in layers."""
    copies = (copy for layer in layers for copy in layer.copies if not copy.context)
    return {path for copy in copies for path in copy.files}


def literal(path: str) -> str:
    """A pattern that matches a path and nothing else, but what lies in it."""
    escaped = "".join(f"\\{one}" if one in "!*?[]\\" else one for one in path)
    # Space around a pattern does not count, and no header of HTTP/2 can have any around its value.
    start, end = len(escaped) - len(escaped.lstrip()), len(escaped.rstrip())
    around = (escaped[:start], escaped[end:])
    before, after = ("".join(f"[{one}]" for one in part) for part in around)
    return f"{before}{escaped[start:end]}{after}"


def _chosen(files: Iterable[TreeFile], source: WeightSource) -> list[TreeFile]:
    """The files that the patterns of a source leave; they are written as in .gitignore."""
    by_path = {file.path: file for file in files}
    return [by_path[path] for path in selected(by_path, source.include, source.exclude)]


def _large_layers(paths: list[str]) -> list[WeightLayer]:
    """A layer for each file; for each folder when those are too many; else one for all."""
    groups: dict[str, list[str]] = {}
    for level in (lambda path: path, posixpath.dirname, lambda _: "."):
        groups = {}
        for path in paths:
            groups.setdefault(level(path), []).append(path)
        if len(groups) <= _MOST_LAYERS:
            break
    return [
        WeightLayer(
            f"large-files-{number}",
            f"add large files: {name or '.'}",
            (_large_copy(members),),
            Origin(asker="block weights", text=f"files of {LARGE // 1024**2} MiB and more"),
        )
        for number, (name, members) in enumerate(sorted(groups.items()), 1)
    ]


def _large_copy(paths: list[str]) -> WeightCopy:
    if len(paths) == 1:
        return WeightCopy(paths[0], f"{SOURCE}/{paths[0]}", tuple(paths))
    return WeightCopy(".", SOURCE, tuple(paths))


def _folder_layers(
    files: Iterable[TreeFile], ignored: Iterable[str], elsewhere: Iterable[str]
) -> list[WeightLayer]:
    """A layer for each folder of much that is no code; one for all when those are too many.

    ignored: patterns. elsewhere: the files that have layers of their own.
    """
    copies = [
        WeightCopy(
            folder,
            f"{SOURCE}/{folder}",
            (folder,),
            without=(*ignored, *(literal(one) for one in elsewhere if _is_below(one, folder))),
        )
        for folder in _large_folders(files)
    ]
    groups = [(copy,) for copy in copies] if len(copies) <= _MOST_LAYERS else [tuple(copies)]
    return [
        WeightLayer(
            f"large-folder-{number}",
            f"add large folders: {' '.join(copy.src for copy in group)}",
            group,
            Origin(
                asker="block weights",
                text=f"folders without code of {LARGE // 1024**2} MiB and more",
            ),
        )
        for number, group in enumerate(groups, 1)
    ]


def _large_folders(files: Iterable[TreeFile]) -> list[str]:
    """The topmost folders without code that are large by files which are not."""
    sizes: dict[str, int] = {}
    of_code = {""}
    for file in files:
        folders = list(_folders(file.path))
        if file.path.endswith(_CODE):
            of_code.update(folders)
        elif file.size < LARGE:
            for folder in folders:
                sizes[folder] = sizes.get(folder, 0) + file.size
    large = {folder for folder, size in sizes.items() if size >= LARGE} - of_code
    return sorted(folder for folder in large if large.isdisjoint(_folders(folder)))


def _folders(path: str) -> Iterator[str]:
    """The folders that a path lies in, the nearest first."""
    while path := posixpath.dirname(path):
        yield path


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")
