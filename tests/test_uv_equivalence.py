"""What cogpack takes from uv.lock is what uv would install: locked and told by the real uv."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from packaging.requirements import Requirement

from cogpack.blocks.uv_wheels import uv_selected
from cogpack.project import read_project
from cogpack.solver.open_target import marker_environment
from support.index_server import Dist, serve
from support.projects import PREDICTOR

UV = Path(sys.executable).with_name("uv")
PYTHON = "3.12.4"
WORLD = {
    "app": [
        Dist(
            "1.0",
            (
                "base>=1",
                "old; python_version < '3.12'",
                "win; sys_platform == 'win32'",
                "arm; platform_machine == 'aarch64'",
                "fast; extra == 'fast'",
                "slow; extra == 'slow'",
            ),
            extras=("fast", "slow"),
        )
    ],
    "base": [Dist("1.0"), Dist("2.0", requires_python=">=3.12")],
    **{name: [Dist("1.0")] for name in ("old", "win", "arm", "fast", "slow", "dev", "more")},
    "torch": [Dist("2.7.1"), Dist("2.8.0"), Dist("2.9.0")],
}
HEAD = '[project]\nname = "my.Proj"\nversion = "0"\nrequires-python = ">=3.11"\n'
CONFLICTS = """\
dependencies = ["app"]
[project.optional-dependencies]
cpu = ["torch==2.7.1"]
gpu = ["torch==2.8.0", "app[fast]"]
all = ["my-proj[gpu]", "more"]
[dependency-groups]
dev = ["dev"]
older = ["base<2"]
newer = ["base>=2 ; python_version >= '3.12'"]
[tool.uv]
conflicts = [
    [{extra = "cpu"}, {extra = "gpu"}, {extra = "all"}],
    [{group = "older"}, {group = "newer"}],
]
"""
PROJECTS = {
    "markers": 'dependencies = ["app[fast]", "more ; python_full_version < \'3.12.5\'"]\n',
    "forked": (
        "dependencies = [\"torch<2.8 ; platform_machine == 'aarch64'\", "
        "\"torch>=2.9 ; platform_machine != 'aarch64'\"]\n"
    ),
    "optional": (
        'dependencies = ["app"]\n[project.optional-dependencies]\nall = ["my-proj[some]", "more"]\n'
        'some = ["app[slow]"]\n[dependency-groups]\ndev = ["dev", {include-group = "lint"}]\n'
        'lint = ["fast"]\n'
    ),
    "no-dev": (
        'dependencies = []\n[dependency-groups]\ndev = ["dev"]\nlint = ["fast"]\n'
        '[tool.uv]\ndefault-groups = ["lint"]\n'
    ),
    "conflicts": CONFLICTS,
}


def told_by_uv(folder: Path, url: str, *options: str) -> set[str]:
    """What the real uv installs from uv.lock for Linux, as `name==version`."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "UV_CACHE_DIR": str(folder / "cache"),
        "UV_DEFAULT_INDEX": url,
        "UV_NO_CONFIG": "1",
        "UV_PYTHON": sys.executable,
        "UV_PYTHON_DOWNLOADS": "never",
    }
    export = ["export", "--frozen", "--no-hashes", "--no-header", "--no-annotate"]
    for command in (["lock", "-q"], [*export, "-q", "--no-emit-project", *options]):
        if command[0] == "lock" and (folder / "uv.lock").exists():
            continue
        done = subprocess.run(
            [UV, *command], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    target = {**cast("dict[str, str]", marker_environment(PYTHON, "x86_64")), "extra": ""}
    found = map(Requirement, done.stdout.splitlines())
    return {
        f"{one.name}{one.specifier}"
        for one in found
        if one.marker is None or one.marker.evaluate(target)
    }


def chosen(folder: Path, extras: list[str], groups: list[str]) -> set[str]:
    (folder / "cog.yaml").write_text(
        f"run: predict.py:Predictor\ncogpack: {{extras: {extras}, groups: {groups}}}\n"
    )
    (folder / "predict.py").write_text(PREDICTOR)
    selected = uv_selected(read_project(folder), "linux/amd64", PYTHON)
    return {f"{one.name}=={one.version}" for one in selected}


@pytest.mark.parametrize(
    ("name", "extras", "groups"),
    [
        ("markers", [], []),
        ("forked", [], []),
        ("optional", [], []),
        ("optional", ["some"], []),
        ("optional", ["all"], ["lint"]),
        ("no-dev", [], []),
        ("no-dev", [], ["dev"]),
        ("conflicts", [], []),
        ("conflicts", ["cpu"], ["older"]),
        ("conflicts", ["gpu"], ["newer"]),
        ("conflicts", ["all"], []),
    ],
)
def test_the_same_packages_as_uv_installs(
    tmp_path: Path, name: str, extras: list[str], groups: list[str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(HEAD + PROJECTS[name])
    options = [f"--extra={one}" for one in extras] + [f"--group={one}" for one in groups]
    with serve(WORLD) as server:
        wanted = told_by_uv(tmp_path, server.url, *options)
    assert wanted or name == "no-dev"
    assert chosen(tmp_path, extras, groups) == wanted
