"""The project's Python packages, installed by pip: for projects that uv cannot install."""

from __future__ import annotations

from typing import ClassVar

from ..plan.composer import Composer
from ..plan.model import Exec, TmpfsMount, Workdir
from ..project import Project
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .demands import demands
from .layout import PYTHON, SOURCE, VENV, pip_cache, script, settle_times
from .requirement_files import CONSTRAINTS, REQUIREMENTS, requirement_mounts

__all__ = ["Pip"]

# Byte code is compiled after the install, as uv does it: by hash, since all times are alike.
_COMPILE = f"{PYTHON} -m compileall -q -j 0 --invalidation-mode checked-hash {VENV}/lib"


class Pip(Block):
    """Installs the requirements with the base's pip into the virtual environment."""

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
        read = project.requirements
        entries = (*read.entries, *read.constraints)
        mounted = requirement_mounts(project, (REQUIREMENTS, CONSTRAINTS), entries)
        install = Exec(
            command=script(
                f"python3 -m pip --python {PYTHON} install --disable-pip-version-check "
                f"--no-compile --root-user-action ignore --requirement {REQUIREMENTS} "
                f"--constraint {CONSTRAINTS}",
                # A package may ship a module that this Python cannot compile, as pip allows too.
                f"{{ {_COMPILE} || true; }}",
                settle_times(VENV),
            ),
            mounts=(
                pip_cache(),
                TmpfsMount(target="/tmp"),  # noqa: S108  # a path in the image
                *mounted,
            ),
        )
        stage = composer.stage(
            "app-deps",
            "packages",
            "install the project's packages",
            [Workdir(path=SOURCE), install],
            because=[entry.origin for entry in read.entries],
        )
        composer.export("app", stage)
