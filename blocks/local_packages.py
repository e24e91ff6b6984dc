"""Packages that are in the project itself: wheels, archives and folders."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..plan import parts
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .bytecode import compile_modules, uv_env
from .index_settings import pip_index_env, uv_index_env
from .layout import (
    PIP_ENV,
    PYTHON,
    SOURCE,
    STEADY_PYTHON,
    UV,
    forget_times,
    pip_mounts,
    quoted,
    script,
    settle_environment,
    uv_mounts,
)
from .requirement_files import (
    LOCAL,
    build_settings,
    constraint_files,
    file_options,
    local_by_pip,
    requirement_mounts,
)

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["LocalPackages"]

# pip keeps wheels that it built by path, name and version: what another build, or this project an
# hour ago, had under the same path must not be taken for what is there now.
_PIP_TMPFS = ("/tmp", "/root/.cache/pip/wheels")  # noqa: S108  # paths in the image


class LocalPackages(Block):
    """Installs what the requirements name by a path, in a layer behind all other packages.

    They change as often as the source does; so they come after what an index serves, and a change
    repeats nothing but them. All requirements are given to the installer once more: what a local
    package needs must get along with them, and what is there already stays.

    keep: packages of the resolution that must stay as they are, too.
    """

    name: ClassVar[str] = "local-packages"

    def __init__(self, keep: tuple[str, ...] = ()) -> None:
        self._keep = keep

    @classmethod
    def detect(cls, project: Project) -> bool:
        return any(entry.is_local for entry in project.requirements.entries)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        if resolution.lock is not None:
            return
        read = project.requirements
        kept = [f"{name}=={resolution[name].version}" for name in self._keep]
        limits = constraint_files(project, resolution)
        files = requirement_mounts(project, (LOCAL, *limits), (*read.entries, *read.constraints))
        wanted = f"{file_options(LOCAL, limits)} {quoted(kept)}".rstrip()
        if local_by_pip(project):
            install = parts.Exec(
                command=script(
                    f"python -m pip install --no-compile {wanted}",
                    *compile_modules(project),
                    settle_environment(),
                ),
                mounts=(
                    *pip_mounts(),
                    *(parts.TmpfsMount(target=one) for one in _PIP_TMPFS),
                    *files,
                ),
                env=PIP_ENV | STEADY_PYTHON | pip_index_env(project),
            )
        else:
            install = parts.Exec(
                # Without a refresh uv takes a folder for unchanged as long as its pyproject.toml
                # is, and builds of other projects had folders at the same path.
                command=script(
                    f"{UV} pip install --python {PYTHON} --refresh "
                    f"{build_settings(project)}{wanted}",
                    forget_times(),
                    settle_environment(),
                ),
                mounts=(*uv_mounts(), *files),
                env=uv_env(project) | uv_index_env(project),
            )
        local = [entry for entry in read.entries if entry.is_local]
        stage = composer.stage(
            "app-deps",
            self.name,
            f"install from the project: {' '.join(entry.path for entry in local)}",
            [parts.Workdir(path=SOURCE), install],
            because=[entry.origin for entry in local],
        )
        composer.export("app", stage)
