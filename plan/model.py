"""The plan: plain frozen data, exactly what a builder needs and nothing that it must guess.

`dump` and `load` are inverse: `load(dump(plan)) == plan`. The JSON has a fixed order and a schema
version. Nothing here knows BuildKit; nothing here reads the project.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "SCHEMA_VERSION",
    "BindMount",
    "CacheMount",
    "Copy",
    "Env",
    "Exec",
    "ExportConfig",
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


class Model(BaseModel):
    """Frozen, strict about unknown keys: a plan from another version fails loudly."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Reason(Model):
    """Who asked: the same fields as `cogpack.origin.Origin`."""

    file: str = ""
    line: int = 0
    text: str = ""
    asker: str = ""


# Inputs: file systems that a stage can stand on, copy from or mount.


class ImageInput(Model):
    """An image from a registry; `ref` carries a digest where it is known."""

    type: Literal["image"] = "image"
    ref: str


class StageInput(Model):
    """The file system after another stage."""

    type: Literal["stage"] = "stage"
    id: str


class PhaseInput(Model):
    """The result of a whole phase of the build or of the export, whatever stages it has."""

    type: Literal["phase"] = "phase"
    of: Literal["build", "export"] = "build"
    name: str


class LocalInput(Model):
    """Files of the user's machine, by the name of a context; `context` is the project folder.

    include, exclude: patterns as in .dockerignore, relative to the context; no include means all.
    """

    type: Literal["local"] = "local"
    name: str = "context"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class ScratchInput(Model):
    """The empty file system."""

    type: Literal["scratch"] = "scratch"


Input = Annotated[
    ImageInput | StageInput | PhaseInput | LocalInput | ScratchInput, Field(discriminator="type")
]


# Mounts of an exec: never part of the layer.


class CacheMount(Model):
    """A folder that the builder keeps between builds."""

    type: Literal["cache"] = "cache"
    id: str
    target: str
    sharing: Literal["shared", "private", "locked"] = "shared"


class SecretMount(Model):
    """A secret of the build, by id: as the file `target`, or as the variable `env`, never both."""

    type: Literal["secret"] = "secret"
    id: str
    target: str = ""
    env: str = ""
    required: bool = True


class BindMount(Model):
    """Another file system, or a path in it, at `target`.

    writable: the command may write there; what it writes is dropped.
    """

    type: Literal["bind"] = "bind"
    source: Input
    source_path: str = "/"
    target: str
    writable: bool = False


class TmpfsMount(Model):
    """Memory that is gone after the command."""

    type: Literal["tmpfs"] = "tmpfs"
    target: str


Mount = Annotated[CacheMount | SecretMount | BindMount | TmpfsMount, Field(discriminator="type")]


# Ops


class Exec(Model):
    """Run a command with `/bin/sh -c`; it fails the build when it exits with another code than 0.

    env: variables for this command alone. network: `none`, `host` or the builder's default.
    """

    op: Literal["exec"] = "exec"
    command: str
    mounts: tuple[Mount, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    network: Literal["default", "host", "none"] = "default"


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


class MkFile(Model):
    """Write a small text file (UTF-8), its folder must exist."""

    op: Literal["mkfile"] = "mkfile"
    path: str
    content: str
    mode: int = 0o644
    owner: str = ""


class MkDir(Model):
    """Make a folder and its parents; an existing one is left as it is."""

    op: Literal["mkdir"] = "mkdir"
    path: str
    mode: int = 0o755
    owner: str = ""


class Remove(Model):
    """Remove a file or folder; it need not exist."""

    op: Literal["remove"] = "remove"
    path: str


class Symlink(Model):
    """Make a symbolic link at `path` that points to `target`."""

    op: Literal["symlink"] = "symlink"
    target: str
    path: str


class Env(Model):
    """Set a variable for the ops that follow and for every stage that stands on this one.

    prepend: put the value and a `:` before what the variable held (for PATH and its kin).
    """

    op: Literal["env"] = "env"
    name: str
    value: str
    prepend: bool = False


class Workdir(Model):
    """Set the working directory for the ops that follow and for the stages on this one."""

    op: Literal["workdir"] = "workdir"
    path: str


class Layer(Model):
    """Put the changes that another stage made (against its own source) on top, as one layer.

    Its variables and working directory come along. It is the only op of its stage.
    """

    op: Literal["layer"] = "layer"
    stage: str


Op = Annotated[
    Exec | Copy | MkFile | MkDir | Remove | Symlink | Env | Workdir | Layer,
    Field(discriminator="op"),
]


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


class Phase(Model):
    """Stages with a common purpose, and the input that stands for the phase as a whole."""

    name: str
    stages: tuple[Stage, ...] = ()
    result: Input


class ResolvedPackage(Model):
    """One choice of the solver, with the reasons for it."""

    version: str
    variant: str = ""
    index: str = ""
    because: tuple[Reason, ...] = ()


class BaseRefs(Model):
    """The images that the plan stands on."""

    build: str
    runtime: str


class ExportConfig(Model):
    """The config of the image; it is laid over the runtime base's own.

    path: folders that go before the base's PATH.
    """

    env: dict[str, str] = Field(default_factory=dict)
    path: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    ports: tuple[str, ...] = ()


class Plan(Model):
    """Everything that a builder needs. The image is the result of the last export phase."""

    schema_version: Literal[1] = SCHEMA_VERSION
    platform: str
    packages: dict[str, ResolvedPackage] = Field(default_factory=dict)
    base: BaseRefs
    build_phases: tuple[Phase, ...]
    export_phases: tuple[Phase, ...]
    config: ExportConfig


def _sorted(value: object) -> object:
    """Mappings whose keys are data come sorted; the fields of a model keep the model's order."""
    if isinstance(value, Model):
        return {name: _sorted(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, tuple | list):
        return [_sorted(item) for item in value]
    return value


def dump(plan: Plan) -> str:
    """The plan as JSON text: same plan, same bytes; ends with a newline."""
    return json.dumps(_sorted(plan), indent=2, ensure_ascii=False) + "\n"


def load(text: str) -> Plan:
    """The plan that `dump` wrote. Raises pydantic.ValidationError when it is none."""
    return Plan.model_validate_json(text)
