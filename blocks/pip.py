"""The project's Python packages, installed by pip: for projects that uv cannot install."""

from __future__ import annotations

from typing import ClassVar

from ..plan.composer import Composer
from ..plan.model import Exec, TmpfsMount, Workdir
from ..project import Project
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .bytecode import compile_modules
from .demands import demands
from .layout import (
    PIP_ENV,
    QUIET_PYTHON,
    SOURCE,
    VENV,
    pip_mounts,
    script,
    settle_times,
)
from .requirement_files import CONSTRAINTS, REQUIREMENTS, requirement_mounts

__all__ = ["Pip"]


class Pip(Block):
    """Installs the requirements with pip, all but those that are in the project itself."""

    name: ClassVar[str] = "pip"

    def __init__(self, platform: str) -> None:
        self._platform = platform

    @classmethod
    def detect(cls, project: Project) -> bool:
        return (
            project.config is not None
            and project.config.cogpack.installer == "pip"
            and bool(project.requirements.entries)
        )

    def requirements(self, project: Project) -> tuple[Requirement, ...]:
        return demands(project, self._platform)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        if resolution.lock is not None:
            return  # what is locked is installed in layers of its own
        read = project.requirements
        entries = [entry for entry in read.entries if not entry.is_local]
        if not entries:
            return
        mounted = requirement_mounts(project, (REQUIREMENTS, CONSTRAINTS), read.constraints)
        install = Exec(
            command=script(
                f"python -m pip install --no-compile --requirement {REQUIREMENTS} "
                f"--constraint {CONSTRAINTS}",
                *compile_modules(project),
                settle_times(VENV),
            ),
            mounts=(
                *pip_mounts(),
                TmpfsMount(target="/tmp"),  # noqa: S108  # a path in the image
                *mounted,
            ),
            env=PIP_ENV | QUIET_PYTHON,
        )
        stage = composer.stage(
            "app-deps",
            "packages",
            "install the project's packages",
            [Workdir(path=SOURCE), install],
            because=[entry.origin for entry in entries],
        )
        composer.export("app", stage)
