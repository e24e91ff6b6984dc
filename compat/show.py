"""Rows of a table for people: chosen by Python, CUDA and architecture, as a grid for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from ..errors import UserError
from .cells import Cells, sheets_of
from .rows import TABLES
from .tables import Tables

__all__ = ["Filter", "Shown", "grid", "select"]

# Where a row comes from is for its file; a grid tells what it says.
_HIDDEN = ("source", "checked", "index_url", "patch_ref")

# The columns that hold a CUDA version, in one table or another.
_CUDA = ("cuda", "cuda_major", "version")

_NO_CUDA = ("none", "cpu")


@dataclass(frozen=True)
class Filter:
    """Which rows to show; an empty text shows all.

    python: a release or minor that the row must admit. cuda: a CUDA that it is built for, `none`
    for builds without. architecture: `amd64` or `arm64`.
    """

    python: str = ""
    cuda: str = ""
    architecture: str = ""


@dataclass(frozen=True)
class Shown:
    """What is shown of a table. columns: in order, without those that are empty throughout.

    pythons: the minors that the tables know, oldest first.
    """

    table: str
    columns: tuple[str, ...]
    rows: tuple[Cells, ...]
    pythons: tuple[str, ...]

    @property
    def has_pythons(self) -> bool:
        """Whether rows say which Pythons they admit."""
        return self.table not in {"python", "base_images"} and "python" in self.columns


def select(tables: Tables, table: str, chosen: Filter) -> Shown:
    """The rows of a table that a filter lets through.

    Raises UserError for an unknown table, a filter that it has no column for, and a version that
    cannot be read; and what `Tables` raises.
    """
    if table not in TABLES:
        raise UserError(f"there is no table {table}", hint=f"the tables are {', '.join(TABLES)}")
    sheets = sheets_of(tables)
    sheet = sheets[table]
    minors = {".".join(row["version"].split(".")[:2]) for row in sheets["python"].rows}
    pythons = tuple(sorted(minors, key=Version))
    rows: Iterable[Cells] = sheet.rows
    if chosen.python:
        _demand(
            table, sheet.columns, "--python", ("python",) if table != "python" else ("version",)
        )
        rows = [row for row in rows if _admits(table, row, chosen.python, pythons)]
    if chosen.cuda:
        column = _cuda_column(table, sheet.columns)
        rows = [row for row in rows if _is_cuda(row[column], chosen.cuda)]
    if chosen.architecture:
        _demand(table, sheet.columns, "--architecture", ("architecture", "architectures"))
        rows = [row for row in rows if chosen.architecture in _architectures(row)]
    kept = tuple(rows)
    columns = tuple(
        column
        for column in sheet.columns
        if column not in _HIDDEN and any(row[column] for row in kept)
    )
    return Shown(table, columns, kept, pythons)


def _demand(table: str, columns: Sequence[str], option: str, wanted: Sequence[str]) -> None:
    if not set(wanted) & set(columns):
        raise UserError(f"{option}: the table {table} has no column {wanted[0]}")


def _cuda_column(table: str, columns: Sequence[str]) -> str:
    wanted = _CUDA if table == "cuda" else _CUDA[:2]
    _demand(table, columns, "--cuda", wanted)
    return next(column for column in wanted if column in columns)


def _architectures(row: Cells) -> list[str]:
    return (row.get("architecture") or row.get("architectures", "")).split()


def _admits(table: str, row: Cells, python: str, pythons: Sequence[str]) -> bool:
    wanted = _version("--python", python)
    if table in {"python", "base_images"}:
        release = Version(row["version" if table == "python" else "python"] or "0")
        return release.release[: len(wanted.release)] == wanted.release
    # A minor stands for its releases: one that admits any of them admits it.
    exact = len(wanted.release) > 2
    return contains(
        row["python"], python if exact else f"{python}.99" if python in pythons else python
    )


@lru_cache(maxsize=4096)
def contains(specifier: str, python: str) -> bool:
    """Whether a `python` cell admits a release."""
    return SpecifierSet(specifier).contains(python)


def _is_cuda(cell: str, cuda: str) -> bool:
    if cuda in _NO_CUDA:
        return not cell
    wanted = _version("--cuda", cuda).release
    return (
        bool(cell) and Version(cell).release[: len(wanted)] == wanted[: len(Version(cell).release)]
    )


def _version(option: str, text: str) -> Version:
    try:
        return Version(text)
    except ValueError as error:  # InvalidVersion, or more digits than Python reads
        raise UserError(f"{option} {text}: it is no version", hint="write 3.12 or 12.8") from error


def grid(shown: Shown) -> str:
    """The rows as aligned text; Pythons as a column for each minor, with a mark where it fits."""
    if not shown.rows:
        return f"{shown.table}: no row fits\n"
    minors = _used_minors(shown) if shown.has_pythons else ()
    plain = [column for column in shown.columns if not (minors and column == "python")]
    header = [*plain, *minors]
    lines = [[*(row[column] for column in plain), *_marks(row, minors)] for row in shown.rows]
    widths = [max(len(line[i]) for line in [header, *lines]) for i in range(len(header))]
    told = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [header, *lines]
    )
    return "".join(f"{line}\n" for line in told)


def _used_minors(shown: Shown) -> tuple[str, ...]:
    used = [
        minor
        for minor in shown.pythons
        if any(contains(row["python"], f"{minor}.99") for row in shown.rows)
    ]
    return tuple(used)


def _marks(row: Mapping[str, str], minors: Iterable[str]) -> list[str]:
    return ["x" if contains(row["python"], f"{minor}.99") else "" for minor in minors]
