"""The images that the project is built and runs on, as the solver chose them."""

from __future__ import annotations

from typing import ClassVar

from ..plan.composer import Composer
from ..plan.model import ExportConfig
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block

__all__ = ["BaseImage"]


class BaseImage(Block):
    """Names the base in the image's labels; the phases stand on it without further ado."""

    name: ClassVar[str] = "base-image"

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        runtime = resolution.base_images.runtime
        labels = {"org.opencontainers.image.base.name": runtime.ref}
        if runtime.digest:
            labels["org.opencontainers.image.base.digest"] = runtime.digest
        composer.configure(ExportConfig(labels=labels))
