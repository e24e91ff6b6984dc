"""Secrets that a build needs: what is missing is told first, and with what else is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cogpack.cli.faulty import Faulty
from cogpack.errors import Fault, UserError
from support.projects import write_project

RUN = """\
  run:
    - command: ./fetch
      mounts:
        - {type: secret, id: token, target: /run/secrets/token}
        - {type: secret, id: licence, env: LICENCE}"""


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Build where there is no builder."""
    return subprocess.run(
        [sys.executable, "-m", "cogpack", "build", str(folder), *options],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "DOCKER_HOST": "unix:///none.sock"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_secret_is_told_though_there_is_no_builder(tmp_path: Path) -> None:
    failed = build(write_project(tmp_path, RUN))
    assert failed.returncode == 1
    assert "cog.yaml:4: the secret `licence` is not given to the build" in failed.stderr
    assert "cog.yaml:4: the secret `token` is not given to the build" in failed.stderr
    assert "--secret id=token,src=FILE" in failed.stderr
    assert "none.sock" not in failed.stderr


def test_it_is_told_with_all_else_that_is_wrong(tmp_path: Path) -> None:
    options = ("-t", "Not A Name", "--secret", "id=licence,src=/none/such")
    failed = build(write_project(tmp_path, RUN), *options)
    assert failed.returncode == 1
    assert "Not A Name" in failed.stderr
    assert "the secret `token` is not given" in failed.stderr
    # Of the one that was given in vain it is said why, and not that it is missing.
    assert "id=licence,src=/none/such: the file cannot be read" in failed.stderr
    assert "`licence` is not given" not in failed.stderr


def test_faults_of_cog_yaml_and_of_options_are_told_together(tmp_path: Path) -> None:
    failed = build(write_project(tmp_path, "  gqu: true"), "--secret", "nonsense")
    assert failed.returncode == 1
    assert "cog.yaml:3" in failed.stderr
    assert "--secret nonsense" in failed.stderr


def test_with_all_secrets_the_builder_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    given = [f"--secret=id={name},src={tmp_path}/key" for name in ("token", "licence")]
    failed = build(write_project(tmp_path, RUN), *given)
    assert failed.returncode == 3
    assert "none.sock" in failed.stderr


def test_one_failure_stays_what_it_is() -> None:
    class SpecialError(UserError):
        pass

    def fail() -> None:
        raise SpecialError(Fault("one"))

    faulty = Faulty()
    assert faulty.attempt(lambda: 1) == 1
    faulty.check()
    assert faulty.attempt(fail) is None
    with pytest.raises(SpecialError):
        faulty.check()
    with pytest.raises(UserError) as caught:
        faulty.needed(fail)
    assert [fault.message for fault in caught.value.faults] == ["one"]
