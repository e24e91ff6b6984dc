"""Finding the daemon that builds: which address, who gave it, and whether it is a dockerd."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ...errors import BuilderError
from ...files import read_file
from ...registry.docker_config import config_folder, load_config
from .sockets import Address, dial, parse_address

__all__ = ["CONNECT_SECONDS", "Endpoint", "find_daemon"]

# A daemon on this machine answers in milliseconds; a remote one that needs longer is of no use.
CONNECT_SECONDS = 5.0

_SYSTEM_SOCKET = "/var/run/docker.sock"


@dataclass(frozen=True)
class Endpoint:
    """A daemon that answered.

    kind: `docker` is a dockerd with its embedded BuildKit, `buildkit` a buildkitd.
    origin: who gave the address: `--builder`, `$DOCKER_HOST`, `the docker socket`...
    """

    address: Address
    kind: Literal["buildkit", "docker"]
    origin: str

    def __str__(self) -> str:
        name = "Docker's BuildKit" if self.kind == "docker" else "BuildKit"
        return f"{name} at {self.address} ({self.origin})"


def find_daemon(builder: str | None, environ: Mapping[str, str]) -> Endpoint:
    """The first of --builder, $BUILDKIT_HOST, $DOCKER_HOST, the docker context, docker's sockets.

    The first four are taken as given: when one is set and does not answer, that is an error, and
    the next is not tried. The sockets (the system's, then a rootless one) are tried in turn.

    builder: the value of --builder; None or empty when it was not given.

    Raises BuilderError: a malformed address, a socket that is missing, refused or forbidden, or
    no daemon at all.
    """
    for text, origin in _given(builder, environ):
        address = parse_address(text, origin)
        _refuse_tls(address, origin, environ)
        return _probe(address, origin)
    tried = []
    for path, origin in _sockets(environ):
        try:
            return _probe(Address(path=path), origin)
        except BuilderError as error:
            tried.append(str(error))
    raise BuilderError(
        "no builder found; tried --builder, $BUILDKIT_HOST, $DOCKER_HOST and the docker context "
        f"(none is set), then: {'; '.join(tried)}",
        hint="start Docker or buildkitd, or give its address: --builder unix:///path/to.sock",
    )


def _given(builder: str | None, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield from (
        (text, origin)
        for text, origin in (
            (builder or "", "--builder"),
            (environ.get("BUILDKIT_HOST", ""), "$BUILDKIT_HOST"),
            (environ.get("DOCKER_HOST", ""), "$DOCKER_HOST"),
        )
        if text
    )
    context = environ.get("DOCKER_CONTEXT") or load_config(environ).current_context
    if context and context != "default":
        yield _context_host(context, environ), f"the docker context `{context}`"


def _context_host(name: str, environ: Mapping[str, str]) -> str:
    """The address that a docker context stores; its folder is named by the hash of its name."""
    folder = hashlib.sha256(name.encode()).hexdigest()
    path = config_folder(environ) / "contexts" / "meta" / folder / "meta.json"
    try:
        host = json.loads(read_file(path))["Endpoints"]["docker"]["Host"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        host = None
    if not isinstance(host, str):
        raise BuilderError(
            f"the docker context `{name}` is selected, but it has no readable address in {path}",
            hint="select another: docker context use default, or give --builder",
        )
    return host


def _sockets(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    yield _SYSTEM_SOCKET, "the docker socket"
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield str(Path(runtime) / "docker.sock"), "the rootless docker socket"


def _refuse_tls(address: Address, origin: str, environ: Mapping[str, str]) -> None:
    if origin == "$DOCKER_HOST" and not address.path and environ.get("DOCKER_TLS_VERIFY"):
        raise BuilderError(
            f"$DOCKER_TLS_VERIFY is set for {address}, and cogpack does not speak TLS to a builder",
            hint="forward the socket instead: ssh -L /tmp/docker.sock:/run/docker.sock HOST, "
            "then --builder unix:///tmp/docker.sock",
        )


def _probe(address: Address, origin: str) -> Endpoint:
    """Dial the address and learn what listens there: a dockerd answers HTTP, a buildkitd not."""
    try:
        with dial(address, CONNECT_SECONDS) as connection:
            kind = _kind(connection)
    except OSError as error:
        raise _unreachable(address, origin, error) from error
    return Endpoint(address, kind, origin)


def _kind(connection: socket.socket) -> Literal["buildkit", "docker"]:
    connection.settimeout(CONNECT_SECONDS)
    connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
    try:
        answer = connection.recv(5)
    except ConnectionResetError:
        return "buildkit"
    return "docker" if answer == b"HTTP/" else "buildkit"


def _unreachable(address: Address, origin: str, error: OSError) -> BuilderError:
    """The fault in words, with what to do about it."""
    where = f"{address} ({origin})"
    if isinstance(error, FileNotFoundError):
        return BuilderError(
            f"there is no socket at {where}",
            hint="is the daemon running? start it, or give another address with --builder",
        )
    if isinstance(error, PermissionError):
        return BuilderError(
            f"no permission to use {where}",
            hint="run as a user of the socket's group (docker: `sudo usermod -aG docker $USER`, "
            "then log in again)",
        )
    if isinstance(error, ConnectionRefusedError):
        return BuilderError(
            f"nothing listens at {where}",
            hint="the daemon is not running, or it left its socket behind: start it",
        )
    if isinstance(error, socket.gaierror):
        return BuilderError(f"the host name of {where} is unknown", hint="check the spelling")
    if isinstance(error, TimeoutError):
        return BuilderError(
            f"{where} did not answer within {CONNECT_SECONDS:.0f} s",
            hint="check the address and whether a firewall stands between",
        )
    return BuilderError(f"cannot reach {where}: {error.strerror or error}")
