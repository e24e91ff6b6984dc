"""The Python interpreter of the image and the virtual environment in which all is installed."""

from __future__ import annotations

from typing import ClassVar

from ..plan.composer import Composer
from ..plan.model import Env, Exec, ExportConfig
from ..project import Project
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .layout import PYTHON_HOME, SOURCE, UV, VENV, script, settle_times, uv_mounts

__all__ = ["PythonVersion"]


class PythonVersion(Block):
    """Makes an empty virtual environment of the base's interpreter, or of one that uv fetches.

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
        version = resolution["python"].version
        if "python" in resolution.base_images.build.provides:
            make = Exec(command=_script(f"python3 -m venv --without-pip {VENV}"))
        else:
            make = _managed(version, project)
        environment = composer.stage(
            "runtime",
            "python",
            f"make the virtual environment for Python {version}",
            [
                make,
                Env(name="VIRTUAL_ENV", value=VENV),
                Env(name="PATH", value=f"{VENV}/bin", prepend=True),
            ],
            because=resolution["python"].because,
        )
        composer.export("runtime", environment)
        composer.configure(ExportConfig(env={"VIRTUAL_ENV": VENV}, path=(f"{VENV}/bin",)))


def _managed(version: str, project: Project) -> Exec:
    """uv's own build of the interpreter, for a base that has none: NVIDIA's images, for one."""
    mirror = project.config.cogpack.python_mirror if project.config else None
    return Exec(
        command=_script(
            f"{UV} python install --no-bin {version}",
            f"{UV} venv --no-project --managed-python --python {version} {VENV}",
        ),
        mounts=uv_mounts(),
        env={
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_INSTALL_DIR": PYTHON_HOME,
            **({"UV_PYTHON_INSTALL_MIRROR": mirror} if mirror else {}),
        },
    )


def _script(*commands: str) -> str:
    return script(*commands, f"mkdir -p {SOURCE}", settle_times("/opt", SOURCE))
