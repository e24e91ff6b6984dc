"""What the blocks of pip and uv share: the requirements are one layer, whoever installs them.

How one of them installs is its own; nothing here knows its commands.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from ..plan import parts
from ..project import Project
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .demands import demands
from .layout import SOURCE
from .requirement_files import (
    REQUIREMENTS,
    constraint_files,
    file_options,
    requirement_mounts,
)

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["Installer"]


class Installer(Block):
    """Installs the requirements, all but those that are in the project itself."""

    def __init__(self, platform: str) -> None:
        self._platform = platform

    def requirements(self, project: Project) -> tuple[Requirement, ...]:
        return demands(project, self._platform)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        if resolution.lock is not None:
            return  # what is locked is installed in layers of its own
        read = project.requirements
        entries = [entry for entry in read.entries if not entry.is_local]
        if not entries:
            return
        limits = constraint_files(project, resolution)
        wanted = file_options(REQUIREMENTS, limits)
        files = requirement_mounts(project, (REQUIREMENTS, *limits), read.constraints)
        stage = composer.stage(
            "app-deps",
            "packages",
            "install the project's packages",
            [parts.Workdir(path=SOURCE), self.install(project, wanted, files)],
            because=[entry.origin for entry in entries],
        )
        composer.export("app", stage)

    @abstractmethod
    def install(self, project: Project, wanted: str, files: tuple[parts.Mount, ...]) -> parts.Exec:
        """The command that installs the requirements.

        wanted: the options that name their files. files: the mounts that bring these, and the
        secrets of their URLs.
        """
