"""The prediction server: `cog` and `coglet`, and the image config that starts them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..compat.tables import Tables
from ..plan import parts
from ..project import Project
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .bytecode import uv_env
from .layout import PYTHON, SOURCE, UV, script, settle_environment, uv_mounts

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["CogRuntime"]

# Cog's contract with whoever runs the image: port, command and the variable that names the model.
PORT = "5000/tcp"
COMMAND = ("python", "-m", "cog.server.http")

# The value of `sdk_version` that admits versions before their release.
PRERELEASE = "prerelease"


class CogRuntime(Block):
    """Installs the server beside the project's packages and makes it the image's command."""

    name: ClassVar[str] = "cog-runtime"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return project.config is not None

    def requirements(self, project: Project) -> tuple[Requirement, ...]:
        config = project.config
        names, specifier, origin = ["cog", "coglet"], "", self.origin
        if config is not None and config.build.sdk_version:
            version = config.build.sdk_version
            specifier = ">=0.dev0" if version == PRERELEASE else f"=={version}"
            origin = config.origin("build.sdk_version")
            if _stands_alone(version):
                names.remove("coglet")
        return tuple(Requirement(name, specifier, origin) for name in names)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        if resolution.lock is None:
            self._install(project, resolution, composer)
        composer.configure(
            parts.ExportConfig(
                env={"PYTHONUNBUFFERED": "1", **_reference(project)},
                cmd=COMMAND,
                workdir=SOURCE,
                ports=(PORT,),
            )
        )

    def _install(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        server = (resolution.get(name) for name in ("cog", "coglet"))
        wanted = [f"{one.package}=={one.version}" for one in server if one is not None]
        install = parts.Exec(
            # What is installed becomes a constraint: the server must get along with the project's
            # own pins, and never move them.
            command=script(
                f"{UV} pip freeze --python {PYTHON} --exclude-editable > /tmp/installed.txt",
                f"{UV} pip install --python {PYTHON} --constraint /tmp/installed.txt "
                + " ".join(wanted),
                settle_environment(),
            ),
            mounts=uv_mounts(),
            env=uv_env(project),
        )
        stage = composer.stage(
            "app-deps",
            "cog",
            f"install {' '.join(wanted)}",
            [install],
            because=resolution["cog"].because,
        )
        composer.export("app", stage)


def _stands_alone(version: str) -> bool:
    """Whether the tables know this cog as one of the first, which had no coglet."""
    return any(
        row.package == "cog" and str(row.version) == version and not row.coglet
        for row in Tables.load().cog
    )


def _reference(project: Project) -> dict[str, str]:
    """The variable that tells the server what to load."""
    if project.config is None or not project.config.predictor:
        return {}
    return {"COG_PREDICT_TYPE_STUB": project.config.predictor}
