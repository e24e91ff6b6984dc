"""Weights that cannot lie where they should: a file and a folder of one name.

The builder would take whichever comes last and drop the other without a word.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from ..errors import Fault
from ..origin import Origin
from ..project import Project
from ..project.redact import redact
from ..project.tree import list_files
from ..project.weight_places import uri_origin
from .layout import SOURCE
from .weight_files import WeightLayer

__all__ = ["clashes"]

_HINT = "leave one of them out with exclude, or give each a folder of its own"


class _Placed(Struct, frozen=True):
    """A file in the image. told: whose it is. origin: its line; None for a file of the project."""

    place: str
    told: str
    origin: Origin | None


def clashes(project: Project, local: Sequence[WeightLayer]) -> tuple[Fault, ...]:
    """A fault for each two sources of which one has a file where the other needs a folder.

    local: the layers of what cog.yaml names on this machine. Files of the project count too, where
    a target is among them.
    """
    placed = [*_of_this_machine(project, local), *_of_others(project)]
    if any(one.place.startswith(f"{SOURCE}/") for one in placed):
        placed += _of_the_source(project, local)
    by_place: dict[str, list[_Placed]] = {}
    for one in placed:
        by_place.setdefault(one.place, []).append(one)
    found: dict[tuple[Origin | None, Origin | None], Fault] = {}
    for place in sorted(by_place):
        for folder in _folders(place):
            for file in by_place.get(folder, ()):
                for inner in by_place[place]:
                    if file.origin or inner.origin:
                        found.setdefault((file.origin, inner.origin), _fault(file, inner))
    return tuple(found.values())


def _of_this_machine(project: Project, layers: Iterable[WeightLayer]) -> Iterator[_Placed]:
    for layer in layers:
        for copy in layer.copies:
            if copy.source >= 0:
                for place in copy.places:
                    yield _placed(project, layer.entry, copy.source, place)


def _of_others(project: Project) -> Iterator[_Placed]:
    for source in project.remote_weights or ():
        target = _target(project, source.entry)
        for file in source.files:
            yield _placed(project, source.entry, source.index, f"{target}/{file.path}")


def _of_the_source(project: Project, layers: Iterable[WeightLayer]) -> Iterator[_Placed]:
    moved = {
        file
        for layer in layers
        for copy in layer.copies
        if copy.source >= 0 and not copy.context
        for file in copy.files
    }
    for found in list_files(project.root, project.ignore.all):
        if found.path not in moved:
            yield _Placed(f"{SOURCE}/{found.path}", f"the project has the file {found.path}", None)


def _target(project: Project, entry: str) -> str:
    entries = project.config.weights if project.config else ()
    return next(posixpath.normpath(one.target) for one in entries if one.name == entry)


def _placed(project: Project, entry: str, index: int, place: str) -> _Placed:
    config = project.config
    numbered = enumerate(config.weights if config else ())
    number, found = next((at, one) for at, one in numbered if one.name == entry)
    origin = uri_origin(config, number, index) if config else None
    return _Placed(place, redact(found.source[index].uri), origin)


def _folders(place: str) -> Iterator[str]:
    folder = posixpath.dirname(place)
    while folder not in ("/", ""):
        yield folder
        folder = posixpath.dirname(folder)


def _fault(one: _Placed, other: _Placed) -> Fault:
    """Told at the later line, with the other one in the text."""
    both = sorted((one, other), key=lambda placed: placed.origin.line if placed.origin else 0)
    earlier, later = both
    first = (
        f"{earlier.told} ({earlier.origin.where}) puts one at {earlier.place}"
        if earlier.origin
        else earlier.told
    )
    message = f"weights {later.told} puts a file at {later.place}, and {first}"
    return Fault(f"{message}: one name cannot be both a file and a folder", later.origin, _HINT)
