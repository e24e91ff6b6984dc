"""Plan to LLB: which vertex each stage becomes and which stands on which.

How a single stage becomes one layer is `llb.forms`' business; the bytes are `llb.marshal`'s. The
compiler trusts a plan to be validated: what has slipped through is cogpack's own fault.

Times: made files, folders and links get a fixed time, so that a layer's digest does not change
from run to run. Copies keep the times of their source unless the plan gives one: Python's byte code
is only valid for a source file with the time that it had when it was compiled.
Commands run as root, whatever user the base image names: building needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from ..errors import BuilderError, CogpackError
from ..plan.model import (
    DOWNLOADED,
    HttpInput,
    ImageInput,
    Input,
    Layer,
    LocalInput,
    PhaseInput,
    Plan,
    ScratchInput,
    SecretMount,
    Stage,
    StageInput,
)
from ..references import is_same_image, pinned
from . import graph
from .capabilities import Capabilities
from .config import base_config, image_config
from .forms import (
    CONTAINERD_STORE_HINT,
    Context,
    State,
    Step,
    one_layer,
    removals,
    steps,
)
from .graph import CopyFiles, FileSystem, Platform, Vertex
from .images import ResolvedImage
from .marshal import Marshaller

__all__ = ["CompiledPlan", "compile_plan"]


# BuildKit asks for the secret HTTP_AUTH_TOKEN_host before it downloads, and goes on without it
# (source/http of BuildKit 0.21 and newer): so the definition says nothing of a token.
_TOKEN_SECRET = "HTTP_AUTH_TOKEN_"  # noqa: S105  # the name of a secret


@dataclass(frozen=True)
class CompiledPlan:
    """Everything that a solve request needs of a plan.

    definition: a serialized pb.Definition. config: the OCI image config, JSON.
    stages: the stage that a vertex is for, by the vertex's digest; sources have none.
    locals: the names of the local contexts that the session must offer, sorted.
    secrets: the ids of secrets, sorted, with whether the build fails without them.
    entitlements: what the request must ask for, as in `network.host`, sorted.
    downloads: the URL that a vertex is for, by the vertex's digest.
    tokens: for each secret that the daemon asks for by itself when it downloads, the id of ours.
    """

    definition: bytes
    config: bytes
    stages: Mapping[str, str]
    locals: tuple[str, ...]
    secrets: Mapping[str, bool]
    entitlements: tuple[str, ...]
    downloads: Mapping[str, str]
    tokens: Mapping[str, str]


def compile_plan(
    plan: Plan,
    *,
    images: Mapping[str, ResolvedImage] | None = None,
    capabilities: Capabilities | None = None,
    session: str = "",
    epoch: int | None = None,
) -> CompiledPlan:
    """Compile the result of the plan's last export phase.

    images: what is known of the plan's images, by the plan's own words for them. An image that is
        not there is not pinned and is taken to have a default config.
    capabilities: of the daemon; by default all.
    session: the id of the session that offers the local contexts. It belongs in what is solved,
        and not in what is shown: it changes every digest above a local context.
    epoch: seconds since 1970 for made files and the image; None is 0 for the files and leaves the
        image's time to the daemon.

    Raises CogpackError for a plan that is not sound, BuilderError when the daemon lacks what a
    stage needs.
    """
    compiler = _Compiler(plan, images or {}, capabilities or Capabilities(), session, epoch or 0)
    if not plan.export_phases:
        raise CogpackError("the plan has no export phase")
    image = plan.export_phases[-1].result
    result = compiler.state(image).root
    if result is None:
        raise CogpackError("the image of the plan has no content at all")
    runtime = base_config(compiler.images.get(plan.base.runtime))
    titles = compiler.titles(image)
    reachable = compiler.marshaller.reachable(result)
    vertices = [encoded.vertex for encoded in reachable]
    return CompiledPlan(
        definition=compiler.marshaller.definition(result),
        config=image_config(plan.config, compiler.platform, runtime, epoch, titles),
        stages={item.digest: item.vertex.stage for item in reachable if item.vertex.stage},
        locals=tuple(sorted({item.name for item in vertices if isinstance(item, graph.Local)})),
        secrets=_secrets(vertices),
        entitlements=_entitlements(vertices),
        downloads={
            item.digest: item.vertex.url
            for item in reachable
            if isinstance(item.vertex, graph.Http)
        },
        tokens=compiler.tokens(),
    )


def _secrets(vertices: Iterable[Vertex]) -> dict[str, bool]:
    required: dict[str, bool] = {}
    for vertex in vertices:
        for mount in vertex.mounts if isinstance(vertex, graph.Exec) else ():
            if isinstance(mount, SecretMount):
                required[mount.id] = required.get(mount.id, False) or mount.required
    return {name: required[name] for name in sorted(required)}


def _entitlements(vertices: Iterable[Vertex]) -> tuple[str, ...]:
    host = any(isinstance(item, graph.Exec) and item.network == "host" for item in vertices)
    return ("network.host",) if host else ()


@dataclass(frozen=True)
class _Built:
    """A stage, what it stands on, what it became, and the steps that made it so."""

    stage: Stage
    below: State
    result: State
    steps: tuple[Step, ...]


class _Compiler:
    """Compiles what is asked for, each stage once."""

    def __init__(
        self,
        plan: Plan,
        images: Mapping[str, ResolvedImage],
        capabilities: Capabilities,
        session: str,
        time: int,
    ) -> None:
        self.images = images
        self._runtime = plan.base.runtime
        self.platform = Platform.parse(plan.platform)
        self.marshaller = Marshaller()
        self._session = session
        self._context = Context(
            resolve=lambda source: self.state(source).root,
            capabilities=capabilities,
            platform=self.platform,
            time=time,
        )
        self._results = {
            (of, phase.name): phase.result
            for of, phases in (("build", plan.build_phases), ("export", plan.export_phases))
            for phase in phases
        }
        self._stages = {
            stage.id: stage
            for phase in (*plan.build_phases, *plan.export_phases)
            for stage in phase.stages
        }
        self._built: dict[str, _Built] = {}
        self._sources: dict[Input, Vertex] = {}
        self._open: list[Input] = []
        self._tokens: dict[str, str] = {}

    def state(self, source: Input) -> State:
        """What an input names. Raises CogpackError when there is no such thing, or a cycle."""
        match source:
            case ImageInput():
                image = self._current(source)
                config = base_config(self.images.get(image.ref))
                return State(self._image(image), config.env, config.workdir)
            case LocalInput():
                return self._bare(self._local(source))
            case HttpInput():
                return self._bare(self._http(source))
            case ScratchInput():
                return self._bare(None)
            case PhaseInput() | StageInput():
                if source in self._open:
                    raise CogpackError(
                        f"the plan stands on itself: {source.type} {_name(source)!r}"
                    )
                self._open.append(source)
                found = self._named(source)
                self._open.pop()
                return found

    def _named(self, source: PhaseInput | StageInput) -> State:
        if isinstance(source, StageInput):
            return self._stage(source.id).result
        result = self._results.get((source.of, source.name))
        if result is None:
            raise CogpackError(f"the plan has no {source.of} phase {source.name!r}")
        return self.state(result)

    def _bare(self, root: FileSystem) -> State:
        config = base_config(None)
        return State(root, config.env, config.workdir)

    def _current(self, source: ImageInput) -> ImageInput:
        """The runtime image in place of the same image at an earlier digest, if need be.

        What is made over the earlier one is to be put on this one as it is. A daemon that cannot
        do that makes it anew, one thing upon the other.
        """
        capable = self._context.capabilities.merge and self._context.capabilities.diff
        if not capable and is_same_image(source.ref, self._runtime):
            return ImageInput(ref=self._runtime)
        return source

    def _image(self, source: ImageInput) -> Vertex:
        known = self.images.get(source.ref)
        ref = pinned(source.ref, known.digest if known else "")
        found = self._sources.get(source)
        if found is None:
            found = graph.Image(ref, self.platform, label=f"image {ref}")
            self._sources[source] = found
        return found

    def _local(self, source: LocalInput) -> Vertex:
        found = self._sources.get(source)
        if found is None:
            found = graph.Local(
                source.name,
                source.include,
                source.exclude,
                self._session,
                label=f"files of {source.name}",
            )
            self._sources[source] = found
        return found

    def _http(self, source: HttpInput) -> Vertex:
        # The token is no part of it: the same file with a token and without is one download.
        key = replace(source, token="")
        found = self._sources.get(key)
        if found is None:
            name = DOWNLOADED.removeprefix("/")
            label = f"download {source.shown}"
            found = graph.Http(source.url, name, source.digest, label=label)
            self._sources[key] = found
        if source.token:
            self._tokens[_TOKEN_SECRET + (urlsplit(source.url).hostname or "")] = source.token
        return found

    def tokens(self) -> dict[str, str]:
        """See `CompiledPlan.tokens`; complete when everything is compiled."""
        return {name: self._tokens[name] for name in sorted(self._tokens)}

    def titles(self, source: Input) -> tuple[str, ...] | None:
        """What each layer of a result over the runtime image is, the lowest first.

        None when the result stands on something else.
        """
        found: list[str] = []
        while not isinstance(source, ImageInput):
            if isinstance(source, PhaseInput):
                source = self._results[(source.of, source.name)]
            elif isinstance(source, StageInput):
                built = self._stage(source.id)
                if built.result.root is not built.below.root:
                    found.append(built.stage.title or built.stage.id)
                source = built.stage.source
            else:
                return None
        return tuple(reversed(found)) if source.ref == self._runtime else None

    def _stage(self, name: str) -> _Built:
        built = self._built.get(name)
        if built is None:
            stage = self._stages.get(name)
            if stage is None:
                raise CogpackError(f"the plan has no stage {name!r}")
            if isinstance(stage.source, LocalInput | HttpInput):
                what = "local context" if isinstance(stage.source, LocalInput) else "download"
                raise CogpackError(f"stage {name!r} stands on a {what}")
            built = self._build(stage)
            self._built[name] = built
        return built

    def _build(self, stage: Stage) -> _Built:
        below = self.state(stage.source)
        taken = _taken(stage)
        if taken is not None:
            self.state(StageInput(id=taken))
            built = self._stage(taken)
            # The variables that the other stage set come along with its files.
            _, after = steps(built.stage, below) if _taken(built.stage) is None else ((), below)
            return _Built(stage, below, replace(after, root=self._layer(stage, below, built)), ())
        todo, after = steps(stage, below)
        if todo:
            after = replace(after, root=one_layer(stage, below, todo, self._context))
        return _Built(stage, below, after, todo)

    def _layer(self, stage: Stage, below: State, built: _Built) -> FileSystem:
        """What another stage changed, as one layer on `below`."""
        current, lower, upper = below.root, built.below.root, built.result.root
        if upper is lower:
            return current
        if self.marshaller.digest(lower) == self.marshaller.digest(current):
            return upper
        context, label = self._context, stage.title or built.stage.title or built.stage.id
        if context.capabilities.merge and context.capabilities.diff:
            changed = graph.changes(lower, upper, f"{label} [changes]", stage.id)
            return graph.stacked([current, changed], f"{label} [layer]", stage.id)
        chain: tuple[graph.Action, ...]
        if isinstance(upper, graph.File) and upper.base is lower:
            # File actions read nothing of their base: they can be done again on another one.
            chain = upper.actions
        elif context.capabilities.diff:
            changed = graph.changes(lower, upper, f"{label} [changes]", stage.id)
            squash = CopyFiles(changed, "/", "/", replace=context.capabilities.file_replace)
            chain = (*removals(built.steps), squash)
        elif _bottom(lower) is _bottom(current):
            # The same commands over the same base, only later: a daemon that cannot put layers
            # together gets them one after the other.
            todo, _ = steps(built.stage, below)
            return one_layer(built.stage, below, todo, context)
        else:
            raise BuilderError(
                "the builder has neither the merge nor the diff operation, without which stage "
                f"{built.stage.id!r} ({label}) cannot become a layer on another base",
                hint=CONTAINERD_STORE_HINT,
            )
        return graph.File(current, chain, context.time, label=f"{label} [layer]", stage=stage.id)


def _taken(stage: Stage) -> str | None:
    """The stage whose changes this one puts on top; None for a stage with ops of its own."""
    first = stage.ops[0] if len(stage.ops) == 1 else None
    return first.stage if isinstance(first, Layer) else None


def _bottom(system: FileSystem) -> FileSystem:
    """The image that a file system began with; None for scratch."""
    while True:
        match system:
            case graph.Exec():
                system = system.root
            case graph.File():
                system = system.base
            case graph.Merge():
                system = system.inputs[0]
            case _:
                return system


def _name(source: PhaseInput | StageInput) -> str:
    return source.id if isinstance(source, StageInput) else source.name
