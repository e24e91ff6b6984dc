"""Who runs the server: `cogpack.user` of cog.yaml."""

from __future__ import annotations

import posixpath
import shlex
from typing import TYPE_CHECKING, ClassVar

from ..plan import parts
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .layout import FIXED_TIME, script

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["User"]

# The home of a user that has only a number: libraries keep their caches there.
_HOME = "/home/cogpack"

# What useradd writes, for its times; it also leaves backups, which end in `-`.
_ACCOUNTS = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")


class User(Block):
    """Runs the server without root's rights: as a number, or as a name that is made if need be.

    Commands of the build run as root either way, and can give files to the user.
    """

    name: ClassVar[str] = "user"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return project.config is not None and bool(project.config.cogpack.user)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        if project.config is None or not project.config.cogpack.user:
            return
        user = project.config.cogpack.user
        name, _, group = user.partition(":")
        because = (project.config.origin("cogpack.user"),)
        if name.isdecimal():
            owner = f"{name}:{group}" if group.isdecimal() else f"{name}:{name}"
            command, title, env = _make_home(owner), f"make a home for user {name}", {"HOME": _HOME}
        else:
            command, title, env = _add(name, group), f"add user {name}", {}
        ops = [parts.Exec(command=command)]
        built = composer.stage("system-deps", "user", title, ops, because=because)
        if composer.one_base:
            composer.export("runtime", built)
        else:
            # The list of accounts is the base's own with one more, so it fits no other base.
            composer.stage("runtime", "export:user", title, ops, of="export", because=because)
        composer.configure(parts.ExportConfig(user=user, env=env))


def _make_home(owner: str) -> str:
    return script(
        f"mkdir -p {_HOME}",
        f"chown {owner} {_HOME}",
        f"touch -d @{FIXED_TIME} {_HOME} {posixpath.dirname(_HOME)}",
    )


def _add(name: str, group: str) -> str:
    """A command that makes a user and a group where they are missing, the same way each time."""
    user, wanted = shlex.quote(name), shlex.quote(group)
    # useradd reads the day of the password's change from the variable, not from the clock.
    epoch = f"SOURCE_DATE_EPOCH={FIXED_TIME}"
    primary = f"--gid {wanted}" if group else "--user-group"
    add_group = f"{{ getent group {wanted} >/dev/null || {epoch} groupadd {wanted}; }}"
    home = f"$(getent passwd {user} | cut -d: -f6)"
    settle = (
        f"for file in {' '.join(_ACCOUNTS)}; do rm -f /etc/$file-; "
        f'if [ -n "$(find /etc/$file -mmin -60 2>/dev/null)" ]; '
        f"then touch -d @{FIXED_TIME} /etc/$file; fi; done"
    )
    settle_home = (
        f'find "{home}" -exec touch -h -d @{FIXED_TIME} {{}} + && '
        f'touch -h -d @{FIXED_TIME} "$(dirname "{home}")"'
    )
    return script(
        *([add_group] if group and not group.isdecimal() else []),
        f"{{ getent passwd {user} >/dev/null || {{ "
        f"{epoch} useradd --create-home {primary} --shell /bin/sh {user} && {settle_home}; }}; }}",
        settle,
        f"touch -h -d @{FIXED_TIME} /etc",
    )
