"""Reading tables: what is wrong is named by table, line and column, all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.compat import Tables, tables
from cogpack.errors import CogpackError, UserError

TOOLS = "tool,version,source,checked\n"
GPUS = "name,capability,generation,aliases,source,checked\n"


def overlay(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def fault(folder: Path) -> tuple[str, ...]:
    with pytest.raises(UserError) as caught:
        Tables.load(folder).read_all()
    return tuple(str(one) for one in caught.value.faults)


def test_rows_are_typed_and_know_their_line() -> None:
    first = Tables.load().tools[0]
    assert (first.tool, first.file, first.line) == ("uv", "compat/tools.csv", 2)
    assert first.version.release >= (0, 13)
    with pytest.raises(AttributeError):
        first.tool = "pip"  # type: ignore[misc]


def test_a_table_is_read_once_and_only_when_it_is_asked_for(tmp_path: Path) -> None:
    found = Tables.load(overlay(tmp_path, tools="no table\n"))
    assert found.gpus is found.gpus
    with pytest.raises(UserError):
        _ = found.tools


def test_an_overlay_replaces_rows_with_the_same_key_and_adds_others(tmp_path: Path) -> None:
    rows = "b200,10.0,ours,,our lab,2026-11-22\nx1,13.0,ours,,our lab,2026-11-22\n"
    merged = Tables.load(overlay(tmp_path, gpus=GPUS + rows)).gpus
    assert len(merged) == len(Tables.load().gpus) + 1
    assert [row.name for row in merged if row.generation == "ours"] == ["b200", "x1"]
    assert merged[-1].file == f"{tmp_path}/gpus.csv"


def test_the_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    text = "checked,version,tool,source\n2026-11-22,9.9,uv-next,our lab\n"
    merged = Tables.load(overlay(tmp_path, tools=text)).tools
    assert [str(row.version) for row in merged if row.tool == "uv-next"] == ["9.9"]


def test_bad_cells_are_named_by_line_and_column_all_at_once(tmp_path: Path) -> None:
    rows = "uv,newest,,\nuv,1.0,\npip,1.0,,\npip,1.0,,\n"
    name = f"{tmp_path}/tools.csv"
    assert fault(overlay(tmp_path, tools=TOOLS + rows)) == (
        f"{name}:2: column 'version': 'newest' is not a version as PEP 440 has it",
        f"{name}:3: the row has 3 cells, not 4",
        f"{name}:5: the row stands twice",
    )


def test_a_number_that_is_none_is_named(tmp_path: Path) -> None:
    header = "name,title,codename,glibc,preference,source,checked\n"
    text = header + "debian-14,Debian 14,forky,2.42,first,,\n"
    assert fault(overlay(tmp_path, os=text)) == (
        f"{tmp_path}/os.csv:2: column 'preference': 'first' is not a whole number",
    )


def test_missing_and_unknown_columns_are_named(tmp_path: Path) -> None:
    assert fault(overlay(tmp_path, tools="tool,verson,source,checked\n")) == (
        f"{tmp_path}/tools.csv:1: the column 'version' is missing",
        f"{tmp_path}/tools.csv:1: there is no column 'verson' in this table",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "tools.csv:1: the column 'tool' is missing"),
        (TOOLS + 'uv,"1.0,,\n', "tools.csv:2: this is no CSV: unexpected end of data"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    assert message in "\n".join(fault(overlay(tmp_path, tools=text)))


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "tools.csv").write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in fault(tmp_path)[0]


def test_the_faults_of_all_tables_come_together(tmp_path: Path) -> None:
    faults = fault(overlay(tmp_path, tools=TOOLS + "uv,x,,\n", gpus=GPUS + "a,x,,,,\n"))
    assert [text.split(":")[0] for text in faults] == [
        f"{tmp_path}/gpus.csv",
        f"{tmp_path}/tools.csv",
    ]


def test_an_overlay_must_exist_and_hold_known_tables(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        Tables.load(overlay(tmp_path, torhc="a\n"), tmp_path / "missing")
    assert [str(one) for one in caught.value.faults] == [
        f"{tmp_path}/torhc.csv is no table that cogpack knows",
        f"there is no folder {tmp_path}/missing",
    ]
    assert "torch.csv" in caught.value.faults[0].hint


def test_a_fault_in_the_package_is_the_packages_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "OWN", overlay(tmp_path, tools="broken\n"))
    with pytest.raises(CogpackError, match="column 'tool' is missing"):
        _ = Tables.load().tools
