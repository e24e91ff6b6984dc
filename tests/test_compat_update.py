"""A refresh against local servers: what is new, what is gone, what stays, and what is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cogpack.compat.cells import Sheet, sheets_of
from cogpack.compat.changes import compared, lines
from cogpack.compat.tables import Tables
from cogpack.compat.updater.request import Request, run
from cogpack.compat.updater.run import Refreshed, write
from cogpack.errors import UserError
from cogpack.index import HttpSettings
from support.distributions import Dist
from support.index_server import IndexServer
from support.small_tables import INDEX, small_tables, torch_wheels, variant_wheels
from support.upstream import Upstream, upstream

FAST = HttpSettings(attempts=2, pause_seconds=0.0, connections=4)

NOTES = b"""\
# Releasing PyTorch

For Release 2.9 PyTorch Supports following CUDA Architectures:

| CUDA | architectures supported for Linux x86 and Windows builds | notes |
| --- | --- | --- |
| 12.8.1 | Volta(7.0), Hopper(9.0), Blackwell(10.0, 12.0+PTX) | |
"""

Update = Callable[..., Refreshed]


@pytest.fixture
def index() -> Iterator[IndexServer]:
    server = IndexServer(INDEX)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def other() -> Iterator[Upstream]:
    """All but the default index: PyTorch's index and notes, a registry, lists of Pythons."""
    with upstream() as server:
        known = [*variant_wheels("2.7.1+cu128"), *variant_wheels("2.8.0+cu128")]
        server.put_wheels("/whl/torch/", "torch", known)
        server.put_wheels("/whl/cu128/torch/", "torch", known)
        server.put("/notes/main/RELEASE.md", NOTES)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_tables(tmp_path / "tables")


@pytest.fixture
def update(index: IndexServer, other: Upstream, folder: Path, tmp_path: Path) -> Update:
    """Runs a refresh of the folder and writes it, as the verb does."""
    environ = {
        "PIP_INDEX_URL": index.url,
        "PIP_CONFIG_FILE": os.devnull,
        "COGPACK_CACHE": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
    }
    mirrors = {
        "pytorch": f"{other.url}/whl",
        "pytorch-notes": f"{other.url}/notes",
        "docker.io": other.url,
        "python-cycle": f"{other.url}/peps",
        "python-releases": f"{other.url}/python",
    }

    def refreshed(*names: str, **options: Any) -> Refreshed:
        found = run(Request(names, mirrors, **options), folder, environ, settings=FAST)
        write(folder, found)
        assert Tables.load(folder).read_all()
        return found

    return refreshed


def told(refreshed: Refreshed) -> list[str]:
    return list(lines(compared(refreshed.before, refreshed.after)))


def row(folder: Path, table: str, **key: str) -> Mapping[str, str]:
    sheet: Sheet = sheets_of(Tables.load(folder))[table]
    (found,) = [one for one in sheet.rows if all(one[name] == text for name, text in key.items())]
    return found


def test_sources_that_say_the_same_change_nothing(update: Update) -> None:
    refreshed = update("torch", "pins")
    assert told(refreshed) == []
    assert not refreshed.missed


