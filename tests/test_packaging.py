"""The wheel: what it holds, and that it runs from an environment where nothing else is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def _run(*argv: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        argv, cwd=cwd, env=env, capture_output=True, text=True, check=False, stdin=None
    )
    assert done.returncode == 0, f"{argv}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _sources() -> list[str]:
    """What a commit of the working tree would hold."""
    listed = _run(
        "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT
    ).split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources, so that no build folder is left in the tree."""
    tree = tmp_path_factory.mktemp("tree")
    for name in _sources():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, tree / name)
    out = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", out, ".", cwd=tree)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert tops == {"cogpack", f"cogpack-{version}.dist-info"}
    folders = {name.split("/")[1] for name in names if name.count("/") > 1}
    assert folders.isdisjoint({"tests", "dev", "docs", "examples", "bench", ".ci"})


def test_the_wheel_holds_every_module_and_table(wheel: Path) -> None:
    """A folder that pyproject.toml forgets would be missed only after the install."""
    held = {
        name.removeprefix("cogpack/")
        for name in zipfile.ZipFile(wheel).namelist()
        if name.startswith("cogpack/")
    }
    beside = ("bench/", "dev/", "docs/", "examples/", "tests/", ".")
    wanted = {
        name
        for name in _sources()
        if name.endswith((".py", ".pyi", ".proto", ".csv", "py.typed"))
        and not name.startswith(beside)
    }
    assert wanted - held == set()
    assert any(name.startswith("compat/") and name.endswith(".csv") for name in held)
    assert any(name.endswith("_pb2.py") for name in held)


def test_the_wheel_runs_from_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    _run(uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
    env = {**os.environ, "VIRTUAL_ENV": str(tmp_path / "venv")}
    _run(uv, "pip", "install", "--quiet", wheel, cwd=tmp_path, env=env)
    cogpack = tmp_path / "venv" / "bin" / "cogpack"
    project = tmp_path / "hello"
    shutil.copytree(ROOT / "examples" / "hello", project)

    assert _run(cogpack, "--version", cwd=tmp_path).startswith("cogpack, version ")
    assert "3.11" in _run(cogpack, "resolve", project, cwd=tmp_path)
    assert _run(cogpack, "plan", "--json", project, cwd=tmp_path).startswith("{")


def test_the_pinned_requirements_fit_what_the_project_declares() -> None:
    """`make lock-dev` was run after the last change of a dependency."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        Requirement(line)
        for line in (*declared["project"]["dependencies"], *declared["dependency-groups"]["dev"])
    ]
    pins = {}
    for line in (ROOT / "requirements-dev.txt").read_text().splitlines():
        if line.strip() and not line.startswith((" ", "#")):
            pin = Requirement(line.rstrip(" \\"))
            (specifier,) = pin.specifier
            pins[canonicalize_name(pin.name)] = specifier.version
    unfit = [
        f"{requirement} is pinned to {pins.get(canonicalize_name(requirement.name))}"
        for requirement in wanted
        if not requirement.specifier.contains(
            pins.get(canonicalize_name(requirement.name), "0"), prereleases=True
        )
    ]
    assert unfit == []


def test_the_pinned_requirements_are_names_and_hashes_only() -> None:
    """An index is the machine's choice: a committed file names none."""
    text = (ROOT / "requirements-dev.txt").read_text()
    assert "://" not in text
    assert " @ " not in text
    assert "\n-" not in text
