"""The project's Python packages, installed by uv."""

from __future__ import annotations

from typing import ClassVar

from ..plan.composer import Composer
from ..plan.model import Exec, Workdir
from ..project import Project
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .bytecode import uv_env
from .demands import demands
from .layout import PYTHON, SOURCE, UV, VENV, script, settle_times, uv_mounts
from .requirement_files import CONSTRAINTS, REQUIREMENTS, requirement_mounts

__all__ = ["Uv"]


class Uv(Block):
    """Installs the requirements with uv, all but those that are in the project itself."""

    name: ClassVar[str] = "uv"

    def __init__(self, platform: str) -> None:
        self._platform = platform

    @classmethod
    def detect(cls, project: Project) -> bool:
        return bool(project.requirements.entries)

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
                f"{UV} pip install --python {PYTHON} --requirement {REQUIREMENTS} "
                f"--constraint {CONSTRAINTS}",
                settle_times(VENV),
            ),
            mounts=(
                *uv_mounts(),
                *mounted,
            ),
            env=uv_env(project),
        )
        stage = composer.stage(
            "app-deps",
            "packages",
            "install the project's packages",
            [Workdir(path=SOURCE), install],
            because=[entry.origin for entry in entries],
        )
        composer.export("app", stage)
