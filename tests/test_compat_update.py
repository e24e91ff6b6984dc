"""A refresh against local servers: what is new, what is gone, what stays, and what is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cogpack.compat.cells import Sheet, sheets_of, write_sheet
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


def test_a_variant_without_metadata_is_what_its_name_says(
    update: Update, index: IndexServer, other: Upstream, folder: Path
) -> None:
    index.packages["torch"] += [
        Dist("2.9.0", requires_python=">=3.11", tag="cp311-cp311-manylinux_2_28_x86_64")
    ]
    known = [*variant_wheels("2.7.1+cu128"), *variant_wheels("2.8.0+cu128")]
    fresh = [*known, *variant_wheels("2.9.0+cu128")]
    other.put_wheels("/whl/cu128/torch/", "torch", fresh, metadata=False)
    refreshed = update("torch")
    assert not refreshed.missed
    assert row(folder, "torch", version="2.9.0")["variant"] == "cpu"
    assert row(folder, "torch", version="2.9.0+cu128")["cuda"] == "12.8"


def test_rows_of_a_mirror_keep_its_url(update: Update, other: Upstream, folder: Path) -> None:
    sheet = sheets_of(Tables.load(folder))["torch"]
    mirror = f"{other.url}/mirror/cu128"
    rows = [{**one, "index_url": mirror if one["index_url"] else ""} for one in sheet.rows]
    write_sheet(folder, Sheet.of("torch", rows))
    known = [*variant_wheels("2.7.1+cu128"), *variant_wheels("2.8.0+cu128")]
    other.put_wheels("/mirror/cu128/torch/", "torch", known)
    assert told(update("torch")) == []
    assert other.asked("/whl/cu128/torch/") == 0


def test_companions_get_their_torch_and_the_variants_that_are_there(
    update: Update, index: IndexServer, other: Upstream, folder: Path
) -> None:
    def wheels(version: str, *requires: str) -> list[Dist]:
        return [
            Dist(version, requires, ">=3.9", tag=f"cp3{minor}-cp3{minor}-manylinux_2_28_x86_64")
            for minor in (9, 10, 11, 12, 13)
        ]

    index.names["torchvision"] = "torchvision"
    index.packages["torchvision"] = [
        *wheels("0.22.1", "torch==2.7.1"),
        *wheels("0.23.0", "torch==2.8.0"),
        *wheels("0.23.1", "torch==2.8.0"),
        *wheels("0.23.2"),
    ]
    variants = [one for text in ("0.22.1", "0.23.1") for one in wheels(f"{text}+cu128")]
    other.put_wheels("/whl/cu128/torchvision/", "torchvision", variants)
    refreshed = update("torchvision")
    assert not refreshed.missed
    assert row(folder, "torchvision", version="0.22.1")["variants"] == "cu128"
    assert row(folder, "torchvision", version="0.23.0")["variants"] == ""
    new = row(folder, "torchvision", version="0.23.1")
    assert (new["torch"], new["variants"]) == ("==2.8.0", "cu128")
    assert new["source"] == "PyPI; variants: pytorch wheel index"
    unnamed = row(folder, "torchvision", version="0.23.2")
    assert unnamed["torch"] == "==2.8.0"
    assert "torch: as torchvision 0.23.0 has it, for it names none" in unnamed["source"]
    other.put("/whl/cu128/torchvision/", b"", status=500)
    refreshed = update("torchvision")
    assert [missed.part for missed in refreshed.missed] == ["cu128"]
    assert told(refreshed) == []


def test_tensorflow_and_jax_name_the_packages_that_bring_their_cuda(
    update: Update, index: IndexServer, folder: Path
) -> None:
    def wheels(version: str, minors: tuple[int, ...], glibc: int = 27, **more: Any) -> list[Dist]:
        return [
            Dist(version, tag=f"cp3{m}-cp3{m}-manylinux_2_{glibc}_{machine}", **more)
            for m in minors
            for machine in ("x86_64", "aarch64")
        ]

    runtime = ("nvidia-cuda-runtime-cu12==12.5.82", "nvidia-cudnn-cu12==9.3.0.75")
    extra = tuple(f'{one} ; extra == "and-cuda"' for one in runtime)
    newer = ('nvidia-cuda-runtime-cu12<13,>=12.8.1; extra == "and-cuda"',)
    plugin = ('nvidia-cuda-runtime-cu12>=12.1.105; extra == "with-cuda"',)
    plugin13 = ('nvidia-cuda-runtime>=13.0.48; extra == "with-cuda"',)
    packages = {
        "tensorflow": wheels("2.19.0", (9, 10, 11, 12), 17, requires=extra, extras=("and-cuda",))
        + wheels("2.20.0", (11, 12), requires=newer, extras=("and-cuda",)),
        "jax": [
            Dist(
                version,
                (
                    f"jaxlib<={version},>={version}",
                    f'jax-cuda12-plugin[with-cuda]<={version},>={version}; extra == "cuda12"',
                    f'jax-cuda13-plugin[with-cuda]<={version},>={version}; extra == "cuda13"',
                ),
                ">=3.11",
            )
            for version in ("0.7.2", "0.8.0")
        ],
        "jaxlib": [one for v in ("0.7.2", "0.8.0") for one in wheels(v, (11, 12, 13, 14))],
        "jax-cuda12-plugin": [
            one for v in ("0.7.2", "0.8.0") for one in wheels(v, (11, 12, 13, 14), requires=plugin)
        ],
        "jax-cuda13-plugin": [
            one
            for v in ("0.7.2", "0.8.0")
            for one in wheels(v, (11, 12, 13, 14), requires=plugin13)
        ],
    }
    index.names |= {name: name for name in packages}
    index.packages |= packages
    refreshed = update("tensorflow", "jax")
    assert not refreshed.missed
    assert (refreshed.notes, sorted(line for line in told(refreshed) if "csv" in line)) == (
        (),
        [
            "jax.csv: 1 added",
            "jax_plugins.csv: 4 added",
            "jaxlib.csv: 2 added",
            "tensorflow.csv: 2 added",
        ],
    )
    tensorflow = row(folder, "tensorflow", version="2.20.0", architecture="amd64")
    assert (tensorflow["cuda"], tensorflow["cuda_packages"]) == ("12.8", ">=12.8.1,<13")
    assert tensorflow["source"] == "PyPI; cuda, cudnn: tensorflow[and-cuda]"
    assert row(folder, "tensorflow", version="2.20.0", architecture="arm64")["cuda"] == ""
    jax = row(folder, "jax", version="0.8.0")
    assert (jax["jaxlib"], jax["cuda13_plugin"]) == (">=0.8.0,<=0.8.0", ">=0.8.0,<=0.8.0")
    found = row(
        folder, "jax_plugins", package="jax-cuda13-plugin", version="0.8.0", architecture="amd64"
    )
    assert (found["cuda_major"], found["cuda_packages"]) == ("13", ">=13.0.48")
