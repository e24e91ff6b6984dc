"""Arguments and options that several verbs share, and how their texts are read."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ..errors import Fault, UserError
from ..solver.lock_options import DEFAULT_PLATFORM
from .terminal import safe_lines

__all__ = [
    "base_image",
    "compat",
    "folder",
    "locked",
    "network",
    "offline",
    "platform",
    "read_secrets",
    "secret_name",
    "show_warning",
    "show_warnings",
]

Command = TypeVar("Command", bound=Callable[..., Any])

# Secrets are small; a larger file is a mistake, and the session would hold it in memory. The bound
# is the daemon's own (moby/buildkit session/secrets: 500 KiB).
_MAX_SECRET_BYTES = 500 * 1024


def folder(command: Command) -> Command:
    """The argument DIR: the project's folder, by default the one that the current one is in."""
    decorate = click.argument(
        "folder",
        metavar="[DIR]",
        required=False,
        callback=_project_folder,
        type=click.Path(path_type=Path),
    )
    return decorate(command)


def _project_folder(_: click.Context, __: click.Parameter, given: Path | None) -> Path:
    """As with Cog, a folder below the project's does for it; a project of its own counts first."""
    try:
        Path.cwd()
    except FileNotFoundError:  # paths mean nothing there
        hint = "change into a folder that exists"
        raise UserError("the current folder has been removed", hint=hint) from None
    if given is not None:
        return given
    from ..project.project import PYPROJECT, REQUIREMENTS, find_project_root

    here = Path()
    if (here / PYPROJECT).is_file() or (here / REQUIREMENTS).is_file():
        return here
    found = find_project_root(here)
    return here if found is None or found == here.resolve() else found


def platform(command: Command) -> Command:
    """The option --platform; None when it is not given."""
    decorate = click.option(
        "--platform",
        metavar="OS/ARCH",
        help=f"What the image runs on; else the lock's, or {DEFAULT_PLATFORM}.",
    )
    return decorate(command)


def base_image(command: Command) -> Command:
    """The option --base-image; None when it is not given."""
    decorate = click.option(
        "--base-image",
        metavar="REF",
        help="Build on this image instead of the one that the solver picks.",
    )
    return decorate(command)


def compat(command: Command) -> Command:
    """The option --compat: the verb runs with these tables over cogpack's own."""
    decorate = click.option(
        "--compat",
        multiple=True,
        type=click.Path(path_type=Path),
        envvar="COGPACK_COMPAT",
        metavar="DIR",
        expose_value=False,
        callback=_overlay,
        help="Lay the tables of a folder over cogpack's own; also COGPACK_COMPAT.",
    )
    return decorate(command)


def _overlay(context: click.Context, _: click.Parameter, folders: tuple[Path, ...]) -> None:
    if folders:
        from ..compat.tables import overlaid

        context.with_resource(overlaid(folders))


def locked(command: Command) -> Command:
    """The option --locked."""
    decorate = click.option(
        "--locked", is_flag=True, help="Fail when a lock is missing or no longer current."
    )
    return decorate(command)


def offline(command: Command) -> Command:
    """The option --offline."""
    decorate = click.option(
        "--offline",
        is_flag=True,
        help="Ask no package index and no hub: what cache and locks have must do.",
    )
    return decorate(command)


def network(command: Command) -> Command:
    """The option --network."""
    decorate = click.option(
        "--network",
        type=click.Choice(["default", "none", "host"]),
        default="default",
        show_default=True,
        help="The network of the build's commands.",
    )
    return decorate(command)


def show_warning(warning: Fault | str) -> None:
    """Print one warning to the error output."""
    show_warnings([warning])


def show_warnings(warnings: Iterable[Fault | str]) -> None:
    """Print warnings to the error output, each with its hint."""
    for warning in warnings:
        for number, line in enumerate(safe_lines(str(warning))):
            click.echo(f"  {line}" if number else f"warning: {line}", err=True)
        for line in safe_lines(warning.hint if isinstance(warning, Fault) else ""):
            click.echo(f"  hint: {line}", err=True)


def read_secrets(texts: Sequence[str], environ: Mapping[str, str]) -> dict[str, bytes]:
    """The secrets that `--secret id=NAME,src=FILE` or `id=NAME,env=VARIABLE` name, by id.

    Without src and env the variable of the same name counts, else the file, as docker has it.
    Raises UserError with every fault; a message never holds a value.
    """
    values: dict[str, bytes] = {}
    faults = []
    for text in texts:
        try:
            name, value = _secret(text, environ)
        except _UnreadableError as error:
            faults.append(Fault(f"--secret {text}: {error.message}", hint=error.hint))
        else:
            values[name] = value
    if faults:
        raise UserError(faults)
    return values


def secret_name(text: str) -> str:
    """The id in the text of a `--secret`, whatever else is wrong with it; empty without one."""
    names = (item.partition("=") for item in next(csv.reader([text]), []))
    return next((value for key, _, value in names if key == "id"), "")


class _UnreadableError(Exception):
    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or "write --secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE"


def _secret(text: str, environ: Mapping[str, str]) -> tuple[str, bytes]:
    fields: dict[str, str] = {}
    try:
        items = next(csv.reader([text]), [])
    except csv.Error:
        raise _UnreadableError("it has a line break") from None
    for item in items:
        key, equals, value = item.partition("=")
        key = {"source": "src"}.get(key, key)
        if not equals or key not in ("id", "src", "env", "type"):
            raise _UnreadableError(f"`{item}` is none of id=, src= and env=")
        if key in fields:
            raise _UnreadableError(f"`{key}` is given twice")
        fields[key] = value
    kind, name = fields.get("type", ""), fields.get("id", "")
    variable, path = fields.get("env", ""), fields.get("src", "")
    if kind not in ("", "file", "env"):
        raise _UnreadableError(f"the type `{kind}` is neither file nor env")
    if kind == "env" and path and not variable:
        variable, path = path, ""
    if not name:
        raise _UnreadableError("it has no id")
    if variable and path:
        raise _UnreadableError("it has both src and env")
    if not variable and not path:
        variable = name
    if variable:
        if variable not in environ:
            raise _UnreadableError(f"the variable {variable} is not set", hint="set and export it")
        return name, environ[variable].encode()
    return name, _contents(Path(path))


def _contents(path: Path) -> bytes:
    try:
        # A shell's `<(command)` is a pipe, whose size nobody knows before its end.
        with path.open("rb") as file:
            content = file.read(_MAX_SECRET_BYTES + 1)
        if len(content) > _MAX_SECRET_BYTES:
            raise _UnreadableError(
                f"the file is larger than {_MAX_SECRET_BYTES} bytes", "name another"
            )
        return content
    except OSError as error:
        raise _UnreadableError(
            f"the file cannot be read: {error.strerror}", "name another"
        ) from None
