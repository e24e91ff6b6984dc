"""What is different between two states of the tables, row by row, and how it is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from .cells import Key, Sheet
from .rows import TABLES

__all__ = ["RowChange", "compared", "lines", "summary"]

# Columns that say where a row comes from and not what it says.
_PROVENANCE = ("source", "checked")

_EMPTY = "(empty)"


@dataclass(frozen=True)
class RowChange:
    """A row that is new, gone or another.

    key: the cells of the key columns, as text. cells: column -> (before, after), for those that
    differ; the other side of a new or a gone row is empty.
    """

    table: str
    kind: Literal["added", "removed", "changed"]
    key: tuple[str, ...]
    cells: Mapping[str, tuple[str, str]]


def compared(before: Mapping[str, Sheet], after: Mapping[str, Sheet]) -> tuple[RowChange, ...]:
    """The changes from one state of the tables to another, by table and key."""
    return tuple(
        change for name in sorted(after) for change in _of_table(before[name], after[name])
    )


def _of_table(before: Sheet, after: Sheet) -> Iterator[RowChange]:
    keys: dict[Key, None] = dict.fromkeys([*before.by_key, *after.by_key])
    for key in sorted(keys):
        old, new = before.by_key.get(key), after.by_key.get(key)
        if old == new:
            continue
        shown = new or old or {}
        cells = {
            column: (texts[0], texts[1])
            for column in after.columns
            if (texts := ((old or {}).get(column, ""), (new or {}).get(column, "")))[0] != texts[1]
        }
        kind: Literal["added", "removed", "changed"] = (
            "added" if old is None else "removed" if new is None else "changed"
        )
        name = tuple(shown[column] for column in TABLES[after.name].key)
        yield RowChange(after.name, kind, name, cells)


def lines(changes: Iterable[RowChange]) -> Iterator[str]:
    """The changes for a reader, a line for each row under a line for each table."""
    grouped: dict[str, list[RowChange]] = {}
    for change in changes:
        grouped.setdefault(change.table, []).append(change)
    for name, found in grouped.items():
        yield f"{name}.csv: {summary(found)}"
        yield from (f"  {_line(change)}" for change in found)


def summary(changes: Iterable[RowChange]) -> str:
    """How many rows of each kind: `2 added, 1 changed`."""
    counts: dict[str, int] = {}
    for change in changes:
        withdrawn = change.kind == "changed" and change.cells.get("withdrawn", ("", ""))[1]
        kind = "withdrawn" if withdrawn else change.kind
        counts[kind] = counts.get(kind, 0) + 1
    order = ("added", "changed", "withdrawn", "removed")
    return ", ".join(f"{counts[kind]} {kind}" for kind in order if kind in counts)


def _line(change: RowChange) -> str:
    sign = {"added": "+", "removed": "-", "changed": "~"}[change.kind]
    told = {
        column: texts
        for column, texts in change.cells.items()
        if column not in (*_PROVENANCE, *TABLES[change.table].key)
    }
    if change.kind == "changed" and not told:
        told = dict(change.cells)
    key = " ".join(change.key)
    if change.kind == "changed":
        cells = (f"{name} {old or _EMPTY} -> {new or _EMPTY}" for name, (old, new) in told.items())
    else:
        cells = (f"{name} {old or new}" for name, (old, new) in told.items())
    return f"{sign} {key}: {'; '.join(cells)}".rstrip(": ")
