"""The LLB graph as typed, immutable vertices; each has one result, a file system.

A vertex holds the vertices that it stands on, so a graph can have no cycle. Vertices compare by
identity: whether two are the same operation is for their digests to say (`llb.marshal`). Nothing
here knows the wire format, and nothing here knows what a stage is beyond its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import CogpackError
from ..plan.model import CacheMount, MkDir, MkFile, Remove, SecretMount, Symlink, TmpfsMount

__all__ = [
    "Action",
    "Bind",
    "CopyFiles",
    "Diff",
    "Exec",
    "File",
    "FileSystem",
    "Http",
    "Image",
    "Local",
    "Merge",
    "Mounted",
    "Platform",
    "Vertex",
    "changes",
    "file_systems",
    "stacked",
]


@dataclass(frozen=True)
class Platform:
    """What a vertex runs on, in the words of the OCI image specification."""

    os: str
    architecture: str
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """The platform of `linux/amd64` or `linux/arm/v7`. Raises CogpackError for another form.

        The variant that is an architecture's only one is left out, as containerd does it.
        """
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise CogpackError(f"platform {text!r} is not of the form os/architecture")
        if parts[1:] == ["arm64", "v8"]:
            parts.pop()
        return cls(*parts)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Vertex:
    """label: what the progress shows; empty leaves the naming to the daemon.

    stage: the id of the plan's stage that this vertex is for; empty when it is for several.
    """

    label: str = ""
    stage: str = ""


@dataclass(frozen=True, eq=False)
class Image(_Vertex):
    """An image; `ref` is fully qualified and carries a digest where it is known."""

    ref: str
    platform: Platform


@dataclass(frozen=True, eq=False)
class Local(_Vertex):
    """Files of the client's machine, by the name under which its session offers them.

    session: the id of that session. Without it the daemon asks any session of the build, and two
    builds at one time could be served each other's files.
    """

    name: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    session: str = ""


@dataclass(frozen=True, eq=False)
class Http(_Vertex):
    """One file that the daemon downloads; `name` is its path, without folders.

    digest: of its content; empty for whatever there is.
    """

    url: str
    name: str
    digest: str = ""


@dataclass(frozen=True)
class Bind:
    """Another file system, or the `path` in it, at `target`; what is written there is dropped."""

    source: FileSystem
    path: str
    target: str
    writable: bool = False


Mounted = Bind | CacheMount | SecretMount | TmpfsMount


@dataclass(frozen=True, eq=False)
class Exec(_Vertex):
    """`root` after a command.

    env: in the order in which the process gets it.
    network: `default`, `host` or `none`.
    """

    root: FileSystem
    args: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    mounts: tuple[Mounted, ...]
    network: str
    platform: Platform


@dataclass(frozen=True)
class CopyFiles:
    """Copy `src` of another file system to `dest`; a folder's contents, not the folder itself.

    owner, mode, time: as in `plan.model.Copy`.
    replace: a file or link takes the place of a folder and the other way round; without it that
    is an error.
    """

    source: FileSystem
    src: str
    dest: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    owner: str = ""
    mode: int | None = None
    time: int | None = None
    replace: bool = False


Action = CopyFiles | MkFile | MkDir | Remove | Symlink


@dataclass(frozen=True, eq=False)
class File(_Vertex):
    """`base` after file actions, one on top of the other: one layer, however many they are.

    time: of what mkfile, mkdir and symlink make, in seconds since 1970.
    """

    base: FileSystem
    actions: tuple[Action, ...]
    time: int = 0


@dataclass(frozen=True, eq=False)
class Merge(_Vertex):
    """File systems laid over one another, the last on top; the layers stay what they are."""

    inputs: tuple[Vertex, ...]


@dataclass(frozen=True, eq=False)
class Diff(_Vertex):
    """What `upper` changed against `lower`; deletions count only inside a Merge."""

    lower: Vertex
    upper: FileSystem


Vertex = Image | Local | Http | Exec | File | Merge | Diff
# None is scratch, the empty file system, for which LLB has no vertex.
FileSystem = Vertex | None


def file_systems(vertex: Vertex) -> tuple[FileSystem, ...]:
    """The file systems that a vertex stands on, scratch included, in the order of the wire."""
    match vertex:
        case Exec():
            binds = sorted(
                (mount for mount in vertex.mounts if isinstance(mount, Bind)),
                key=lambda mount: mount.target,
            )
            return (vertex.root, *(mount.source for mount in binds))
        case File():
            copies = (action for action in vertex.actions if isinstance(action, CopyFiles))
            return (vertex.base, *(action.source for action in copies))
        case Merge():
            return vertex.inputs
        case Diff():
            return (vertex.lower, vertex.upper)
        case Image() | Local() | Http():
            return ()


def changes(lower: FileSystem, upper: FileSystem, label: str, stage: str) -> FileSystem:
    """What `upper` has over `lower`; against scratch that is all of it, and needs no vertex."""
    return upper if lower is None else Diff(lower, upper, label=label, stage=stage)


def stacked(inputs: Sequence[FileSystem], label: str, stage: str) -> FileSystem:
    """File systems merged; scratch adds nothing, and what is alone needs no vertex."""
    present = tuple(item for item in inputs if item is not None)
    if len(present) < 2:
        return present[0] if present else None
    return Merge(present, label=label, stage=stage)
