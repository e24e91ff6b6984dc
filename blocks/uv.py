"""The project's Python packages, installed by uv."""

from __future__ import annotations

from typing import ClassVar

from ..plan import parts
from ..project import Project
from .bytecode import uv_env
from .index_settings import uv_index_env
from .installer import Installer
from .layout import PYTHON, UV, script, settle_environment, uv_mounts
from .requirement_files import build_settings

__all__ = ["Uv"]


class Uv(Installer):
    """Installs the requirements with uv."""

    name: ClassVar[str] = "uv"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return bool(project.requirements.entries)

    def install(self, project: Project, wanted: str, files: tuple[parts.Mount, ...]) -> parts.Exec:
        return parts.Exec(
            command=script(
                f"{UV} pip install --python {PYTHON} {build_settings(project)}{wanted}",
                settle_environment(),
            ),
            mounts=(*uv_mounts(), *files),
            env=uv_env(project) | uv_index_env(project),
        )
