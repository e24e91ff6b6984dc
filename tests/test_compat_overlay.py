"""A user's own tables, and releases that upstream has withdrawn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cogpack.cli import cli
from cogpack.compat.cells import Sheet, write_sheet
from cogpack.compat.tables import Tables, overlaid
from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.solver.matrix import build_universe
from cogpack.solver.requirement import Requirement
from cogpack.solver.resolution import Resolution
from cogpack.solver.solve import resolve
from support.small_tables import small_sheets, small_tables

PROJECT = 'build:\n  python_version: "3.12"\nrun: "predict.py:Predictor"\n'

# A company's own image, with the release of Python that its rows name and a rank before all others.
OWN_IMAGE = """\
ref,python,patch_ref,patch_from,os,architectures,packages,rank,source,checked
images.example.com/python:3.12,3.12.16,,,debian-12,amd64 arm64,ca-certificates,1,us,2026-11-22
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "cog.yaml").write_text(PROJECT)
    (folder / "predict.py").write_text(
        "from cog import BasePredictor\n\n\nclass Predictor(BasePredictor):\n"
        "    def predict(self, text: str) -> str:\n        return text\n"
    )
    return folder


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "base_images.csv").write_text(OWN_IMAGE)
    return folder


def cogpack(*arguments: str | Path, **environ: str) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments], env=environ)


@pytest.mark.parametrize("verb", ["resolve", "plan"])
def test_an_image_of_a_companys_own_is_used(verb: str, project: Path, own: Path) -> None:
    done = cogpack(verb, project, "--compat", own)
    assert "images.example.com/python:3.12" in done.stdout
    assert "images.example.com" not in cogpack(verb, project).stdout


def test_the_environment_names_folders_too(project: Path, own: Path, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    write_sheet(tmp_path / "more", Sheet.of("tools", [{"tool": "uv", "version": "99.0"}]))
    folders = f"{own}:{tmp_path / 'more'}"
    done = cogpack("resolve", project, COGPACK_COMPAT=folders)
    assert "images.example.com/python:3.12" in done.stdout
    assert "99.0" in done.stdout


def test_the_last_folder_lies_on_top(tmp_path: Path) -> None:
    for name, driver in (("a", "1.0"), ("b", "2.0")):
        (tmp_path / name).mkdir()
        row = {**small_sheets()["cuda"].rows[0], "driver": driver}
        write_sheet(tmp_path / name, Sheet.of("cuda", [row]))
    version = small_sheets()["cuda"].rows[0]["version"]
    folders = (tmp_path / "a", tmp_path / "b")
    with overlaid([tmp_path / "a"]):
        inner = {str(row.version): row.driver for row in Tables.load(tmp_path / "b").cuda}
    outer = {str(row.version): row.driver for row in Tables.load(*reversed(folders)).cuda}
    assert (inner[version], outer[version]) == ("2.0", "1.0")
    assert Tables.load().cuda == Tables.load().cuda


def test_a_folder_that_holds_every_table_hides_the_packages_own(tmp_path: Path) -> None:
    folder = small_tables(tmp_path / "whole")
    assert len(Tables.load(folder).torch) == len(small_sheets()["torch"].rows)
    (folder / "torch.csv").unlink()
    assert len(Tables.load(folder).torch) > 100


def test_an_overlay_is_over_when_its_block_is(own: Path) -> None:
    def refs() -> set[str]:
        return {row.ref for row in Tables.load().base_images}

    with overlaid([own]):
        assert "images.example.com/python:3.12" in refs()
    assert "images.example.com/python:3.12" not in refs()


def test_a_folder_that_is_no_overlay_is_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"), overlaid([tmp_path / "nowhere"]):
        pass
    (tmp_path / "odd.csv").write_text("a,b\n")
    with pytest.raises(UserError, match="no table that cogpack knows"):
        Tables.load(tmp_path)


def withdrawn(folder: Path, *versions: str) -> Path:
    """Small tables in which releases of torch are withdrawn."""
    small_tables(folder)
    rows = [
        {**row, "withdrawn": "2027-01-01"} if row["version"] in versions else row
        for row in small_sheets()["torch"].rows
    ]
    write_sheet(folder, Sheet.of("torch", rows))
    return folder


def solved(folder: Path, torch: str) -> Resolution:
    asked = [("torch", torch), ("accelerator", "==cuda"), ("cog", "")]
    wanted = [Requirement(name, text, Origin("r.txt", 1, f"{name}{text}")) for name, text in asked]
    universe = build_universe(Tables.load(folder), roots=[one.package for one in wanted])
    found = resolve(wanted, universe)
    assert isinstance(found, Resolution)
    return found


def test_a_withdrawn_release_is_not_chosen_while_there_is_another(tmp_path: Path) -> None:
    folder = withdrawn(tmp_path, "2.8.0", "2.8.0+cu128")
    found = solved(folder, "")
    assert found["torch"].version == "2.7.1+cu128"
    assert found.warnings == ()


def test_a_withdrawn_release_that_is_pinned_is_chosen_and_told(tmp_path: Path) -> None:
    found = solved(withdrawn(tmp_path, "2.8.0", "2.8.0+cu128"), "==2.8.0")
    assert found["torch"].version == "2.8.0+cu128"
    assert (
        "torch 2.8.0+cu128 was withdrawn upstream (seen on 2027-01-01): it may not install"
        in found.warnings
    )


def test_a_build_that_is_not_withdrawn_goes_before_one_that_is(tmp_path: Path) -> None:
    found = solved(withdrawn(tmp_path, "2.8.0+cu128"), "==2.8.0")
    assert found["torch"].version == "2.8.0"
    assert found.warnings == ()


def test_resolving_loads_nothing_of_the_updater() -> None:
    program = (
        "import sys, cogpack.cli.resolve, cogpack.stacks.solve, cogpack.cli.compat\n"
        "bad = [m for m in sys.modules if m.startswith(('httpx', 'cogpack.compat.updater'))]\n"
        "sys.exit(bool(bad))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("table", "header", "row", "expected"),
    [
        (
            "os",
            "name,title,codename,glibc,preference,source,checked",
            "mine-1,Mine,m,new,1,us,2026-11-22",
            "os.csv:2: column 'glibc': 'new' is not a version as PEP 440 has it",
        ),
        (
            "cuda",
            "version,driver,minimal_driver,oldest_capability,source,checked",
            "99.0.0,1e9,,5.0,us,2026-11-22",
            "cuda.csv:2: column 'driver': '1e9' is not a version as PEP 440 has it",
        ),
        (
            "triton",
            "version,architecture,python,glibc,source,checked",
            f"99.0.0,amd64,>=3.{'9' * 5000},2.17,us,2026-11-22",
            "triton.csv:2: column 'python': '>=3.999",
        ),
    ],
)
def test_a_cell_that_is_no_version_is_told_with_its_line(
    table: str, header: str, row: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / f"{table}.csv").write_text(f"{header}\n{row}\n")
    with pytest.raises(UserError) as caught, overlaid([tmp_path]):
        Tables.load().read_all()
    [fault] = caught.value.faults
    assert expected in str(fault)
    assert len(str(fault)) < 500
    assert fault.hint == "correct it"


def test_a_folder_with_a_name_that_is_too_long_is_not_there() -> None:
    with pytest.raises(UserError, match="there is no folder"), overlaid([Path("x" * 5000)]):
        pass
