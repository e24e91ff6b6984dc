"""The three ways in which `bench_layers` makes an image, and what an image in a registry holds."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from layers_project import WEIGHTS, Project

from devdaemon import debian
from devdaemon.layout import cache

__all__ = [
    "CogLayout",
    "Cogpack",
    "Column",
    "Image",
    "Machine",
    "Split",
    "buildx",
    "read_image",
]

_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
# As Cog 0.23 writes them (pkg/dockerfile/standard_generator.go), but for the images that it copies
# uv and tini from: pip and apt have both.
_UV = "uv==0.9.26"
_REQUIREMENTS = "/tmp/requirements.txt"  # noqa: S108  # in the image
_PIP = (
    "RUN --mount=type=cache,target=/root/.cache/pip pip install --cache-dir /root/.cache/pip"
    " --root-user-action=ignore"
)
_COG = "RUN uv pip install --no-cache cog"
_LINKS = (
    'RUN find / -type f -name "*python*.so" -printf "%h\\n" | sort -u'
    " > /etc/ld.so.conf.d/cog.conf && ldconfig"
)


@dataclass(frozen=True)
class Machine:
    """Where images are made. env: of the commands, with the builder in it; registry: host:port.

    compat: further tables for cogpack. docker: the docker command.
    """

    env: Mapping[str, str]
    registry: str
    docker: Path
    compat: Path

    def run(self, command: Sequence[str | Path]) -> str:
        """Run a command on this builder; return its output. Ends the bench when it fails."""
        done = subprocess.run(
            command, env=dict(self.env), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stderr[-4000:]}")
        return done.stdout


@dataclass(frozen=True)
class Image:
    """An image in a registry. sizes: bytes of each blob, by digest.

    config: its digest. layers: the digests, those of the base first.
    """

    config: str
    layers: tuple[str, ...]
    sizes: Mapping[str, int]


class Column(Protocol):
    """A way to make an image of a project."""

    @property
    def title(self) -> str:
        """The heading of its column."""
        ...

    def prepare(self) -> None:
        """Do what a user does once after a change, before the build that is timed."""
        ...

    def build(self) -> None:
        """Build, and leave nothing but the builder's cache."""
        ...

    def store(self, name: str) -> None:
        """Build, and leave the image in the builder's image store."""
        ...

    def push(self, name: str) -> None:
        """Build, and push the image."""
        ...

    def layers(self) -> list[str]:
        """What each layer over the base is, in words."""
        ...


