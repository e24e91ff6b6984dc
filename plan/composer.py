"""The Composer: blocks add stages to phases, and the composer keeps the chain between them.

It knows the order of the phases and nothing of what blocks do. It is the one mutable thing on the
way to a plan; `finish` gives the frozen plan or tells every fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from ..origin import Origin
from .model import (
    BaseRefs,
    Exec,
    ExportConfig,
    ImageInput,
    Input,
    Layer,
    Op,
    Phase,
    PhaseInput,
    Plan,
    Reason,
    ResolvedPackage,
    Stage,
    StageInput,
)
from .validate import validate

__all__ = ["BUILD_PHASES", "EXPORT_PHASES", "Composer", "Network", "reasons"]

BUILD_PHASES = (
    "base",
    "system-deps",
    "runtime",
    "framework-deps",
    "app-deps",
    "app-build",
    "app-source",
)
EXPORT_PHASES = ("base", "runtime", "app", "config")

Kind = Literal["build", "export"]
Network = Literal["default", "none", "host"]


def reasons(origins: Iterable[Origin]) -> tuple[Reason, ...]:
    """Origins as the plan's reasons, sorted and each once."""
    return tuple(
        Reason(file=origin.file, line=origin.line, text=origin.text, asker=origin.asker)
        for origin in sorted(set(origins))
    )


@dataclass
class _Draft:
    stages: list[Stage] = field(default_factory=list)
    result: Input | None = None


class Composer:
    """Collects the stages and the image config of one plan.

    platform: as in `linux/amd64`. build, runtime: the image references that the phases stand on.
    network: what commands get that name no network themselves.
    environment: the image in which packages are installed, where that is neither: the same image
        as `build` at an earlier digest.
    """

    def __init__(
        self,
        platform: str,
        build: str,
        runtime: str,
        network: Network = "default",
        environment: str = "",
    ) -> None:
        self.platform = platform
        self.build_base = build
        self.runtime_base = runtime
        self._environment: Input | None = ImageInput(ref=environment) if environment else None
        self._network = network
        self._packages: dict[str, ResolvedPackage] = {}
        self._phases: dict[tuple[Kind, str], _Draft] = {}
        self._config = ExportConfig()
        for name in BUILD_PHASES:
            self._phases["build", name] = _Draft()
        for name in EXPORT_PHASES:
            self._phases["export", name] = _Draft()
        self._phases["build", "base"].result = ImageInput(ref=build)
        self._phases["export", "base"].result = ImageInput(ref=runtime)

    @property
    def one_base(self) -> bool:
        """Whether the image is built on the very base that it runs on."""
        return self.build_base == self.runtime_base

    @property
    def environment_base(self) -> Input:
        """What packages are installed over; the phase `base` or what stands for it."""
        return self._environment or PhaseInput(name="base")

    @property
    def layers(self) -> int:
        """How many layers the image has so far over its base."""
        return sum(len(draft.stages) for (of, _), draft in self._phases.items() if of == "export")

    def package(self, name: str, resolved: ResolvedPackage) -> None:
        """Record one choice of the solver."""
        self._packages[name] = resolved

    def stage(
        self,
        phase: str,
        id: str,  # noqa: A002  # it is what the plan calls it
        title: str,
        ops: Sequence[Op],
        *,
        of: Kind = "build",
        because: Iterable[Origin] = (),
    ) -> StageInput:
        """Add a stage on top of what the phase has so far; it becomes the phase's result."""
        draft = self._draft(of, phase)
        source = draft.result or self._before(of, phase)
        draft.stages.append(
            Stage(
                id=id,
                title=title,
                source=source,
                ops=self._networked(ops),
                reasons=reasons(because),
            )
        )
        draft.result = StageInput(id=id)
        return StageInput(id=id)

    def side_stage(
        self,
        phase: str,
        id: str,  # noqa: A002
        title: str,
        source: Input,
        ops: Sequence[Op],
        *,
        because: Iterable[Origin] = (),
    ) -> StageInput:
        """Add a stage beside the chain: others mount it or copy from it, none stands on it."""
        self._draft("build", phase).stages.append(
            Stage(
                id=id,
                title=title,
                source=source,
                ops=self._networked(ops),
                reasons=reasons(because),
            )
        )
        return StageInput(id=id)

    def prepare_environment(
        self,
        phase: str,
        id: str,  # noqa: A002
        title: str,
        ops: Sequence[Op],
        *,
        because: Iterable[Origin] = (),
    ) -> None:
        """Do what a stage of the phase `base` does to the image of the packages, where it is
        another than the build's.
        """
        if self._environment is not None:
            source = self._environment
            self._environment = self.side_stage(phase, id, title, source, ops, because=because)

    def export(self, phase: str, stage: StageInput) -> StageInput:
        """Put the changes of a build stage into the image, as one layer of the export phase."""
        title = next(
            built.title
            for draft in self._phases.values()
            for built in draft.stages
            if built.id == stage.id
        )
        return self.stage(phase, f"export:{stage.id}", title, [Layer(stage=stage.id)], of="export")

    def configure(self, config: ExportConfig) -> None:
        """Lay `config` over what is there; an empty list or text in it changes nothing."""
        old = self._config
        self._config = ExportConfig(
            env=old.env | config.env,
            path=(*config.path, *old.path),
            entrypoint=config.entrypoint or old.entrypoint,
            cmd=config.cmd or old.cmd,
            workdir=config.workdir or old.workdir,
            user=config.user or old.user,
            labels=old.labels | config.labels,
            ports=tuple(sorted({*old.ports, *config.ports})),
        )

    def finish(self) -> Plan:
        """The plan. Raises CogpackError with every fault when it is not sound."""
        plan = Plan(
            platform=self.platform,
            packages=self._packages,
            base=BaseRefs(build=self.build_base, runtime=self.runtime_base),
            build_phases=self._finished("build", BUILD_PHASES),
            export_phases=self._finished("export", EXPORT_PHASES),
            config=self._config,
        )
        validate(plan)
        return plan

    def _networked(self, ops: Sequence[Op]) -> tuple[Op, ...]:
        return tuple(
            replace(op, network=self._network)
            if isinstance(op, Exec) and op.network == "default"
            else op
            for op in ops
        )

    def _finished(self, of: Kind, names: Sequence[str]) -> tuple[Phase, ...]:
        phases = []
        for name in names:
            draft = self._draft(of, name)
            result = draft.result or self._before(of, name)
            phases.append(Phase(name=name, stages=tuple(draft.stages), result=result))
        return tuple(phases)

    def _draft(self, of: Kind, name: str) -> _Draft:
        return self._phases[of, name]

    def _before(self, of: Kind, name: str) -> Input:
        names = BUILD_PHASES if of == "build" else EXPORT_PHASES
        return PhaseInput(of=of, name=names[names.index(name) - 1])
