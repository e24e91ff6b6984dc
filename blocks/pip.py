"""The project's Python packages, installed by pip: for projects that uv cannot install."""

from __future__ import annotations

from typing import ClassVar

from ..plan import parts
from ..project import Project
from .bytecode import compile_modules
from .index_settings import pip_index_env
from .installer import Installer
from .layout import PIP_ENV, STEADY_PYTHON, VENV, pip_mounts, script, settle_environment
from .requirement_files import by_pip, has_checkouts

__all__ = ["Pip"]

# git notes the clock's time in a checkout.
_NO_HISTORY = f"find {VENV}/src -name .git -prune -exec rm -rf {{}} +"


class Pip(Installer):
    """Installs the requirements with a pip that is in no layer."""

    name: ClassVar[str] = "pip"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return bool(project.requirements.entries) and by_pip(project)

    def install(self, project: Project, wanted: str, files: tuple[parts.Mount, ...]) -> parts.Exec:
        return parts.Exec(
            command=script(
                f"python -m pip install --no-compile {wanted}",
                *compile_modules(project),
                *([_NO_HISTORY] if has_checkouts(project) else []),
                settle_environment(),
            ),
            mounts=(
                *pip_mounts(),
                parts.TmpfsMount(target="/tmp"),  # noqa: S108  # a path in the image
                *files,
            ),
            env=PIP_ENV | STEADY_PYTHON | pip_index_env(project),
        )
