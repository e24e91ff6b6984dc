"""The form in which a stage becomes exactly one layer: the cheapest that has the right content.

* file: only file actions, in one FileOp.
* exec: only commands, in one ExecOp.
* squash: both; they run one after another, and what they changed is copied onto the source by one
  FileOp. A file of the source that a command deletes comes back; one that a Remove op names does
  not.
* script: both, for daemons without what a squash needs: one ExecOp whose script also places the
  files, which it finds in a mount. It needs a shell and cp in the source.

A made file that is there already keeps its mode, as with a shell's `>`; a script sets it anew.

Which stage stands on what is `llb.compile`'s business.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import BuilderError, CogpackError
from ..plan.model import (
    BindMount,
    Copy,
    Env,
    Exec,
    Input,
    Layer,
    MkDir,
    MkFile,
    Mount,
    Remove,
    Stage,
    Symlink,
    Workdir,
)
from . import graph, script
from .capabilities import Capabilities
from .config import prepended
from .graph import CopyFiles, FileSystem, Platform
from .script import Command

__all__ = ["CONTAINERD_STORE_HINT", "Context", "State", "actions", "one_layer", "removals", "steps"]

CONTAINERD_STORE_HINT = (
    "dockerd offers them with the containerd image store: set "
    '"features": {"containerd-snapshotter": true} in /etc/docker/daemon.json and restart it, '
    "or choose a buildkitd with --builder"
)

# Where a script finds the staged files. The daemon takes the mount's stub out of the layer.
_STAGING = "/.cogpack-files"

FileStep = Copy | MkFile | MkDir | Remove | Symlink
Step = Command | FileStep


@dataclass(frozen=True)
class State:
    """A file system with the env and the working directory that commands on it get."""

    root: FileSystem
    env: Mapping[str, str]
    workdir: str


@dataclass(frozen=True)
class Context:
    """What all stages share.

    resolve: the file system that an input of the plan names.
    time: of made files, in seconds since 1970.
    """

    resolve: Callable[[Input], FileSystem]
    capabilities: Capabilities
    platform: Platform
    time: int


def steps(stage: Stage, below: State) -> tuple[tuple[Step, ...], State]:
    """The ops that change files, and the state after them, its file system still the source's.

    Raises CogpackError for a layer op beside others.
    """
    env, workdir = dict(below.env), below.workdir
    found: list[Step] = []
    for op in stage.ops:
        match op:
            case Env():
                env[op.name] = prepended(op.value, env.get(op.name)) if op.prepend else op.value
            case Workdir():
                workdir = op.path
            case Exec():
                own = {name: op.env[name] for name in sorted(op.env)}
                found.append(Command(op, env | own, workdir))
            case Layer():
                raise CogpackError(f"stage {stage.id!r}: a layer op must be the only op of a stage")
            case _:
                found.append(op)
    return tuple(found), State(below.root, env, workdir)


def one_layer(stage: Stage, below: State, todo: Sequence[Step], context: Context) -> FileSystem:
    """The file system of `below` after the steps, with exactly one layer more.

    Raises BuilderError when the daemon lacks what every possible form needs.
    """
    capabilities = context.capabilities
    commands = [step for step in todo if isinstance(step, Command)]
    links = any(isinstance(step, Symlink) for step in todo)
    if not commands and (capabilities.file_symlink or not links):
        return _file(stage, below.root, actions(todo, context), context)
    if len(commands) == len(todo):
        joined = script.join(commands, below.env)
        if joined is not None:
            return _exec(stage, below.root, joined, context)
    squashes = capabilities.diff and (capabilities.file_symlink or not links)
    if squashes and capabilities.file_replace:
        return _squash(stage, below.root, todo, context)
    scripted = _script(stage, below, todo, context)
    if scripted is not None:
        return scripted
    if squashes:
        return _squash(stage, below.root, todo, context)
    raise _lacking(stage, links and not capabilities.file_symlink)


def actions(todo: Sequence[Step], context: Context) -> tuple[graph.Action, ...]:
    """File steps as the actions of a FileOp; commands have no place among them."""
    return tuple(
        _copy(step, context) if isinstance(step, Copy) else step
        for step in todo
        if not isinstance(step, Command)
    )


def removals(todo: Sequence[Step]) -> tuple[Remove, ...]:
    """What the steps remove by name, each path once."""
    return tuple(dict.fromkeys(step for step in todo if isinstance(step, Remove)))


def _label(stage: Stage) -> str:
    return stage.title or stage.id


def _copy(step: Copy, context: Context, dest: str = "") -> CopyFiles:
    return CopyFiles(
        source=context.resolve(step.source),
        src=posixpath.normpath(step.src),
        dest=dest or step.dest,
        include=step.include,
        exclude=step.exclude,
        owner=step.owner,
        mode=step.mode,
        time=step.time,
    )


def _file(
    stage: Stage,
    base: FileSystem,
    chain: Sequence[graph.Action],
    context: Context,
    label: str = "",
) -> graph.File:
    return graph.File(
        base, tuple(chain), context.time, label=label or _label(stage), stage=stage.id
    )


def _exec(
    stage: Stage,
    root: FileSystem,
    joined: script.Joined,
    context: Context,
    *,
    label: str = "",
    extra: tuple[graph.Mounted, ...] = (),
) -> graph.Exec:
    return graph.Exec(
        root=root,
        args=(*script.SHELL, joined.script),
        env=tuple(joined.env.items()),
        cwd=joined.cwd,
        mounts=(*(_mount(mount, context) for mount in joined.mounts), *extra),
        network=joined.network,
        platform=context.platform,
        label=label or _label(stage),
        stage=stage.id,
    )


def _mount(mount: Mount, context: Context) -> graph.Mounted:
    if not isinstance(mount, BindMount):
        return mount
    path = posixpath.normpath(mount.source_path)
    return graph.Bind(context.resolve(mount.source), path, mount.target, mount.writable)


def _squash(stage: Stage, source: FileSystem, todo: Sequence[Step], context: Context) -> FileSystem:
    """Run everything up to the last command aside, then put what it changed on the source.

    The file actions after the last command need no run of their own: they follow the copy. What
    an earlier Remove took away is removed before the copy, so that it may be made again by a
    later step.
    """
    end = max(number for number, step in enumerate(todo) if isinstance(step, Command)) + 1
    head, tail = todo[:end], todo[end:]
    runs = _runs(head)
    labels = [f"{_label(stage)} [{n + 1}/{len(runs) + 1}]" for n in range(len(runs) + 1)]
    current = source
    for run, label in zip(runs, labels, strict=False):
        if isinstance(run[0], Command):
            current = _exec(stage, current, script.alone(run[0]), context, label=label)
        else:
            current = _file(stage, current, actions(run, context), context, label)
    changed = graph.changes(source, current, f"{_label(stage)} [changes]", stage.id)
    squash = CopyFiles(changed, "/", "/", replace=context.capabilities.file_replace)
    chain = [*removals(head), squash, *actions(tail, context)]
    return _file(stage, source, chain, context, labels[-1])


def _runs(todo: Sequence[Step]) -> list[list[Step]]:
    """File steps in a row as one run, each command as its own."""
    runs: list[list[Step]] = []
    for step in todo:
        if not runs or isinstance(step, Command) or isinstance(runs[-1][0], Command):
            runs.append([step])
        else:
            runs[-1].append(step)
    return runs


def _script(
    stage: Stage, below: State, todo: Sequence[Step], context: Context
) -> graph.Exec | None:
    """Stage the files aside, under the number of their step, and let a script place them.

    None when there is no shell to run it, or no one process can run all the commands.
    """
    staged: list[graph.Action] = []
    lines: list[Command | str] = []
    for number, step in enumerate(todo):
        path = f"/{number}"
        match step:
            case Command():
                lines.append(step)
            case Copy():
                staged.append(_copy(step, context, dest=path))
                name = posixpath.basename(posixpath.normpath(step.src))
                placed = script.place(_STAGING + path, step.dest, name, step.mode, step.owner)
                lines.append(placed)
            case MkFile():
                staged.append(replace(step, path=path))
                lines.append(script.write(_STAGING + path, step.path))
            case MkDir():
                lines.append(script.make_folder(step))
            case Remove():
                lines.append(script.remove(step))
            case Symlink():
                lines.append(script.symlink(step))
    joined = script.join(lines, below.env, reserved=_STAGING)
    if joined is None or below.root is None:
        return None
    files = _file(stage, None, staged, context, f"{_label(stage)} [files]") if staged else None
    extra = (graph.Bind(files, "/", _STAGING),) if files else ()
    return _exec(stage, below.root, joined, context, extra=extra)


def _lacking(stage: Stage, links: bool) -> BuilderError:
    if links:
        return BuilderError(
            f"the builder cannot make symbolic links, which stage {stage.id!r} "
            f"({_label(stage)}) needs",
            hint="choose a builder with BuildKit 0.20 or newer",
        )
    return BuilderError(
        f"the builder has no diff operation, without which stage {stage.id!r} "
        f"({_label(stage)}) cannot become one layer",
        hint=CONTAINERD_STORE_HINT,
    )
