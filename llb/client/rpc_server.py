"""A gRPC server on one HTTP/2 connection, whose bytes come and go through functions.

grpcio has servers of its own, but they listen on a socket, and each message costs them about as
much as reading a small file: the walk of a large tree took seconds. Here a handler yields batches
of messages, and a batch goes out at once. The state of the connection is the h2 library's; this
module adds the message frames and trailers of gRPC
(https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) and the waiting for flow control.
"""

from __future__ import annotations

import queue
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import quote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from ...errors import CogpackError, Failure

__all__ = [
    "CallEnded",
    "Handler",
    "Messages",
    "Metadata",
    "Refused",
    "RpcServer",
    "Service",
    "Status",
]

# The call's headers by their lower-case names; one that is repeated has several values.
Metadata = Mapping[str, tuple[str, ...]]

# What the daemon may send ahead of us, bytes: a call, and all calls together.
_CALL_WINDOW = 1 << 22
_CONNECTION_WINDOW = 1 << 24

# How much goes out in one go before others get their turn, bytes.
_SEND_BYTES = 1 << 18

# The longest reason in a trailer, characters; the whole one is reported in this process.
_LONGEST_REASON = 1000

# Not compressed, then the length (PROTOCOL-HTTP2, Length-Prefixed-Message).
_PREFIX = struct.Struct(">BI")


class Status(IntEnum):
    """The codes used of https://grpc.github.io/grpc/core/md_doc_statuscodes.html."""

    OK = 0
    NOT_FOUND = 5
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13


class Refused(Exception):  # noqa: N818  # it is an answer, not a fault
    """A handler's answer that is a code and a reason instead of messages."""

    def __init__(self, status: Status, reason: str) -> None:
        self.status = status
        super().__init__(reason)


class CallEnded(Exception):  # noqa: N818
    """The caller has cancelled, or the connection is gone: the handler need not go on."""


class _Call:
    """One call under way.

    answered: the headers of the answer are sent. whole: the caller has sent all it has to send.
    gone: the caller has cancelled.
    """

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        # Bytes with their share of the flow control window; None ends them.
        self.incoming: queue.SimpleQueue[tuple[bytes, int] | None] = queue.SimpleQueue()
        self.answered = False
        self.whole = False
        self.gone = False


class Messages(Iterator[bytes]):
    """The caller's messages, in order; the iterator waits for them. Raises CallEnded."""

    def __init__(self, call: _Call, acknowledge: Callable[[int], None]) -> None:
        self._call = call
        self._acknowledge = acknowledge
        self._buffer = bytearray()
        self._whole: deque[bytes] = deque()
        self._ended = False

    def __next__(self) -> bytes:
        while not self._whole:
            if self._ended:
                if self._call.whole:
                    raise StopIteration
                raise CallEnded
            self._take()
        return self._whole.popleft()

    def waiting(self) -> bool:
        """Whether the next message, or the end, is there already."""
        while not self._whole and not self._ended and not self._call.incoming.empty():
            self._take()
        return bool(self._whole) or self._ended

    def _take(self) -> None:
        item = self._call.incoming.get()
        if item is None:
            self._ended = True
            return
        data, length = item
        buffer = self._buffer
        buffer += data
        position = 0
        while len(buffer) - position >= _PREFIX.size:
            compressed, size = _PREFIX.unpack_from(buffer, position)
            if compressed:
                raise Refused(Status.UNIMPLEMENTED, "compression was not offered")
            start, end = position + _PREFIX.size, position + _PREFIX.size + size
            if len(buffer) < end:
                break
            self._whole.append(bytes(buffer[start:end]))
            position = end
        del buffer[:position]
        self._acknowledge(length)


# Gets the caller's messages as they come, and yields batches of messages for it.
Handler = Callable[[Metadata, Messages], Iterator[Sequence[bytes]]]


@dataclass(frozen=True)
class Service:
    """A gRPC service: its full name and its methods."""

    name: str
    methods: Mapping[str, Handler]

    @property
    def paths(self) -> dict[str, Handler]:
        """The methods by the path of a request."""
        return {f"/{self.name}/{name}": handler for name, handler in self.methods.items()}


