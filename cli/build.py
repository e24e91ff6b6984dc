"""`cogpack build`: from the folder to an image."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from ..plan.composer import Network
from .options import (
    base_image,
    compat,
    folder,
    locked,
    network,
    offline,
    platform,
    read_secrets,
    secret_name,
    show_warning,
)

__all__ = ["command"]


@click.command("build")
@folder
@click.option("-t", "--tag", "tags", multiple=True, metavar="NAME", help="Name of the image.")
@click.option("--push", is_flag=True, help="Push the image to its registry.")
@click.option(
    "-o",
    "--output",
    "outputs",
    multiple=True,
    metavar="SPEC",
    help="Where the image goes instead: type=oci|docker|local,dest=PATH.",
)
@click.option("--builder", metavar="ADDRESS", help="The daemon: unix://PATH or tcp://HOST:PORT.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="SPEC",
    help="A secret of the build: id=NAME,src=FILE or id=NAME,env=VARIABLE.",
)
@network
@click.option("-q", "--quiet", is_flag=True, help="Print only the image's digest.")
@platform
@locked
@offline
@base_image
@compat
def command(
    folder: Path,
    tags: tuple[str, ...],
    push: bool,
    outputs: tuple[str, ...],
    builder: str | None,
    secrets: tuple[str, ...],
    network: Network,
    quiet: bool,
    platform: str | None,
    locked: bool,
    offline: bool,
    base_image: str | None,
) -> None:
    """Build the image of the project in DIR."""
    from ..llb.client import Client, PlainPrinter, find_daemon
    from ..pipeline import Request, build_plan, check_secrets, image_exports
    from ..project.weight_places import outside_folders
    from ..stacks.locking import load_as_locked
    from ..stacks.said import Said
    from ..stacks.weights import hub_secret
    from .faulty import Faulty
    from .planning import plan_of

    faulty = Faulty()
    values = faulty.attempt(lambda: read_secrets(secrets, os.environ)) or {}
    composition = faulty.needed(lambda: load_as_locked(folder, Said(platform, base_image)))
    exports = faulty.attempt(lambda: image_exports(composition.project, tags, push, outputs)) or ()
    plan = faulty.needed(
        lambda: plan_of(composition, network, locked=locked, offline=offline, secrets=values)
    )
    values = hub_secret(plan, os.environ) | values
    # What is wrong with one that was given is told already.
    given = {*values, *map(secret_name, secrets)}
    faulty.attempt(lambda: check_secrets(plan, given))
    faulty.check()
    folders = outside_folders(composition.project.root, composition.project.config)
    endpoint = find_daemon(builder, os.environ)
    if not quiet:
        click.echo(f"building on {endpoint}", err=True)
    printer = None if quiet else PlainPrinter(sys.stderr)
    with Client(endpoint) as client:
        request = Request(folder, exports, values, folders)
        built = build_plan(plan, request, client, printer, show_warning)
    names = [name for export in exports for name in export.attrs.get("name", "").split(",") if name]
    if quiet:
        click.echo(built.digest)
        return
    for export in exports:
        if export.dest:
            click.echo(f"wrote {export.type} to {export.dest}", err=True)
    for name in dict.fromkeys(names):
        click.echo(f"built {name}@{built.digest}")
