"""A project in a folder and a local index that has what it needs, the server included."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from cogpack.compat.tables import Tables
from support import registry
from support.index_server import Dist, IndexServer, serve

__all__ = ["PREDICTOR", "cogpack", "environment", "index", "write_project"]

PREDICTOR = """\
from cog import BasePredictor


class Predictor(BasePredictor):
    def predict(self, text: str) -> str:
        return text
"""


@cache
def _runtime() -> dict[str, list[Dist]]:
    """cog and coglet as the tables have them, without needs of their own."""
    tables = Tables.load()
    found: dict[str, list[Dist]] = {}
    for row in tables.cog:
        found.setdefault(row.package, []).append(Dist(str(row.version)))
    return found


@contextmanager
def index(packages: Mapping[str, Sequence[Dist]], **options: Any) -> Iterator[IndexServer]:
    """A local index with these packages and with the server, and a registry that has all images."""
    with (
        serve({**_runtime(), **packages}, **options) as server,
        registry.serve() as images,
    ):
        images.invents = True
        server.registry = f"http://{images.address}"
        yield server


def environment(server: IndexServer, folder: Path, url: str = "") -> dict[str, str]:
    """The environment of a user whose only index and registry are the local ones."""
    return {
        "COGPACK_REGISTRY_MIRRORS": f"docker.io={server.registry}",
        "COGPACK_CACHE": str(folder / "cache"),
        # The servers answer at once, but a busy machine may not.
        "COGPACK_PATIENCE": "300",
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "PIP_CONFIG_FILE": os.devnull,
        "UV_DEFAULT_INDEX": url or server.url,
        "UV_NO_CONFIG": "1",
    }


def write_project(folder: Path, *lines: str, python: str = "3.12", constraints: str = "") -> Path:
    """A Cog project with these requirements."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cog.yaml").write_text(
        f'build:\n  python_version: "{python}"\n  python_requirements: requirements.txt\n'
        "run: predict.py:Predictor\n"
    )
    (folder / "predict.py").write_text(PREDICTOR)
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in lines))
    if constraints:
        (folder / "constraints.txt").write_text(constraints)
    return folder


def cogpack(
    project: Path, server: IndexServer, verb: str, *options: str
) -> subprocess.CompletedProcess[str]:
    """Run the cogpack command on a project, for a user whose only index is the local one."""
    return subprocess.run(
        [sys.executable, "-m", "cogpack", verb, *options, str(project)],
        env=environment(server, project.parent),
        capture_output=True,
        text=True,
        check=False,
    )