def test_a_new_release_becomes_rows_with_its_source(
    update: Update, index: IndexServer, other: Upstream, folder: Path
) -> None:
    index.packages["torch"] += torch_wheels("2.9.0", "12.8.90", "9.10.2.21", "3.5.0", (10, 11, 12))
    index.packages["triton"] += [triton_wheel("3.5.0")]
    known = [*variant_wheels("2.7.1+cu128"), *variant_wheels("2.8.0+cu128")]
    other.put_wheels("/whl/torch/", "torch", [*known, *variant_wheels("2.9.0+cu129")])
    other.put_wheels("/whl/cu129/torch/", "torch", variant_wheels("2.9.0+cu129"))
    refreshed = update("torch")
    assert (refreshed.missed, refreshed.notes) == ((), ())
    assert dict(row(folder, "torch", version="2.9.0")) | {"checked": ""} == {
        "version": "2.9.0",
        "variant": "cu128",
        "architecture": "amd64",
        "python": ">=3.10,<3.13",
        "glibc": "2.28",
        "cuda": "12.8",
        "cudnn": "9.10.2.21",
        "triton": "==3.5.0",
        "kernels": "7.0 9.0 10.0 12.0+PTX",
        "libraries": "packages",
        "index_url": "",
        "withdrawn": "",
        "source": "PyPI; kernels: pytorch RELEASE.md",
        "checked": "",
    }
    variant = row(folder, "torch", version="2.9.0+cu129")
    assert (variant["cuda"], variant["libraries"]) == ("12.9", "wheel")
    assert variant["index_url"] == "https://download.pytorch.org/whl/cu129"
    assert "triton.csv: 1 added" in told(refreshed)
    assert not told(update("torch"))


def triton_wheel(version: str) -> Dist:
    return Dist(version, requires_python=">=3.10,<3.15", tag="cp311-cp311-manylinux_2_28_x86_64")


def test_a_release_that_the_index_has_no_longer_is_marked_and_stays(
    update: Update, index: IndexServer, folder: Path
) -> None:
    index.packages["torch"] = torch_wheels("2.8.0", "12.8.90", "9.10.2.21", "3.4.0")
    assert "torch.csv: 1 withdrawn" in told(update("torch"))
    gone = row(folder, "torch", version="2.7.1")
    assert gone["withdrawn"] == gone["checked"]
    assert gone["cuda"] == "12.6"
    assert told(update("torch")) == []
    index.packages["torch"] = list(INDEX["torch"])
    update("torch")
    assert not row(folder, "torch", version="2.7.1")["withdrawn"]


def test_a_yanked_release_counts_as_withdrawn(
    update: Update, index: IndexServer, folder: Path
) -> None:
    index.packages["torch"] = [
        *torch_wheels("2.7.1", "12.6.77", "9.5.1.17", "3.3.1", yanked="wrong files"),
        *torch_wheels("2.8.0", "12.8.90", "9.10.2.21", "3.4.0"),
    ]
    update("torch")
    assert row(folder, "torch", version="2.7.1")["withdrawn"]


def test_a_page_that_is_gone_withdraws_its_rows_if_the_server_has_others(
    update: Update, index: IndexServer, folder: Path
) -> None:
    del index.packages["vllm"]
    refreshed = update("torch", "pins")
    assert "pins.csv: 2 withdrawn" in told(refreshed)
    assert not refreshed.missed


def test_a_server_that_has_nothing_is_the_wrong_one(update: Update, index: IndexServer) -> None:
    index.packages.clear()
    refreshed = update("torch", "pins")
    assert told(refreshed) == []
    assert any("nor any other" in missed.reason for missed in refreshed.missed)


def test_a_page_that_lost_most_releases_is_not_believed(update: Update, index: IndexServer) -> None:
    index.packages["torch"] = torch_wheels("2.6.0", "12.4.127", "9.1.0.70", "3.2.0")
    refreshed = update("torch")
    assert told(refreshed) == []
    assert "only 0 of the 2 releases" in refreshed.missed[0].reason


def test_since_leaves_older_rows_alone(update: Update, index: IndexServer, folder: Path) -> None:
    index.packages["torch"] = torch_wheels("2.8.0", "12.8.90", "9.10.2.21", "3.4.0")
    assert told(update("torch", since="2.8")) == []
    assert not row(folder, "torch", version="2.7.1")["withdrawn"]


def test_a_release_that_the_other_tables_cannot_carry_is_held_back(
    update: Update, index: IndexServer
) -> None:
    index.packages["torch"] += torch_wheels("2.9.0", "14.0.1", "9.10.2.21", "3.4.0")
    refreshed = update("torch")
    assert told(refreshed) == []
    assert "torch 2.9.0 amd64 is left as it was: cuda.csv has no toolkit of CUDA 14.0" in (
        refreshed.notes
    )


