"""The command line: help, exit codes, and that a fault is a message and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cogpack.cli import VERBS
from cogpack.cli.options import read_secrets
from cogpack.errors import UserError

PREDICTOR = """from cog import BaseRunner


class Predictor(BaseRunner):
    def run(self) -> str:
        return ''
"""
NO_DAEMON = {"BUILDKIT_HOST": "", "DOCKER_HOST": ""}


def run(*arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cogpack", *map(str, arguments)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


def project(folder: Path, cog_yaml: str = "") -> Path:
    (folder / "cog.yaml").write_text(
        cog_yaml or "build:\n  python_version: '3.12'\nrun: predict.py:Predictor\n"
    )
    (folder / "predict.py").write_text(PREDICTOR)
    return folder


def test_help_lists_every_verb() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    assert all(f"  {verb} " in shown.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_every_verb_has_help(verb: str) -> None:
    shown = run(verb, "--help")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("Usage: ")


def test_a_folder_below_the_project_does_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = project(tmp_path) / "notes" / "old"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    shown = run("resolve")
    assert shown.returncode == 0, shown.stderr
    assert "(cog.yaml:2)" in shown.stdout
    # What is named is meant, and a project of its own is one.
    assert "there is no cog.yaml" in run("resolve", ".").stderr
    (below / "requirements.txt").write_text("six\n")
    assert "(cog.yaml:2)" not in run("resolve").stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["plan", "--nonsense"], ["build", "a", "b"]])
def test_a_wrong_command_line_is_exit_code_2(arguments: list[str]) -> None:
    failed = run(*arguments)
    assert failed.returncode == 2
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("verb", ["build", "llb", "plan", "resolve"])
def test_a_folder_without_a_project_is_told(verb: str, tmp_path: Path) -> None:
    failed = run(verb, tmp_path, "-o", tmp_path / "x") if verb == "llb" else run(verb, tmp_path)
    assert failed.returncode == 1
    assert "cog.yaml" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("verb", ["build", "llb", "plan", "resolve"])
def test_a_folder_that_is_not_there_is_told(verb: str, tmp_path: Path) -> None:
    failed = run(verb, tmp_path / "gone")
    assert failed.returncode == 1
    assert "gone" in failed.stderr


def test_every_fault_is_told_at_once_with_its_line_and_hint(tmp_path: Path) -> None:
    folder = project(
        tmp_path,
        "build:\n  python_version: '3.9'\n  gpus: true\n  python_requirements: missing.txt\n"
        "run: predict.py:Predictor\n",
    )
    failed = run("plan", folder)
    assert failed.returncode == 1
    assert "error: cog.yaml:2: " in failed.stderr
    assert "3.9" in failed.stderr
    assert "error: cog.yaml:3: " in failed.stderr
    assert "gpu" in failed.stderr
    assert "error: cog.yaml:4: " in failed.stderr
    assert "missing.txt" in failed.stderr
    assert failed.stderr.count("error: ") == 3


def test_a_requirements_path_that_leaves_the_project_is_refused(tmp_path: Path) -> None:
    folder = project(
        tmp_path,
        "build:\n  python_version: '3.12'\n  python_requirements: ../secrets.txt\n"
        "run: predict.py:Predictor\n",
    )
    failed = run("plan", folder)
    assert failed.returncode == 1
    assert "cog.yaml:3" in failed.stderr
    assert "../secrets.txt" in failed.stderr


def test_no_daemon_is_exit_code_3_and_says_what_was_tried(tmp_path: Path) -> None:
    failed = run(
        "build", project(tmp_path), "--builder", f"unix://{tmp_path}/none.sock", **NO_DAEMON
    )
    assert failed.returncode == 3
    assert "none.sock" in failed.stderr
    assert "--builder" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_builder_that_is_no_address_is_told(tmp_path: Path) -> None:
    failed = run("build", project(tmp_path), "--builder", "carrier-pigeon://x", **NO_DAEMON)
    assert failed.returncode in (1, 3)
    assert "carrier-pigeon" in failed.stderr


@pytest.mark.parametrize("output", ["type=floppy,dest=x", "dest=x", "type=oci", "x=y"])
def test_an_output_that_cannot_be_read_is_told(output: str, tmp_path: Path) -> None:
    failed = run("build", project(tmp_path), "-o", output, **NO_DAEMON)
    assert failed.returncode == 1
    assert f"--output {output}" in failed.stderr


def test_a_name_that_is_none_is_told(tmp_path: Path) -> None:
    failed = run("build", project(tmp_path), "-t", "Not A Name", **NO_DAEMON)
    assert failed.returncode == 1
    assert "Not A Name" in failed.stderr


def test_a_missing_secret_is_told_before_anything_is_built(tmp_path: Path) -> None:
    failed = run(
        "build", project(tmp_path), "--secret", "id=token,env=NOT_SET_ANYWHERE", **NO_DAEMON
    )
    assert failed.returncode == 1
    assert "NOT_SET_ANYWHERE is not set" in failed.stderr


def test_llb_writes_a_file_atomically_and_refuses_a_missing_folder(tmp_path: Path) -> None:
    folder = project(tmp_path)
    target = tmp_path / "out.llb"
    assert run("llb", folder, "-o", target).returncode == 0
    assert (
        target.read_bytes()
        == subprocess.run(
            [sys.executable, "-m", "cogpack", "llb", str(folder)],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    )
    failed = run("llb", folder, "-o", tmp_path / "none" / "out.llb")
    assert failed.returncode == 3
    assert "none/out.llb cannot be written" in failed.stderr


def test_a_broken_pipe_is_quiet(tmp_path: Path) -> None:
    command = f"{sys.executable} -m cogpack plan {project(tmp_path)} | head -c 1"
    shown = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602
    assert "Traceback" not in shown.stderr
    assert "Exception" not in shown.stderr


def test_resolve_loads_neither_grpc_nor_an_http_client(tmp_path: Path) -> None:
    code = (
        "import sys; from cogpack.cli import cli; "
        f"cli.main(['resolve', {str(project(tmp_path))!r}], standalone_mode=False); "
        "print(sorted({'grpc', 'httpx', 'rich', 'google.protobuf'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "[]"


class TestSecrets:
    def test_from_a_variable_a_file_and_by_the_id_alone(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_bytes(b"from a file\n")
        texts = [f"id=a,src={tmp_path}/token", "id=b,env=B", "id=C", "type=env,id=d,src=B"]
        assert read_secrets(texts, {"B": "b", "C": "c"}) == {
            "a": b"from a file\n",
            "b": b"b",
            "C": b"c",
            "d": b"b",
        }

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("token", "is none of id=, src= and env="),
            ("src=x", "it has no id"),
            ("id=a,src=x,env=Y", "both src and env"),
            ("id=a,id=b", "`id` is given twice"),
            ("id=a,src=/none/such", "the file cannot be read"),
            ("id=a,type=vault", "the type `vault`"),
            ("id=a\n,src=b", "it has a line break"),
            ("id=a,src=/dev/zero", "the file is larger than 512000 bytes"),
        ],
    )
    def test_what_is_wrong_is_told(self, text: str, message: str) -> None:
        with pytest.raises(UserError) as caught:
            read_secrets([text], {})
        assert message in str(caught.value)

    def test_all_faults_at_once_and_no_value_in_a_message(self, tmp_path: Path) -> None:
        (tmp_path / "big").write_bytes(b"x" * 600_000)
        with pytest.raises(UserError) as caught:
            read_secrets([f"id=a,src={tmp_path}/big", "id=b,env=NONE"], {"OTHER": "s3cr3t"})
        assert len(caught.value.faults) == 2
        assert "s3cr3t" not in str(caught.value)
