"""uv itself: in a stage beside the chain, mounted where packages are installed."""

from __future__ import annotations

from typing import ClassVar

from ..plan.composer import Composer
from ..plan.model import Exec, PhaseInput
from ..project import Project
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .layout import UV_STAGE, pip_cache

__all__ = ["UvTool"]


class UvTool(Block):
    """Fetches uv with the base's own pip; no layer of the image holds it."""

    name: ClassVar[str] = "uv-tool"

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def requirements(self, project: Project) -> tuple[Requirement, ...]:
        return (Requirement("uv", "", self.origin),)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        version = resolution["uv"].version
        composer.side_stage(
            "runtime",
            UV_STAGE.id,
            f"fetch uv {version}",
            PhaseInput(name="base"),
            [
                Exec(
                    command="python3 -m pip install --disable-pip-version-check --no-deps "
                    "--only-binary :all: --root-user-action ignore --target /opt/uv "
                    f"uv=={version}",
                    mounts=(pip_cache(),),
                )
            ],
            because=resolution["uv"].because,
        )