def test_a_new_toolkit_is_known_by_its_package_and_its_major(
    update: Update, index: IndexServer, folder: Path
) -> None:
    newest = [row["version"] for row in sheets_of(Tables.load(folder))["cuda"].rows][-1]
    major = newest.split(".")[0]
    index.packages["cuda-toolkit"] += [Dist(f"{major}.77.1", tag="py3-none-any")]
    index.packages["cuda-toolkit"] += [Dist("99.0.0", tag="py3-none-any")]
    refreshed = update("cuda")
    assert any("CUDA 99.0.0 is left out" in note for note in refreshed.notes)
    new, old = row(folder, "cuda", version=f"{major}.77.1"), row(folder, "cuda", version=newest)
    assert new["minimal_driver"] == old["minimal_driver"]
    assert new["driver"] == ""


def test_a_changed_row_keeps_what_its_source_does_not_tell(
    update: Update, index: IndexServer, folder: Path
) -> None:
    index.packages["torch"] += torch_wheels("2.8.0", "12.8.90", "9.10.2.21", "3.4.0", (14,))
    before = row(folder, "torch", version="2.8.0")
    update("torch")
    after = row(folder, "torch", version="2.8.0")
    assert after["python"] == ">=3.9,<3.15"
    assert (after["kernels"], after["source"]) == (before["kernels"], before["source"])


def test_recheck_reads_the_metadata_of_known_releases_again(
    update: Update, index: IndexServer, folder: Path
) -> None:
    index.packages["torch"] = [
        *torch_wheels("2.7.1", "12.6.77", "9.5.1.17", "3.3.1"),
        *torch_wheels("2.8.0", "12.8.90", "9.7.1.26", "3.4.0"),
    ]
    assert told(update("torch")) == []
    update("torch", recheck=True)
    assert row(folder, "torch", version="2.8.0")["cudnn"] == "9.7.1.26"


def test_a_library_is_followed_from_the_release_on_that_is_named(
    update: Update, index: IndexServer, folder: Path
) -> None:
    index.names["tiny"] = "tiny"
    index.packages["tiny"] = [
        Dist("1.0", ("torch==1.0",)),
        Dist("2.0", ("torch>=2.7", "numpy")),
        Dist("3.0", ("torch",)),
    ]
    assert "pins.csv: 1 added" in told(update("pins", added=("Tiny>=2.0",)))
    assert row(folder, "pins", package="tiny")["requires"] == "torch>=2.7"


def test_a_library_that_pins_what_the_tables_do_not_know_is_left_out(
    update: Update, index: IndexServer
) -> None:
    index.packages["vllm"] += [Dist("0.12.0", ("torch==2.9.0",), tag="cp38-abi3-manylinux1_x86_64")]
    refreshed = update("pins")
    assert told(refreshed) == []
    assert refreshed.notes == ("vllm 0.12.0 is left out: the tables have no torch==2.9.0",)


def test_a_warm_cache_asks_for_pages_conditionally_and_for_nothing_else(
    update: Update, index: IndexServer
) -> None:
    update("torch", "pins", recheck=True)
    index.forget()
    update("torch", "pins")
    assert {request.path for request in index.requests} == {
        f"/simple/{name}/" for name in ("torch", "triton", "cuda-toolkit", "vllm")
    }
    assert all("if-none-match" in request.headers for request in index.requests)


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (("nothing",), {}, "there is no table nothing"),
        (("gpus",), {}, "kept by hand"),
        ((), {"since": "2.9"}, "one table"),
        (("torch",), {"since": "new"}, "no version"),
        (("torch",), {"added": ("x",)}, "pins"),
        (("pins",), {"added": ("x==1",)}, "names no library"),
    ],
)
def test_a_request_that_means_nothing_is_refused(
    update: Update, names: tuple[str, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        update(*names, **options)
