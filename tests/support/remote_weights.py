"""Projects with remote weights for tests, and what is found of them."""

from __future__ import annotations

from pathlib import Path

from cogpack.errors import Fault
from cogpack.project import read_project
from cogpack.project.weight_sources import RemoteSource
from cogpack.weights.find import find_files, lock_files
from support.hub_server import HubServer
from support.projects import write_project

__all__ = ["COMMIT", "DIGEST", "FILES", "LARGE", "REPO", "environ", "found", "lock", "project"]

REPO = "team/model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "README.md": b"read me",
    "config.json": b"{}",
    "model.safetensors": b"weights" * 100,
    "onnx/model.onnx": b"onnx" * 100,
    "sub folder/a#b.json": b"[]",
}
LARGE = ("model.safetensors", "onnx/model.onnx")
DIGEST = f"sha256:{'ab' * 32}"


def project(folder: Path, *sources: str, name: str = "w") -> Path:
    """A project with one entry of these sources."""
    lines = "".join(f"      - {source}\n" for source in sources)
    settings = (
        f"model: example.com/me/it\nweights:\n  - name: {name}\n    target: /w\n    source:\n"
    )
    return write_project(folder, settings + lines.rstrip("\n"))


def found(
    folder: Path, environ: dict[str, str] | None = None, *, locked: bool = False
) -> tuple[tuple[RemoteSource, ...], list[Fault]]:
    """What is found of a project, and the warnings."""
    told: list[Fault] = []
    config = read_project(folder).config
    sources = find_files(config, folder, environ or {}, told=told.append, locked=locked)
    return sources, told


def environ(hub: HubServer, **variables: str) -> dict[str, str]:
    """The variables that lead to a hub."""
    return {"HF_ENDPOINT": f"{hub.url}/", **variables}


def lock(folder: Path, variables: dict[str, str]) -> list[str]:
    """Lock a project; returns what is told."""
    told: list[str] = []
    lock_files(read_project(folder).config, folder, variables, told=told.append)
    return told
