"""`cogpack plan`: what would be built, for people or as JSON."""

from __future__ import annotations

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
)

__all__ = ["command"]


@click.command("plan")
@folder
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/plan.schema.json).")
@network
@platform
@locked
@offline
@base_image
@compat
def command(
    folder: Path,
    as_json: bool,
    network: Network,
    platform: str | None,
    locked: bool,
    offline: bool,
    base_image: str | None,
) -> None:
    """Show what would be built of the project in DIR, stage by stage."""
    from ..plan.model import dump
    from ..plan.render import render
    from ..stacks.locking import load_as_locked
    from ..stacks.said import Said
    from .planning import plan_of

    composition = load_as_locked(folder, Said(platform, base_image))
    plan = plan_of(composition, network, locked=locked, offline=offline)
    click.echo(dump(plan) if as_json else render(plan), nl=False)
