"""Plain sockets under gRPC: addresses, dialling, private folders and splicing. No gRPC here."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from ...errors import BuilderError

__all__ = ["Address", "dial", "parse_address", "private_folder", "splice"]

# How much one read of a splice takes at most, bytes: larger reads gained nothing in measurements.
SPLICE_BYTES = 1 << 18

# sun_path holds 108 bytes with its final NUL (unix(7)); the rest is left for the socket's name.
_LONGEST_FOLDER = 80


@dataclass(frozen=True)
class Address:
    """Where a daemon listens: a unix socket when `path` is set, else a TCP host and port."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"

    @property
    def grpc_target(self) -> str:
        """The address as gRPC writes it."""
        return f"unix:{self.path}" if self.path else f"dns:///{str(self).removeprefix('tcp://')}"


def parse_address(text: str, origin: str) -> Address:
    """Read `unix:///path` or `tcp://host:port`.

    origin: who gave the address (`--builder`), for the message.

    Raises BuilderError when it is neither.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _malformed(text, origin, str(error)) from None
    if parts.scheme == "unix":
        path = parts.netloc + parts.path
        if not path.startswith("/"):
            raise _malformed(text, origin, "the socket's path is not absolute")
        return Address(path=path)
    if parts.scheme == "tcp":
        if not parts.hostname or port is None or parts.path.strip("/"):
            raise _malformed(text, origin, "it needs a host and a port, and nothing after them")
        return Address(host=parts.hostname, port=port)
    raise _malformed(text, origin, "it begins with neither unix:// nor tcp://")


def _malformed(text: str, origin: str, why: str) -> BuilderError:
    return BuilderError(
        f"{origin} gives the builder's address as `{text}`: {why}",
        hint="write unix:///run/buildkit/buildkitd.sock or tcp://host:1234; for a remote machine "
        "forward its socket: ssh -L /tmp/builder.sock:/run/docker.sock HOST",
    )


def dial(address: Address, timeout: float) -> socket.socket:
    """A connected, blocking socket. Raises OSError; timeout is in seconds."""
    if not address.path:
        connection = socket.create_connection((address.host, address.port), timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(timeout)
            connection.connect(address.path)
        except OSError:
            connection.close()
            raise
    connection.settimeout(None)
    return connection


def private_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that only this user can enter (mode 0700), short enough to hold a socket."""
    folder = tempfile.TemporaryDirectory(prefix="cogpack-")
    if len(folder.name) <= _LONGEST_FOLDER:
        return folder
    folder.cleanup()
    short = Path("/tmp")  # noqa: S108  # the folder in it is private and has a random name
    return tempfile.TemporaryDirectory(prefix="cogpack-", dir=short)


def splice(first: socket.socket, second: socket.socket) -> tuple[threading.Thread, ...]:
    """Copy bytes both ways until either side ends; an end is passed on as a half-close.

    Returns the two threads; they end when both sockets have been shut down.
    """
    threads = tuple(
        threading.Thread(target=_copy, args=pair, name="cogpack-splice", daemon=True)
        for pair in ((first, second), (second, first))
    )
    for thread in threads:
        thread.start()
    return threads


def _copy(source: socket.socket, sink: socket.socket) -> None:
    buffer = memoryview(bytearray(SPLICE_BYTES))
    # A reset on one side is an end for the other; whoever speaks gRPC over it reports the fault.
    with contextlib.suppress(OSError):
        while count := source.recv_into(buffer):
            sink.sendall(buffer[:count])
    for side, how in ((sink, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with contextlib.suppress(OSError):
            side.shutdown(how)
