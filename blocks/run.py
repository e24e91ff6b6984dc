"""The user's own commands: `build.run` of cog.yaml."""

from __future__ import annotations

from typing import ClassVar

from ..plan.composer import Composer
from ..plan.model import Exec, SecretMount, Workdir
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .layout import SOURCE

__all__ = ["Run"]


class Run(Block):
    """Each command is a stage of its own: a change of one repeats only it and those after it."""

    name: ClassVar[str] = "run"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return bool(project.run)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        for number, step in enumerate(project.run, 1):
            mounts = tuple(
                SecretMount(id=secret.id, target=secret.target or "", env=secret.env or "")
                for secret in step.mounts
            )
            stage = composer.stage(
                "app-build",
                f"run-{number}",
                f"run {_first_line(step.command)}",
                [Workdir(path=SOURCE), Exec(command=step.command, mounts=mounts)],
                because=(step.origin,),
            )
            composer.export("app", stage)


def _first_line(command: str, width: int = 60) -> str:
    line = command.strip().splitlines()[0] if command.strip() else ""
    return line if len(line) <= width else line[: width - 1] + "…"
