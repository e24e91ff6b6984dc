"""`cogpack compat show`: rows as a grid, and as a page that needs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from cogpack.cli import cli
from cogpack.compat.page import page
from cogpack.compat.show import Filter, grid, select
from cogpack.compat.tables import Tables
from cogpack.errors import UserError
from support.matrices import tables
from support.small_tables import small_tables


def versions(table: str, **chosen: str) -> list[str]:
    return [row["version"] for row in select(tables(), table, Filter(**chosen)).rows]


def test_the_grid_of_the_builds_for_a_python_and_a_cuda(tmp_path: Path) -> None:
    folder = small_tables(tmp_path)
    command = ["compat", "show", "torch", "--python", "3.12", "--cuda", "12.8"]
    done = CliRunner().invoke(cli, [*command, "--compat", str(folder)])
    assert done.exit_code == 0
    assert done.stdout == (
        "version      variant  architecture  glibc  cuda  cudnn      triton   "
        "kernels                        libraries  3.11  3.12  3.13\n"
        "2.7.1+cu128  cu128    amd64         2.28   12.8  9.7.1.26   ==3.3.1  "
        "7.5 8.0 8.6 9.0 10.0 12.0+PTX  packages   x     x     x\n"
        "2.8.0        cu128    amd64         2.28   12.8  9.10.2.21  ==3.4.0  "
        "7.0 7.5 8.0 8.6 9.0 10.0 12.0  packages   x     x     x\n"
        "2.8.0+cu128  cu128    amd64         2.28   12.8  9.10.2.21  ==3.4.0  "
        "7.0 7.5 8.0 8.6 9.0 10.0 12.0  packages   x     x     x\n"
    )


def test_filters_go_by_versions() -> None:
    assert versions("torch", python="3.15") == ["2.15.0", "2.15.0"]
    assert versions("torch", python="3.15", architecture="arm64") == ["2.15.0"]
    assert set(versions("torch", cuda="none", python="3.8")) >= {"1.13.1+cpu", "2.4.1+cpu"}
    assert versions("torch", cuda="12")[0] == "2.1.0"
    assert versions("torch", cuda="12.1", python="3.8")[-1] == "2.4.1+cu121"
    assert versions("python", python="3.14") == [f"3.14.{patch}" for patch in range(11)]
    assert versions("cuda", cuda="12.6") == ["12.6.0", "12.6.1", "12.6.2", "12.6.3"]
    # A specifier may leave out one patch: the minor still counts, that release does not.
    assert "0.29.2" in versions("torchvision", python="3.14")
    assert "0.29.2" not in versions("torchvision", python="3.14.1")


def test_no_row_is_said_so() -> None:
    assert grid(select(tables(), "torch", Filter(python="3.7", cuda="13"))) == (
        "torch: no row fits\n"
    )


@pytest.mark.parametrize(
    ("table", "chosen", "message"),
    [
        ("torsh", {}, "there is no table torsh"),
        ("gpus", {"cuda": "12"}, "the table gpus has no column cuda"),
        ("gpus", {"python": "3.12"}, "the table gpus has no column python"),
        ("python", {"architecture": "amd64"}, "has no column architecture"),
        ("torch", {"python": "three"}, "--python three: it is no version"),
        ("torch", {"cuda": "new"}, "--cuda new: it is no version"),
    ],
)
def test_a_question_without_meaning_is_refused(
    table: str, chosen: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        select(tables(), table, Filter(**chosen))


class _Links(HTMLParser):
    """Collects what a page would load, and its open elements."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.loaded += [value or "" for name, value in attrs if name in {"src", "href", "action"}]


@pytest.mark.parametrize("table", ["torch", "pins", "gpus", "base_images"])
def test_the_page_holds_every_row_and_loads_nothing(table: str) -> None:
    shown = select(tables(), table, Filter())
    text = page(shown)
    parsed = _Links()
    parsed.feed(text)
    assert parsed.loaded == []
    assert not re.search(r"@import|url\(|https?://", text.partition("<body>")[0])
    assert "<!--" not in text
    rows = text.partition('id="rows"')[2].partition("<tbody>")[2]
    assert rows.count("<tr") == len(shown.rows)


def test_the_matrix_has_a_cell_for_each_release_and_python(tmp_path: Path) -> None:
    shown = select(Tables.load(small_tables(tmp_path)), "torch", Filter())
    matrix = page(shown).partition('id="matrix"')[2].partition("</table>")[0]
    assert re.findall(r'<th scope="row">([^<]*)<', matrix) == ["2.8.0", "2.7.1"]
    assert re.findall(r'<th scope="col" data-minor="([^"]*)"', matrix) == ["3.11", "3.12", "3.13"]
    assert len(re.findall(r"<td ", matrix)) == 6
    assert matrix.count('class="chip default" data-cuda="12.6"') == 3
    assert "cudnn 9.10.2.21" in matrix


def test_cells_are_escaped(tmp_path: Path) -> None:
    folder = small_tables(tmp_path)
    file = folder / "gpus.csv"
    file.write_text(file.read_text().replace("hopper", "<script>alert(1)</script>"))
    text = page(select(Tables.load(folder), "gpus", Filter()))
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
