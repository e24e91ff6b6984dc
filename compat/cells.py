"""The tables as they stand in their files: cells of text, sorted, written byte for byte alike.

`tables` reads rows with types for whoever uses them; this is for what writes and compares tables.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from ..files import write_atomically
from .rows import TABLES, Row, columns
from .tables import Tables

__all__ = ["Cells", "Key", "Sheet", "row_of", "sheets_of", "sort_key", "typed", "write_sheet"]

Cells = Mapping[str, str]
"""One row: column -> text of the cell."""

Key = tuple[object, ...]
"""What identifies a row: the cells of the key columns, typed, so that `2.0` is `2.0.0`."""


@dataclass(frozen=True)
class Sheet:
    """A table as text. rows: sorted by the table's key."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Cells, ...]

    @classmethod
    def of(cls, name: str, rows: Iterable[Cells]) -> Sheet:
        """The sheet of these rows, in any order; a column that a row lacks is empty there."""
        names = _names(name)
        full = [{column: row.get(column, "") for column in names} for row in rows]
        return cls(name, names, tuple(sorted(full, key=lambda row: sort_key(name, row))))

    @cached_property
    def by_key(self) -> Mapping[Key, Cells]:
        """The rows by their key."""
        return {sort_key(self.name, row): row for row in self.rows}

    @property
    def text(self) -> str:
        """The file's content."""
        out = io.StringIO()
        writer = csv.DictWriter(out, self.columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return out.getvalue()


def sort_key(name: str, row: Cells) -> Key:
    """The key of a row, in the order of the table.

    Raises ValueError when a cell of the key cannot be read.
    """
    readers = dict(columns(name))
    return tuple(readers[column](row[column]) for column in TABLES[name].key)


def write_sheet(folder: Path, sheet: Sheet) -> None:
    """Write a table into a folder, whole or not at all.

    Raises BuilderError when the folder or the disk refuses.
    """
    write_atomically(folder / f"{sheet.name}.csv", sheet.text.encode())


def typed(sheet: Sheet) -> tuple[Row, ...]:
    """The rows with their types, as `Tables` gives them; a row's line is that of the sheet's text.

    Raises ValueError when a cell cannot be read.
    """
    file = f"compat/{sheet.name}.csv"
    return tuple(row_of(sheet.name, row, file, n) for n, row in enumerate(sheet.rows, start=2))


def row_of(table: str, cells: Cells, file: str, line: int = 0) -> Row:
    """The typed row of some cells; one that is not given is empty. file, line: see `Row`.

    Raises ValueError when a cell cannot be read.
    """
    make = cast("Callable[..., Row]", TABLES[table].row)
    values = [read(cells.get(column, "")) for column, read in columns(table)]
    return make(*values, cells.get("source", ""), cells.get("checked", ""), file, line)


def sheets_of(tables: Tables) -> Mapping[str, Sheet]:
    """Every table as text, overlays included.

    Raises what `Tables.read_all` raises.
    """
    return {
        name: Sheet.of(
            name, ({column: _text(row, column) for column in _names(name)} for row in rows)
        )
        for name, rows in tables.read_all().items()
    }


def _names(name: str) -> tuple[str, ...]:
    return (*(column for column, _ in columns(name)), "source", "checked")


def _text(row: Row, column: str) -> str:
    value = getattr(row, column)
    return " ".join(value) if isinstance(value, tuple) else str(value)
