"""A project that uv has locked: what of uv.lock is no wheel from an index, installed by uv itself.

The wheels are layers by content, see `wheels`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..compat.tables import Tables
from ..plan import parts
from ..project import Project
from ..project.optional import chosen_extras, chosen_groups
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .bytecode import uv_env
from .layout import PYTHON, SOURCE, UV, VENV, forget_times, script, settle_environment, uv_mounts
from .uv_wheels import index_secrets, is_uv_locked, uv_selected, uv_wheels

if TYPE_CHECKING:
    from ..plan.composer import Composer
    from ..project.uv_lock import LockedPackage

__all__ = ["LockedLocalPackages", "LockedPackages"]

# What stands in pyproject.toml and uv.lock is all that uv needs as long as nothing is built.
_FILES = ("pyproject.toml", "uv.lock")

_SYNC = f"{UV} sync --project {SOURCE} --frozen --inexact --python {PYTHON}"


class LockedPackages(Block):
    """Asks for the versions of uv.lock, and installs of them what is no wheel of an index.

    Packages that are in the project itself come later. The groups are uv's default ones, and those
    of cog.yaml.
    """

    name: ClassVar[str] = "locked-packages"

    def __init__(self, platform: str) -> None:
        self._platform = platform

    @classmethod
    def detect(cls, project: Project) -> bool:
        return is_uv_locked(project)

    def requirements(self, project: Project) -> tuple[Requirement, ...]:
        """The lock's versions, and no other build of them: `===` compares the local part too."""
        from ..solver.matrix import own_names

        others = own_names(Tables.load())
        return tuple(
            Requirement(one.name, f"==={one.version}", one.origin)
            for one in self.selected(project)
            if one.registry and one.name not in others
        )

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        rest = uv_wheels(project, resolution, composer.platform).rest
        if not rest:
            return
        local = [one.name for one in self.selected(project) if one.path]
        left_out = "".join(f" --no-install-package {name}" for name in local)
        # It finds the wheels installed, and adds what they are not.
        sync = parts.Exec(
            command=script(
                f"{_SYNC}{_choice(project)} --no-install-project{left_out}", settle_environment()
            ),
            mounts=(
                *uv_mounts(),
                parts.BindMount(source=parts.LocalInput(include=_FILES), target=SOURCE),
                *index_secrets(project),
            ),
            env=_env(project),
        )
        names = " ".join(one.name for one in rest)
        stage = composer.stage(
            "app-deps",
            "packages",
            f"install as locked by uv: {names}",
            [sync],
            because=[one.origin for one in rest],
        )
        composer.export("app", stage)

    def selected(self, project: Project) -> tuple[LockedPackage, ...]:
        """The packages of uv.lock that the image gets, sorted by name."""
        return uv_selected(project, self._platform)


class LockedLocalPackages(Block):
    """Installs the packages of uv.lock that are in the project itself, and the project.

    They change as often as the source does, so they come last, in a layer of their own.
    """

    name: ClassVar[str] = "locked-local-packages"

    @classmethod
    def detect(cls, project: Project) -> bool:
        lock = project.uv_lock
        if lock is None or not is_uv_locked(project):
            return False
        return any(one.path and one.installed for one in lock.packages)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        lock = project.uv_lock
        if lock is None or _has_everything(resolution):
            return
        local = [one for one in lock.packages if one.path and one.installed]
        paths = {one.path for one in lock.packages if one.path}
        include = ("**",) if lock.root.installed else (*_FILES, *sorted(paths - {"."}))
        # What uv reads must be there, whatever .dockerignore leaves out of the image.
        exclude = (*project.ignore.all, *(f"!{name}" for name in _FILES))
        sync = parts.Exec(
            command=script(
                f"{_SYNC}{_choice(project)} --refresh", forget_times(), settle_environment()
            ),
            mounts=(
                *uv_mounts(),
                parts.BindMount(
                    source=parts.LocalInput(include=include, exclude=exclude),
                    target=SOURCE,
                    writable=True,
                ),
                *index_secrets(project),
            ),
            env=_env(project),
        )
        stage = composer.stage(
            "app-deps",
            "local-packages",
            f"install from the project: {' '.join(sorted(one.path for one in local))}",
            [parts.Workdir(path=SOURCE), sync],
            because=[one.origin for one in local],
        )
        composer.export("app", stage)


def _has_everything(resolution: Resolution) -> bool:
    """Whether a lock of cogpack's own leaves nothing to uv.lock."""
    return resolution.lock is not None and not resolution.lock.beside


def _choice(project: Project) -> str:
    """The options for what cog.yaml asks for beside the default groups."""
    options = [f" --extra {name}" for name in chosen_extras(project.config)]
    options += [f" --group {name}" for name in chosen_groups(project.config)]
    return "".join(options)


def _env(project: Project) -> dict[str, str]:
    return uv_env(project) | {"UV_PROJECT_ENVIRONMENT": VENV}
