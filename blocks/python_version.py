"""The Python interpreter of the image and the virtual environment in which all is installed."""

from __future__ import annotations

from typing import ClassVar

from ..plan.composer import Composer
from ..plan.model import Env, Exec, ExportConfig
from ..project import Project
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .layout import SOURCE, VENV, script, settle_times

__all__ = ["PythonVersion"]


class PythonVersion(Block):
    """Makes an empty virtual environment of the base's own interpreter.

    A virtual environment keeps the base's packages out, works where the system's Python refuses
    packages from elsewhere (PEP 668), and gives every later layer one folder to write to.
    """

    name: ClassVar[str] = "python-version"

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def requirements(self, project: Project) -> tuple[Requirement, ...]:
        config = project.config
        if config is None or not config.build.python_version:
            return (Requirement("python", "", self.origin),)
        version = config.build.python_version
        specifier = f"=={version}" if version.count(".") > 1 else f"=={version}.*"
        return (Requirement("python", specifier, config.origin("build.python_version")),)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        environment = composer.stage(
            "runtime",
            "python",
            f"make the virtual environment for Python {resolution['python'].version}",
            [
                Exec(
                    command=script(
                        f"python3 -m venv --without-pip {VENV}",
                        f"mkdir -p {SOURCE}",
                        settle_times("/opt", SOURCE),
                    )
                ),
                Env(name="VIRTUAL_ENV", value=VENV),
                Env(name="PATH", value=f"{VENV}/bin", prepend=True),
            ],
            because=resolution["python"].because,
        )
        composer.export("runtime", environment)
        composer.configure(ExportConfig(env={"VIRTUAL_ENV": VENV}, path=(f"{VENV}/bin",)))
