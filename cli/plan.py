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
    platform,
    show_warning,
    show_warnings,
)

__all__ = ["command"]


@click.command("plan")
@folder
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/plan.schema.json).")
@network
@platform
@locked
@base_image
@compat
def command(
    folder: Path, as_json: bool, network: Network, platform: str, locked: bool, base_image: str
) -> None:
    """Show what would be built of the project in DIR, stage by stage."""
    from ..plan.model import dump
    from ..plan.render import render
    from ..stacks.compose import load, make_plan
    from ..stacks.locking import resolution_to_build

    composition = load(folder, platform, base_image)
    resolution = resolution_to_build(composition, locked=locked, told=show_warning)
    show_warnings([*composition.project.warnings, *resolution.warnings])
    plan = make_plan(composition, resolution, network)
    click.echo(dump(plan) if as_json else render(plan), nl=False)
