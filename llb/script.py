"""Shell scripts that do in one process what several commands and file actions would do in turn.

A stage must be one layer, and one exec is one layer. Everything is quoted here and nothing is
left to the user's shell; the graph around a script is `llb.forms`' business.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from shlex import quote

from ..plan.model import Exec, MkDir, Mount, Remove, SecretMount, Symlink, dump

__all__ = [
    "SHELL",
    "Command",
    "Joined",
    "alone",
    "join",
    "make_folder",
    "place",
    "remove",
    "symlink",
    "write",
]

SHELL = ("/bin/sh", "-c")

# Linux takes no single argument of more than 128 KiB (MAX_ARG_STRLEN of execve(2)), its end
# included.
_MAX_SCRIPT = 131_071

_COPY = "cp -a --remove-destination"

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)


@dataclass(frozen=True)
class Command:
    """One exec of a stage with all that it runs in: the whole env and the working directory."""

    op: Exec
    env: Mapping[str, str]
    cwd: str


@dataclass(frozen=True)
class Joined:
    """A script with what its one process runs in."""

    script: str
    env: Mapping[str, str]
    cwd: str
    mounts: tuple[Mount, ...]
    network: str


def alone(command: Command) -> Joined:
    """One command in a process of its own."""
    op = command.op
    return Joined(op.command, command.env, command.cwd, op.mounts, op.network)


def join(
    steps: Sequence[Command | str], env: Mapping[str, str], reserved: str = ""
) -> Joined | None:
    """Commands and ready lines of shell, one after the other; the first that fails ends it.

    Each command gets a shell, an environment and a working directory of its own. It sees the
    mounts of all of them with what the others wrote there, but a secret only when every command
    asked for it. None when one process cannot stand for several: they differ in network or
    secrets, their mounts hide one another, a variable has a name that a shell cannot export, or
    the script gets too long.

    env: of the process when no step is a command.
    reserved: a path that no mount of a command may meet.
    """
    first = steps[0]
    if len(steps) == 1 and isinstance(first, Command):
        return alone(first)
    commands = [step for step in steps if isinstance(step, Command)]
    mounts = _united([command.op.mounts for command in commands], reserved)
    networks = {command.op.network for command in commands} or {"none"}
    secrets = {frozenset(map(_key, _secrets(command))) for command in commands}
    if mounts is None or len(networks) > 1 or len(secrets) > 1:
        return None
    shared = _shared([command.env for command in commands] or [env])
    own = [{k: v for k, v in command.env.items() if k not in shared} for command in commands]
    if not all(_IDENTIFIER.match(name) for names in own for name in names):
        return None
    rest = iter(own)
    lines = [step if isinstance(step, str) else _subshell(step, next(rest)) for step in steps]
    script = "\n".join(["set -e", *lines])
    if len(script.encode()) > _MAX_SCRIPT:
        return None
    cwd = first.cwd if isinstance(first, Command) else "/"
    return Joined(script, shared, cwd, mounts, networks.pop())


def _shared(envs: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The variables that all have with one value, in the order of the first."""
    return {
        name: value
        for name, value in envs[0].items()
        if all(env.get(name) == value for env in envs)
    }


def _subshell(command: Command, env: Mapping[str, str]) -> str:
    lines = []
    if command.cwd != "/":
        # The daemon makes the working directory of an exec in the same way.
        lines.append(f"mkdir -p {quote(command.cwd)}")
    lines.append(f"cd {quote(command.cwd)}")
    lines += [f"export {name}={quote(env[name])}" for name in sorted(env)]
    lines.append(f"exec {' '.join(SHELL)} {quote(command.op.command)}")
    return "(\n{}\n)".format("\n".join(lines))


def _key(mount: Mount) -> str:
    return dump(mount)


def _secrets(command: Command) -> list[SecretMount]:
    return [mount for mount in command.op.mounts if isinstance(mount, SecretMount)]


def _united(groups: Sequence[Sequence[Mount]], reserved: str) -> tuple[Mount, ...] | None:
    """Each mount once; None when two hide one another and not all commands see both."""
    found = {_key(mount): mount for group in groups for mount in group}
    seen = [{_key(mount) for mount in group} for group in groups]
    if any(_overlap(mount.target, reserved) for mount in found.values()):
        return None
    for (left_key, left), (right_key, right) in combinations(found.items(), 2):
        if _overlap(left.target, right.target) and any(
            (left_key in keys) != (right_key in keys) for keys in seen
        ):
            return None
    return tuple(found.values())


def _overlap(left: str, right: str) -> bool:
    """Whether one target is the other or lies in it; a secret in a variable has none."""
    if not left or not right:
        return False
    left, right = f"{left.rstrip('/')}/", f"{right.rstrip('/')}/"
    return left.startswith(right) or right.startswith(left)


# File actions as lines of shell, for a daemon that cannot squash. They need cp, mkdir, chown, rm
# and ln in the image, by coreutils or busybox.


def make_folder(op: MkDir) -> str:
    """Make a folder and the parents that are missing, each with the mode and owner of the op."""
    return _folders(op.path, op.mode, op.owner)


def remove(op: Remove) -> str:
    """Remove what is at a path, if anything is."""
    return f"rm -rf {quote(op.path)}"


def symlink(op: Symlink) -> str:
    """Make a link; like the file action, fail when something is there already."""
    path = quote(op.path)
    taken = f"echo {quote(f'{op.path} exists already')} >&2; exit 1"
    return f"if [ -e {path} ] || [ -L {path} ]; then {taken}; fi\nln -s {quote(op.target)} {path}"


def write(staged: str, path: str) -> str:
    """Put the file at `staged` to `path`, with its mode and owner; fail when that is a folder."""
    target = quote(path)
    taken = f"echo {quote(f'{path} is a folder')} >&2; exit 1"
    return f"if [ -d {target} ]; then {taken}; fi\n{_COPY} {quote(staged)} {target}"


def place(staged: str, dest: str, name: str, mode: int | None = None, owner: str = "") -> str:
    """Copy what a copy action would have made of a source, and has made at `staged`, to `dest`.

    staged: a file, a link, or a folder whose contents are meant.
    name: what a file is called when `dest` turns out to be a folder.
    mode, owner: for folders that are made on the way to `dest`.
    """
    target = dest.rstrip("/") or "/"
    as_folder = dest.endswith("/")
    source, folder = quote(staged), quote(target)
    into = quote(posixpath.join(target, name))
    parents = _folders(target if as_folder else posixpath.dirname(target), mode or 0o755, owner)
    own = _folders(target, mode or 0o755, owner)
    # A folder that is there keeps its mode and owner, so its entries are copied one by one; the
    # three patterns are all names but `.` and `..`.
    return "\n".join(
        [
            f"if [ -d {source} ] && [ ! -L {source} ]; then",
            own,
            f"for entry in {source}/* {source}/.[!.]* {source}/..?*; do",
            f'if [ -e "$entry" ] || [ -L "$entry" ]; then {_COPY} "$entry" {folder}/; fi',
            "done",
            "else",
            parents,
            f"if [ -d {folder} ]; then {_COPY} {source} {into}",
            f"else {_COPY} {source} {folder}; fi",
            "fi",
        ]
    )


def _folders(path: str, mode: int, owner: str) -> str:
    lines = []
    made = ""
    for part in path.strip("/").split("/"):
        if not part:
            continue
        made += f"/{part}"
        own = f"; chown {owner} {quote(made)}" if owner else ""
        lines.append(f"if [ ! -d {quote(made)} ]; then mkdir -m {mode:o} {quote(made)}{own}; fi")
    return "\n".join(lines) or ":"
