"""One refresh: ask the sources, lay what they say over the rows, keep only what fits together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..cells import Cells, Key, Sheet, sort_key, typed, write_sheet
from ..check import run_checks
from ..rows import TABLES
from .finding import Finding, Missed, laid_over
from .subjects import SUBJECTS, Subject, chosen
from .world import World

__all__ = ["Refreshed", "refresh", "write"]


@dataclass(frozen=True)
class Refreshed:
    """The outcome of a refresh.

    before, after: every table. notes: what a reader may want to know. missed: what was not reached.
    """

    before: Mapping[str, Sheet]
    after: Mapping[str, Sheet]
    notes: tuple[str, ...]
    missed: tuple[Missed, ...]

    @property
    def changed(self) -> tuple[str, ...]:
        """The tables that are another now, those that others build on first."""
        return tuple(name for name in SUBJECTS if self.before[name] != self.after[name])


def refresh(
    names: Iterable[str],
    sheets: Mapping[str, Sheet],
    world: World,
    today: str,
    subjects: Mapping[str, Subject] = SUBJECTS,
    *,
    tell: Callable[[str], None] = lambda _: None,
) -> Refreshed:
    """Refresh tables from their sources, in memory.

    names: tables of `subjects`; none means all. sheets: every table. today: ISO 8601.
    tell: is told which table is being read.
    """
    selected = chosen(names)
    pages = dict.fromkeys(page for name in selected for page in subjects[name].pages(sheets))
    world.ask_ahead(_question(world, url, name) for url, name in pages)
    after = dict(sheets)
    notes: list[str] = []
    missed: list[Missed] = []
    for name in selected:
        tell(name)
        finding: Finding = subjects[name].find(after[name], world, after)
        after[name] = laid_over(after[name], finding, today)
        notes += finding.notes
        missed += finding.missed
    after, held = _held_back(sheets, after)
    return Refreshed(sheets, after, (*dict.fromkeys(notes), *held), tuple(dict.fromkeys(missed)))


def write(folder: Path, refreshed: Refreshed) -> tuple[Path, ...]:
    """Write the tables that changed, each whole or not at all; returns their files.

    Raises BuilderError when the folder or the disk refuses.
    """
    for name in refreshed.changed:
        write_sheet(folder, refreshed.after[name])
    return tuple(folder / f"{name}.csv" for name in refreshed.changed)


def _question(world: World, url: str, name: str) -> Callable[[], object]:
    return lambda: world.page(url, name)


def _held_back(
    before: Mapping[str, Sheet], after: Mapping[str, Sheet]
) -> tuple[dict[str, Sheet], tuple[str, ...]]:
    """The tables without those new rows and changes that break an invariant, and why."""
    kept = dict(after)
    if before == after:
        return kept, ()
    known = _problems(before)
    reasons: dict[tuple[str, Key], str] = {}
    while True:
        found = _problems(kept)
        fresh = {
            place: text
            for place, text in found.items()
            if place not in known and place not in reasons
        }
        if not fresh:
            break
        reasons |= fresh
        for name in {name for name, _ in fresh}:
            kept[name] = _reverted(before[name], kept[name], {k for n, k in fresh if n == name})
    held = (f"{_shown(*place)} is left as it was: {text}" for place, text in reasons.items())
    return kept, tuple(held)


def _problems(sheets: Mapping[str, Sheet]) -> dict[tuple[str, Key], str]:
    rows = {name: typed(sheets[name]) for name in TABLES}
    return {
        (table, sort_key(table, sheets[table].rows[problem.row.line - 2])): problem.text
        for problems in run_checks(rows).values()
        for problem in problems
        for table in (Path(problem.row.file).stem,)
    }


def _reverted(before: Sheet, after: Sheet, keys: Iterable[Key]) -> Sheet:
    rows: dict[Key, Cells] = dict(after.by_key)
    for key in keys:
        rows.pop(key, None)
        if key in before.by_key:
            rows[key] = before.by_key[key]
    return replace(after, rows=tuple(Sheet.of(after.name, rows.values()).rows))


def _shown(name: str, key: Key) -> str:
    return f"{name} {' '.join(map(str, key))}"