@dataclass(frozen=True)
class Cogpack:
    """cogpack, with a lock."""

    project: Project
    machine: Machine
    title: str = "cogpack"

    def prepare(self) -> None:
        """Lock anew; the base too, for it may have moved."""
        self._run("resolve", "--lock", "--upgrade", "base_image")

    def build(self) -> None:
        code = (
            "import os, sys\n"
            "from pathlib import Path\n"
            "from cogpack.llb.client import Client, find_daemon\n"
            "from cogpack.pipeline import Request, build_plan\n"
            "from cogpack.plan import model\n"
            "plan = model.load(sys.stdin.read())\n"
            "with Client(find_daemon(None, os.environ)) as client:\n"
            "    build_plan(plan, Request(Path(sys.argv[1]), ()), client)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, self.project.folder],
            input=self._plan(),
            env=dict(self.machine.env),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise SystemExit(f"cogpack: {done.stderr[-4000:]}")

    def store(self, name: str) -> None:
        self._run("build", "--locked", "--quiet", "--network", "host", "--tag", name)

    def push(self, name: str) -> None:
        self._run("build", "--locked", "--quiet", "--network", "host", "--tag", name, "--push")

    def layers(self) -> list[str]:
        phases = json.loads(self._plan())["export_phases"]
        stages = [stage["id"] for phase in phases for stage in phase["stages"]]
        return [name.removeprefix("export:") for name in stages]

    def _plan(self) -> str:
        return self._run("plan", "--json", "--network", "host")

    def _run(self, verb: str, *arguments: str) -> str:
        cogpack = Path(sys.executable).with_name("cogpack")
        # Not in cog.yaml: the registry in the name is another one on another builder.
        stands = ("--base-image", self.project.base, "--compat", self.machine.compat)
        return self.machine.run([cogpack, verb, self.project.folder, *arguments, *stands])


@dataclass(frozen=True)
class _Dockerfile(ABC):
    """A Dockerfile: instructions with a name for the layer that each makes, or none."""

    project: Project
    machine: Machine

    def prepare(self) -> None:  # noqa: B027  # the column of cogpack has a lock to write
        """Nothing: a Dockerfile has no lock."""

    def build(self) -> None:
        self._build("--output", "type=cacheonly")

    def store(self, name: str) -> None:
        self._build("--tag", name)

    def push(self, name: str) -> None:
        self._build("--tag", name, "--push")

    def layers(self) -> list[str]:
        return [name for name, _ in self._instructions() if name]

    @abstractmethod
    def _instructions(self) -> Iterator[tuple[str, str]]:
        """Each instruction, and the name of its layer."""

    def _build(self, *options: str) -> None:
        file = self.project.folder.parent / f"Dockerfile.{type(self).__name__}"
        file.write_text("".join(f"{text}\n" for _, text in self._instructions()))
        command: list[str | Path] = [buildx(), "build", "--provenance=false", "--progress=plain"]
        command += ["--network=host", "--allow=network.host", "--file", file, *options]
        self.machine.run([*command, self.project.folder])

    def _head(self) -> Iterator[tuple[str, str]]:
        yield "", f"FROM {self.project.base}"
        yield "tini", _apt("tini")
        yield "", 'ENTRYPOINT ["/usr/bin/tini", "--"]'
        if packages := self.project.system_packages:
            yield "apt", _apt(*packages)
        yield "uv", f"RUN pip install --no-cache-dir {_UV}"
        yield "", "ENV UV_SYSTEM_PYTHON=true"

    def _pip(self, *wanted: str) -> str:
        index = self.project.index
        host = index.partition("://")[2].partition(":")[0]
        where = ("--extra-index-url", index, "--trusted-host", host) if index else ()
        return " ".join((_PIP, *where, *wanted))

    def _tail(self) -> Iterator[tuple[str, str]]:
        yield "workdir", "WORKDIR /src"
        yield "", 'ENV COG_PREDICT_TYPE_STUB="predict.py:Predictor"'
        yield "", 'CMD ["python", "-m", "cog.server.http"]'


@dataclass(frozen=True)
class CogLayout(_Dockerfile):
    """Cog's order and commands: all requirements in one layer, weights with the source."""

    title: str = "Cog's layout"

    def _instructions(self) -> Iterator[tuple[str, str]]:
        yield from self._head()
        yield "requirements", f"COPY requirements.txt {_REQUIREMENTS}"
        yield "packages", self._pip("-r", _REQUIREMENTS)
        yield "cog", _COG
        yield "ldconfig", _LINKS
        yield from self._tail()
        yield "source", "COPY . /src"


@dataclass(frozen=True)
class Split(_Dockerfile):
    """What somebody writes who knows layers: framework, server and weights by themselves."""

    title: str = "split by hand"

    def _instructions(self) -> Iterator[tuple[str, str]]:
        yield from self._head()
        yield "framework", self._pip(self.project.framework)
        yield "requirements", f"COPY requirements.txt {_REQUIREMENTS}"
        yield "packages", self._pip("-r", _REQUIREMENTS)
        yield "cog", _COG
        yield from self._tail()
        if self.project.has_weights:
            yield "weights", f"COPY {WEIGHTS} /src/{WEIGHTS}"
        yield "source", "COPY predict.py cog.yaml /src/"


def _apt(*packages: str) -> str:
    return (
        "RUN --mount=type=cache,target=/var/cache/apt,sharing=locked "
        "apt-get update -qq && apt-get install -qqy --no-install-recommends "
        f"{' '.join(packages)} && rm -rf /var/lib/apt/lists/*"
    )


def buildx() -> Path:
    """Docker's buildx plugin, which runs by itself, from Debian's packages."""
    home = cache() / "buildx"
    plugin = home / "usr/libexec/docker/cli-plugins/docker-buildx"
    if not plugin.exists():
        debian.unpack(["docker-buildx"], "forky", home)
    return plugin


def read_image(registry: str, name: str) -> Image:
    """The image that a registry without TLS has under `repository:tag`."""
    repository, _, tag = name.partition(":")
    request = urllib.request.Request(  # the registry is ours
        f"http://{registry}/v2/{repository}/manifests/{tag}", headers={"Accept": _MANIFESTS}
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        manifest = json.load(answer)
    blobs = {one["digest"]: one["size"] for one in (*manifest["layers"], manifest["config"])}
    layers = tuple(one["digest"] for one in manifest["layers"])
    return Image(manifest["config"]["digest"], layers, blobs)
