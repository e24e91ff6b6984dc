"""A project becomes an image: the whole path, from the folder to what the builder answers.

It loads gRPC through the client, so it is imported only where a build is about to happen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.utils import canonicalize_name

from .errors import BuilderError, CogpackError, Failure, Fault, UserError
from .llb.capabilities import Capabilities
from .llb.client import (
    Client,
    Event,
    Export,
    ImageNotFound,
    SolveOptions,
    SolveResult,
    StepFailed,
    new_session_id,
    parse_output,
)
from .llb.compile import CompiledPlan, compile_plan
from .llb.forms import CONTAINERD_STORE_HINT
from .llb.images import ResolvedImage
from .origin import Origin
from .plan.model import PROJECT_CONTEXT, Exec, Plan, Stage
from .plan.one_base import on_build_base
from .plan.walk import image_refs, secret_mounts, stages, stages_of_download
from .project import Project
from .project.values import image_name_fault
from .references import qualified
from .solver.lock import LOCK_FILE

__all__ = ["Built", "Request", "build_plan", "check_secrets", "daemon_facts", "image_exports"]

# How setuptools, shells, CMake and Meson say that there is no compiler.
_NO_COMPILER = re.compile(
    r"No such file or directory: '[\w-]*(?:gcc|g\+\+|cc|c\+\+)'"
    r"|'[\w-]*(?:gcc|g\+\+|cc|c\+\+)'(?: failed)?: No such file or directory"
    r"|\b(?:gcc|g\+\+|cc|c\+\+): (?:command )?not found"
    r"|No CMAKE_\w+_COMPILER could be found|Unknown compiler\(s\)"
)
_COMPILER = (
    "a package without a wheel is compiled here, and the image has no compiler: take a version "
    "that has a wheel, or add gcc and g++ to system_packages"
)

_MOVE = "run cogpack resolve --upgrade build_image to take the image that there is now"


@dataclass(frozen=True)
class Request:
    """What to do with a plan.

    context: the project folder. exports: what to leave behind. secrets: by id; they are masked in
    every event and message. folders: those of other contexts than the project, by their names, as
    `outside_folders` has them.
    """

    context: Path
    exports: tuple[Export, ...]
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    folders: Mapping[str, Path] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Built:
    """What was built: the digest of the image's manifest, empty when no image was exported."""

    digest: str
    result: SolveResult


def build_plan(
    plan: Plan,
    request: Request,
    client: Client,
    on_event: Callable[[Event], None] | None = None,
    told: Callable[[Fault], object] | None = None,
) -> Built:
    """Build a plan on a daemon and export the image.

    told: takes a warning.

    Raises UserError when the project is at fault (a step that its lines asked for fails, an image
    that it names does not exist, a secret is missing), and the failures of `Client.solve`.
    """
    check_secrets(plan, request.secrets)
    images, capabilities = daemon_facts(plan, client)
    if plan.base.build != plan.base.runtime and not capabilities.diff:
        plan = on_build_base(plan)
        message = (
            "the builder cannot put layers on another image than they were made in: this one stays "
            f"on {plan.base.build}, which is larger than need be"
        )
        if told is not None:
            told(Fault(message, hint=CONTAINERD_STORE_HINT))
    session = new_session_id()
    compiled = compile_plan(plan, images=images, capabilities=capabilities, session=session)
    options = SolveOptions(
        exports=request.exports,
        folders=_folders(compiled, request),
        # The umask of a machine must not change layers, nor keep the image's user from reading.
        plain_modes=True,
        secrets=_session_secrets(compiled, request.secrets),
        image_config=compiled.config,
        session_id=session,
        network_host="network.host" in compiled.entitlements,
    )
    try:
        result = client.solve(compiled.definition, options, on_event)
    except StepFailed as error:
        if error.digest in compiled.downloads:
            raise _failed_download(error, plan, compiled) from None
        raise _failed_step(error, plan, compiled) from None
    return Built(result.digest, result)


def daemon_facts(plan: Plan, client: Client) -> tuple[dict[str, ResolvedImage], Capabilities]:
    """What a daemon says of the plan's images (by reference), and what it can do.

    Raises UserError for an image that the user named and that does not exist, and the failures of
    `Bridge.resolve_image`.
    """
    with client.bridge() as bridge:
        capabilities = bridge.capabilities()
        try:
            images = {ref: bridge.resolve_image(ref, plan.platform) for ref in image_refs(plan)}
        except ImageNotFound as error:
            raise _missing_image(error, plan) from None
    return images, capabilities


def image_exports(
    project: Project, tags: Sequence[str], push: bool, outputs: Sequence[str]
) -> tuple[Export, ...]:
    """What a build of the project leaves behind.

    tags: names for the image; without any, `image:` of cog.yaml counts, else the folder's name.
    push: send the image to the registry of each name. outputs: as `--output` takes them; with
    them the image goes to the daemon's store only when it is to be pushed.
    Raises UserError with every name and every output that cannot be read.
    """
    faults = [fault for tag in tags if (fault := image_name_fault(tag, "--tag"))]
    exports = []
    for output in outputs:
        try:
            exports.append(parse_output(output))
        except UserError as error:
            faults += error.faults
    if faults:
        raise UserError(faults)
    configured = project.config.image or project.config.model if project.config else None
    # dockerd completes a name by itself, a plain BuildKit stores it as it is given.
    names = ",".join(dict.fromkeys(map(qualified, tags or [configured or project.name])))
    if push or not outputs:
        pushed = {"push": "true"} if push else {}
        exports.insert(0, Export("image", {"name": names, **pushed}))
    return tuple(
        replace(export, attrs={"name": names, **export.attrs})
        if export.type in ("oci", "docker")
        else export
        for export in exports
    )


