"""The first process of a container: an init that passes signals on and reaps children."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..origin import Origin
from ..plan import parts
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["Entrypoint"]


class Entrypoint(Block):
    """Makes tini the entrypoint, so that SIGTERM reaches the server and ends it.

    `packages` is what brings tini; whoever installs system packages gets it from the stack.
    """

    name: ClassVar[str] = "entrypoint"
    packages: ClassVar[tuple[tuple[str, Origin], ...]] = (
        ("tini", Origin(asker="block entrypoint", text="an init as process 1")),
    )

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        # Cog's tools look at the label before they put an init in front themselves.
        composer.configure(
            parts.ExportConfig(
                entrypoint=("/usr/bin/tini", "--"), labels={"run.cog.has_init": "true"}
            )
        )
