"""The user's own commands as stages: what `pre_install` and `run` have in common.

Their pip installs into the image's virtual environment, though that has no pip of its own: a copy
is mounted for `python -m pip` and `pip`, and a pip of the base is told where to install. uv, which
Cog's images have, is mounted too, and installs into the same place, `--system` or not. None of it
stays in a layer.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..plan import parts
from ..project import Project
from ..project.project import Command
from .bytecode import command_env
from .layout import (
    FIXED_TIME,
    PIP,
    PIP_ENV,
    PIP_FOLDER,
    PYTHON,
    UV_STAGE,
    pip_mounts,
    script,
    uv_cache,
)

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["add_commands", "add_pip"]

_LAUNCHER = "/opt/pip-launcher"

# On every image's PATH, and behind the pip that images of Python have.
_PROGRAMS = ("/usr/local/sbin/pip", "/usr/local/sbin/pip3")
_UV_PROGRAM = "/usr/local/sbin/uv"

_ENV = {
    **PIP_ENV,
    # As in Cog's builds: packages that ask questions take the usual answer.
    "DEBIAN_FRONTEND": "noninteractive",
    "UV_LINK_MODE": "copy",
    "UV_PYTHON": PYTHON,
}


def add_pip(composer: Composer) -> None:
    """Add the stage that holds a copy of pip, for every command of `add_commands`.

    It stands on the stage that fetched uv, which has a pip whatever the base has.
    """
    copy = script(
        f"mkdir {PIP_FOLDER}",
        "cp -r \"$(python3 -c 'import os, pip; print(os.path.dirname(pip.__file__))')\" "
        f"{PIP_FOLDER}/pip",
        f"printf '#!/bin/sh\\nexec python -m pip \"$@\"\\n' > {_LAUNCHER}",
        f"chmod 755 {_LAUNCHER}",
        f"touch -d @{FIXED_TIME} {_LAUNCHER}",
    )
    uv = parts.StageInput(id=UV_STAGE)
    composer.side_stage("runtime", PIP, "copy pip", uv, [parts.Exec(command=copy)])


def add_commands(
    composer: Composer, project: Project, phase: str, kind: str, commands: Sequence[Command]
) -> None:
    """Add each command as a stage and a layer of its own: a change repeats it and those after it.

    They run in `/`, as Cog's do: what `git clone` leaves in a project made for Cog is looked for
    there.

    phase: of the build. kind: `run` or `pre-install`, for ids and titles.
    """
    env = _ENV | command_env(project)
    for number, step in enumerate(commands, 1):
        stage = composer.stage(
            phase,
            f"{kind}-{number}",
            f"{kind} {_first_line(step.command)}",
            [
                parts.Workdir(path="/"),
                parts.Exec(command=step.command, mounts=tuple(_mounts(step)), env=env),
            ],
            because=(step.origin,),
        )
        composer.export("app", stage)


def _mounts(step: Command) -> list[parts.Mount]:
    secrets = [
        parts.SecretMount(id=secret.id, target=_place(secret.target or ""), env=secret.env or "")
        for secret in step.mounts
    ]
    pip = parts.StageInput(id=PIP)
    uv = parts.StageInput(id=UV_STAGE)
    return [
        *pip_mounts(),
        uv_cache(),
        parts.BindMount(source=uv, source_path="/opt/uv/bin/uv", target=_UV_PROGRAM),
        *(parts.BindMount(source=pip, source_path=_LAUNCHER, target=name) for name in _PROGRAMS),
        *secrets,
    ]


def _place(target: str) -> str:
    """Where a secret appears, a relative target below the folder that commands run in.

    Nowhere, when it is a variable, stays nowhere.
    """
    return posixpath.normpath(f"/{target.lstrip('/')}") if target else ""


def _first_line(command: str, width: int = 60) -> str:
    line = command.strip().splitlines()[0] if command.strip() else ""
    return line if len(line) <= width else line[: width - 1] + "…"