class RpcServer:
    """Serves one connection, each call in a thread of its own.

    services: what can be called; anything else is answered UNIMPLEMENTED.
    write: takes outgoing bytes, in order; it must not block.
    room: blocks until outgoing bytes have been carried away; a handler waits there between batches.
    report: gets the failure of a handler, before the caller hears of it.
    """

    def __init__(
        self,
        services: Iterable[Service],
        write: Callable[[bytes], None],
        room: Callable[[], None],
        report: Callable[[Failure], None],
    ) -> None:
        self._handlers = {
            path: handler for service in services for path, handler in service.paths.items()
        }
        self._write = write
        self._room = room
        self._report = report
        self._changed = threading.Condition()
        self._calls: dict[int, _Call] = {}
        self._threads: list[threading.Thread] = []
        self._closed = False
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._http.local_settings = Settings(
            client=False, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: _CALL_WINDOW}
        )
        self._http.initiate_connection()
        self._http.increment_flow_control_window(_CONNECTION_WINDOW)
        self._flush()

    def receive(self, data: bytes) -> None:
        """Take incoming bytes. Raises CogpackError when they are no HTTP/2."""
        with self._changed:
            try:
                events = self._http.receive_data(data)
            except ProtocolError as error:
                raise CogpackError(f"the daemon breaks HTTP/2 in the session: {error}") from error
            for event in events:
                self._handle(event)
            self._flush()
            self._changed.notify_all()

    def close(self) -> None:
        """End every call and wait for the handlers."""
        with self._changed:
            self._closed = True
            for call in self._calls.values():
                call.incoming.put(None)
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _handle(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._start(event)
        elif isinstance(event, DataReceived):
            call = self._calls.get(event.stream_id)
            if call is None:
                self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            else:
                call.incoming.put((event.data, event.flow_controlled_length))
        elif isinstance(event, StreamEnded | StreamReset):
            call = self._calls.get(event.stream_id)
            if call is not None:
                call.whole = isinstance(event, StreamEnded)
                call.gone = not call.whole
                call.incoming.put(None)
        elif isinstance(event, ConnectionTerminated):
            self._closed = True
            for call in self._calls.values():
                call.incoming.put(None)

    def _start(self, event: RequestReceived) -> None:
        headers: defaultdict[str, tuple[str, ...]] = defaultdict(tuple)
        for name, value in event.headers:
            headers[str(name)] += (str(value),)
        call = _Call(event.stream_id)
        self._calls[call.stream_id] = call
        thread = threading.Thread(
            target=self._serve, args=(call, dict(headers)), name="cogpack-service", daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _serve(self, call: _Call, metadata: Metadata) -> None:
        status, reason = Status.OK, ""
        try:
            handler = self._handlers.get(metadata[":path"][0])
            if handler is None:
                raise Refused(Status.UNIMPLEMENTED, "this session has no such method")
            messages = Messages(call, lambda length: self._acknowledge(call, length))
            for batch in handler(metadata, messages):
                self._send(call, batch)
        except CallEnded:
            pass
        except Refused as refused:
            status, reason = refused.status, str(refused)
        except Failure as failure:
            self._report(failure)
            status, reason = Status.FAILED_PRECONDITION, str(failure)
        except Exception as error:  # noqa: BLE001  # a thread has nobody else to tell
            self._report(CogpackError(f"the session failed: {type(error).__name__}: {error}"))
            status, reason = Status.INTERNAL, "the client failed"
        self._end(call, status, reason)

    def _acknowledge(self, call: _Call, length: int) -> None:
        """Let the caller send as much again as has been consumed, bytes."""
        with self._changed:
            if not self._closed and not call.gone:
                self._http.acknowledge_received_data(length, call.stream_id)
                self._flush()

    def _send(self, call: _Call, batch: Sequence[bytes]) -> None:
        """Send messages as flow control allows. Raises CallEnded."""
        parts: list[bytes] = []
        for message in batch:
            parts += (_PREFIX.pack(0, len(message)), message)
        data = memoryview(b"".join(parts))
        while data:
            self._room()
            with self._changed:
                self._changed.wait_for(lambda: self._closed or call.gone or self._window(call) > 0)
                if self._closed or call.gone:
                    raise CallEnded
                data = self._send_some(call, data)

    def _window(self, call: _Call) -> int:
        """How much may be sent of a call that is still there, bytes."""
        return self._http.local_flow_control_window(call.stream_id)

    def _send_some(self, call: _Call, data: memoryview) -> memoryview:
        self._send_headers(call)
        rest = len(data) - min(self._window(call), _SEND_BYTES, len(data))
        while len(data) > rest:
            size = min(self._http.max_outbound_frame_size, len(data) - rest)
            self._http.send_data(call.stream_id, bytes(data[:size]))
            data = data[size:]
        self._flush()
        return data

    def _send_headers(self, call: _Call) -> None:
        if not call.answered:
            call.answered = True
            self._http.send_headers(
                call.stream_id, [(":status", "200"), ("content-type", "application/grpc")]
            )

    def _end(self, call: _Call, status: Status, reason: str) -> None:
        with self._changed:
            del self._calls[call.stream_id]
            if self._closed or call.gone:
                return
            self._send_headers(call)
            trailers = [("grpc-status", str(status.value))]
            if reason:
                trailers.append(("grpc-message", quote(reason[:_LONGEST_REASON], safe=" ,:;()'")))
            self._http.send_headers(call.stream_id, trailers, end_stream=True)
            if not call.whole:
                # The caller has not said that it is done: tell it not to go on.
                self._http.reset_stream(call.stream_id, ErrorCodes.NO_ERROR)
            self._flush()

    def _flush(self) -> None:
        if data := self._http.data_to_send():
            self._write(data)
