"""A refresh as it is asked for: names and options checked, sources opened, rows read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from ...errors import Fault, UserError
from ...index import HttpSettings
from ..cells import Sheet, sheets_of
from ..tables import OWN, Tables
from . import pins
from .run import Refreshed, refresh
from .session import open_world
from .subjects import BY_HAND, SUBJECTS, Subject

__all__ = ["Request", "run"]


@dataclass(frozen=True)
class Request:
    """What to refresh. names: of tables; none for all. mirrors: source -> URL.

    since: the oldest release that matters; it is about one table. recheck: read metadata again of
    releases that are known. added: libraries that pins.csv is to follow from now on, with or
    without their oldest release that matters: `accelerate>=1.0`.
    """

    names: tuple[str, ...] = ()
    mirrors: Mapping[str, str] | None = None
    since: str = ""
    recheck: bool = False
    added: tuple[str, ...] = ()


def run(
    request: Request,
    folder: Path,
    environ: Mapping[str, str],
    *,
    tell: Callable[[str], None] = lambda _: None,
    settings: HttpSettings | None = None,
) -> Refreshed:
    """Refresh the tables of a folder, in memory; `run.write` puts them there.

    folder: the package's own tables, or one that is laid over them and then gets what is new.
    tell: is told which table is being read. settings: how requests are made, else as pip's.

    Raises UserError with every fault of the request, and for tables that cannot be read.
    """
    since, added = _checked(request)
    tables = Tables.load() if folder == OWN else Tables.load(folder)
    today = datetime.now(tz=UTC).date().isoformat()
    subjects = {**SUBJECTS, "pins": _with_added(SUBJECTS["pins"], added)}
    with open_world(
        environ,
        mirrors=request.mirrors or {},
        recheck=request.recheck,
        since=since,
        settings=settings,
    ) as world:
        return refresh(request.names, sheets_of(tables), world, today, subjects, tell=tell)


def _checked(request: Request) -> tuple[Version | None, pins.Added]:
    faults = [
        Fault(f"the table {name} is kept by hand: no source tells it", hint="edit its file")
        if name in BY_HAND
        else Fault(f"there is no table {name}", hint=f"the tables are {', '.join(SUBJECTS)}")
        for name in request.names
        if name not in SUBJECTS
    ]
    since = None
    if request.since:
        if len(request.names) != 1:
            faults.append(
                Fault("--since is about the releases of one table", hint="name one table")
            )
        try:
            since = Version(request.since)
        except ValueError:  # InvalidVersion, or more digits than Python reads
            faults.append(Fault(f"--since {request.since} is no version", hint="write it as 2.9"))
    added: dict[str, Version | None] = {}
    for text in request.added:
        try:
            name, floor = _added(text)
            added[name] = floor
        except InvalidRequirement:
            hint = "write --add PACKAGE or --add 'PACKAGE>=VERSION'"
            faults.append(Fault(f"--add {text} names no library", hint=hint))
    if request.added and request.names and "pins" not in request.names:
        faults.append(Fault("--add is about the table pins", hint="name pins"))
    if faults:
        raise UserError(faults)
    return since, added


def _added(text: str) -> tuple[str, Version | None]:
    """The library that `--add` names, and its oldest release that matters.

    Raises InvalidRequirement.
    """
    named = Requirement(text)
    clauses = list(named.specifier)
    if not clauses:
        return canonicalize_name(named.name), None
    if len(clauses) > 1 or clauses[0].operator != ">=":
        raise InvalidRequirement(text)
    return canonicalize_name(named.name), Version(clauses[0].version)


def _with_added(subject: Subject, added: pins.Added) -> Subject:
    if not added:
        return subject

    def pages(sheets: Mapping[str, Sheet]) -> list[tuple[str, str]]:
        return list(pins.pages(sheets["pins"], added))

    return replace(
        subject,
        find=lambda sheet, world, sheets: pins.find(sheet, world, sheets, added),
        pages=pages,
    )
