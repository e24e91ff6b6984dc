"""A relay to the BuildKit inside dockerd, which is reached by an HTTP upgrade.

gRPC cannot dial an upgraded connection, so it dials a private unix socket; each connection there
becomes one to dockerd, upgraded by `POST /grpc` (Docker Engine API, since 1.31), and the bytes are
spliced both ways. TLS is not spoken here.
"""

from __future__ import annotations

import contextlib
import http
import socket
import threading
from pathlib import Path
from typing import Self

from ...errors import BuilderError
from .sockets import Address, dial, private_folder, splice

__all__ = ["UpgradeRelay"]

# A response head longer than this is no Docker's, bytes.
_LONGEST_HEAD = 1 << 16


class UpgradeRelay:
    """Listens until it is closed; `target` is what a gRPC channel dials.

    address: of dockerd.
    timeout: for dialling dockerd and for its answer to the upgrade, seconds.
    """

    def __init__(self, address: Address, timeout: float) -> None:
        self._address = address
        self._timeout = timeout
        self._folder = private_folder()
        path = str(Path(self._folder.name) / "grpc.sock")
        self.target = f"unix:{path}"
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._fault = ""
        self._accepting = threading.Thread(target=self._accept, name="cogpack-relay", daemon=True)
        self._accepting.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def fault(self) -> str:
        """Why dockerd refused the last upgrade; empty when it did not."""
        return self._fault

    def close(self) -> None:
        """End every connection and wait for the threads; nothing is left behind."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listener.close()
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for connection in self._sockets:
            connection.close()
        self._folder.cleanup()

    def _accept(self) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._sockets.append(inner)
            try:
                outer = upgrade(self._address, self._timeout)
            except (OSError, BuilderError) as error:
                self._fault = str(error)
                inner.shutdown(socket.SHUT_RDWR)
                continue
            self._fault = ""
            with self._lock:
                self._sockets.append(outer)
            self._threads.extend(splice(inner, outer))


def upgrade(address: Address, timeout: float) -> socket.socket:
    """A connection to dockerd on which BuildKit's gRPC can be spoken at once.

    Raises OSError when dockerd cannot be dialled, BuilderError when it refuses the upgrade.
    """
    connection = dial(address, timeout)
    try:
        connection.settimeout(timeout)
        connection.sendall(
            b"POST /grpc HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n"
            b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        _expect_switch(connection)
    except BaseException:
        connection.close()
        raise
    connection.settimeout(None)
    return connection


def _expect_switch(connection: socket.socket) -> None:
    """Read the head of the answer and not one byte more: what follows is gRPC's."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        # The head is short and comes once a connection, so single bytes cost nothing that counts.
        byte = connection.recv(1)
        if not byte or len(head) > _LONGEST_HEAD:
            raise BuilderError("Docker closed the connection instead of upgrading it to gRPC")
        head += byte
    status = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
    if len(status) < 2 or status[1] != str(http.HTTPStatus.SWITCHING_PROTOCOLS.value):
        answer = " ".join(status[1:])
        raise BuilderError(
            f"Docker does not open its BuildKit (`POST /grpc` answered {answer})",
            hint="Docker Engine 23 or newer with BuildKit is needed",
        )
