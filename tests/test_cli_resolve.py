"""`cogpack resolve`: output and exit codes over a project's folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cogpack.cli.resolve import command

COG = 'build:\n  python_version: "{python}"\nrun: predict.py:Predictor\n'
PREDICT = "class Predictor:\n    def run(self, text: str) -> str:\n        return text\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "cog.yaml").write_text(COG.format(python="3.12"), encoding="utf-8")
    (tmp_path / "predict.py").write_text(PREDICT, encoding="utf-8")
    return tmp_path


def run(project: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [str(project), *arguments])


def test_a_table(project: Path) -> None:
    result = run(project)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["package", "version", "from", "because", "of"]
    (python,) = (text for text in lines if text.startswith("python "))
    assert "3.12." in python
    assert "(cog.yaml:2)" in python
    assert "base image: docker.io/library/python:3.12-slim" in result.stdout


def test_json(project: Path) -> None:
    result = run(project, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["status"]) == (0, "resolved")
    assert found["packages"]["python"]["because"][0]["line"] == 2


def test_why_and_all(project: Path) -> None:
    assert run(project, "--why", "Python").stdout.startswith("python 3.12.")
    versions = run(project, "--all", "python").stdout.split()
    assert versions
    assert all(version.startswith("3.12.") for version in versions)
    assert json.loads(run(project, "--why", "cog", "--json").stdout)["status"] == "explained"
    assert json.loads(run(project, "--all", "cog", "--json").stdout)["status"] == "versions"


@pytest.mark.parametrize("question", [(), ("--why", "torch"), ("--all", "torch")])
def test_a_conflict_is_the_users(project: Path, question: tuple[str, ...]) -> None:
    result = run(project, "--override", "torch=2.4.1", "--override", "python=3.13.1", *question)
    assert result.exit_code == 1
    assert "torch 2.4.1 has wheels for Python 3.8 to 3.12" in result.stdout
    assert "leave out --override torch=2.4.1" in result.stdout


def test_a_conflict_as_json(project: Path) -> None:
    arguments = ("--override", "torch=2.4.1", "--override", "python=3.13.1", "--json")
    result = run(project, *arguments)
    assert (result.exit_code, json.loads(result.stdout)["status"]) == (1, "conflict")


def test_a_what_if(project: Path) -> None:
    result = run(project, "--override", "torch=2.4.1")
    assert result.exit_code == 0
    assert "2.4.1" in result.stdout


def test_options_are_requirements_of_their_own(project: Path) -> None:
    result = run(project, "--gpu", "h100", "--driver", "535", "--override", "torch>=2")
    assert result.exit_code == 0
    assert "gpu-capability" in result.stdout
    assert "--gpu h100" in run(project, "--gpu", "h100", "--why", "gpu-capability").stdout


def test_a_broken_project_as_json(project: Path) -> None:
    (project / "cog.yaml").write_text(COG.format(python="3.9"), encoding="utf-8")
    result = run(project, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["status"]) == (1, "invalid")
    assert found["errors"][0]["file"] == "cog.yaml"
    assert "3.10" in found["errors"][0]["message"] + found["errors"][0]["hint"]


def test_an_unknown_gpu_as_json(project: Path) -> None:
    result = run(project, "--gpu", "h1000", "--json")
    assert json.loads(result.stdout)["status"] == "invalid"
    assert result.exit_code == 1


def test_two_questions_at_once(project: Path) -> None:
    assert run(project, "--why", "a", "--all", "b").exit_code == 2


def test_the_image_that_runs_is_the_plans(project: Path) -> None:
    """A command that installs system packages keeps the project on the image of the build."""
    steps = "  run: [nvcc --version, apt-get install -y libgomp1]\n"
    text = (project / "cog.yaml").read_text(encoding="utf-8")
    gpu = text.replace("build:\n", f'build:\n  gpu: true\n  cuda: "12.8"\n{steps}')
    (project / "cog.yaml").write_text(gpu, encoding="utf-8")
    images = json.loads(run(project, "--json").stdout)["packages"]["base_image"]
    assert "-devel-" in images["build"]
    assert images["runtime"] == images["build"]
