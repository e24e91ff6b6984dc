"""`cogpack llb`: the definition that a BuildKit builds, without building it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from ..errors import UserError
from ..files import write_atomically
from ..plan.composer import Network
from .options import (
    base_image,
    compat,
    folder,
    locked,
    network,
    offline,
    platform,
)

__all__ = ["command"]


@click.command("llb")
@folder
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write to this file."
)
@click.option(
    "--resolve/--no-resolve",
    "pin",
    default=False,
    help="Ask the builder for the digests and configs of the base images.",
)
@click.option("--builder", metavar="ADDRESS", help="The daemon that --resolve asks.")
@network
@platform
@locked
@offline
@base_image
@compat
def command(
    folder: Path,
    output: Path | None,
    pin: bool,
    builder: str | None,
    network: Network,
    platform: str | None,
    locked: bool,
    offline: bool,
    base_image: str | None,
) -> None:
    """Write the BuildKit definition of the project in DIR, a serialized pb.Definition.

    `buildctl build --local context=DIR` and `buildctl debug dump-llb` read it. Without --resolve no
    builder is asked: base images are named by tag, and commands get the usual PATH.
    """
    from ..llb.compile import compile_plan
    from ..stacks.locking import load_as_locked
    from ..stacks.said import Said
    from .planning import plan_of

    if output is None and sys.stdout.isatty():
        raise UserError("the definition is binary", hint="name a file with -o FILE, or pipe it on")
    composition = load_as_locked(folder, Said(platform, base_image))
    plan = plan_of(composition, network, locked=locked, offline=offline)
    if pin:
        from ..llb.client import Client, find_daemon
        from ..pipeline import daemon_facts

        with Client(find_daemon(builder, os.environ)) as client:
            images, capabilities = daemon_facts(plan, client)
        compiled = compile_plan(plan, images=images, capabilities=capabilities)
    else:
        compiled = compile_plan(plan)
    if output is None:
        sys.stdout.buffer.write(compiled.definition)
        sys.stdout.buffer.flush()
    else:
        write_atomically(output, compiled.definition)
