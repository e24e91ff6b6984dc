"""Whether a plan is sound: every fault at once, before a builder sees it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from urllib.parse import urlsplit

from ..errors import CogpackError, Fault
from .model import (
    BindMount,
    CacheMount,
    Copy,
    Env,
    Exec,
    HttpInput,
    ImageInput,
    Input,
    Layer,
    LocalInput,
    MkDir,
    MkFile,
    Op,
    Phase,
    PhaseInput,
    Plan,
    Remove,
    SecretMount,
    Stage,
    StageInput,
    Symlink,
    TmpfsMount,
    Workdir,
)

__all__ = ["faults", "validate"]

_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")
_HEX = frozenset("0123456789abcdef")
# A builder can set no other bits in a file action.
_MAX_MODE = 0o777


def validate(plan: Plan) -> None:
    """Raise CogpackError with every fault of the plan; return nothing when it is sound.

    A plan is made by blocks, so an unsound one is cogpack's own fault and not the user's.
    """
    found = faults(plan)
    if found:
        raise CogpackError(Fault(text) for text in found)


def faults(plan: Plan) -> tuple[str, ...]:
    """Every fault of the plan as a sentence, in the order of the plan."""
    index = _Index(plan)
    return (
        *_identity_faults(plan),
        *(text for stage in index.stages for text in _stage_faults(stage, index)),
        *_result_faults(plan, index),
        *_export_faults(plan, index),
        *_cycle_faults(index),
        *_secret_faults(plan, index),
        *_config_faults(plan),
    )


class _Index:
    def __init__(self, plan: Plan) -> None:
        self.phases: dict[tuple[str, str], Phase] = {}
        for of, phases in (("build", plan.build_phases), ("export", plan.export_phases)):
            for phase in phases:
                self.phases[of, phase.name] = phase
        self.stages = tuple(
            stage for phase in (*plan.build_phases, *plan.export_phases) for stage in phase.stages
        )
        self.by_id = {stage.id: stage for stage in self.stages}
        self.export_ids = {stage.id for phase in plan.export_phases for stage in phase.stages}

    def missing(self, source: Input) -> str:
        """What an input names and the plan has not; empty when all is there."""
        if isinstance(source, StageInput) and source.id not in self.by_id:
            return f"stage {source.id!r}"
        if isinstance(source, PhaseInput) and (source.of, source.name) not in self.phases:
            return f"{source.of} phase {source.name!r}"
        if isinstance(source, ImageInput) and not source.ref:
            return "an image with no name"
        return ""


def _identity_faults(plan: Plan) -> Iterator[str]:
    parts = plan.platform.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        yield f"platform {plan.platform!r} is not of the form os/architecture"
    seen: set[str] = set()
    for of, phases in (("build", plan.build_phases), ("export", plan.export_phases)):
        if not phases:
            yield f"the plan has no {of} phase"
        names: set[str] = set()
        for phase in phases:
            if phase.name in names:
                yield f"{of} phase {phase.name!r} is there twice"
            names.add(phase.name)
            for stage in phase.stages:
                if stage.id in seen:
                    yield f"stage id {stage.id!r} is there twice"
                seen.add(stage.id)
                if not stage.id or not _ID_CHARACTERS.issuperset(stage.id):
                    yield f"stage id {stage.id!r} has characters other than letters, digits, -_.:"


def _stage_faults(stage: Stage, index: _Index) -> Iterator[str]:
    for text in _input_faults(stage.source, index):
        yield f"stage {stage.id!r}: its source: {text}"
    if isinstance(stage.source, LocalInput):
        yield f"stage {stage.id!r}: a local context can be copied from, not stood on"
    if isinstance(stage.source, HttpInput):
        yield f"stage {stage.id!r}: a download can be copied from, not stood on"
    layers = [op for op in stage.ops if isinstance(op, Layer)]
    if layers and len(stage.ops) > 1:
        yield f"stage {stage.id!r}: a layer op must be the only op of its stage"
    for op in stage.ops:
        for text in _op_faults(op, index):
            yield f"stage {stage.id!r}: {op.op}: {text}"


def _input_faults(source: Input, index: _Index) -> Iterator[str]:
    if missing := index.missing(source):
        yield f"there is no {missing}"
    if isinstance(source, LocalInput):
        for pattern in (*source.include, *source.exclude):
            bare = pattern.removeprefix("!")
            if bare.startswith("/") or ".." in bare.split("/"):
                yield f"pattern {pattern!r} leaves the context {source.name!r}"
    if isinstance(source, HttpInput):
        yield from _download_faults(source)


def _download_faults(source: HttpInput) -> Iterator[str]:
    try:
        parts = urlsplit(source.url)
    except ValueError:
        yield f"{source.shown!r} is no URL"
        return
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield f"{source.shown!r} is no URL of a server"
    if parts.username is not None or parts.password is not None:
        yield f"the URL of a download on {parts.hostname} holds a credential"
    digits = source.digest.removeprefix("sha256:")
    is_digest = len(digits) == 64 and _HEX.issuperset(digits) and digits != source.digest
    if source.digest and not is_digest:
        yield f"{source.digest!r} is no sha256 digest"


def _op_faults(op: Op, index: _Index) -> Iterator[str]:
    match op:
        case Exec():
            yield from _exec_faults(op, index)
        case Copy():
            yield from _input_faults(op.source, index)
            yield from _path_faults("source", op.src)
            yield from _path_faults("destination", op.dest)
            yield from _permission_faults(op.owner, op.mode)
            if op.time is not None and op.time < 0:
                yield f"time {op.time} is before 1970"
        case MkFile() | MkDir():
            yield from _path_faults("path", op.path)
            yield from _permission_faults(op.owner, op.mode)
        case Remove() | Workdir():
            yield from _path_faults("path", op.path)
        case Symlink():
            yield from _path_faults("path", op.path)
            if not op.target:
                yield "a link needs a target"
        case Env():
            if not op.name or "=" in op.name:
                yield f"{op.name!r} is not the name of a variable"
        case Layer():
            if op.stage not in index.by_id:
                yield f"there is no stage {op.stage!r}"


def _exec_faults(op: Exec, index: _Index) -> Iterator[str]:
    if not op.command.strip():
        yield "an empty command"
    targets: set[str] = set()
    for mount in op.mounts:
        if isinstance(mount, SecretMount):
            if bool(mount.target) == bool(mount.env):
                yield f"secret {mount.id!r} must have a target or a variable, and not both"
            if not mount.target:
                continue
        yield from _path_faults(f"target of a {mount.type} mount", mount.target)
        if mount.target in targets:
            yield f"two mounts on {mount.target}"
        targets.add(mount.target)
        match mount:
            case BindMount():
                yield from _input_faults(mount.source, index)
                yield from _path_faults("source of a bind mount", mount.source_path)
            case CacheMount():
                if not mount.id:
                    yield f"the cache mount on {mount.target} has no id"
            case SecretMount() | TmpfsMount():
                pass


def _path_faults(what: str, path: str) -> Iterator[str]:
    if not path.startswith("/"):
        yield f"{what} {path!r} is not absolute"
    elif ".." in path.split("/"):
        yield f"{what} {path!r} goes up with .."
    elif posixpath.normpath(path) != (path.rstrip("/") or "/"):
        yield f"{what} {path!r} is not in its simplest form"


def _permission_faults(owner: str, mode: int | None) -> Iterator[str]:
    if owner and not all(part.isdecimal() for part in owner.split(":", 1)):
        yield f"owner {owner!r} is not uid:gid in numbers"
    if mode is not None and not 0 <= mode <= _MAX_MODE:
        yield f"mode {mode:o} has more than permission bits"


def _result_faults(plan: Plan, index: _Index) -> Iterator[str]:
    for of, phases in (("build", plan.build_phases), ("export", plan.export_phases)):
        for phase in phases:
            for text in _input_faults(phase.result, index):
                yield f"{of} phase {phase.name!r}: its result: {text}"
            if isinstance(phase.result, LocalInput | HttpInput):
                yield f"{of} phase {phase.name!r} has no files of its own as its result"


def _export_faults(plan: Plan, index: _Index) -> Iterator[str]:
    """An image that stands on the build's own chain would carry its compilers and caches."""

    def from_build(source: Input) -> bool:
        return (isinstance(source, PhaseInput) and source.of == "build") or (
            isinstance(source, StageInput) and source.id not in index.export_ids
        )

    for phase in plan.export_phases:
        for stage in phase.stages:
            if from_build(stage.source):
                yield (
                    f"export stage {stage.id!r} stands on the build: export phases take the "
                    "build's stages one by one, with layer or copy ops"
                )
        if from_build(phase.result):
            yield f"export phase {phase.name!r} has the build as its result"


