"""The remote weights of a project as layers, and what each of them downloads."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import CogpackError
from ..origin import Origin
from ..plan import parts
from ..project import Project
from ..project.cogyaml import Weights
from ..project.weight_places import is_remote
from ..project.weight_sources import RemoteFile, RemoteSource
from .layout import FIXED_TIME
from .weight_files import LARGE, WeightLayer

__all__ = ["Download", "DownloadLayer", "download_layers"]

_MOST_LAYERS = 24
"""For all large remote files of a project: an image has at most 127 layers. Models of hundreds of
files are rare, and 24 layers are fetched as fast as more."""


@dataclass(frozen=True)
class Download:
    """A file and its place in the image."""

    file: RemoteFile
    dest: str


@dataclass(frozen=True)
class DownloadLayer:
    """What becomes one layer. name: unique, fit for the id of a stage. title: for people."""

    name: str
    title: str
    downloads: tuple[Download, ...]
    origin: Origin

    @property
    def copies(self) -> list[parts.Copy]:
        """What puts the files into place."""
        return [
            parts.Copy(
                source=parts.HttpInput(
                    url=one.file.url, digest=one.file.digest, token=one.file.token
                ),
                src=parts.DOWNLOADED,
                dest=one.dest,
                owner="0:0",
                mode=0o644,
                time=FIXED_TIME,
            )
            for one in self.downloads
        ]


def download_layers(
    project: Project, local: Sequence[WeightLayer] = ()
) -> tuple[DownloadLayer, ...]:
    """The layers of a project's remote weights, in the order of cog.yaml.

    local: the layers of the weights of this machine, which lie below these.
    Of each entry the small files are one layer, and each large one is its own; where those would
    be too many they share layers, neighbours together.
    Raises CogpackError when the files were not asked for yet.
    """
    config = project.config
    entries = config.weights if config else ()
    if not any(is_remote(source.uri) for entry in entries for source in entry.source):
        return ()
    if config is None or project.remote_weights is None:
        raise CogpackError(
            "the remote weights of the project were not asked for",
            hint="cogpack.with_weights does it, before make_plan",
        )
    copies = sorted((copy for layer in local for copy in layer.copies), key=lambda one: one.source)
    later = {place: copy.source for copy in copies for place in copy.places}
    files = {entry.name: tuple(_files(entry, project.remote_weights, later)) for entry in entries}
    large = sum(1 for found in files.values() for one in found if _is_large(one))
    share = -(-large // _MOST_LAYERS) or 1
    return tuple(
        layer
        for number, entry in enumerate(entries)
        for layer in _layers(
            entry.name, files[entry.name], share, config.origin(f"weights[{number}].name")
        )
    )


def _files(
    entry: Weights, sources: Sequence[RemoteSource], local: Mapping[str, int]
) -> Iterator[Download]:
    """The files of an entry, by place; of two for one place that of the later source counts.

    local: the last source of this machine that fills a place, by place.
    """
    target = posixpath.normpath(entry.target)
    placed: dict[str, RemoteFile] = {}
    for source in sorted(
        (one for one in sources if one.entry == entry.name), key=lambda one: one.index
    ):
        found = {f"{target}/{file.path}": file for file in source.files}
        placed |= {
            place: file for place, file in found.items() if local.get(place, -1) < source.index
        }
    for place in sorted(placed):
        yield Download(placed[place], place)


def _is_large(download: Download) -> bool:
    """Whether a file has a layer of its own; so has one whose size nobody knows."""
    return not 0 < download.file.size < LARGE


def _layers(
    name: str, downloads: Sequence[Download], share: int, origin: Origin
) -> Iterator[DownloadLayer]:
    small = tuple(one for one in downloads if not _is_large(one))
    large = tuple(one for one in downloads if _is_large(one))
    if small:
        title = f"download weights {name}: {_told(small)}"
        yield DownloadLayer(f"weights-{name}:small", title, small, origin)
    groups = [large[start : start + share] for start in range(0, len(large), share)]
    for number, group in enumerate(groups, 1):
        title = f"download weights {name}: {_told(group)}"
        yield DownloadLayer(f"weights-{name}:{number}", title, group, origin)


def _told(downloads: Sequence[Download]) -> str:
    first = downloads[0].file.path
    return first if len(downloads) == 1 else f"{first} and {len(downloads) - 1} more"