def check_secrets(plan: Plan, given: Collection[str]) -> None:
    """Refuse a plan that needs secrets which are not there: building would show it minutes later.

    given: the ids of those that are. Raises UserError with every one that is missing.
    """
    faults = {}
    for stage, mount in secret_mounts(plan):
        if mount.required and mount.id not in given:
            faults[mount.id] = Fault(
                f"the secret `{mount.id}` is not given to the build",
                _origin(stage),
                hint=f"add --secret id={mount.id},src=FILE or --secret id={mount.id},env=VARIABLE",
            )
    if faults:
        raise UserError(faults[name] for name in sorted(faults))


def _folders(compiled: CompiledPlan, request: Request) -> dict[str, Path]:
    """What the daemon may read of this machine, by the names of the contexts."""
    offered = {PROJECT_CONTEXT: request.context, **request.folders}
    missing = [name for name in compiled.locals if name not in offered]
    if missing:
        raise CogpackError(f"nobody says which folder the context {missing[0]!r} is")
    return {name: offered[name] for name in compiled.locals}


def _session_secrets(compiled: CompiledPlan, given: Mapping[str, bytes]) -> dict[str, bytes]:
    """What the daemon may ask for, by the names that it asks by."""
    mounted = {name: given[name] for name in compiled.secrets if name in given}
    # A token from a file ends in a newline, with which no header can be made.
    tokens = {name: given[ours].strip() for name, ours in compiled.tokens.items() if ours in given}
    return mounted | tokens


def _failed_download(error: StepFailed, plan: Plan, compiled: CompiledPlan) -> Failure:
    """The failure of a download, told by the line of the project that names it."""
    url = compiled.downloads[error.digest]
    stage = next(stages_of_download(plan, url), None)
    message = f"{url.partition('?')[0]} cannot be downloaded: {error.reason}"
    # The daemon takes whatever it is answered for the file, a refusal's page too.
    hint = (
        "the server refused (a private model needs HF_TOKEN, and a builder with BuildKit 0.21 or "
        "newer), or the file has changed: cogpack weights lock tells"
        if "digest mismatch" in error.reason
        else ""
    )
    return UserError(Fault(message, _origin(stage) if stage else None, hint))


def _missing_image(error: ImageNotFound, plan: Plan) -> Failure:
    """A base that the user wrote is the user's to mend, and so is a digest that a lock holds.

    One from our tables is not.
    """
    asked = plan.packages.get("base-image")
    if asked is None or not asked.because or error.ref != plan.base.runtime:
        if "@" not in error.ref:
            return error
        message = f"the image {error.ref} was not found: {error.reason}"
        return UserError(Fault(message, Origin(LOCK_FILE), hint=_MOVE))
    reason = asked.because[0]
    moved = f"; where the digest is the lock's, {_MOVE}" if "@" in error.ref else ""
    return UserError(
        Fault(
            f"the image {error.ref} was not found: {error.reason}",
            Origin(reason.file, reason.line, reason.text, reason.asker),
            hint="check its name and tag, and that it exists for this platform; for a private one "
            f"log in first: docker login{moved}",
        )
    )


def _failed_step(error: StepFailed, plan: Plan, compiled: CompiledPlan) -> Failure:
    """The failure of a step, told by the command and the line of the project that it came from."""
    stage = next((one for one in stages(plan) if one.id == compiled.stages.get(error.digest)), None)
    if stage is None:
        return error
    lines = [f"the step `{stage.title}` failed: {error.reason}"]
    commands = [op.command for op in stage.ops if isinstance(op, Exec)]
    lines += _indented("the command was:", [line for one in commands for line in one.splitlines()])
    lines += _indented("its last lines were:", error.log)
    origin = _origin(stage, " ".join(error.log))
    failure = UserError if origin is not None and origin.file else BuilderError
    hint = _COMPILER if any(map(_NO_COMPILER.search, error.log)) else ""
    return failure(Fault("\n".join(lines), origin, hint))


def _indented(heading: str, lines: Sequence[str]) -> list[str]:
    return [heading, *(f"  {line}" for line in lines)] if lines else []


def _origin(stage: Stage, log: str = "") -> Origin | None:
    """The first line of the project that a stage came from, else whatever asked for it.

    log: what the stage printed; a line whose package is named in it counts before the others.
    """
    told = {canonicalize_name(word) for word in re.findall(r"[\w.-]*\w", log)}

    def is_told(text: str) -> bool:
        found = re.match(r"[\w.-]*\w", text)
        return found is not None and canonicalize_name(found[0]) in told

    reasons = sorted(
        stage.reasons,
        key=lambda one: (not one.file, not is_told(one.text), one.file, one.line),
    )
    if not reasons:
        return None
    first = reasons[0]
    return Origin(first.file, first.line, first.text, first.asker)
