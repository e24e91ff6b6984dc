"""An interpreter that uv fetches: where from, with which secrets, and what stays in the layer."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.plan import model
from support.projects import planned, stage_of, write_project

BASE = "cogpack:\n  base_image: registry.invalid/plain:1\n"


def make(folder: Path, settings: str) -> model.Exec:
    plan = planned(write_project(folder, f"{BASE}{settings}"))
    [found] = [op for op in stage_of(plan, "python").ops if isinstance(op, model.Exec)]
    return found


def secrets(step: model.Exec) -> dict[str, str | None]:
    return {one.id: one.env for one in step.mounts if isinstance(one, model.SecretMount)}


def test_list_and_mirror_go_to_uv(tmp_path: Path) -> None:
    step = make(
        tmp_path,
        "  python_mirror: https://mirror.invalid/python\n"
        "  python_downloads: https://mirror.invalid/downloads.json",
    )
    assert step.env["UV_PYTHON_INSTALL_MIRROR"] == "https://mirror.invalid/python"
    assert step.env["UV_PYTHON_DOWNLOADS_JSON_URL"] == "https://mirror.invalid/downloads.json"
    assert step.env["UV_PYTHON_DOWNLOADS"] == "automatic"
    assert secrets(step) == {}


@pytest.mark.parametrize(("python", "brings"), [("3.10", True), ("3.11", True), ("3.12", False)])
@pytest.mark.parametrize("base", ["", BASE])
def test_an_older_python_comes_with_setuptools(
    tmp_path: Path, base: str, python: str, brings: bool
) -> None:
    """CLIP imports pkg_resources and names it nowhere: Docker's images of its time have it."""
    (tmp_path / "cog.yaml").write_text(f'build:\n  python_version: "{python}"\n{base}')
    plan = planned(tmp_path)
    [step] = [op for op in stage_of(plan, "python").ops if isinstance(op, model.Exec)]
    assert ("setuptools-*.whl" in step.command) is brings


def test_the_download_stays_in_a_cache(tmp_path: Path) -> None:
    step = make(tmp_path, "")
    [cache] = [one.target for one in step.mounts if isinstance(one, model.CacheMount)]
    assert step.env["UV_PYTHON_CACHE_DIR"].startswith(f"{cache}/")
    assert "UV_PYTHON_INSTALL_MIRROR" not in step.env


@pytest.mark.parametrize(("bytecode", "compiles"), [("hash", True), ("none", False)])
def test_its_library_is_compiled_as_packages_are(
    tmp_path: Path, bytecode: str, compiles: bool
) -> None:
    step = make(tmp_path, f"  bytecode: {bytecode}")
    assert ("UV_COMPILE_BYTECODE" in step.env) is compiles


def test_a_variable_in_the_url_is_a_secret_of_the_step(tmp_path: Path) -> None:
    step = make(tmp_path, "  python_mirror: https://me:${MIRROR_KEY}@mirror.invalid/a'b?$x")
    assert secrets(step) == {"MIRROR_KEY": "MIRROR_KEY"}
    assert "UV_PYTHON_INSTALL_MIRROR" not in step.env
    exported = step.command.partition(" && ")[0]
    assert exported.startswith("export UV_PYTHON_INSTALL_MIRROR=")
    # The shell puts the secret in, and nothing else is expanded.
    shell = f'{exported}; printf %s "$UV_PYTHON_INSTALL_MIRROR"'
    run = subprocess.run(
        ["/bin/sh", "-c", shell],
        env={"MIRROR_KEY": "k$y 'x"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "https://me:k$y 'x@mirror.invalid/a'b?$x"
    assert shlex.split(exported)[0] == "export"


def test_credentials_in_the_urls_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        make(
            tmp_path,
            "  python_mirror: https://me:hidden@mirror.invalid/python\n"
            "  python_downloads: https://me:hidden@mirror.invalid/downloads.json",
        )
    assert [fault.origin.line for fault in raised.value.faults if fault.origin] == [6, 5]
    assert "hidden" not in str(raised.value)
    # Where the base has a Python the label would still hold them.
    settings = "cogpack:\n  python_mirror: https://me:hidden@mirror.invalid/python"
    with pytest.raises(UserError, match="a credential stands in the URL"):
        planned(write_project(tmp_path, settings))
