"""How many predictions run at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..plan import parts
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .serving import max_concurrency

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["Concurrency"]


class Concurrency(Block):
    """Tells the server the maximum, from cog.yaml or else from `@cog.concurrent(max=…)`."""

    name: ClassVar[str] = "concurrency"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return max_concurrency(project) is not None

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        composer.configure(
            parts.ExportConfig(env={"COG_MAX_CONCURRENCY": str(max_concurrency(project))})
        )
