"""The part of `cogpack resolve` that makes a lock or checks one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from ..compat.tables import Tables
from ..errors import UserError
from ..solver.conflict import Conflict
from ..solver.lock import LOCK_FILE, Lock
from ..solver.options import driver_requirement, gpu_requirement
from ..solver.policy import POLICIES
from ..solver.requirement import Requirement
from ..solver.universe import Universe
from ..stacks.compose import Composition, load
from ..stacks.locking import Relock, lock_project, resolution_to_build
from ..stacks.solve import universe_of
from .options import show_warnings

__all__ = ["Asked", "check_lock", "make_lock"]


@dataclass(frozen=True)
class Asked:
    """What the command line says about the project; empty for what it does not."""

    folder: Path
    platform: str
    base_image: str
    gpu: str
    driver: str
    prefer: str


def check_lock(folder: Path, platform: str, base_image: str, as_json: bool) -> None:
    """Print the lock's versions. Raises UserError when it is missing or stale."""
    composition = load(folder, platform, base_image)
    resolution = resolution_to_build(composition, locked=True)
    if resolution.lock is not None:
        _show(resolution.lock, as_json)


def make_lock(asked: Asked, wish: Relock, as_json: bool) -> None:
    """Lock the project, and tell what changed. Exits with 1 on a conflict."""
    composition = load(asked.folder, asked.platform, asked.base_image)
    show_warnings(composition.project.warnings)
    if composition.project.uv_lock is not None:
        message = "uv.lock locks this project already, and exactly what it has is installed"
        raise UserError(message, hint="change it with uv lock")
    requirements = list(composition.requirements)
    if asked.gpu:
        requirements.append(gpu_requirement(asked.gpu, Tables.load()))
    if asked.driver:
        requirements.append(_driver(composition, asked.driver)[0])

    def universe(roots: frozenset[str]) -> Universe:
        found = universe_of(composition, roots)
        return driver_requirement(asked.driver, found)[1] if asked.driver else found

    outcome = lock_project(
        composition,
        wish,
        os.environ,
        requirements=requirements,
        universe=universe,
        policy=POLICIES[asked.prefer],
    )
    if isinstance(outcome, Conflict):
        from ..solver.report import conflict_data, dumps
        from ..solver.text import conflict_text

        text = dumps(conflict_data(outcome)) if as_json else conflict_text(outcome)
        click.echo(text, nl=False)
        sys.exit(UserError.exit_code)
    show_warnings(outcome.lock.resolution.warnings)
    for text in outcome.lock.corrections:
        click.echo(f"known override {text}", err=True)
    _show(outcome.lock, as_json)
    for line in _changes(outcome.changed):
        click.echo(line, err=True)
    click.echo(f"{LOCK_FILE}: {len(outcome.lock.packages)} packages", err=True)


def _driver(composition: Composition, text: str) -> tuple[Requirement, Universe]:
    return driver_requirement(text, universe_of(composition, {"driver"}))


def _show(lock: Lock, as_json: bool) -> None:
    if as_json:
        from ..solver.report import dumps, resolution_data

        click.echo(dumps(resolution_data(lock.resolution)), nl=False)
    else:
        from ..solver.text import resolution_text

        click.echo(resolution_text(lock.resolution), nl=False)


def _changes(changed: tuple[tuple[str, str, str], ...]) -> Iterator[str]:
    """What moved; a first lock is told by its size alone."""
    if all(not before for _, before, _ in changed):
        return
    for name, before, after in changed:
        if not before:
            yield f"added {name} {after}"
        elif not after:
            yield f"removed {name} {before}"
        else:
            yield f"changed {name} {before} to {after}"
