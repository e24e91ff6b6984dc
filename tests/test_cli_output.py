"""What becomes of the output: full disks, readers that leave, encodings, characters that steer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cogpack.cli.terminal import safe_lines
from support.locked_project import PREDICTOR

COMMAND = [sys.executable, "-m", "cogpack"]


def project(folder: Path) -> Path:
    (folder / "cog.yaml").write_text(
        'build: {python_version: "3.12", run: ["echo é😀"]}\nrun: predict.py:Predictor\n'
    )
    (folder / "predict.py").write_text(PREDICTOR)
    return folder


def run(shell: str, folder: Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command of the shell in which `$@` is cogpack."""
    return subprocess.run(
        ["sh", "-c", shell, "sh", *COMMAND],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("verb", ["resolve", "plan --json", "llb"])
def test_a_full_disk_is_told_as_such(verb: str, unbuffered: str, tmp_path: Path) -> None:
    project(tmp_path)
    done = run(f'"$@" {verb} > /dev/full', tmp_path, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 3
    assert done.stderr.decode().splitlines() == [
        "error: the output cannot be written: No space left on device",
        "  hint: see that there is room where it is written to",
    ]


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ('"$@" resolve >&-', 0),
        ('"$@" llb >&-', 0),
        ('"$@" resolve 2>&-', 0),
        ('"$@" resolve > /dev/full 2>&1', 3),
        ('"$@" plan nowhere 2> /dev/full', 1),
        ('"$@" plan nowhere >&- 2>&-', 1),
        ('"$@" nothing 2> /dev/full', 2),
    ],
)
def test_an_output_that_is_closed_or_full_leaves_the_exit_code(
    shell: str, code: int, tmp_path: Path
) -> None:
    project(tmp_path)
    done = run(shell, tmp_path)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_a_reader_that_leaves_is_no_fault(tmp_path: Path) -> None:
    project(tmp_path)
    # It is gone before anything is written.
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "plan"], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_output_that_does_not_wait_gets_everything(tmp_path: Path) -> None:
    project(tmp_path)
    shown = ["compat", "show", "torch", "--html"]
    wanted = run('"$@" compat show torch --html', tmp_path).stdout
    read, write = os.pipe()
    os.set_blocking(write, False)
    with subprocess.Popen([*COMMAND, *shown], cwd=tmp_path, stdout=write) as one:
        os.close(write)
        with os.fdopen(read, "rb") as file:
            assert file.read() == wanted
    assert one.returncode == 0
    assert len(wanted) > 1 << 16, "more than a pipe holds"


def test_json_is_the_same_in_every_encoding(tmp_path: Path) -> None:
    project(tmp_path)
    plain = run('"$@" plan --json', tmp_path, PYTHONIOENCODING="utf-8").stdout
    latin = run('"$@" plan --json', tmp_path, PYTHONIOENCODING="latin-1").stdout
    assert "é😀" in plain.decode()
    assert json.loads(latin.decode("latin-1")) == json.loads(plain)


def test_a_name_that_no_encoding_has_is_written_all_the_same(tmp_path: Path) -> None:
    project(tmp_path)
    done = run('"$@" resolve --all "$(printf \'\\377\')"', tmp_path, PYTHONUTF8="1")
    assert done.returncode in (0, 1)
    assert b"not of your project" not in done.stderr


def test_a_message_cannot_steer_the_terminal(tmp_path: Path) -> None:
    done = run('"$@" plan "$(printf \'a\\033[31mb\')"', tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: there is no folder a\\x1b[31mb\n")
    assert safe_lines("a\tb\u3000c\n\x07") == ["a\tb\u3000c", "\\x07"]


@pytest.mark.parametrize("verb", ["resolve", "plan", "llb", "build", "weights lock"])
def test_a_current_folder_that_is_gone_is_told(verb: str, tmp_path: Path) -> None:
    done = run(f'mkdir gone && cd gone && rmdir ../gone && "$@" {verb}', tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        b"error: the current folder has been removed",
        b"  hint: change into a folder that exists",
    ]
