"""The part of `cogpack resolve` that makes a lock or checks one."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from ..errors import UserError
from ..project import Project
from ..solver.conflict import Conflict
from ..solver.lock import LOCK_FILE, Lock
from ..stacks.locking import (
    Relock,
    load_as_locked,
    load_to_lock,
    lock_project,
    resolution_to_build,
)
from ..stacks.one_image import on_one_image
from ..stacks.said import Said
from .options import show_warning, show_warnings

__all__ = ["check_lock", "make_lock"]


def check_lock(folder: Path, said: Said, as_json: bool) -> None:
    """Print the lock's versions. Raises UserError when it is missing or stale."""
    composition = load_as_locked(folder, said)
    resolution = resolution_to_build(composition, locked=True, told=show_warning)
    if resolution.lock is not None:
        _show(composition.project, resolution.lock, as_json)


def make_lock(folder: Path, said: Said, wish: Relock, as_json: bool) -> None:
    """Lock the project, and tell what changed. Exits with 1 on a conflict."""
    composition = load_to_lock(folder, said)
    show_warnings(composition.project.warnings)
    outcome = lock_project(composition, wish, os.environ)
    if isinstance(outcome, Conflict):
        from ..solver.report import conflict_data, dumps
        from ..solver.text import conflict_text

        text = dumps(conflict_data(outcome)) if as_json else conflict_text(outcome)
        click.echo(text, nl=False)
        sys.exit(UserError.exit_code)
    show_warnings([*outcome.lock.resolution.warnings, *outcome.warnings])
    for text in outcome.lock.corrections:
        click.echo(f"known override {text}", err=True)
    _show(composition.project, outcome.lock, as_json)
    for line in _changes(outcome.changed):
        click.echo(line, err=True)
    lock = outcome.lock
    beside = (f"beside {lock.beside}",) if lock.beside else ()
    words = " ".join((f"{len(lock.packages)} packages", *beside, *lock.options.words))
    click.echo(f"{LOCK_FILE}: {words}", err=True)


def _show(project: Project, lock: Lock, as_json: bool) -> None:
    resolution = on_one_image(project, lock.resolution)
    if as_json:
        from ..solver.report import dumps, resolution_data

        click.echo(dumps(resolution_data(resolution)), nl=False)
    else:
        from ..solver.text import resolution_text

        click.echo(resolution_text(resolution), nl=False)


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
