"""pip for the user's own commands, and for projects that it installs.

It is in a stage beside the chain, mounted where they run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .commands import add_pip
from .requirement_files import local_by_pip

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["PipTool"]


class PipTool(Block):
    """Copies the pip that fetched uv; no layer of the image holds the copy."""

    name: ClassVar[str] = "pip-tool"

    @classmethod
    def detect(cls, project: Project) -> bool:
        installs = bool(project.requirements.entries) and local_by_pip(project)
        return bool(project.pre_install or project.run or installs)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        add_pip(composer)
