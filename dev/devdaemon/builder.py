"""Which builder a developer works with: the one that is there, else the machine's own.

The order is the product's: $BUILDKIT_HOST, $DOCKER_HOST, the docker socket.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import daemon, probe
from .layout import SetupError

__all__ = ["Builder", "existing", "find", "of", "second"]

_SOCKETS = ("unix:///var/run/docker.sock",)


@dataclass(frozen=True)
class Builder:
    """A builder that answers.

    docker_host: its Docker API, empty for a plain BuildKit. buildkit_host: its gRPC address, empty
    for a Docker daemon that is not ours. docker: the docker command, None when there is none.
    own: the daemon that `daemon` started, None for any other.
    """

    docker_host: str = ""
    buildkit_host: str = ""
    docker: Path | None = None
    own: daemon.Daemon | None = None

    def environment(self) -> dict[str, str]:
        """Return the variables by which cogpack and docker find this builder."""
        if self.docker_host:
            return {"DOCKER_HOST": self.docker_host}
        return {"BUILDKIT_HOST": self.buildkit_host}

    def describe(self) -> str:
        """Return what it is and where, one line for each address."""
        kind = "started from Debian's packages" if self.own else "already there"
        facts = {
            "DOCKER_HOST": self.docker_host,
            "BUILDKIT_HOST": self.buildkit_host,
            "docker": self.docker or "",
            "registry": self.own.registry if self.own else "",
            "data": self.own.data if self.own else "",
        }
        return "\n".join([f"builder, {kind}", *(f"  {k}={v}" for k, v in facts.items() if v)])


def existing() -> Builder | None:
    """Return the builder that answers now, None when none does.

    Raises SetupError when a variable names a builder that does not answer: taking another one
    silently is not what was asked for.
    """
    ours = daemon.running()
    for variable, answers in (
        ("BUILDKIT_HOST", probe.buildkit_answers),
        ("DOCKER_HOST", probe.docker_answers),
    ):
        address = os.environ.get(variable, "")
        if not address or address.startswith(f"unix://{daemon.RUN}/"):
            continue
        if not answers(address):
            raise SetupError(f"no builder answers at {variable}={address}; correct or unset it")
        if variable == "BUILDKIT_HOST":
            return Builder(buildkit_host=address)
        return Builder(docker_host=address, docker=_docker_command())
    if ours:
        return of(ours)
    for address in _SOCKETS:
        if probe.docker_answers(address):
            return Builder(docker_host=address, docker=_docker_command())
    return None


def find() -> Builder:
    """Return the builder that answers, else start the machine's own.

    Raises SetupError where neither can be had.
    """
    return existing() or of(daemon.start())


@contextmanager
def second(*images: str) -> Iterator[Builder]:
    """Another builder while the context is open, with empty caches and nothing but these images.

    A process of its own keeps it, and removes it also when this one is killed.

    images: names of stand-ins, as `dev/builder.py base` takes them.

    Raises SetupError where it cannot be had; the process has told why on the error output.
    """
    script = Path(__file__).resolve().parents[1] / "builder.py"
    with subprocess.Popen(
        [sys.executable, script, "second", *images],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as keeper:
        if keeper.stdin is None or keeper.stdout is None:
            raise SetupError("the second builder has no pipes")
        with keeper.stdin:
            if not (line := keeper.stdout.readline()):
                raise SetupError("there is no second builder")
            yield of(daemon.Daemon(**json.loads(line)))


def of(found: daemon.Daemon) -> Builder:
    """The builder that a daemon of ours is."""
    return Builder(found.docker_host, found.buildkit_host, found.docker, found)


def _docker_command() -> Path | None:
    place = shutil.which("docker")
    return Path(place) if place else None
