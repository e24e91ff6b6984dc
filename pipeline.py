"""A project becomes an image: the whole path, from the folder to what the builder answers.

It loads gRPC through the client, so it is imported only where a build is about to happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .errors import BuilderError, Failure, Fault, UserError
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
from .llb.images import ResolvedImage
from .origin import Origin
from .plan.model import Exec, Plan, Stage
from .plan.walk import image_refs, secret_mounts, stages
from .project import Project
from .project.values import image_name_fault
from .references import qualified

__all__ = ["Built", "Request", "build_plan", "daemon_facts", "image_exports"]


@dataclass(frozen=True)
class Request:
    """What to do with a plan.

    context: the project folder. exports: what to leave behind. secrets: by id; they are masked in
    every event and message.
    """

    context: Path
    exports: tuple[Export, ...]
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)


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
) -> Built:
    """Build a plan on a daemon and export the image.

    Raises UserError when the project is at fault (a step that its lines asked for fails, an image
    that it names does not exist, a secret is missing), and the failures of `Client.solve`.
    """
    _check_secrets(plan, request.secrets)
    images, capabilities = daemon_facts(plan, client)
    session = new_session_id()
    compiled = compile_plan(plan, images=images, capabilities=capabilities, session=session)
    options = SolveOptions(
        exports=request.exports,
        folders=dict.fromkeys(compiled.locals, request.context),
        # The umask of a machine must not change layers, nor keep the image's user from reading.
        plain_modes=True,
        secrets={
            name: request.secrets[name] for name in compiled.secrets if name in request.secrets
        },
        image_config=compiled.config,
        session_id=session,
        network_host="network.host" in compiled.entitlements,
    )
    try:
        result = client.solve(compiled.definition, options, on_event)
    except StepFailed as error:
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


def _check_secrets(plan: Plan, given: Mapping[str, bytes]) -> None:
    """Before anything is built: a missing secret would only show minutes later."""
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


def _missing_image(error: ImageNotFound, plan: Plan) -> Failure:
    """A base that the user wrote is the user's to mend, one from our tables is not."""
    asked = plan.packages.get("base-image")
    if asked is None or not asked.because or error.ref != plan.base.runtime:
        return error
    reason = asked.because[0]
    return UserError(
        Fault(
            f"the image {error.ref} was not found: {error.reason}",
            Origin(reason.file, reason.line, reason.text, reason.asker),
            hint="check its name and tag, and that it exists for this platform; for a private one "
            "log in first: docker login",
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
    origin = _origin(stage)
    failure = UserError if origin is not None and origin.file else BuilderError
    return failure(Fault("\n".join(lines), origin))


def _indented(heading: str, lines: Sequence[str]) -> list[str]:
    return [heading, *(f"  {line}" for line in lines)] if lines else []


def _origin(stage: Stage) -> Origin | None:
    """The first line of the project that a stage came from, else whatever asked for it."""
    reasons = sorted(stage.reasons, key=lambda reason: (not reason.file, reason.file, reason.line))
    if not reasons:
        return None
    first = reasons[0]
    return Origin(first.file, first.line, first.text, first.asker)
