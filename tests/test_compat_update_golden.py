"""torch.csv is what its sources say: rows that are lost come back from recorded answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from packaging.version import Version

from cogpack.compat.cells import Sheet, sheets_of
from cogpack.compat.updater.run import refresh
from support.matrices import tables
from support.recorded import recorded_world

TODAY = "2026-11-22"


@pytest.fixture(scope="module")
def whole() -> Mapping[str, Sheet]:
    return sheets_of(tables())


def up_to(sheet: Sheet, newest: str) -> Sheet:
    rows = [
        row
        for row in sheet.rows
        if Version(row["version"]).release[:2] <= Version(newest).release[:2]
    ]
    return Sheet.of(sheet.name, rows)


def test_the_rows_after_2_8_come_back_exactly(whole: Mapping[str, Sheet], tmp_path: Path) -> None:
    wiped = {**whole, "torch": up_to(whole["torch"], "2.8")}
    assert len(wiped["torch"].rows) < len(whole["torch"].rows)
    with recorded_world("torch", tmp_path, since=Version("2.9")) as world:
        refreshed = refresh(["torch"], wiped, world, TODAY)
    assert not refreshed.missed
    assert not refreshed.notes
    assert refreshed.after["torch"].text == whole["torch"].text
    assert refreshed.changed == ("torch",)


def test_a_second_run_changes_nothing(whole: Mapping[str, Sheet], tmp_path: Path) -> None:
    with recorded_world("torch", tmp_path, since=Version("2.9")) as world:
        refreshed = refresh(["torch"], whole, world, "2027-01-01")
    assert not refreshed.changed
    assert not refreshed.missed


def test_what_the_sources_are_asked_again_is_what_they_said(
    whole: Mapping[str, Sheet], tmp_path: Path
) -> None:
    with recorded_world("torch", tmp_path, since=Version("2.9"), recheck=True) as world:
        refreshed = refresh(["torch"], whole, world, "2027-01-01")
    assert not refreshed.changed