def _references(stage: Stage) -> Iterator[Input]:
    yield stage.source
    for op in stage.ops:
        match op:
            case Copy():
                yield op.source
            case Exec():
                yield from (mount.source for mount in op.mounts if isinstance(mount, BindMount))
            case Layer():
                yield StageInput(id=op.stage)
            case _:
                pass


def _cycle_faults(index: _Index) -> Iterator[str]:
    """Depth-first over stages and phases; each cycle is told once, by its members."""
    edges: dict[str, list[str]] = {}

    def node(source: Input) -> str:
        match source:
            case StageInput():
                return f"stage {source.id}"
            case PhaseInput():
                return f"{source.of} phase {source.name}"
            case _:
                return ""

    for stage in index.stages:
        edges.setdefault(f"stage {stage.id}", []).extend(map(node, _references(stage)))
    for (of, name), phase in index.phases.items():
        edges.setdefault(f"{of} phase {name}", []).append(node(phase.result))

    done: set[str] = set()
    for start in edges:
        path: list[str] = []
        stack = [(start, iter(edges[start]))] if start not in done else []
        path.extend([start] if stack else [])
        while stack:
            current, remaining = stack[-1]
            step = next((edge for edge in remaining if edge in edges and edge not in done), None)
            if step is None:
                stack.pop()
                path.pop()
                done.add(current)
            elif step in path:
                yield "a cycle: " + " -> ".join([*path[path.index(step) :], step])
            else:
                stack.append((step, iter(edges[step])))
                path.append(step)


