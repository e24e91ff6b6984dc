"""Images that a test builds: by the command or from a plan, and what is in them."""

from __future__ import annotations

import gzip
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cogpack.llb.client import Client, Export, find_daemon
from cogpack.pipeline import Request, build_plan
from cogpack.plan import model
from devdaemon.builder import Builder

__all__ = [
    "EXAMPLES",
    "Cogpack",
    "Docker",
    "blobs",
    "build",
    "build_image",
    "config",
    "layers",
    "run_python",
    "run_shell",
]

EXAMPLES = Path(__file__).parent.parent.parent / "examples"

Cogpack = Callable[..., subprocess.CompletedProcess[str]]
Docker = Callable[..., str]


def build(cogpack: Cogpack, folder: Path, name: str, *options: str, **variables: str) -> str:
    """Build a project; returns the image's name, made of `name`."""
    image = f"cogpack-test/{name}"
    built = cogpack("build", folder, "-t", image, *options, **variables)
    assert built.returncode == 0, built.stderr
    return image


def build_image(builder: Builder, plan: model.Plan, folder: Path, name: str) -> str:
    """Build a plan that was changed after it was made."""
    image = f"docker.io/cogpack-test/{name}:latest"
    with Client(find_daemon(None, builder.environment())) as client:
        build_plan(plan, Request(folder, (Export("image", {"name": image}),)), client)
    return image


def layers(docker: Docker, image: str) -> list[str]:
    """The diff ids of an image's layers, those of its base first."""
    found: list[str] = json.loads(docker("image", "inspect", image))[0]["RootFS"]["Layers"]
    return found


def config(docker: Docker, image: str) -> dict[str, Any]:
    """What an image says about how it is run."""
    found: dict[str, Any] = json.loads(docker("image", "inspect", image))[0]["Config"]
    return found


def run_python(docker: Docker, image: str, code: str) -> str:
    """What Python code prints in an image."""
    return docker("run", "--rm", "--entrypoint", "python", image, "-B", "-c", code).strip()


def run_shell(docker: Docker, image: str, command: str) -> str:
    """What a shell command prints in an image."""
    return docker("run", "--rm", "--entrypoint", "sh", image, "-c", command).strip()


def blobs(layout: Path) -> Iterator[bytes]:
    """Every blob of an OCI archive, layers unpacked to the bytes of their tar archives."""
    with tarfile.open(layout) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None:
                content = file.read()
                yield gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
