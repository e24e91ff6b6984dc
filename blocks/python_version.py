"""The Python interpreter of the image and the virtual environment in which all is installed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ..origin import Origin
from ..plan.composer import Composer
from ..plan.model import Env, Exec, ExportConfig, Layer, PhaseInput
from ..project import Project
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .layout import (
    BARE_ENVIRONMENT,
    PYTHON_HOME,
    QUIET_PYTHON,
    SOURCE,
    UV,
    VENV,
    script,
    settle_times,
    uv_mounts,
)

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
        asked = []
        if pin := project.python:
            exact = pin.version.count(".") > 1
            specifier = f"=={pin.version}" if exact else f"=={pin.version}.*"
            asked.append(Requirement("python", specifier, pin.origin))
        own = project.pyproject
        # A pyproject.toml beside cog.yaml may be there for tools alone, unless it is installed.
        counts = project.config is None or project.source == "pyproject"
        if counts and own and own.requires_python and own.requires_python_origin:
            asked.append(Requirement("python", own.requires_python, own.requires_python_origin))
        return tuple(asked) or (Requirement("python", "", self.origin),)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        version = resolution["python"].version
        if "python" in resolution.base_images.build.provides:
            make = Exec(
                command=_script(*_check(project), f"python3 -m venv --without-pip {VENV}"),
                env=QUIET_PYTHON,
            )
        else:
            make = _managed(version, project)
        title = f"make the virtual environment for Python {version}"
        # It stands beside the system packages: a change of them makes no other environment.
        environment = composer.side_stage(
            "runtime",
            BARE_ENVIRONMENT.id,
            title,
            PhaseInput(name="base"),
            [
                make,
                Env(name="VIRTUAL_ENV", value=VENV),
                Env(name="PATH", value=f"{VENV}/bin", prepend=True),
            ],
            because=_because(project, resolution),
        )
        composer.stage("runtime", "venv", title, [Layer(stage=environment.id)])
        composer.export("runtime", environment)
        composer.configure(ExportConfig(env={"VIRTUAL_ENV": VENV}, path=(f"{VENV}/bin",)))


def _because(project: Project, resolution: Resolution) -> tuple[Origin, ...]:
    base = project.base_image
    stated = (base.origin,) if base and base.python else ()
    return (*resolution["python"].because, *stated)


def _check(project: Project) -> Iterator[str]:
    """What the user says of the Python in the base is looked at before it is built on."""
    base = project.base_image
    if base is None or not base.python:
        return
    count = base.python.count(".") + 1
    shown = f"'.'.join(map(str, sys.version_info[:{count}]))"
    yield (
        f'{{ test "$(python3 -c "import sys; print({shown})" 2>/dev/null)" = {base.python} || '
        f"{{ echo 'the python3 of the base image is not Python {base.python},' "
        f"'as cogpack.base_python has it:' \"$(python3 --version 2>&1)\" >&2; exit 1; }}; }}"
    )


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
