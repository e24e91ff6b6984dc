"""Options of requirements files that installers do not take from a file."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from cogpack.compat.framework_indexes import is_framework_index
from cogpack.compat.tables import overlaid
from cogpack.plan import model
from cogpack.stacks.compose import load, make_plan
from cogpack.stacks.locking import Locked, Relock, lock_project, resolution_to_build
from support import locked_project
from support.distributions import Dist
from support.index_server import serve
from support.projects import PREDICTOR, planned, stage_of, write_project

WHEELS = "https://download.pytorch.org/whl"


def environments(
    folder: Path, lines: str, *, installer: str = "uv", stages: tuple[str, ...] = ("packages",)
) -> list[dict[str, str]]:
    """The variables of the steps that install what the lines of a requirements file ask for."""
    settings = f"  python_requirements: requirements.txt\ncogpack:\n  installer: {installer}"
    files = {
        "predict.py": PREDICTOR,
        "requirements.txt": lines,
        "own/pyproject.toml": '[project]\nname = "own"\nversion = "1"\n',
    }
    plan = planned(write_project(folder, settings, files))
    found = [op for name in stages for op in stage_of(plan, name).ops]
    return [dict(op.env) for op in found if isinstance(op, model.Exec)]


STAGES = ("torch", "packages", "local-packages")


def test_every_install_hears_of_hosts_without_certificates_and_of_pre_releases(
    tmp_path: Path,
) -> None:
    lines = "--trusted-host a.internal\n--trusted-host b:8443\n--pre\ntorch==2.5.1\nsix\n./own\n"
    for found in environments(tmp_path, lines, stages=STAGES):
        assert found["UV_INSECURE_HOST"] == "a.internal b:8443"
        assert found["UV_PRERELEASE"] == "allow"
        assert "UV_INDEX_STRATEGY" not in found


def test_pip_hears_of_them_in_the_same_way(tmp_path: Path) -> None:
    lines = "--trusted-host a.internal\n--pre\n--prefer-binary\nsix\n./own\n"
    stages = ("packages", "local-packages")
    for found in environments(tmp_path, lines, installer="pip", stages=stages):
        assert found["PIP_TRUSTED_HOST"] == "a.internal"
        assert found["PIP_PRE"] == "1"
        assert found["PIP_PREFER_BINARY"] == "1"


@pytest.mark.parametrize(
    ("lines", "strategy"),
    [
        # Old copies of packages, on an index that is there for torch, must not hide the others.
        (f"--extra-index-url {WHEELS}/cu121\n", "unsafe-best-match"),
        (f"--extra-index-url {WHEELS}/nightly/cpu/\n", "unsafe-best-match"),
        (
            f"--index-url https://mirror/simple\n--extra-index-url {WHEELS}/cpu\n",
            "unsafe-best-match",
        ),
        # A name on a private index must not be taken from elsewhere.
        ("--extra-index-url https://private/simple\n", ""),
        (f"--extra-index-url {WHEELS}/cpu\n--extra-index-url https://private/simple\n", ""),
        ("", ""),
    ],
)
def test_the_best_of_all_indexes_is_taken_where_the_others_are_a_frameworks(
    tmp_path: Path, lines: str, strategy: str
) -> None:
    lines += "torch==2.5.1\nnumpy==1.26.4\nrequests\n"
    for found in environments(tmp_path, lines, stages=("torch", "packages")):
        assert found.get("UV_INDEX_STRATEGY", "") == strategy


@pytest.mark.parametrize(
    ("url", "known"),
    [
        (f"{WHEELS}/cpu", True),
        (f"{WHEELS}/cpu/", True),
        (f"{WHEELS}/", True),
        (f"{WHEELS}/nightly/cu130", True),
        ("https://download.pytorch.org/whlx/cpu", False),
        ("https://example.com/whl/cpu", False),
        ("", False),
    ],
)
def test_an_index_is_a_frameworks_when_the_tables_say_so(url: str, known: bool) -> None:
    assert is_framework_index(url) is known


def test_a_lock_takes_no_old_copy_from_a_frameworks_index(tmp_path: Path) -> None:
    copies = {"needed": [Dist("1.0")], "extension": [Dist("1.0+cu1")]}
    home = {"needed": [Dist("1.0"), Dist("2.0")], "extension": [Dist("2.0")]}
    (tmp_path / "tables").mkdir()
    with serve(copies) as framework, locked_project.index(home) as server:
        (tmp_path / "tables" / "torch.csv").write_text(
            "version,variant,architecture,python,glibc,cuda,cudnn,triton,kernels,libraries,"
            "index_url,withdrawn,source,checked\n"
            '9.0+cpu,cpu,amd64,">=3.9,<3.15",2.28,,,,,,'
            f"{framework.url.rstrip('/')},,tests,2026-01-01\n"
        )
        lines = (f"--extra-index-url {framework.url}", "needed", "extension==1.0+cu1")
        project = locked_project.write_project(tmp_path / "project", *lines)
        environ = locked_project.environment(server, tmp_path)
        with overlaid([tmp_path / "tables"]):
            made = lock_project(load(project), Relock(), environ)
    assert isinstance(made, Locked)
    found = {name: made.lock.by_name[name] for name in copies}
    assert (found["needed"].version, found["needed"].index) == ("2.0", server.url)
    assert (found["extension"].version, found["extension"].index) == ("1.0+cu1", framework.url)


SETTINGS = (
    "llama-cpp-python -C cmake.args=\"-DA=on;-DB='x y'\" --config-settings=jobs=2\n./own -C a=b\n"
)


def commands_and_files(folder: Path, installer: str) -> tuple[str, dict[str, str]]:
    """The commands that install SETTINGS, and the files that they read."""
    settings = f"  python_requirements: requirements.txt\ncogpack:\n  installer: {installer}"
    files = {
        "predict.py": PREDICTOR,
        "requirements.txt": SETTINGS,
        "own/pyproject.toml": '[project]\nname = "own"\nversion = "1"\n',
    }
    plan = planned(write_project(folder, settings, files))
    ops = [op for name in ("packages", "local-packages") for op in stage_of(plan, name).ops]
    written = [op for op in stage_of(plan, "requirements").ops if isinstance(op, model.MkFile)]
    commands = "\n".join(op.command for op in ops if isinstance(op, model.Exec))
    return commands, {op.path: op.content for op in written}


def test_uv_gets_settings_of_builds_as_options(tmp_path: Path) -> None:
    commands, files = commands_and_files(tmp_path, "uv")
    words = shlex.split(commands.replace("&& \\", ""))
    given = [words[place + 1] for place, word in enumerate(words) if word == OPTION]
    wanted = ["llama-cpp-python:cmake.args=-DA=on;-DB='x y'", "llama-cpp-python:jobs=2"]
    assert given[:2] == wanted
    # Of a folder only a build could tell the name.
    assert words[words.index("--config-setting") + 1] == "a=b"
    assert not any("config-settings" in text for text in files.values())


OPTION = "--config-settings-package"


def test_pip_gets_them_in_the_file(tmp_path: Path) -> None:
    commands, files = commands_and_files(tmp_path, "pip")
    assert "config-settings" not in commands
    assert "--config-settings=jobs=2" in files["/requirements.txt"]
    assert "--config-settings=a=b" in files["/local.txt"]


def test_a_locked_package_is_built_with_them(tmp_path: Path) -> None:
    pyproject = '[build-system]\nrequires = ["maker"]\nbuild-backend = "maker"\n'
    world = {
        "old": [Dist("1.0", tag="sdist", pyproject=pyproject)],
        "maker": [Dist("3.0")],
    }
    with locked_project.index(world) as server:
        project = locked_project.write_project(tmp_path / "project", "old -C fast=1")
        environ = locked_project.environment(server, tmp_path)
        assert isinstance(lock_project(load(project), Relock(), environ), Locked)
    composition = load(project)
    plan = make_plan(composition, resolution_to_build(composition, locked=True))
    [build] = [op for op in stage_of(plan, "built-packages").ops if isinstance(op, model.Exec)]
    assert f"{OPTION} old:fast=1 " in build.command


def test_a_framework_is_installed_by_its_hashes_where_all_must_have_them(tmp_path: Path) -> None:
    own = f"sha256:{'a' * 64}"
    lines = f"--require-hashes\ntorch==2.5.1 --hash={own}\nsix==1.17.0 --hash={own}\n"
    files = {"predict.py": PREDICTOR, "requirements.txt": lines}
    settings = "  python_requirements: requirements.txt"
    plan = planned(write_project(tmp_path, settings, files))
    [command] = [op.command for op in stage_of(plan, "torch").ops if isinstance(op, model.Exec)]
    assert f"'torch==2.5.1+cpu --hash={own}' > /tmp/hashed.txt" in command
    assert f"--no-deps --require-hashes --index-url {WHEELS}/cpu --requirement" in command
    written = [op for op in stage_of(plan, "requirements").ops if isinstance(op, model.MkFile)]
    assert f"torch==2.5.1+cpu --hash={own}\n" in [op.content for op in written]
    # What torch needs has hashes as well, and waits for the step that has them all.
    assert command.count("uv pip install") == 1