def _secret_faults(plan: Plan, index: _Index) -> Iterator[str]:
    """A variable that a secret fills must not be set where it would stay in the image."""
    secret_variables = {
        mount.env
        for stage in index.stages
        for op in stage.ops
        if isinstance(op, Exec)
        for mount in op.mounts
        if isinstance(mount, SecretMount) and mount.env
    }
    for stage in index.stages:
        for op in stage.ops:
            if isinstance(op, Env) and op.name in secret_variables:
                yield f"stage {stage.id!r}: {op.name} is filled by a secret and must not be kept"
    for name in sorted(secret_variables & plan.config.env.keys()):
        yield f"config: {name} is filled by a secret and must not be kept"


def _config_faults(plan: Plan) -> Iterator[str]:
    for name in sorted(plan.config.env):
        if not name or "=" in name:
            yield f"config: {name!r} is not the name of a variable"
    for folder in plan.config.path:
        for text in _path_faults("folder of PATH", folder):
            yield f"config: {text}"
    if plan.config.workdir:
        for text in _path_faults("workdir", plan.config.workdir):
            yield f"config: {text}"
    for port in plan.config.ports:
        number, _, protocol = port.partition("/")
        if not (number.isdecimal() and 0 < int(number) < 65536 and protocol in ("tcp", "udp")):
            yield f"config: port {port!r} is not of the form 5000/tcp"
