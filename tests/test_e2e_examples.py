"""The examples on a real BuildKit: built, run, asked, built again, edited."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from devdaemon.builder import Builder
from support.images import EXAMPLES, Cogpack, Docker, layers
from support.serving import serving


@pytest.fixture
def example(tmp_path: Path) -> Callable[[str], Path]:
    """A copy of an example that a test may edit, in a folder of its name."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(EXAMPLES / name, tmp_path / name))

    return copy


def test_hello_answers(cogpack: Cogpack, docker: Docker) -> None:
    built = cogpack("build", EXAMPLES / "hello", "-t", "cogpack-test/hello")
    assert built.returncode == 0, built.stderr
    with serving(docker, "cogpack-test/hello") as served:
        answer = served.predict(text="world")
    assert (answer["status"], answer["output"]) == ("succeeded", "hello world")


def test_a_picture_comes_from_pillow_and_a_font_of_apt(cogpack: Cogpack, docker: Docker) -> None:
    built = cogpack("build", EXAMPLES / "image", "-t", "cogpack-test/image")
    assert built.returncode == 0, built.stderr
    with serving(docker, "cogpack-test/image") as served:
        answer = served.predict(text="cogpack")
    assert answer["status"] == "succeeded", answer
    head, _, data = answer["output"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data).startswith(b"\x89PNG")


def test_a_second_build_is_all_cached_and_the_same_image(
    cogpack: Cogpack, docker: Docker, example: Callable[[str], Path]
) -> None:
    folder = example("image")
    first = cogpack("build", folder, "-t", "cogpack-test/again")
    before = layers(docker, "cogpack-test/again")
    second = cogpack("build", folder, "-t", "cogpack-test/again")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert layers(docker, "cogpack-test/again") == before
    assert first.stdout == second.stdout
    steps = _steps(second.stderr)
    done = {name: ends for name, ends in steps.items() if "CACHED" not in ends}
    # The base, the sync and the export have no result to cache; the file with the requirements is
    # not even looked at when the install above it is cached.
    idle = ("image ", "docker-image://", "files of ", "write down ", "exporting ")
    assert all(name.startswith(idle) for name in done), done
    assert len(steps) - len(done) >= 7


def _steps(progress: str) -> dict[str, str]:
    names: dict[str, str] = {}
    ends: dict[str, str] = {}
    for line in progress.splitlines():
        number, _, rest = line.partition(" ")
        if number.startswith("#"):
            names.setdefault(number, rest)
            ends[number] = rest
    return {names[number]: ends[number] for number in names}


def test_an_edit_of_the_source_changes_the_source_layer_alone(
    cogpack: Cogpack, docker: Docker, example: Callable[[str], Path]
) -> None:
    folder = example("hello")
    assert cogpack("build", folder, "-t", "cogpack-test/edit").returncode == 0
    before = layers(docker, "cogpack-test/edit")
    predictor = folder / "predict.py"
    predictor.write_text(predictor.read_text().replace('"hello"', '"goodbye"'))
    assert cogpack("build", folder, "-t", "cogpack-test/edit").returncode == 0
    after = layers(docker, "cogpack-test/edit")
    assert len(after) == len(before)
    assert after[:-1] == before[:-1]
    assert after[-1] != before[-1]


