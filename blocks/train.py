"""Training: `train` of cog.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..plan import parts
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["Train"]


class Train(Block):
    """Tells the server what trains; it does so when started with `--x-mode train`."""

    name: ClassVar[str] = "train"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return project.config is not None and bool(project.config.train)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        if project.config is not None and project.config.train:
            composer.configure(
                parts.ExportConfig(env={"COG_TRAIN_TYPE_STUB": project.config.train})
            )
