#!/usr/bin/env python3
"""What a push sends after each kind of change: `make bench-layers`.

The same project is built by cogpack, with a lock, and from a Dockerfile in Cog's layout (one layer
for apt, one for all requirements, one for the source), on one daemon, and pushed to one registry.
Of each push only the blobs count that the push before it had not. The last line is for machines.

The project is CPU torch where pip finds a CPU wheel of it, else a set of scientific packages.
"""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from devdaemon import builder, debian, network, standins
from devdaemon.layout import SetupError, cache, say

TORCH = "torch==2.13.0"
OTHERS = ("numpy", "pandas", "scikit-learn", "scipy", "opencv-python-headless")
BASE = "docker.io/library/python:3.11-slim-bookworm"
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
PREDICTOR = """from cog import BaseRunner


class Predictor(BaseRunner):
    def run(self, text: str) -> str:
        return text
"""


@dataclass(frozen=True)
class Bench:
    """Where things are: the project, the daemon's environment, the registry, the options.

    index: the local index that serves torch; empty when the default index serves everything.
    """

    project: Path
    env: Mapping[str, str]
    registry: str
    buildx: Path
    index: str
    options: tuple[str, ...]


def main() -> int:
    """Build, change, build again; print the table and the last line; return the exit code."""
    try:
        found = builder.find()
        if not (found.own and found.docker):
            raise SetupError("this bench pushes to the registry of the builder that it starts")
        standins.provide(found, standins.STANDINS[:1])
        buildx = _buildx()
    except SetupError as fault:
        say(str(fault))
        return 3
    with tempfile.TemporaryDirectory() as scratch, _torch_index(Path(scratch)) as index:
        project = Path(scratch, "project")
        project.mkdir()
        _write_project(project, index)
        options = _overlay(Path(scratch), index) if index else ()
        env = {**os.environ, **found.environment()}
        bench = Bench(project, env, found.own.registry, buildx, index, options)
        _report(bench)
    return 0


def _report(bench: Bench) -> None:
    changes: list[tuple[str, Callable[[], None]]] = [
        ("first build", lambda: None),
        ("nothing", lambda: None),
        ("edit the source", lambda: _append(bench.project / "predict.py", "# changed")),
        ("add a dependency", lambda: _append(bench.project / "requirements.txt", "six==1.17.0")),
        ("add a system package", lambda: _add_system_package(bench.project)),
    ]
    print("| change | cogpack: bytes sent | seconds | Cog's layout: bytes sent | seconds |")
    print("|---|---|---|---|---|")
    known: dict[str, set[str]] = {"ours": set(), "cog": set()}
    figures: dict[str, tuple[int, int]] = {}
    for number, (name, change) in enumerate(changes):
        change()
        _cogpack(bench, "resolve", "--lock", str(bench.project))
        ours, ours_seconds = _timed(
            bench, known["ours"], f"bench/ours:{number}", functools.partial(_build_ours, bench)
        )
        cog, cog_seconds = _timed(
            bench, known["cog"], f"bench/cog:{number}", functools.partial(_build_cog, bench)
        )
        figures[name] = (ours, cog)
        print(
            f"| {name} | {ours:,} | {ours_seconds:.1f} | {cog:,} | {cog_seconds:.1f} |", flush=True
        )
    ours, cog = figures["add a dependency"]
    print(f"\n{cog / max(ours, 1):.0f} times fewer bytes for one dependency more")
    print(f"add-a-dependency: {ours} bytes, {cog} bytes")