def test_what_is_ignored_is_not_in_the_image(
    cogpack: Cogpack, docker: Docker, example: Callable[[str], Path]
) -> None:
    folder = example("hello")
    (folder / ".dockerignore").write_text("*.log\n!keep.log\n/secret\n/out/\n")
    files = ("drop.log", "keep.log", "secret", "out/x", ".git/config", "venv/pyvenv.cfg")
    for name in (*files, "__pycache__/x.pyc"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    assert cogpack("build", folder, "-t", "cogpack-test/ignore").returncode == 0
    listed = docker("run", "--rm", "--entrypoint", "ls", "cogpack-test/ignore", "-A", "/src")
    names = set(listed.split())
    assert {"predict.py", "keep.log"} <= names
    assert not names & {"drop.log", "secret", "out", ".git", "venv", "__pycache__"}


def test_a_failing_step_shows_command_output_and_line(
    cogpack: Cogpack, example: Callable[[str], Path]
) -> None:
    folder = example("hello")
    (folder / "cog.yaml").write_text(
        'build:\n  python_version: "3.11"\n  run:\n'
        "    - echo before && echo why it failed >&2 && exit 7\n"
        'run: "predict.py:Predictor"\n'
    )
    failed = cogpack("build", folder)
    assert failed.returncode == 1, failed.stderr
    tail = failed.stderr[failed.stderr.index("error: ") :]
    assert tail.startswith("error: cog.yaml:4: the step")
    assert "exit code: 7" in tail
    assert "why it failed" in tail
    assert "echo before && echo why it failed" in tail
    assert "Traceback" not in failed.stderr


def test_a_base_that_does_not_exist_is_told(cogpack: Cogpack, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "hello", tmp_path / "hello")
    config = tmp_path / "hello" / "cog.yaml"
    # A base of the tables for which neither the Hub nor its stand-in is there in this test.
    config.write_text(config.read_text().replace("3.11", "3.10"))
    failed = cogpack("build", tmp_path / "hello", "--network", "none")
    if failed.returncode == 0:
        pytest.fail("this builder has the base that the test counts on to be missing")
    assert failed.returncode in (1, 3, 75)
    assert "python:3.10-slim" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_an_oci_archive_is_whole(cogpack: Cogpack, tmp_path: Path) -> None:
    target = tmp_path / "hello.tar"
    built = cogpack("build", EXAMPLES / "hello", "-o", f"type=oci,dest={target}")
    assert built.returncode == 0, built.stderr
    with tarfile.open(target) as archive:
        index = json.load(archive.extractfile("index.json"))  # type: ignore[arg-type]
        names = set(archive.getnames())
    digest = index["manifests"][0]["digest"].removeprefix("sha256:")
    assert f"blobs/sha256/{digest}" in names
    assert [path.name for path in tmp_path.iterdir()] == ["hello.tar"]


def test_a_full_disk_leaves_no_half_archive(cogpack: Cogpack, tmp_path: Path) -> None:
    target = tmp_path / "no-such-folder" / "hello.tar"
    failed = cogpack("build", EXAMPLES / "hello", "-o", f"type=oci,dest={target}")
    assert failed.returncode in (1, 3)
    assert str(target.parent) in failed.stderr
    assert "Traceback" not in failed.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_cancels_the_build_and_leaves_nothing(
    builder: Builder, example: Callable[[str], Path], sent: signal.Signals, code: int
) -> None:
    folder = example("hello")
    (folder / "cog.yaml").write_text(
        'build:\n  python_version: "3.11"\n  run:\n    - echo running && sleep 300\n'
        'run: "predict.py:Predictor"\n'
    )
    target = folder.parent / "out.tar"
    process = subprocess.Popen(
        [sys.executable, "-m", "cogpack", "build", folder, "-o", f"type=oci,dest={target}"],
        env={**os.environ, **builder.environment()},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process:
        seen = next((line for line in process.stderr if line.rstrip().endswith(" running")), "")
        process.send_signal(sent)
        rest = process.stderr.read()
    assert seen, rest
    assert process.returncode == code, rest
    assert "Traceback" not in rest
    assert [path.name for path in folder.parent.iterdir()] == ["hello"]


def _lock_and_build(cogpack: Cogpack, folder: Path, requirements: str, name: str) -> None:
    (folder / "requirements.txt").write_text(requirements)
    (folder / "cog.yaml").write_text(
        'build:\n  python_version: "3.11"\n  python_requirements: requirements.txt\n'
        'run: "predict.py:Predictor"\n'
    )
    locked = cogpack("resolve", folder, "--lock")
    assert locked.returncode == 0, locked.stderr
    built = cogpack("build", folder, "-t", name, "--locked")
    assert built.returncode == 0, built.stderr


def test_locked_wheels_are_layers_that_depend_on_nothing_else(
    cogpack: Cogpack, docker: Docker, example: Callable[[str], Path]
) -> None:
    folder = example("hello")
    _lock_and_build(cogpack, folder, "numpy==2.3.5\nsix==1.17.0\n", "cogpack-test/locked-1")
    _lock_and_build(cogpack, folder, "numpy==2.3.5\n", "cogpack-test/locked-2")
    config = folder / "cog.yaml"
    config.write_text(config.read_text().replace("run:", "  system_packages: [tree]\nrun:"))
    assert cogpack("resolve", folder, "--lock").returncode == 0
    assert cogpack("build", folder, "-t", "cogpack-test/locked-3", "--locked").returncode == 0
    one, two, three = (layers(docker, f"cogpack-test/locked-{number}") for number in (1, 2, 3))
    # Without six one of the layers of small wheels is another, with tree the one of apt; and each
    # time the source, which holds requirements.txt and cog.yaml.
    assert [(a == b) for a, b in zip(one, two, strict=True)].count(False) == 2
    assert [(a == b) for a, b in zip(two, three, strict=True)].count(False) == 2
    with serving(docker, "cogpack-test/locked-3") as served:
        assert served.predict(text="lock")["output"] == "hello lock"
    check = "import numpy; assert numpy.__version__ == '2.3.5'"
    docker("run", "--rm", "--entrypoint", "python", "cogpack-test/locked-3", "-c", check)
    listed = docker("run", "--rm", "--entrypoint", "ls", "cogpack-test/locked-3", "-A", "/opt/venv")
    assert listed.split() == ["bin", "include", "lib", "lib64", "pyvenv.cfg"]
