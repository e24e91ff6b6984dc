"""The user's own commands before the dependencies: the deprecated `build.pre_install`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .commands import add_commands

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["PreInstall"]


class PreInstall(Block):
    """Runs the commands before the project's packages, whose builds may need what they leave.

    Frameworks come as wheels and need nothing of them, so they come before.
    """

    name: ClassVar[str] = "pre-install"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return bool(project.pre_install)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        add_commands(composer, project, "app-deps", "pre-install", project.pre_install)
