"""`cogpack compat`: the compatibility tables: refresh, check, show and compare them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from ..errors import Fault, RetryableError, UserError
from .options import compat, show_warnings

__all__ = ["command"]

Command = TypeVar("Command", bound=Callable[..., Any])

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group("compat")
def command() -> None:
    """Refresh, check, show and compare the compatibility tables."""


@command.command("update", short_help="Refresh tables from their sources.")
@click.argument("names", nargs=-1, metavar="[TABLE]...")
@click.option("--dry-run", is_flag=True, help="Show what would change and write nothing.")
@click.option("--since", metavar="VERSION", help="Leave rows of older releases alone.")
@click.option("--recheck", is_flag=True, help="Read the metadata of known releases again, too.")
@click.option(
    "--add", "added", multiple=True, metavar="PACKAGE", help="Follow this library's pins."
)
@click.option("--into", type=_FOLDER, metavar="DIR", help="Where the tables are, and are written.")
@click.option(
    "--mirror", "mirrors", multiple=True, metavar="SOURCE=URL", help="Read a source from a mirror."
)
def update(
    names: tuple[str, ...],
    dry_run: bool,
    since: str | None,
    recheck: bool,
    added: tuple[str, ...],
    into: Path | None,
    mirrors: tuple[str, ...],
) -> None:
    """Refresh tables from package indexes, registries and release lists; all without names.

    A source that is not reached leaves its rows as they are and makes the exit code 75. Nothing is
    removed: what a source has no longer is marked as withdrawn.
    """
    from ..compat.changes import compared, lines
    from ..compat.updater.request import Request, run

    folder = into or _own_folder()
    if not dry_run and folder.is_dir() and not os.access(folder, os.W_OK):
        raise UserError(
            f"the tables in {folder} cannot be written to",
            hint="name a folder of yours with --into DIR, and use it with --compat DIR",
        )
    request = Request(names, _mirrors(mirrors), since or "", recheck, added)
    refreshed = run(request, folder, os.environ, tell=_progress)
    for line in lines(compared(refreshed.before, refreshed.after)):
        click.echo(line)
    show_warnings(refreshed.notes)
    if not dry_run:
        _write(folder, refreshed)
    _tell_missed(refreshed.missed)


def _own_folder() -> Path:
    from ..compat.tables import OWN

    return OWN


def _progress(name: str) -> None:
    click.echo(f"reading the sources of {name}", err=True)


def _write(folder: Path, refreshed: Any) -> None:
    from ..compat.updater.run import write

    written = write(folder, refreshed)
    what = f"wrote {', '.join(path.name for path in written)}" if written else "nothing changed"
    click.echo(f"{what} in {folder}", err=True)


def _tell_missed(missed: Iterable[tuple[str, str, str]]) -> None:
    grouped: dict[str, dict[str, list[str]]] = {}
    for reason, left, part in missed:
        grouped.setdefault(reason, {}).setdefault(left, []).extend([part] if part else [])
    for reason, lefts in grouped.items():
        told = (f"{left} {' '.join(parts)}".rstrip() for left, parts in lefts.items())
        show_warnings([Fault(reason, hint=f"this stays as it is: {'; '.join(told)}")])
    if grouped:
        sys.exit(RetryableError.exit_code)


def _mirrors(texts: Iterable[str]) -> Mapping[str, str]:
    found = {}
    for text in texts:
        name, equals, url = text.partition("=")
        if not equals or "://" not in url:
            raise UserError(f"--mirror {text}: it is no SOURCE=URL")
        found[name] = url
    return found


@command.command("check", short_help="Check every invariant.")
@compat
def check() -> None:
    """Check every invariant of the tables; a line for each."""
    from ..compat.check import CHECKS, run_checks
    from ..compat.tables import Tables
    from ..solver.reachable import TITLE, unreachable

    tables = Tables.load()
    found = run_checks(tables.read_all())
    told = [(one.name, one.title, found[one.name]) for one in CHECKS]
    broken = any(found.values())
    # A table that contradicts itself cannot be solved over.
    told += [] if broken else [("reachable", TITLE, tuple(unreachable(tables)))]
    width = max(len(name) for name, _, _ in told)
    for name, title, problems in told:
        state = "ok" if not problems else f"{len(problems)} broken"
        click.echo(f"{name:<{width}}  {state:<9} {title}")
        for problem in problems:
            click.echo(f"{'':<{width}}  {problem}")
    if broken:
        click.echo(f"{'reachable':<{width}}  not asked {TITLE}: mend the others first")
    if broken or told[-1][2]:
        sys.exit(UserError.exit_code)


@command.command("show", short_help="Show a table as a grid or a page.")
@click.argument("table", metavar="TABLE")
@click.option("--python", metavar="VERSION", help="Only rows that admit this Python: 3.12.")
@click.option("--cuda", metavar="VERSION", help="Only rows built for this CUDA: 12.8, none.")
@click.option("--architecture", metavar="ARCH", help="Only rows for amd64 or arm64.")
@click.option("--html", "as_html", is_flag=True, help="Write a page that can be filtered.")
@compat
def show(
    table: str, python: str | None, cuda: str | None, architecture: str | None, as_html: bool
) -> None:
    """Show a table as a grid, or as an HTML page that needs nothing else."""
    from ..compat.show import Filter, grid, select
    from ..compat.tables import Tables

    chosen = Filter(python or "", cuda or "", architecture or "")
    shown = select(Tables.load(), table, chosen)
    if as_html:
        from ..compat.page import page

        click.echo(page(shown), nl=False)
    else:
        click.echo(grid(shown), nl=False)


@command.command("diff", short_help="Show what new tables change, and for whom.")
@click.argument("old", type=_FOLDER)
@click.argument("new", type=_FOLDER)
@click.option("--projects", type=_FOLDER, metavar="DIR", help="Solve the projects in this folder.")
def diff(old: Path, new: Path, projects: Path | None) -> None:
    """Show what is different between the tables of two folders, and for whom.

    A folder that holds some tables only is laid over cogpack's own.
    """
    from ..compat.cells import sheets_of
    from ..compat.changes import compared, lines
    from ..compat.tables import Tables

    before, after = Tables.load(old), Tables.load(new)
    told = list(lines(compared(sheets_of(before), sheets_of(after))))
    for line in told or ["the tables say the same"]:
        click.echo(line)
    if projects is not None:
        from ..stacks.drift import drifts, text

        click.echo(text(drifts(projects, old, new)), nl=False)
