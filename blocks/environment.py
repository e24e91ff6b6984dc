"""The project's own variables: `environment` of cog.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..errors import Fault, UserError
from ..plan import parts
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["Environment"]


class Environment(Block):
    """Sets the variables in the image, and for the commands that are the user's.

    Those are the installs of packages, whose builds may read them, `pre_install` and `run`.
    System packages, the interpreter and frameworks come before: a changed variable does not
    repeat them. Values are taken as they are written, `$` included, without quotes around them.
    """

    name: ClassVar[str] = "environment"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return bool(project.environment)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        _refuse_secrets(project)
        composer.stage(
            "app-deps",
            "environment",
            "set the project's variables",
            [parts.Env(name=one.name, value=one.value) for one in project.environment],
            because=[one.origin for one in project.environment],
        )
        composer.configure(
            parts.ExportConfig(env={one.name: one.value for one in project.environment})
        )


def _refuse_secrets(project: Project) -> None:
    """A variable that a secret fills cannot be one that stays in the image."""
    secret = {
        mount.env
        for step in (*project.pre_install, *project.run)
        for mount in step.mounts
        if mount.env
    }
    faults = [
        Fault(
            f"{one.name} is set for the image, and a command gets a secret under the same name",
            one.origin,
            hint="give one of them another name",
        )
        for one in project.environment
        if one.name in secret
    ]
    if faults:
        raise UserError(faults)
