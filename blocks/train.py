"""Training: `train` of cog.yaml."""

from __future__ import annotations

from typing import ClassVar

from ..plan.composer import Composer
from ..plan.model import ExportConfig
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block

__all__ = ["Train"]


class Train(Block):
    """Tells the server what trains; it does so when started with `--x-mode train`."""

    name: ClassVar[str] = "train"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return project.config is not None and bool(project.config.train)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        if project.config is not None and project.config.train:
            composer.configure(ExportConfig(env={"COG_TRAIN_TYPE_STUB": project.config.train}))
