"""`cogpack weights`: the weights that come from other machines."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ..errors import UserError
from .options import folder, read_secrets

__all__ = ["command"]


@click.group("weights")
def command() -> None:
    """Pin the weights that come from other machines."""


@command.command("lock", short_help="Write what the sources hold now.")
@folder
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="SPEC",
    help="The hub's token: id=HF_TOKEN,src=FILE or id=HF_TOKEN,env=VARIABLE.",
)
def lock(folder: Path, secrets: tuple[str, ...]) -> None:
    """Ask the servers of the project in DIR what its remote weights are, and write
    cogpack-weights.lock.

    Builds take exactly that from then on, and ask nobody. A file of an https:// source is read
    once for its digest; of a model of the hub only the small files are.
    """
    from ..project import read_project
    from ..project.redact import redact
    from ..project.weight_places import remote_sources
    from ..weights.find import lock_files
    from ..weights.hub import TOKEN
    from ..weights.pins import LOCK

    values = read_secrets(secrets, os.environ)
    token = values[TOKEN].decode("utf-8", "replace") if TOKEN in values else None
    project = read_project(folder)
    if not remote_sources(project.config):
        raise UserError("cog.yaml has no weights from other machines: there is nothing to pin")
    pins = lock_files(
        project.config,
        project.root,
        os.environ,
        told=lambda line: click.echo(line, err=True),
        token=token,
    )
    for pin in pins:
        size = sum(file.size for file in pin.files)
        commit = f" at {pin.commit}" if pin.commit else ""
        click.echo(f"{redact(pin.uri)}{commit}: {_count(len(pin.files))}, {size:,} bytes")
    click.echo(f"{LOCK}: {_count(len(pins), 'source')}", err=True)


def _count(number: int, thing: str = "file") -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
