"""Whether something answers at an address: a Docker daemon, a BuildKit, a registry.

One question, one answer, within a second or so; nothing is started or changed.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
from urllib.parse import urlsplit

__all__ = ["buildkit_answers", "docker_answers", "http_status"]

_SECONDS = 3.0
# RFC 9113, 3.4: a client's preface, then its (empty) SETTINGS frame; a server answers with its own.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_SETTINGS = 4


def _dial(address: str) -> socket.socket:
    """Connect to `unix:///path` or `tcp://host:port`; raises OSError or ValueError."""
    parts = urlsplit(address)
    if parts.scheme == "unix":
        dialled = socket.socket(socket.AF_UNIX)
        dialled.settimeout(_SECONDS)
        try:
            dialled.connect(parts.path)
        except OSError:
            dialled.close()
            raise
        return dialled
    if parts.scheme in ("tcp", "http") and parts.hostname and parts.port:
        return socket.create_connection((parts.hostname, parts.port), timeout=_SECONDS)
    raise ValueError(f"{address} is neither unix:///path nor tcp://host:port")


def http_status(address: str, path: str) -> int:
    """Return the status of GET `path` at `address`, 0 when nothing answers."""
    try:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = _dial(address)
        with contextlib.closing(connection):
            connection.request("GET", path)
            return connection.getresponse().status
    except (OSError, ValueError, http.client.HTTPException):
        return 0


def docker_answers(address: str) -> bool:
    """Tell whether a Docker daemon answers there."""
    return http_status(address, "/_ping") == http.HTTPStatus.OK


def buildkit_answers(address: str) -> bool:
    """Tell whether a gRPC server, as BuildKit is one, answers there without TLS."""
    try:
        with _dial(address) as dialled:
            dialled.sendall(_PREFACE)
            return dialled.recv(9)[3:4] == bytes([_SETTINGS])
    except (OSError, ValueError):
        return False
