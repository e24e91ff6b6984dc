"""The session: a second HTTP/2 connection inside a call, on which the daemon calls us.

`Control/Session` is a stream of byte messages both ways; their bytes are a connection on which we
are the server (`rpc_server`). Which services it has is the caller's affair: see `services`,
`filesync` and `filesend`.
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import grpc

from ...errors import CogpackError, Failure
from ..proto import control_pb2
from .rpc_server import Messages, Metadata, RpcServer, Service
from .transport import Transport

__all__ = ["Session", "new_session_id", "shared_key"]

# One message of the tunnel, bytes: well under the 4 MiB that a Go gRPC server takes by default.
_MESSAGE_BYTES = 1 << 20

# How much may wait for the tunnel before those who send must wait, bytes.
_MOST_WAITING = 1 << 22

_CLOSE_SECONDS = 5.0


def _answer_healthy(_metadata: Metadata, _messages: Messages) -> Iterator[Sequence[bytes]]:
    # HealthCheckResponse{status: SERVING}; the message type itself would clash with that of
    # grpcio-health-checking where a process loads both.
    yield (b"\x08\x01",)


# The daemon ends a session whose health check fails twice (moby/buildkit session/grpc.go).
_HEALTH = Service("grpc.health.v1.Health", {"Check": _answer_healthy})


class Session:
    """Open from construction to `close`; `id` is what a solve names.

    services: what the daemon may call; health is always among it.
    report: gets the failures of services, in their threads.
    key: tells the daemon which earlier sessions synced the same folders; see `shared_key`.
    session_id: from `new_session_id`; by default a fresh one.
    """

    def __init__(
        self,
        transport: Transport,
        services: Iterable[Service],
        report: Callable[[Failure], None],
        key: str = "",
        session_id: str = "",
    ) -> None:
        self.id = session_id or new_session_id()
        every = (_HEALTH, *services)
        self._outbox = _Outbox()
        self._server = RpcServer(every, self._outbox.put, self._outbox.wait_for_room, report)
        open_session = transport.channel.stream_stream(
            "/moby.buildkit.v1.Control/Session",
            control_pb2.BytesMessage.SerializeToString,
            control_pb2.BytesMessage.FromString,
        )
        self._call = open_session(iter(self._outbox), metadata=_headers(self.id, key, every))
        self._reader = threading.Thread(
            target=self._read, args=(report,), name="cogpack-session", daemon=True
        )
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session and the services; no thread is left behind. Harmless when repeated."""
        self._outbox.close()
        self._reader.join(_CLOSE_SECONDS)
        self._call.cancel()
        self._reader.join()
        self._server.close()

    def _read(self, report: Callable[[Failure], None]) -> None:
        # Whoever uses the session learns of its loss from the daemon, in the answer to the solve.
        with contextlib.suppress(grpc.RpcError):
            try:
                for message in self._call:
                    self._server.receive(message.data)
            except CogpackError as error:
                report(error)
                self._call.cancel()
        self._outbox.close()


def new_session_id() -> str:
    """A random id; sessions are told apart by it, so it serves one session."""
    return secrets.token_hex(16)


def shared_key(folders: Iterable[Path]) -> str:
    """A key that is the same for every build of the same folders on this machine.

    With it the daemon finds the files of the last sync and asks for changed ones alone. It is a
    hash, so no path leaves the machine.
    """
    parts = [platform.node(), *sorted(str(folder.resolve()) for folder in folders)]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _headers(session_id: str, key: str, services: Iterable[Service]) -> tuple[tuple[str, str], ...]:
    """How a session introduces itself (moby/buildkit session/session.go)."""
    return (
        ("x-docker-expose-session-uuid", session_id),
        ("x-docker-expose-session-name", "cogpack"),
        ("x-docker-expose-session-sharedkey", key),
        *(
            ("x-docker-expose-session-grpc-method", path)
            for service in services
            for path in service.paths
        ),
    )


class _Outbox:
    """Bytes on their way out. Small pieces that wait together travel as one message."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting = bytearray()
        self._closed = False

    def put(self, data: bytes) -> None:
        """Append; never blocks."""
        with self._changed:
            self._waiting += data
            self._changed.notify_all()

    def wait_for_room(self) -> None:
        """Return when little enough waits, or when nothing will be carried any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self._waiting) < _MOST_WAITING)

    def close(self) -> None:
        """Nothing more comes; what waits is still carried."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[control_pb2.BytesMessage]:
        while data := self._take():
            yield control_pb2.BytesMessage(data=data)

    def _take(self) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            data = bytes(self._waiting[:_MESSAGE_BYTES])
            del self._waiting[:_MESSAGE_BYTES]
            self._changed.notify_all()
            return data
