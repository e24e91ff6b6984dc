"""The plan: plain frozen data, exactly what a builder needs and nothing that it must guess.

`dump` and `load` are inverse: `load(dump(plan)) == plan`. The JSON has a fixed order and a schema
version. Nothing here knows BuildKit; nothing here reads the project.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

__all__ = [
    "DOWNLOADED",
    "PROJECT_CONTEXT",
    "SCHEMA_VERSION",
    "BindMount",
    "CacheMount",
    "Copy",
    "Env",
    "Exec",
    "ExportConfig",
    "HttpInput",
    "ImageInput",
    "Input",
    "Layer",
    "LocalInput",
    "MkDir",
    "MkFile",
    "Mount",
    "Op",
    "Phase",
    "PhaseInput",
    "Plan",
    "Reason",
    "Remove",
    "ResolvedPackage",
    "ScratchInput",
    "SecretMount",
    "Stage",
    "StageInput",
    "Symlink",
    "TmpfsMount",
    "Workdir",
    "dump",
    "load",
]

SCHEMA_VERSION: Literal[1] = 1


class Model:
    """What all parts of a plan have in common.

    They are plain data classes; pydantic, which takes a while to load, is what reads them from JSON
    and describes them, and is loaded for that alone.
    """

    # Strict about unknown keys: a plan from another version fails loudly.
    __pydantic_config__: ClassVar[Mapping[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True)
class ToldBy:
    """Says pydantic which field tells the members of a union apart."""

    field: str

    def __get_pydantic_core_schema__(
        self, source: object, handler: Callable[[object], CoreSchema]
    ) -> CoreSchema:
        from pydantic import Discriminator

        return handler(Annotated[source, Discriminator(self.field)])


@dataclass(frozen=True, kw_only=True)
class Reason(Model):
    """Who asked: the same fields as `cogpack.origin.Origin`."""

    file: str = ""
    line: int = 0
    text: str = ""
    asker: str = ""


# Inputs: file systems that a stage can stand on, copy from or mount.


@dataclass(frozen=True, kw_only=True)
class ImageInput(Model):
    """An image from a registry; `ref` carries a digest where it is known."""

    type: Literal["image"] = "image"
    ref: str


@dataclass(frozen=True, kw_only=True)
class StageInput(Model):
    """The file system after another stage."""

    type: Literal["stage"] = "stage"
    id: str


@dataclass(frozen=True, kw_only=True)
class PhaseInput(Model):
    """The result of a whole phase of the build or of the export, whatever stages it has."""

    type: Literal["phase"] = "phase"
    of: Literal["build", "export"] = "build"
    name: str


PROJECT_CONTEXT = "context"
"""The name of the context that is the project folder."""


@dataclass(frozen=True, kw_only=True)
class LocalInput(Model):
    """Files of the user's machine, by the name of a context; `context` is the project folder.

    include, exclude: patterns as in .dockerignore, relative to the context; no include means all.
    """

    type: Literal["local"] = "local"
    name: str = PROJECT_CONTEXT
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


DOWNLOADED = "/file"
"""Where a download is in its own file system, whatever its name is elsewhere."""


@dataclass(frozen=True, kw_only=True)
class HttpInput(Model):
    """One file that the builder downloads, as DOWNLOADED; it is copied from, not stood on.

    digest: `sha256:…` of the content. Without it the builder takes what there is, and looks at
    every build whether that is still so. token: the id of the secret with a bearer token for the
    server (RFC 6750), which is sent when it is given; empty for none.
    """

    type: Literal["http"] = "http"
    url: str
    digest: str = ""
    token: str = ""

    @property
    def shown(self) -> str:
        """The URL for people and logs: what a query says may be a credential."""
        return self.url.partition("?")[0]


@dataclass(frozen=True, kw_only=True)
class ScratchInput(Model):
    """The empty file system."""

    type: Literal["scratch"] = "scratch"


Input = Annotated[
    ImageInput | StageInput | PhaseInput | LocalInput | HttpInput | ScratchInput,
    ToldBy("type"),
]


# Mounts of an exec: never part of the layer.


@dataclass(frozen=True, kw_only=True)
class CacheMount(Model):
    """A folder that the builder keeps between builds."""

    type: Literal["cache"] = "cache"
    id: str
    target: str
    sharing: Literal["shared", "private", "locked"] = "shared"


@dataclass(frozen=True, kw_only=True)
class SecretMount(Model):
    """A secret of the build, by id: as the file `target`, or as the variable `env`, never both."""

    type: Literal["secret"] = "secret"
    id: str
    target: str = ""
    env: str = ""
    required: bool = True


@dataclass(frozen=True, kw_only=True)
class BindMount(Model):
    """Another file system, or a path in it, at `target`.

    writable: the command may write there; what it writes is dropped.
    """

    type: Literal["bind"] = "bind"
    source: Input
    source_path: str = "/"
    target: str
    writable: bool = False


@dataclass(frozen=True, kw_only=True)
class TmpfsMount(Model):
    """Memory that is gone after the command."""

    type: Literal["tmpfs"] = "tmpfs"
    target: str


Mount = Annotated[CacheMount | SecretMount | BindMount | TmpfsMount, ToldBy("type")]


# Ops


@dataclass(frozen=True, kw_only=True)
class Exec(Model):
    """Run a command with `/bin/sh -c`; it fails the build when it exits with another code than 0.

    env: variables for this command alone. network: `none`, `host` or the builder's default.
    """

    op: Literal["exec"] = "exec"
    command: str
    mounts: tuple[Mount, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    network: Literal["default", "host", "none"] = "default"


@dataclass(frozen=True, kw_only=True)
class Copy(Model):
    """Copy files of another input.

    src: absolute path in the source; a folder's contents are copied, not the folder itself.
    dest: absolute path; parents are made. A `dest` that ends in `/` is a folder.
    owner: `uid:gid` in numbers; empty keeps the source's.
    mode: permission bits, 0o755 for example; None keeps the source's.
    time: of every file and folder that is copied, in seconds since 1970; None keeps the source's.
    """

    op: Literal["copy"] = "copy"
    source: Input
    src: str = "/"
    dest: str
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    owner: str = ""
    mode: int | None = None
    time: int | None = None


@dataclass(frozen=True, kw_only=True)
class MkFile(Model):
    """Write a small text file (UTF-8), its folder must exist."""

    op: Literal["mkfile"] = "mkfile"
    path: str
    content: str
    mode: int = 0o644
    owner: str = ""


@dataclass(frozen=True, kw_only=True)
class MkDir(Model):
    """Make a folder and its parents; an existing one is left as it is."""

    op: Literal["mkdir"] = "mkdir"
    path: str
    mode: int = 0o755
    owner: str = ""


@dataclass(frozen=True, kw_only=True)
class Remove(Model):
    """Remove a file or folder; it need not exist."""

    op: Literal["remove"] = "remove"
    path: str


@dataclass(frozen=True, kw_only=True)
class Symlink(Model):
    """Make a symbolic link at `path` that points to `target`."""

    op: Literal["symlink"] = "symlink"
    target: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Env(Model):
    """Set a variable for the ops that follow and for every stage that stands on this one.

    prepend: put the value and a `:` before what the variable held (for PATH and its kin).
    """

    op: Literal["env"] = "env"
    name: str
    value: str
    prepend: bool = False


@dataclass(frozen=True, kw_only=True)
class Workdir(Model):
    """Set the working directory for the ops that follow and for the stages on this one."""

    op: Literal["workdir"] = "workdir"
    path: str


@dataclass(frozen=True, kw_only=True)
class Layer(Model):
    """Put the changes that another stage made (against its own source) on top, as one layer.

    Its variables and working directory come along. It is the only op of its stage.
    """

    op: Literal["layer"] = "layer"
    stage: str


Op = Annotated[
    Exec | Copy | MkFile | MkDir | Remove | Symlink | Env | Workdir | Layer,
    ToldBy("op"),
]


@dataclass(frozen=True, kw_only=True)
class Stage(Model):
    """A unit that becomes exactly one layer (none when it has no op that changes files).

    id: unique in the plan, letters, digits, `-`, `_`, `.` and `:`.
    title: what a person sees in the progress ("install system packages").
    """

    id: str
    title: str
    source: Input
    ops: tuple[Op, ...] = ()
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Phase(Model):
    """Stages with a common purpose, and the input that stands for the phase as a whole."""

    name: str
    stages: tuple[Stage, ...] = ()
    result: Input


@dataclass(frozen=True, kw_only=True)
class ResolvedPackage(Model):
    """One choice of the solver, with the reasons for it."""

    version: str
    variant: str = ""
    index: str = ""
    because: tuple[Reason, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BaseRefs(Model):
    """The images that the plan stands on."""

    build: str
    runtime: str


@dataclass(frozen=True, kw_only=True)
class ExportConfig(Model):
    """The config of the image; it is laid over the runtime base's own.

    path: folders that go before the base's PATH.
    """

    env: dict[str, str] = field(default_factory=dict)
    path: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan(Model):
    """Everything that a builder needs. The image is the result of the last export phase."""

    schema_version: Literal[1] = SCHEMA_VERSION
    platform: str
    packages: dict[str, ResolvedPackage] = field(default_factory=dict)
    base: BaseRefs
    build_phases: tuple[Phase, ...]
    export_phases: tuple[Phase, ...]
    config: ExportConfig


def _plain(value: object) -> object:
    """Mappings whose keys are data come sorted; the fields of a model keep the model's order."""
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value


def dump(part: Model) -> str:
    """The plan, or a part of it, as JSON text: same plan, same bytes; ends with a newline."""
    return json.dumps(_plain(part), indent=2, ensure_ascii=False) + "\n"


def load(text: str) -> Plan:
    """The plan that `dump` wrote. Raises pydantic.ValidationError, with all faults, for others."""
    from pydantic import TypeAdapter

    plan: Plan = TypeAdapter(Plan).validate_json(text)
    return plan
