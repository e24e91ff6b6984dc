"""What a refresh does when a source fails: tables are as before or current, never broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cogpack.cli import cli
from cogpack.compat.check import run_checks
from cogpack.compat.tables import Tables
from cogpack.compat.updater import session
from cogpack.index import HttpSettings
from support.index_server import IndexServer
from support.small_tables import INDEX, small_tables, torch_wheels, variant_wheels
from support.upstream import Upstream, upstream

Verb = Callable[..., Result]

NEW = torch_wheels("2.9.0", "12.8.90", "9.10.2.21", "3.4.0", announce=True)
FIRST_NEW = min(dist.filename("torch") for dist in NEW)

FAST = HttpSettings(attempts=3, pause_seconds=0.0, connections=4)


@pytest.fixture
def index() -> Iterator[IndexServer]:
    """The default index, with a release of torch that the tables do not have."""
    server = IndexServer({**INDEX, "torch": [*INDEX["torch"], *NEW]})
    server.start()
    yield server
    server.stop()


@pytest.fixture
def other() -> Iterator[Upstream]:
    with upstream() as server:
        known = [*variant_wheels("2.7.1+cu128"), *variant_wheels("2.8.0+cu128")]
        server.put_wheels("/whl/torch/", "torch", known)
        server.put_wheels("/whl/cu128/torch/", "torch", known)
        server.put("/notes/main/RELEASE.md", b"# Releasing PyTorch\n")
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_tables(tmp_path / "tables")


@pytest.fixture
def arguments(index: IndexServer, other: Upstream, folder: Path) -> list[str]:
    mirrors = [f"pytorch={other.url}/whl", f"pytorch-notes={other.url}/notes"]
    return [
        "compat",
        "update",
        "torch",
        "pins",
        "--into",
        str(folder),
        *(f"--mirror={mirror}" for mirror in mirrors),
    ]


@pytest.fixture
def environ(index: IndexServer, tmp_path: Path) -> dict[str, str]:
    settings = {
        "PIP_INDEX_URL": index.url,
        "PIP_CONFIG_FILE": os.devnull,
        "COGPACK_CACHE": str(tmp_path / "cache"),
        "HOME": str(tmp_path),
    }
    kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
    return {**kept, **settings}


@pytest.fixture
def verb(
    arguments: list[str], environ: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Verb:
    """Runs `cogpack compat update`; whatever it says, the tables are sound afterwards."""
    monkeypatch.setattr(session, "_polite", lambda _: FAST)

    def run(*more: str) -> Result:
        done = CliRunner().invoke(cli, [*arguments, *more], env=environ)
        assert done.exception is None or isinstance(done.exception, SystemExit)
        assert sound(folder)
        return done

    return run


def sound(folder: Path) -> bool:
    return not any(run_checks(Tables.load(folder).read_all()).values())


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}


def knows_new(folder: Path) -> bool:
    return any(str(row.version) == "2.9.0" for row in Tables.load(folder).torch)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/simple/torch/", {"status": 429, "headers": {"retry-after": "0"}, "times": 1}),
        ("/simple/torch/", {"status": 503, "times": 2}),
        ("/simple/torch/", {"cut": True, "times": 1}),
        (f"{FIRST_NEW}.metadata", {"status": 404}),
        (f"{FIRST_NEW}.metadata", {"body": b"Metadata-Version: 2.1\nName: torch\nVersion: 9\n"}),
        (f"{FIRST_NEW}.metadata", {"cut": True, "times": 1}),
    ],
    ids=["429", "503", "cut page", "404 metadata", "wrong hash", "cut metadata"],
)
def test_what_passes_or_has_a_fall_back_does_not_stop_a_refresh(
    verb: Verb, index: IndexServer, folder: Path, path: str, fault: dict[str, object]
) -> None:
    index.fail(path, **fault)
    done = verb()
    assert done.exit_code == 0, done.stderr
    assert knows_new(folder)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("/simple/torch/", {"status": 503, "headers": {"retry-after": "0"}}),
        ("/simple/torch/", {"status": 429, "headers": {"retry-after": "3600"}}),
        ("/simple/torch/", {"status": 403}),
        ("/simple/torch/", {"cut": True}),
        ("/simple/torch/", {"body": b"<h1>It works!</h1>"}),
        ("/simple/torch/", {"body": b"\x00\x01 garbage", "headers": {"content-type": "x/y"}}),
        ("/simple/torch/", {"status": 302, "headers": {"location": "ftp://x.invalid/"}}),
        (f"{FIRST_NEW}.metadata", {"status": 500, "headers": {"retry-after": "0"}}),
    ],
    ids=["503", "429", "403", "cut", "other page", "garbage", "bad redirect", "500 metadata"],
)
def test_a_source_that_is_not_reached_leaves_its_rows_and_only_them(
    verb: Verb, index: IndexServer, folder: Path, path: str, fault: dict[str, object]
) -> None:
    del index.packages["vllm"][-1]
    before = content(folder)
    index.fail(path, **fault)
    done = verb()
    assert done.exit_code == 75
    assert "warning: " in done.stderr
    assert "this stays as it is: torch" in done.stderr
    after = content(folder)
    assert {name for name in after if after[name] != before[name]} == {"pins.csv"}
    index.heal()
    assert verb().exit_code == 0
    assert knows_new(folder)


def test_a_redirect_is_followed(verb: Verb, index: IndexServer, folder: Path) -> None:
    index.fail("/simple/torch/", status=301, headers={"location": f"{index.root}/moved"}, times=1)
    index.fail("/moved", status=302, headers={"location": "/simple/torch/"})
    assert verb().exit_code == 0
    assert index.count("/moved") == 1
    assert knows_new(folder)


def test_an_index_that_is_down_is_told_once(
    verb: Verb, index: IndexServer, other: Upstream, folder: Path
) -> None:
    before = content(folder)
    index.stop()
    done = verb()
    assert done.exit_code == 75
    assert done.stderr.count("no connection") == 1
    assert content(folder) == before


def test_a_dry_run_writes_nothing(verb: Verb, folder: Path) -> None:
    before = content(folder)
    done = verb("--dry-run")
    assert "  + 2.9.0 amd64: variant cu128" in done.stdout
    assert content(folder) == before


def test_a_second_run_says_that_nothing_changed(verb: Verb) -> None:
    assert "torch.csv: 1 added" in verb().stdout
    done = verb()
    assert done.stdout == ""
    assert "nothing changed" in done.stderr


def test_a_run_that_is_killed_while_it_reads_leaves_the_tables_and_can_go_on(
    verb: Verb,
    index: IndexServer,
    folder: Path,
    arguments: list[str],
    environ: dict[str, str],
) -> None:
    before = content(folder)
    index.fail(f"{FIRST_NEW}.metadata", status=503, headers={"retry-after": "30"})
    command = [sys.executable, "-m", "cogpack", *arguments]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 300
        while not index.count(f"{FIRST_NEW}.metadata") and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert content(folder) == before
    index.heal()
    index.forget()
    assert verb().exit_code == 0
    assert knows_new(folder)
    pages = [request for request in index.requests if request.path == "/simple/torch/"]
    assert "if-none-match" in pages[0].headers


KILLED_AT_A_WRITE = """
import os, pathlib, signal, sys
kill_at, real, written = int(sys.argv.pop(1)), pathlib.Path.replace, []
def replace(self, target):
    if str(target).endswith(".csv"):
        written.append(target)
        if len(written) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    return real(self, target)
pathlib.Path.replace = replace
from cogpack.cli import main
main()
"""


@pytest.mark.parametrize("write", [1, 2])
def test_a_run_that_is_killed_while_it_writes_leaves_whole_tables(
    verb: Verb,
    index: IndexServer,
    folder: Path,
    arguments: list[str],
    environ: dict[str, str],
    write: int,
) -> None:
    index.packages["vllm"].pop(0)
    command = [sys.executable, "-c", KILLED_AT_A_WRITE, str(write), *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert sound(folder)
    assert knows_new(folder) == (write > 1)
    assert verb().exit_code == 0
    assert knows_new(folder)
