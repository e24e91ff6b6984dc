"""Images from the tags of a registry, and Pythons from their lists."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from cogpack.compat.cells import Sheet, sheets_of, write_sheet
from cogpack.compat.changes import compared, lines
from cogpack.compat.tables import Tables
from cogpack.compat.updater import python as python_source
from cogpack.compat.updater.python import Managed
from cogpack.compat.updater.request import Request, run
from cogpack.compat.updater.run import Refreshed, write
from cogpack.compat.updater.sources import UnreachedError
from cogpack.index import Fetcher, HttpSettings
from cogpack.index.pagecache import PageCache
from cogpack.index.store import Store
from cogpack.registry.access import Access
from cogpack.registry.reader import Registry
from support.index_server import IndexServer, serve
from support.small_tables import small_sheets, small_tables
from support.upstream import Upstream, upstream

FAST = HttpSettings(attempts=2, pause_seconds=0.0)

Update = Callable[..., Refreshed]

FLAVOURS = ("base", "runtime", "devel", "{}-runtime", "{}-devel")


@pytest.fixture
def other() -> Iterator[Upstream]:
    with upstream() as server:
        server.put_tags("nvidia/cuda", known_cuda_tags())
        server.put_tags("library/python", known_python_tags())
        server.put_tags("library/debian", ["bookworm-slim", "trixie-slim", "latest"])
        yield server


def cuda_tags(cuda: str, system: str, cudnn: str = "cudnn") -> set[str]:
    return {f"{cuda}-{flavour.format(cudnn)}-{system.replace('-', '')}" for flavour in FLAVOURS}


def known_cuda_tags() -> set[str]:
    rows = small_sheets()["cuda_images"].rows
    return {"latest"}.union(*(cuda_tags(row["cuda"], row["os"], row["cudnn_tag"]) for row in rows))


def known_python_tags() -> set[str]:
    tags = set()
    for row in small_sheets()["base_images"].rows:
        if row["python"]:
            tags |= {row["ref"].partition(":")[2]}
            for python in (row["python"], row["patch_from"]):
                tags |= {row["patch_ref"].format(python=python).partition(":")[2]}
    return tags


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_tables(tmp_path / "tables")


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with serve({"cuda-toolkit": []}) as server:
        yield server


@pytest.fixture
def update(
    other: Upstream,
    index: IndexServer,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Update:
    def builds(_: Version) -> Managed:
        rows = small_sheets()["python"].rows
        known = {Version(row["version"]): frozenset(row["managed"].split()) for row in rows}
        return Managed(Version("1.0"), known)

    monkeypatch.setattr(python_source, "uv_builds", builds)
    cycle = {
        row["version"].rpartition(".")[0]: {"end_of_life": row["end_of_life"]}
        for row in small_sheets()["python"].rows
    }
    other.put("/peps/release-cycle.json", cycle)
    names = [{"name": f"Python {row['version']}"} for row in small_sheets()["python"].rows]
    other.put("/python/v2/downloads/release/", names)
    environ = {
        "PIP_INDEX_URL": index.url,
        "PIP_CONFIG_FILE": os.devnull,
        "COGPACK_CACHE": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
    }
    mirrors = {
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


def rows(folder: Path, table: str, **key: str) -> list[Mapping[str, str]]:
    found = sheets_of(Tables.load(folder))[table].rows
    return [row for row in found if all(row[name] == text for name, text in key.items())]


def test_tags_that_say_the_same_change_nothing(update: Update) -> None:
    refreshed = update("base_images", "cuda_images")
    assert told(refreshed) == []
    assert refreshed.missed == ()


def test_images_with_all_flavours_become_rows(
    update: Update, other: Upstream, folder: Path
) -> None:
    incomplete = cuda_tags("12.9.1", "ubuntu-24.04") - {"12.9.1-cudnn-devel-ubuntu24.04"}
    other.put_tags(
        "nvidia/cuda",
        known_cuda_tags()
        | cuda_tags("12.9.1", "ubuntu-22.04")
        | cuda_tags("12.4.1", "ubuntu-22.04", "cudnn9")
        | cuda_tags("12.9.1", "ubuntu-26.04")
        | incomplete,
    )
    refreshed = update("cuda_images")
    (row,) = rows(folder, "cuda_images", cuda="12.9.1")
    assert (row["os"], row["cudnn"], row["cudnn_tag"]) == ("ubuntu-22.04", "9", "cudnn")
    assert row["source"] == "nvidia/cuda tags"
    assert not rows(folder, "cuda_images", cuda="12.4.1"), "older than the table begins"
    assert refreshed.notes == (
        "images of nvidia/cuda on ubuntu-26.04 are left out: os.csv does not know it",
    )


def test_images_that_are_gone_are_withdrawn(update: Update, other: Upstream, folder: Path) -> None:
    other.put_tags("nvidia/cuda", known_cuda_tags() - {"12.6.3-cudnn-devel-ubuntu24.04"})
    assert told(update("cuda_images")) == [
        "cuda_images.csv: 1 withdrawn",
        f"  ~ 12.6.3 ubuntu-24.04: withdrawn (empty) -> {today(folder)}",
    ]


def today(folder: Path) -> str:
    (row,) = rows(folder, "cuda_images", cuda="12.6.3", os="ubuntu-24.04")
    return row["withdrawn"]


def test_a_registry_that_lost_most_images_is_not_believed(update: Update, other: Upstream) -> None:
    other.put_tags("nvidia/cuda", ["latest"])
    refreshed = update("cuda_images")
    assert told(refreshed) == []
    assert "have only 0 of the" in refreshed.missed[-1].reason


def test_a_python_image_moves_on_with_its_patches(update: Update, folder: Path) -> None:
    ref = "docker.io/library/python:3.12-slim-trixie"
    (row,) = rows(folder, "base_images", ref=ref)
    releases = [Version(one["version"]) for one in rows(folder, "python")]
    *_, before, newest = sorted(one for one in releases if one.release[:2] == (3, 12))
    assert row["python"] == str(newest)
    others = [one for one in rows(folder, "base_images") if one["ref"] != ref]
    write_sheet(folder, Sheet.of("base_images", [*others, {**row, "python": str(before)}]))
    assert told(update("base_images")) == [
        "base_images.csv: 1 changed",
        f"  ~ {ref}: python {before} -> {newest}",
    ]


def test_an_image_of_an_unknown_python_waits_for_it(
    update: Update, other: Upstream, folder: Path
) -> None:
    other.put_tags("library/python", known_python_tags() | {"3.12.99-slim-trixie"})
    refreshed = update("base_images")
    assert told(refreshed) == []
    assert any("python.csv has no 3.12.99" in note for note in refreshed.notes)
    other.put("/python/v2/downloads/release/", [{"name": "Python 3.12.99"}])
    update("base_images")
    assert rows(folder, "base_images", python="3.12.99")


def test_a_new_minor_gets_the_images_of_the_one_before(
    update: Update, other: Upstream, folder: Path
) -> None:
    other.put("/peps/release-cycle.json", {"3.14": {"end_of_life": "2030-10"}})
    other.put(
        "/python/v2/downloads/release/",
        [{"name": "Python 3.14.0"}, {"name": "Python 3.15.0rc1", "pre_release": True}],
    )
    other.put_tags("library/python", known_python_tags() | {"3.14-bookworm", "3.14.0-bookworm"})
    update("base_images")
    (python,) = rows(folder, "python", version="3.14.0")
    assert (python["end_of_life"], python["managed"]) == ("2030-10", "")
    (image,) = rows(folder, "base_images", python="3.14.0")
    (before,) = rows(folder, "base_images", ref="docker.io/library/python:3.13-bookworm")
    assert image["ref"] == "docker.io/library/python:3.14-bookworm"
    assert (image["packages"], image["rank"]) == (before["packages"], before["rank"])


def test_a_python_without_an_end_of_life_is_left_out(update: Update, other: Upstream) -> None:
    other.put("/python/v2/downloads/release/", [{"name": "Python 3.77.0"}])
    refreshed = update("python")
    assert told(refreshed) == []
    assert refreshed.notes == ("Python 3.77 is left out: its end of life is not known",)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"3.12": 1}'])
def test_a_list_of_pythons_that_cannot_be_read_is_not_reached(
    update: Update, other: Upstream, body: bytes
) -> None:
    other.put("/python/v2/downloads/release/", body)
    refreshed = update("python")
    assert told(refreshed) == []
    assert [missed.left for missed in refreshed.missed] == ["releases that uv has not"]


def test_the_uv_of_the_environment_knows_what_it_can_fetch() -> None:
    found = python_source.uv_builds(Version("0"))
    assert set(found.builds[Version("3.12.4")]) == {"amd64", "arm64"}
    with pytest.raises(UnreachedError, match="older than builds use"):
        python_source.uv_builds(Version("99"))


@pytest.fixture
def registry(other: Upstream, tmp_path: Path) -> Iterator[Registry]:
    fetcher = Fetcher(FAST)
    yield Registry(Access(other.url, fetcher), PageCache(Store(tmp_path / "cache"), 0))
    fetcher.close()


def test_tags_are_read_page_by_page_with_one_token(other: Upstream, registry: Registry) -> None:
    other.token, other.page = "secret", 3
    assert registry.tags("nvidia/cuda") == frozenset(known_cuda_tags())
    assert other.asked("/token") == 1
    assert "scope=repository%3Anvidia%2Fcuda%3Apull" in next(
        path for path, _ in other.seen if path.startswith("/token")
    )


def test_a_repository_that_is_not_there_has_no_tags(registry: Registry) -> None:
    assert registry.tags("nobody/nothing") is None


@pytest.mark.parametrize(
    "reply",
    [
        {"body": b"[]"},
        {"body": b"{", "status": 200},
        {"body": b"", "status": 500},
        {"body": b'{"tags": ["a"]}', "cut": True},
        {"body": b"", "status": 401},
        {"body": b"", "status": 401, "headers": {"www-authenticate": 'Bearer realm="file:///x"'}},
        {"body": b'{"tags": ["a"]}', "headers": {"link": '</v2/x/y/tags/list?n=1000>; rel="next"'}},
        {"body": b'{"tags": ["a"]}', "headers": {"link": '<http://other.invalid/>; rel="next"'}},
        {"body": b'{"tags": ["a"]}', "headers": {"link": '</nowhere>; rel="next"'}},
    ],
    ids=["list", "cut JSON", "500", "cut", "401", "bad realm", "circle", "other server", "lost"],
)
def test_tags_that_cannot_be_read_are_not_reached(
    other: Upstream, registry: Registry, reply: dict[str, Any]
) -> None:
    other.put("/v2/x/y/tags/list", reply.pop("body"), **reply)
    with pytest.raises(UnreachedError):
        registry.tags("x/y")


def test_a_token_that_is_refused_is_not_asked_for_again(
    other: Upstream, registry: Registry
) -> None:
    other.token = "right"
    other.put("/token", {"token": "wrong"})
    with pytest.raises(UnreachedError, match="refused the token"):
        registry.tags("nvidia/cuda")
    assert other.asked("/token") == 1
