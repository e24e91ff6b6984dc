"""Where the builds of a test find packages: real wheels of this machine, and small stand-ins."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name, parse_wheel_filename

from cogpack.plan import model
from support.distributions import Dist, wheel_bytes

__all__ = ["cpu_torch", "folder_served", "gateway", "moved", "served"]

# The same address each time, where it is free: a command with another one is not in the cache.
_PORT = 38471

_TENSORS = '''

class tensor:
    """As much of a tensor as the example needs."""

    def __init__(self, values):
        self.values = values

    def __matmul__(self, other):
        rows = ([x * y for x, y in zip(row, other.values)] for row in self.values)
        return tensor([sum(products) for products in rows])

    def tolist(self):
        return self.values
'''


def gateway(docker: Callable[..., str]) -> str:
    """The address at which build steps reach this machine."""
    form = "{{(index .IPAM.Config 0).Gateway}}"
    return docker("network", "inspect", "bridge", "--format", form).strip()


def cpu_torch(folder: Path, version: str) -> tuple[Path, bool]:
    """The CPU build of torch as a wheel, and whether it is the real one.

    pip tells what it would install; where that is not a CPU build (several gigabytes come along
    with the others) or there is none for this Python, a stand-in is made.
    """
    pip = [sys.executable, "-m", "pip"]
    options = ("--quiet", "--no-deps", "--only-binary", ":all:", f"torch=={version}")
    dry = ("install", "--dry-run", "--ignore-installed", "--report", "-")
    asked = subprocess.run([*pip, *dry, *options], capture_output=True, text=True, check=False)
    if asked.returncode == 0:
        [found] = json.loads(asked.stdout)["install"]
        name = unquote(urlsplit(found["download_info"]["url"]).path.rpartition("/")[2])
        if parse_wheel_filename(name)[1].local == "cpu" and "-cp311-" in name:
            subprocess.run([*pip, "download", *options, "--dest", str(folder)], check=True)
            return next(folder.glob("torch-*.whl")), True
    dist = Dist(f"{version}+cpu", code=_TENSORS)
    wheel = folder / dist.filename("torch")
    wheel.write_bytes(wheel_bytes("torch", dist))
    return wheel, False


@contextmanager
def served(
    wheels: Mapping[str, Path], folder: Path, host: str, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """An index of these wheels, by project; `folder` is for its pages."""
    for name, wheel in wheels.items():
        page = folder / canonicalize_name(name)
        page.mkdir(parents=True)
        (page / wheel.name).symlink_to(wheel)
    with folder_served(folder, host, tls) as address:
        yield address


@contextmanager
def folder_served(folder: Path, host: str, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The files of a folder by HTTP, or HTTPS with this context; yields the server's address."""
    handler = partial(_Handler, directory=str(folder))
    try:
        server = ThreadingHTTPServer((host, _PORT), handler)
    except OSError:
        server = ThreadingHTTPServer((host, 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{'https' if tls else 'http'}://{host}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(SimpleHTTPRequestHandler):
    """A folder's listing is a page of PEP 503."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def moved(plan: model.Plan, index: str, address: str) -> model.Plan:
    """The plan with another address in place of an index that builds of tests do not use."""
    text = model.dump(plan)
    assert index in text
    return model.load(text.replace(index, address))
