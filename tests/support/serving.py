"""Running an image and talking to the server in it."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["Served", "serving"]

# The server of a small model is ready within seconds; a busy machine may need many more.
READY_SECONDS = 60.0

# What coglet answers when all its slots are taken.
BUSY = (409, 503)


class Served:
    """A running container and its address."""

    def __init__(self, container: str, address: str, docker: Callable[..., str]) -> None:
        self.container = container
        self._address = address
        self._docker = docker

    def get(self, path: str) -> Any:
        """The JSON answer of a GET."""
        with urllib.request.urlopen(f"{self._address}{path}", timeout=10) as answer:  # noqa: S310
            return json.load(answer)

    def predict(self, path: str = "/predictions", /, **inputs: object) -> dict[str, Any]:
        """The JSON answer of a POST with these inputs, whatever its status."""
        body = json.dumps({"input": inputs}).encode()
        request = urllib.request.Request(  # noqa: S310  # the address is ours
            f"{self._address}{path}", body, {"Content-Type": "application/json"}
        )
        for wait in (*[0.1] * 50, 0.0):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                    decoded: dict[str, Any] = json.load(answer)
                    break
            except urllib.error.HTTPError as error:
                decoded = json.loads(error.read())
                error.close()
                # A slot is free again a moment after the answer of the prediction that held it.
                if error.code not in BUSY:
                    break
            time.sleep(wait)
        return decoded

    def logs(self) -> str:
        """What the container printed on its standard output."""
        return self._docker("logs", self.container)

    def wait(self) -> None:
        """Return when the server says READY; fail with its logs when it does not."""
        end = time.monotonic() + READY_SECONDS
        status = "no answer"
        while time.monotonic() < end:
            try:
                health = self.get("/health-check")
            except (OSError, urllib.error.URLError):
                pass
            else:
                status = health["status"]
                if status not in ("STARTING", "UNKNOWN"):
                    break
            time.sleep(0.1)
        assert status == "READY", f"{status}: {self.logs()}"


@contextmanager
def serving(
    docker: Callable[..., str], image: str, *options: str, command: Sequence[str] = ()
) -> Iterator[Served]:
    """Run an image until the block ends; the server is ready when the block begins.

    options: of `docker run`. command: instead of the image's own.
    """
    run = ("run", "--detach", "--publish", "127.0.0.1::5000")
    container = docker(*run, *options, image, *command).strip()
    try:
        port = docker("port", container, "5000/tcp").strip().splitlines()[0].rpartition(":")[2]
        served = Served(container, f"http://127.0.0.1:{port}", docker)
        served.wait()
        yield served
    finally:
        docker("rm", "--force", container)
