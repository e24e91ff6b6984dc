"""What a container of a project without cog.yaml runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..plan import parts
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .layout import SOURCE

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["AppCommand"]


class AppCommand(Block):
    """Makes a command the image's own, in the folder of the source.

    command: its words. port: the one that it listens at, with protocol; empty for none.
    """

    name: ClassVar[str] = "app-command"

    def __init__(self, command: tuple[str, ...], port: str = "") -> None:
        self.command = command
        self._port = port

    @classmethod
    def detect(cls, project: Project) -> bool:
        return project.config is None

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        composer.configure(
            parts.ExportConfig(
                env={"PYTHONUNBUFFERED": "1"},
                cmd=self.command,
                workdir=SOURCE,
                ports=(self._port,) if self._port else (),
            )
        )
