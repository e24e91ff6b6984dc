"""`cogpack compat check`: the package's tables hold, and a table that does not hold is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cogpack.cli import cli
from cogpack.compat.cells import Sheet, typed, write_sheet
from cogpack.compat.check import CHECKS, run_checks
from cogpack.compat.tables import Tables
from cogpack.solver.reachable import unreachable
from support.matrices import tables
from support.small_tables import small_sheets, small_tables


def check(*options: str) -> Result:
    return CliRunner().invoke(cli, ["compat", "check", *options])


def test_the_invariants_of_the_package_hold() -> None:
    found = run_checks(tables().read_all())
    assert {name: list(map(str, problems)) for name, problems in found.items() if problems} == {}


def test_every_row_of_the_package_can_be_chosen() -> None:
    assert list(unreachable(tables())) == []


def test_the_verb_tells_each_invariant_in_a_line() -> None:
    done = check()
    assert done.exit_code == 0
    told = done.stdout.splitlines()
    assert [line.split()[:2] for line in told] == [
        *([one.name, "ok"] for one in CHECKS),
        ["reachable", "ok"],
    ]


BROKEN = {
    "sources": ("torch", {"source": " "}, "the row has no source"),
    "specifiers": ("torch", {"python": "about 3"}, "is no version specifier"),
    "pythons": ("torch", {"python": ">=4"}, "no known release is in '>=4'"),
    "glibc": ("torch", {"glibc": "3.0"}, "no system of os.csv has glibc 3.0"),
    "kernels": ("torch", {"kernels": "sm_90"}, "'sm_90' is no compute capability"),
    "torch-variants": ("torch", {"variant": "cu999"}, "the variant is cu999"),
    "cuda": ("torch", {"cudnn": "1.2.3"}, "cudnn.csv has no cuDNN 1.2.3"),
    "torch-cuda": ("torch", {"libraries": "", "cuda": "11.8"}, "no image has CUDA 11.8"),
    "torch-triton": ("torch", {"triton": "==1.0"}, "triton.csv has no triton ==1.0"),
    "companions": ("torchvision", {"torch": "==1.0"}, "torch.csv has no torch ==1.0"),
    "jax": ("jax", {"jaxlib": "==1.0"}, "jaxlib.csv has no jaxlib ==1.0"),
    "pins": ("pins", {"requires": "torch==1.0"}, "torch.csv has no torch==1.0"),
    "cog": ("cog", {"coglet": "==1.0"}, "cog.csv has no coglet ==1.0"),
    "images": ("cuda_images", {"os": "beos-5"}, "os.csv has no beos-5"),
    "gpus": ("gpus", {"aliases": "h100"}, "h100 is a GPU of line"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_row_that_breaks_an_invariant_is_told_by_its_name(name: str) -> None:
    table, cells, message = BROKEN[name]
    sheets = small_sheets()
    assert not any(broken(sheets).values())
    sheets[table] = Sheet.of(table, with_first_row(sheets[table], cells))
    assert message in " ".join(broken(sheets)[name])


def with_first_row(sheet: Sheet, cells: Mapping[str, str]) -> list[Mapping[str, str]]:
    first, *others = sheet.rows
    return [{**first, **cells}, *others]


def broken(sheets: Mapping[str, Sheet]) -> dict[str, list[str]]:
    rows = {name: typed(sheet) for name, sheet in sheets.items()}
    return {name: [str(one) for one in found] for name, found in run_checks(rows).items()}


def test_versions_are_sorted_as_versions_and_stand_once() -> None:
    rows: dict[str, Any] = {name: typed(sheet) for name, sheet in small_sheets().items()}
    first, second, *others = rows["triton"]
    rows["triton"] = (second, first, first, *others)
    (behind, twice) = run_checks(rows)["sorted"]
    assert str(behind) == "compat/triton.csv:2: 3.3.1 amd64 stands behind 3.4.0 amd64"
    assert str(twice) == "compat/triton.csv:2: the row stands twice: 3.3.1 amd64"


def test_a_broken_table_is_told_with_its_line_and_fails(tmp_path: Path) -> None:
    folder = small_tables(tmp_path)
    sheet = small_sheets()["pins"]
    write_sheet(folder, Sheet.of("pins", with_first_row(sheet, {"requires": "torch==1.0"})))
    done = check("--compat", str(folder))
    assert done.exit_code == 1
    assert f"{folder}/pins.csv:2: torch.csv has no torch==1.0" in done.stdout
    assert "not asked" in done.stdout


def test_a_row_that_no_project_can_get_is_told(tmp_path: Path) -> None:
    folder = small_tables(tmp_path)
    sheet = small_sheets()["pins"]
    # Each pin exists; only together they cannot be had.
    clash = {"requires": "torch==2.7.1; torchvision==0.23.0"}
    write_sheet(folder, Sheet.of("pins", with_first_row(sheet, clash)))
    (problem,) = unreachable(Tables.load(folder))
    assert problem.text == "no project can get vllm 0.10.0"
    done = check("--compat", str(folder))
    assert done.exit_code == 1
    assert "reachable       1 broken" in done.stdout
