#!/usr/bin/env python3
"""From a folder to a prediction: builds examples/hello, runs the image, asks it something.

Run it by `make demo`. The container is removed in every case; the image stays.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from devdaemon import builder, standins
from devdaemon.layout import SetupError, say

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "examples/hello"
IMAGE = "cogpack-demo"
INPUT = {"text": "cogpack"}
READY_SECONDS = 120.0
POLL_SECONDS = 0.2


def main() -> int:
    """Run the demo; return its exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        found = builder.find()
        if not found.docker or not found.docker_host:
            raise SetupError("the demo runs the image by docker, which is not there")
        standins.provide(found, standins.STANDINS[:1])
        env = {**os.environ, **found.environment()}
        cogpack = Path(sys.executable).with_name("cogpack")
        subprocess.run([cogpack, "build", PROJECT, "-t", IMAGE], cwd=ROOT, env=env, check=True)
        with _container(found.docker, env) as port:
            _wait_until_ready(port)
            answer = _ask(port, "POST", "/predictions", {"input": INPUT})
        print(json.dumps({"input": INPUT, **{k: answer[k] for k in ("status", "output")}}))
        print(answer["output"])
    except subprocess.CalledProcessError as failure:
        return failure.returncode
    except SetupError as fault:
        say(str(fault))
        return 3
    return 0


@contextlib.contextmanager
def _container(docker: Path, env: dict[str, str]) -> Iterator[int]:
    """Run the image; give the port on this machine's loopback that leads to its server."""

    def call(*arguments: str) -> str:
        return subprocess.run(
            [docker, *arguments], env=env, check=True, text=True, stdout=subprocess.PIPE
        ).stdout.strip()

    container = call("run", "--detach", "--publish", "127.0.0.1::5000", IMAGE)
    try:
        yield int(call("port", container, "5000/tcp").splitlines()[0].rsplit(":", 1)[1])
    except SetupError:
        print(call("logs", container), file=sys.stderr)
        raise
    finally:
        call("rm", "--force", "--volumes", container)


def _wait_until_ready(port: int) -> None:
    """Return when the server says READY; raise SetupError when it fails or takes too long."""
    status = "no answer"
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            status = _ask(port, "GET", "/health-check")["status"]
        if status == "READY":
            return
        if status in ("SETUP_FAILED", "DEFUNCT"):
            break
        time.sleep(POLL_SECONDS)
    raise SetupError(f"the image's server did not become ready: {status}")


def _ask(port: int, method: str, path: str, body: object = None) -> dict[str, str]:
    """Send a JSON request and return the JSON answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, {"Content-Type": "application/json"})
        answer: dict[str, str] = json.loads(connection.getresponse().read())
        return answer


if __name__ == "__main__":
    sys.exit(main())
