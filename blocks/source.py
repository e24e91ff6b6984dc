"""The user's own files, last: they change most."""

from __future__ import annotations

from typing import ClassVar

from ..plan.composer import Composer
from ..plan.model import Copy, LocalInput
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .layout import SOURCE

__all__ = ["Source"]


class Source(Block):
    """Copies the project, less what .dockerignore and cogpack itself leave out."""

    name: ClassVar[str] = "source"

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        stage = composer.stage(
            "app-source",
            "source",
            "copy the project",
            [
                Copy(
                    source=LocalInput(exclude=project.ignore.all),
                    dest=SOURCE,
                    owner="0:0",
                )
            ],
        )
        composer.export("app", stage)
