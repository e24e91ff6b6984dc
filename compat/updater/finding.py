"""What one source run says about a table, and how it is laid over the rows that are there.

A source tells some columns and leaves the others alone; what nobody told a second time stays. No
row goes: one that its source has no longer is marked as withdrawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..cells import Cells, Key, Sheet, sort_key
from ..rows import OPTIONAL, columns

__all__ = ["Finding", "Found", "Missed", "laid_over"]


@dataclass(frozen=True)
class Found:
    """What a source tells of one row.

    cells: the columns that it tells, the key's among them.
    defaults: columns that it guesses: they count for a new row only.
    source: column -> where its cells come from; "" for the row as a whole.
    """

    cells: Cells
    source: Mapping[str, str]
    defaults: Cells = field(default_factory=dict)


class Missed(NamedTuple):
    """A source that was not reached. reason: which and why.

    left: what stays as it is for it. part: of that, where one source tells one part only.
    """

    reason: str
    left: str
    part: str = ""


@dataclass(frozen=True)
class Finding:
    """What the sources of one table told.

    rows: what they have. absent: keys of rows that they had once and have no longer.
    notes: what a reader may want to know, a release that was left out for example.
    missed: sources that were not reached.
    """

    rows: tuple[Found, ...] = ()
    absent: frozenset[Key] = frozenset()
    notes: tuple[str, ...] = ()
    missed: tuple[Missed, ...] = ()


def laid_over(sheet: Sheet, finding: Finding, today: str) -> Sheet:
    """The sheet with what the sources told; rows that they say nothing new of stay as they are.

    today: ISO 8601; the day on which a changed row was checked and a missing one withdrawn.
    """
    rows: dict[Key, Cells] = dict(sheet.by_key)
    markable = OPTIONAL in dict(columns(sheet.name))
    for found in finding.rows:
        key = sort_key(sheet.name, found.cells)
        old = rows.get(key)
        told = {**found.cells, **({OPTIONAL: ""} if markable else {})}
        if old is None:
            source = source_text(found.source)
            rows[key] = {**found.defaults, **told, "source": source, "checked": today}
        elif changed := {name: text for name, text in told.items() if old[name] != text}:
            source = _merged_source(old["source"], found.source, changed)
            rows[key] = {**old, **changed, "source": source, "checked": today}
    for key in finding.absent:
        if key in rows and markable and not rows[key][OPTIONAL]:
            rows[key] = {**rows[key], OPTIONAL: today, "checked": today}
    return Sheet.of(sheet.name, rows.values())


def source_text(source: Mapping[str, str]) -> str:
    """A source cell: the row's own source, then those of single columns."""
    columns_of: dict[str, list[str]] = {}
    for column, text in source.items():
        if column:
            columns_of.setdefault(text, []).append(column)
    parts = [source[""]] if source.get("") else []
    parts += [f"{', '.join(names)}: {text}" for text, names in columns_of.items()]
    return "; ".join(parts)


def _merged_source(old: str, told: Mapping[str, str], changed: Iterable[str]) -> str:
    """The old source cell, with the sources of the columns that changed."""
    if set(changed) <= {OPTIONAL}:
        return old
    known = dict(_parts(old))
    for column in changed:
        known.pop(column, None)
        if column in told:
            known[column] = told[column]
    if told.get("") and not set(changed) <= told.keys():
        known[""] = told[""]
    return source_text(known)


def _parts(text: str) -> Iterable[tuple[str, str]]:
    """Column and source of each part of a source cell; "" is the row's, whole."""
    general = []
    for part in text.split("; "):
        names, colon, rest = part.partition(": ")
        columns_named = names.split(", ")
        if colon and all(name.isidentifier() and name.islower() for name in columns_named):
            yield from ((name, rest) for name in columns_named)
        else:
            general.append(part)
    if general:
        yield "", "; ".join(general)
