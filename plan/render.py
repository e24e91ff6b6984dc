"""A plan as text for people: what is in the image, stage by stage, and why."""

from __future__ import annotations

from collections.abc import Iterator

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
    Mount,
    Op,
    Phase,
    PhaseInput,
    Plan,
    Reason,
    Remove,
    ScratchInput,
    SecretMount,
    Stage,
    StageInput,
    Symlink,
    TmpfsMount,
    Workdir,
)

__all__ = ["render"]


def render(plan: Plan) -> str:
    """The plan as lines of text; ends with a newline."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield f"platform  {plan.platform}"
    if plan.base.build == plan.base.runtime:
        yield f"base      {plan.base.runtime}"
    else:
        yield f"base      {plan.base.runtime} (built on {plan.base.build})"
    for title, phases in (("build", plan.build_phases), ("image", plan.export_phases)):
        yield ""
        yield title
        for phase in phases:
            if phase.stages:
                yield from _phase_lines(phase)
    yield ""
    yield "config"
    yield from _config_lines(plan)
    yield ""
    yield "layers over the base"
    yield from _layer_lines(plan)


def _phase_lines(phase: Phase) -> Iterator[str]:
    yield f"  {phase.name}"
    for stage in phase.stages:
        told = sorted(stage.reasons, key=lambda reason: not reason.file)
        because = "".join(f"  ({_reason(reason)})" for reason in told[:1])
        yield f"    {stage.id}: {stage.title}{because}"
        if not isinstance(stage.source, StageInput | PhaseInput):
            yield f"      from {_input(stage.source)}"
        for op in stage.ops:
            yield from (f"      {line}" for line in _op_lines(op))


def _config_lines(plan: Plan) -> Iterator[str]:
    config = plan.config
    if config.path:
        yield f"  env         PATH={':'.join(config.path)}:$PATH"
    for name, value in sorted(config.env.items()):
        yield f"  env         {name}={value}"
    for title, words in (("entrypoint", config.entrypoint), ("command", config.cmd)):
        if words:
            yield f"  {title:<11} {' '.join(words)}"
    for title, text in (("workdir", config.workdir), ("user", config.user)):
        if text:
            yield f"  {title:<11} {text}"
    if config.ports:
        yield f"  {'port':<11} {', '.join(config.ports)}"
    for name in sorted(config.labels):
        yield f"  {'label':<11} {name}"


def _layer_lines(plan: Plan) -> Iterator[str]:
    stages = [stage for phase in plan.export_phases for stage in phase.stages if _is_layer(stage)]
    names = [stage.id.removeprefix("export:") for stage in stages]
    width = max(map(len, names), default=0)
    for number, (name, stage) in enumerate(zip(names, stages, strict=True), 1):
        yield f"  {number:>3}  {name:<{width}}  {stage.title}"


def _is_layer(stage: Stage) -> bool:
    return any(not isinstance(op, Env | Workdir) for op in stage.ops)


def _reason(reason: Reason) -> str:
    where = f"{reason.file}:{reason.line}" if reason.line else reason.file or reason.asker
    return f"{where}: {reason.text}" if where and reason.text else where or reason.text


def _op_lines(op: Op) -> Iterator[str]:
    match op:
        case Exec():
            first, *more = op.command.splitlines()
            yield f"run     {first}"
            yield from (f"        {line}" for line in more)
            yield from (f"        with {_mount(mount)}" for mount in op.mounts)
            if op.network != "default":
                yield f"        network {op.network}"
        case Copy():
            yield f"copy    {_input(op.source)} {op.src} -> {op.dest}"
        case MkFile():
            yield f"write   {op.path} ({len(op.content.encode())} bytes)"
        case MkDir():
            yield f"mkdir   {op.path}"
        case Remove():
            yield f"remove  {op.path}"
        case Symlink():
            yield f"link    {op.path} -> {op.target}"
        case Env():
            before = f":${op.name}" if op.prepend else ""
            yield f"env     {op.name}={op.value}{before}"
        case Workdir():
            yield f"workdir {op.path}"
        case Layer():
            yield f"layer   the changes of {op.stage}"


def _mount(mount: Mount) -> str:
    match mount:
        case CacheMount():
            return f"cache {mount.id} at {mount.target}"
        case SecretMount():
            return f"secret {mount.id} as {mount.target or '$' + mount.env}"
        case BindMount():
            return f"{_input(mount.source)} {mount.source_path} at {mount.target}"
        case TmpfsMount():
            return f"memory at {mount.target}"


def _input(source: Input) -> str:
    match source:
        case ImageInput():
            return source.ref
        case StageInput():
            return source.id
        case PhaseInput():
            return f"{source.of} phase {source.name}"
        case LocalInput():
            return f"{source.name} files"
        case HttpInput():
            return source.shown
        case ScratchInput():
            return "an empty file system"
