"""`cogpack plan`: what would be built, for people or as JSON."""

from __future__ import annotations

import os
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
    from ..stacks.compose import make_plan
    from ..stacks.locking import load_as_locked, resolution_to_build
    from ..stacks.said import Said
    from ..stacks.unknown import ProjectIndexes
    from ..stacks.weights import with_weights

    composition = load_as_locked(folder, Said(platform, base_image))
    composition = with_weights(
        composition, os.environ, told=show_warning, locked=locked, offline=offline
    )
    resolution = resolution_to_build(
        composition,
        locked=locked,
        told=show_warning,
        source=ProjectIndexes(composition, os.environ, offline=offline),
    )
    show_warnings([*composition.project.warnings, *resolution.warnings])
    plan = make_plan(composition, resolution, network)
    click.echo(dump(plan) if as_json else render(plan), nl=False)
