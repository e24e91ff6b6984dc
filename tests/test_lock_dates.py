"""`--exclude-newer`, and what indexes say of a project: what a lock takes, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from cogpack.compat.tables import overlaid
from cogpack.errors import UserError
from cogpack.solver.conflict import Conflict
from cogpack.solver.text import conflict_text
from cogpack.stacks.compose import load
from cogpack.stacks.locking import Locked, Relock, lock_project
from support.index_server import Dist, IndexServer
from support.locked_project import environment, index, write_project
from support.new_releases import moved_tables, put_variants
from support.small_tables import torch_wheels, variant_wheels
from support.upstream import Upstream, upstream

DAY = "2024-06-01"
OLD = Dist("1.0")
NEW = Dist("2.0", upload_time="2025-01-01T00:00:00Z")
UNDATED = Dist("3.0", upload_time="")
BOUNDS = (
    "--exclude-newer is about files of package indexes: Python, CUDA and the base image are as new "
    "as the tables have them"
)


def made(folder: Path, server: IndexServer, *lines: str, day: str = DAY) -> Locked | Conflict:
    project = write_project(folder / "project", *lines)
    return lock_project(load(project), Relock(exclude_newer=day), environment(server, folder))


def locked(folder: Path, server: IndexServer, *lines: str, day: str = DAY) -> Locked:
    outcome = made(folder, server, *lines, day=day)
    assert isinstance(outcome, Locked), outcome
    return outcome


def told(folder: Path, world: Mapping[str, Sequence[Dist]], *lines: str) -> tuple[str, str]:
    """The text of the conflict, and the URL of the index."""
    with index(world) as server:
        outcome = made(folder, server, *lines)
        assert isinstance(outcome, Conflict)
        return conflict_text(outcome), server.url


def test_files_without_a_date_are_left_out_and_named(tmp_path: Path) -> None:
    with index({"lib": [OLD, UNDATED]}) as server:
        found = locked(tmp_path, server, "lib")
        assert found.lock.by_name["lib"].version == "1.0"
        undated = (
            f"{server.url} gives no upload time of lib-3.0-py3-none-any.whl: "
            "left out because of exclude-newer"
        )
        assert found.warnings == (undated, BOUNDS)
        assert all("exclude-newer" not in one for one in found.lock.resolution.warnings)
        assert locked(tmp_path, server, "lib", day="").warnings == ()


@pytest.mark.parametrize(
    ("dist", "why"),
    [
        (
            UNDATED,
            "gives no upload time of lib-3.0-py3-none-any.whl: left out because of exclude-newer",
        ),
        (NEW, "has lib 2.0, too new for exclude-newer"),
    ],
)
def test_a_package_of_which_nothing_is_left_is_a_fault_of_its_line(
    tmp_path: Path, dist: Dist, why: str
) -> None:
    with index({"lib": [dist]}) as server:
        with pytest.raises(UserError) as error:
            made(tmp_path, server, "lib>=1")
        (fault,) = error.value.faults
        expected = f"requirements.txt:1: there is no file of lib to install: {server.url} {why}"
        assert str(fault) == expected


@pytest.mark.parametrize("status", ["archived", "deprecated"])
def test_the_status_of_a_project_is_told_and_stops_nobody(tmp_path: Path, status: str) -> None:
    with index({"lib": [OLD]}) as server:
        server.statuses["lib"] = (status, "see elsewhere")
        found = locked(tmp_path, server, "lib", day="")
        assert found.warnings == (f"lib is {status} on {server.url} (see elsewhere)",)
        again = locked(tmp_path, server, "lib", day="")
        assert again.warnings == found.warnings


def test_a_quarantined_project_is_taken_from_nowhere(tmp_path: Path) -> None:
    with index({"lib": [OLD], "app": [Dist("1.0", ("lib",))]}) as server:
        server.statuses["lib"] = ("quarantined", "malware")
        told = f"{server.url} has quarantined lib and offers no files of it (malware)"
        with pytest.raises(UserError, match="there is no file of lib to install") as error:
            made(tmp_path, server, "lib", day="")
        assert told in str(error.value.faults[0])
        outcome = made(tmp_path, server, "app", day="")
        assert isinstance(outcome, Conflict)
        assert f"app 1.0 needs lib, and {told}" in conflict_text(outcome)


def test_a_conflict_says_that_a_version_is_too_new(tmp_path: Path) -> None:
    text, url = told(tmp_path, {"lib": [OLD, NEW]}, "lib>=2")
    assert "no lib>=2 is known" in text
    assert f"{url} has lib 2.0, too new for exclude-newer" in text


def test_a_conflict_says_that_what_a_package_needs_is_too_new(tmp_path: Path) -> None:
    world = {"app": [Dist("1.0", ("lib>=2", "six"))], "lib": [OLD, NEW], "six": [OLD, NEW]}
    text, url = told(tmp_path, world, "app")
    assert f"app 1.0 needs lib>=2, and {url} has lib 2.0, too new for exclude-newer" in text
    assert "six" not in text


@pytest.fixture
def variants() -> Iterator[Upstream]:
    with upstream() as server:
        yield server


def torch(version: str, moment: str) -> list[Dist]:
    wheels = torch_wheels(version, "12.6.77", "9.5.1.17", "3.3.1", (12,))
    return [replace(one, requires=(), upload_time=moment) for one in wheels]


class TestTorch:
    """Rows of the tables have no dates: the files behind them on the indexes do."""

    @pytest.fixture
    def world(self, tmp_path: Path, variants: Upstream) -> Iterator[dict[str, list[Dist]]]:
        dists = [*torch("2.7.1", "2024-01-01T00:00:00Z"), *torch("2.8.0", "2025-01-01T00:00:00Z")]
        with overlaid([moved_tables(tmp_path / "tables", f"{variants.url}/whl")]):
            yield {"torch": dists}

    def test_a_row_whose_files_are_too_new_is_passed_over(
        self, tmp_path: Path, world: dict[str, list[Dist]], variants: Upstream
    ) -> None:
        cpu = [*variant_wheels("2.7.1+cpu"), *variant_wheels("2.8.0+cpu")]
        put_variants(variants, "torch", cpu)
        with index(world) as server:
            newest = locked(tmp_path, server, "torch", day="")
            found = locked(tmp_path, server, "torch")
        assert newest.lock.by_name["torch"].version.startswith("2.8.0")
        assert found.lock.by_name["torch"].version.startswith("2.7.1")

    def test_a_row_that_was_asked_for_and_is_too_new_is_a_conflict(
        self, tmp_path: Path, world: dict[str, list[Dist]]
    ) -> None:
        text, url = told(tmp_path, world, "torch==2.8.0")
        assert "torch 2.8.0 has no file on the index" in text
        assert f"{url} has torch 2.8.0, too new for exclude-newer" in text
        assert "change torch==2.8.0 to torch==2.7.1, requirements.txt:1" in text
