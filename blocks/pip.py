"""The project's Python packages, installed by pip: for projects that uv cannot install."""

from __future__ import annotations

from typing import ClassVar

from ..plan import parts
from ..project import Project
from .bytecode import compile_modules
from .index_settings import pip_index_env
from .installer import Installer
from .layout import PIP_ENV, QUIET_PYTHON, VENV, pip_mounts, script, settle_times
from .requirement_files import CONSTRAINTS, REQUIREMENTS

__all__ = ["Pip"]


class Pip(Installer):
    """Installs the requirements with a pip that is in no layer."""

    name: ClassVar[str] = "pip"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return (
            project.config is not None
            and project.config.cogpack.installer == "pip"
            and bool(project.requirements.entries)
        )

    def install(self, project: Project, files: tuple[parts.Mount, ...]) -> parts.Exec:
        return parts.Exec(
            command=script(
                f"python -m pip install --no-compile --requirement {REQUIREMENTS} "
                f"--constraint {CONSTRAINTS}",
                *compile_modules(project),
                settle_times(VENV),
            ),
            mounts=(
                *pip_mounts(),
                parts.TmpfsMount(target="/tmp"),  # noqa: S108  # a path in the image
                *files,
            ),
            env=PIP_ENV | QUIET_PYTHON | pip_index_env(project),
        )
