"""The user's own commands after the dependencies: `build.run` of cog.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .commands import add_commands

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["Run"]


class Run(Block):
    """Runs the commands in `/`, before the source is there."""

    name: ClassVar[str] = "run"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return bool(project.run)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        add_commands(composer, project, "app-build", "run", project.run)