def _timed(
    bench: Bench, known: set[str], name: str, build: Callable[[str], None]
) -> tuple[int, float]:
    """Build and push; the bytes of blobs that were not in `known`, and the seconds it took."""
    start = time.perf_counter()
    build(f"{bench.registry}/{name}")
    seconds = time.perf_counter() - start
    repository, _, tag = name.partition(":")
    request = urllib.request.Request(  # the registry is ours
        f"http://{bench.registry}/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFESTS}
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        manifest = json.load(answer)
    blobs = {one["digest"]: one["size"] for one in (*manifest["layers"], manifest["config"])}
    sent = sum(size for digest, size in blobs.items() if digest not in known)
    known.update(blobs)
    return sent, seconds


def _build_ours(bench: Bench, name: str) -> None:
    _cogpack(bench, "build", str(bench.project), "-t", name, "--push", "--locked", "--quiet")


def _cogpack(bench: Bench, verb: str, *arguments: str) -> None:
    cogpack = Path(sys.executable).with_name("cogpack")
    _run([cogpack, verb, *arguments, *bench.options], bench.env)


def _build_cog(bench: Bench, name: str) -> None:
    """Cog's order: system packages, then one layer with every requirement, then the source."""
    packages = " ".join(["tini", *_system_packages(bench.project)])
    trusted = ""
    if bench.index:
        host = bench.index.split("/")[2].split(":")[0]
        trusted = f"--extra-index-url {bench.index} --trusted-host {host} "
    dockerfile = bench.project.parent / "Dockerfile"
    dockerfile.write_text(
        f"FROM {BASE}\n"
        f"RUN apt-get update && apt-get install -y --no-install-recommends {packages}"
        " && rm -rf /var/lib/apt/lists/*\n"
        "COPY requirements.txt /tmp/requirements.txt\n"
        f"RUN pip install --no-cache-dir {trusted}-r /tmp/requirements.txt cog coglet\n"
        "WORKDIR /src\n"
        "COPY . /src\n"
    )
    options = [
        "--provenance=false",
        "--progress=plain",
        "-f",
        str(dockerfile),
        "-t",
        name,
        "--push",
    ]
    _run([bench.buildx, "build", *options, bench.project], bench.env)


def _write_project(project: Path, index: str) -> None:
    (project / "predict.py").write_text(PREDICTOR)
    (project / "requirements.txt").write_text(
        f"{TORCH}\n" if index else "".join(f"{name}\n" for name in OTHERS)
    )
    (project / "cog.yaml").write_text(
        'build:\n  python_version: "3.11"\n  python_requirements: requirements.txt\n'
        'run: "predict.py:Predictor"\n'
    )
    (project / ".dockerignore").write_text("pylock.cogpack.toml\n")


def _append(path: Path, line: str) -> None:
    path.write_text(f"{path.read_text()}{line}\n")


def _add_system_package(project: Path) -> None:
    config = project / "cog.yaml"
    config.write_text(config.read_text().replace("run:", "  system_packages: [tree]\nrun:", 1))


def _system_packages(project: Path) -> list[str]:
    return ["tree"] if "[tree]" in (project / "cog.yaml").read_text() else []


@contextmanager
def _torch_index(scratch: Path) -> Iterator[str]:
    """A package index that serves the CPU wheel of torch to build steps; empty without a wheel."""
    folder = scratch / "index" / "torch"
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), TORCH]
    # Elsewhere the default index has a CUDA build of several GB, and pip must not fetch that.
    kinds = ["--only-binary", ":all:", "--python-version", "3.11", "--no-index"]
    subprocess.run([*command, *kinds], check=False, capture_output=True)
    wheel = next(folder.glob("torch-*+cpu-cp311-*.whl"), None)
    if wheel is None:
        yield ""
        return
    with zipfile.ZipFile(wheel) as archive:
        inside = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(inside)
    Path(f"{wheel}.metadata").write_bytes(metadata)
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    seal = hashlib.sha256(metadata).hexdigest()
    (folder / "index.html").write_text(
        f'<!DOCTYPE html><html><body><a href="{wheel.name.replace("+", "%2B")}#sha256={digest}" '
        f'data-core-metadata="sha256={seal}">{wheel.name}</a></body></html>'
    )
    handler = functools.partial(_Quiet, directory=str(folder.parent))
    address = str(network.ADDRESS.ip)
    with http.server.ThreadingHTTPServer((address, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{address}:{server.server_port}"
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def _overlay(scratch: Path, index: str) -> tuple[str, ...]:
    """Tables that send cogpack to the local index for torch, as a company's own mirror would."""
    folder = scratch / "compat"
    folder.mkdir()
    (folder / "torch.csv").write_text(
        "version,variant,architecture,python,glibc,cuda,cudnn,triton,kernels,libraries,index_url,"
        "withdrawn,source,checked\n"
        f'{TORCH.partition("==")[2]}+cpu,cpu,amd64,">=3.10,<3.15",2.28,,,,,,{index},,'
        "bench,2026-01-01\n"
    )
    return ("--compat", str(folder))


def _buildx() -> Path:
    """The docker command with its buildx plugin beside it, from Debian's packages."""
    home = cache() / "buildx"
    plugin = home / "usr/libexec/docker/cli-plugins/docker-buildx"
    if not plugin.exists():
        debian.unpack(["docker-buildx"], "forky", home)
    return plugin


def _run(command: list[str | Path], env: Mapping[str, str]) -> None:
    done = subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stderr[-4000:]}")


if __name__ == "__main__":
    sys.exit(main())
