"""The cache folder: whole files or none, whatever processes do at once and when they are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cogpack.index import IndexClient, Metadata, parse_location
from cogpack.index.store import FORMAT, Store, cache_folder
from support.index_server import Dist, serve

# Reads every page and its metadata over one cache, again and again or once, and prints what it saw.
READER = """
import sys
from pathlib import Path
from cogpack.index import CachePolicy, IndexClient, parse_location

url, folder, rounds, names = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4].split()
location = parse_location(url)
seen = []
print("ready", flush=True)
for _ in range(rounds):
    with IndexClient(Path(folder), CachePolicy(freshness=0)) as client:
        for name in names:
            page = client.page(location, name)
            found = client.metadata(name, page.files, location)
            seen.append((name, str(page.versions[0]), found.requirement_texts))
print(sorted(set(seen)))
"""


def reader(url: str, folder: Path, rounds: int, names: list[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", READER, url, str(folder), str(rounds), " ".join(names)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_bytes_come_back_and_a_missing_key_is_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.read("pages", "a") is None
    for body in (b"one", b"", b"two" * 100_000):
        store.write("pages", "a", body)
        assert Store(tmp_path).read("pages", "a") == body
    assert store.read("metadata", "a") is None
    store.remove("pages", "a")
    assert store.read("pages", "a") is None


@pytest.mark.parametrize("damage", [b"", b"x", b"onf\x7a\x6c\x86\xf1", b"one"])
def test_a_damaged_file_counts_as_absent(tmp_path: Path, damage: bytes) -> None:
    store = Store(tmp_path)
    store.write("pages", "a", b"one")
    (path,) = (path for path in tmp_path.rglob("pages/*/*") if path.is_file())
    path.write_bytes(damage)
    assert store.read("pages", "a") is None


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    store = Store(blocked)
    store.write("pages", "a", b"one")
    assert store.read("pages", "a") is None
    assert Store(None).read("pages", "a") is None


def test_leftovers_of_killed_processes_are_swept(tmp_path: Path) -> None:
    folder = tmp_path / FORMAT / "tmp"
    folder.mkdir(parents=True)
    old, new = folder / "old", folder / "new"
    old.write_text("")
    new.write_text("")
    os.utime(old, (time.time() - 7200,) * 2)
    Store(tmp_path).write("pages", "a", b"one")
    assert [path.name for path in folder.iterdir()] == ["new"]


def test_where_the_cache_lies() -> None:
    assert cache_folder({"COGPACK_CACHE": "/c", "HOME": "/h"}) == Path("/c/index")
    assert cache_folder({"XDG_CACHE_HOME": "/x"}) == Path("/x/cogpack/index")
    assert cache_folder({"HOME": "/h"}) == Path("/h/.cache/cogpack/index")


def test_many_threads_write_and_read_one_key(tmp_path: Path) -> None:
    bodies = [bytes([65 + number]) * 50_000 for number in range(8)]

    def work(number: int) -> bool:
        store = Store(tmp_path)
        store.write("pages", "a", bodies[number % len(bodies)])
        return store.read("pages", "a") in bodies

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(64)))


def test_damaged_entries_are_fetched_again(tmp_path: Path) -> None:
    with serve({"foo": [Dist("1.0", ("bar",))]}) as server:
        location = parse_location(server.url)
        for _ in range(2):
            with IndexClient(tmp_path) as client:
                page = client.page(location, "foo")
                assert page is not None
                found = client.metadata("foo", page.files, location)
                assert isinstance(found, Metadata)
                assert found.requirement_texts == ("bar",)
            for path in tmp_path.rglob("*"):
                if path.is_file():
                    path.write_bytes(path.read_bytes()[:-9])
        assert server.count("/simple/foo/") == 2


def test_entries_whose_content_is_nonsense_are_fetched_again(tmp_path: Path) -> None:
    with serve({"foo": [Dist("1.0", ("bar",))]}) as server:
        location = parse_location(server.url)
        for round_ in range(2):
            with IndexClient(tmp_path) as client:
                page = client.page(location, "foo")
                assert page is not None
                assert isinstance(client.metadata("foo", page.files, location), Metadata)
            assert server.count("/simple/foo/") == round_ + 1
            import zlib

            for kind in ("pages", "metadata"):
                (path,) = (path for path in tmp_path.rglob(f"{kind}/*/*") if path.is_file())
                path.write_bytes(b"\x91\x01" + zlib.crc32(b"\x91\x01").to_bytes(4, "big"))


def test_two_processes_share_one_cache(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(12)]
    packages = {name: [Dist("1.0", (f"{name}-dep",), padding=20_000)] for name in names}
    with serve(packages) as server:
        readers = [reader(server.url, tmp_path, 3, names) for _ in range(2)]
        printed = [process.communicate(timeout=300)[0] for process in readers]
        assert [process.returncode for process in readers] == [0, 0]
    expected = sorted((name, "1.0", (f"{name}-dep",)) for name in names)
    assert printed == [f"ready\n{expected}\n"] * 2


def test_a_kill_at_any_moment_leaves_a_readable_cache(tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(30)]
    packages = {name: [Dist("1.0", (f"{name}-dep",))] for name in names}
    with serve(packages) as server:
        location = parse_location(server.url)
        for number in range(1, 6):
            process = reader(server.url, tmp_path, 1000, names)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            assert server.wait_for(server.count() + number * 17)
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=300)
            process.stdout.close()
            with IndexClient(tmp_path) as client:
                for name in names:
                    page = client.page(location, name)
                    assert page is not None
                    found = client.metadata(name, page.files, location)
                    assert isinstance(found, Metadata)
                    assert found.requirement_texts == (f"{name}-dep",)
