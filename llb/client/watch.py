"""Following a solve until it ends: its status, its answer, its cancelling, its failure."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable

import grpc

from ...errors import Failure
from ..proto import control_pb2
from .events import Event, EventReader, Log, Vertex
from .failures import LOG_TAIL, BuildCancelled, from_rpc_error
from .transport import Transport

__all__ = ["Watch"]

# How often deadlines and a set `cancel` are looked at while the build is silent, seconds.
_TICK_SECONDS = 0.1

# How long the status may be silent after the answer of the solve before it is given up, seconds;
# as in moby/buildkit client/solve.go. A solve refused at once never has a status to end.
_QUIET_SECONDS = 5.0
_REFUSED_SECONDS = 0.5

# How long a daemon may take to fail after a service has refused it something, seconds.
_FAIL_SECONDS = 5.0


class _SolveEnded:
    """The solve has been answered."""


class _StatusEnded:
    """The status says no more."""


_Item = control_pb2.StatusResponse | Failure | _SolveEnded | _StatusEnded


class Watch:
    """Follows one solve.

    reader: makes the events. on_event: gets them, in the thread of `run`.
    cancel: once it is set, the solve is cancelled.
    """

    def __init__(
        self,
        reader: EventReader,
        on_event: Callable[[Event], None] | None,
        cancel: threading.Event | None,
    ) -> None:
        self._reader = reader
        self._on_event = on_event
        self._cancel = cancel
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._logs: defaultdict[str, deque[Log]] = defaultdict(lambda: deque(maxlen=LOG_TAIL))
        self._failed: Vertex | None = None
        self._reported: Failure | None = None

    def report(self, failure: Failure) -> None:
        """Take the failure of a service of the session, from any thread: it is the true cause."""
        self._items.put(failure)

    def run(
        self, transport: Transport, request: control_pb2.SolveRequest
    ) -> control_pb2.SolveResponse:
        """Send the request and follow it to its end.

        Raises a reported failure, a Failure of `failures`, BuildCancelled, and whatever `on_event`
        raises. When it raises, the solve has been cancelled.
        """
        status = transport.stream(
            "/moby.buildkit.v1.Control/Status",
            control_pb2.StatusRequest,
            control_pb2.StatusResponse,
        )(control_pb2.StatusRequest(Ref=request.Ref))
        listener = threading.Thread(
            target=self._listen, args=(status,), name="cogpack-status", daemon=True
        )
        listener.start()
        solving = transport.unary(
            "/moby.buildkit.v1.Control/Solve",
            control_pb2.SolveRequest,
            control_pb2.SolveResponse,
        ).future(request)
        solving.add_done_callback(lambda _: self._items.put(_SolveEnded()))
        try:
            self._follow()
            answer: control_pb2.SolveResponse = solving.result()
            return answer
        except grpc.RpcError as error:
            raise self._reported or self._failure(error) from None
        finally:
            if not solving.done():
                solving.cancel()
                self._await_end()
            status.cancel()
            listener.join()

    def _listen(self, status: Iterable[control_pb2.StatusResponse]) -> None:
        # The answer of the solve tells what went wrong; here it only matters that this is over.
        with contextlib.suppress(grpc.RpcError):
            for message in status:
                self._items.put(message)
        self._items.put(_StatusEnded())

    def _follow(self) -> None:
        """Pass the status on until both calls have ended."""
        solved = ended = False
        deadline = float("inf")
        quiet = _REFUSED_SECONDS
        while not (solved and ended):
            if self._cancel is not None and self._cancel.is_set() and not solved:
                raise BuildCancelled("the build was cancelled")
            if time.monotonic() > deadline:
                break
            try:
                item = self._items.get(timeout=_TICK_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, control_pb2.StatusResponse):
                quiet = _QUIET_SECONDS
                self._pass(self._reader.read(item))
            elif isinstance(item, Failure):
                self._reported = self._reported or item
                deadline = time.monotonic() + _FAIL_SECONDS
            elif isinstance(item, _SolveEnded):
                solved = True
            else:
                ended = True
            if solved:
                deadline = time.monotonic() + quiet
        self._pass(self._reader.finish())
        if self._reported is not None and not solved:
            raise self._reported

    def _pass(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Log):
                self._logs[event.vertex].append(event)
            elif isinstance(event, Vertex) and self._is_first_failure(event):
                self._failed = event
            if self._on_event is not None:
                self._on_event(event)

    def _is_first_failure(self, vertex: Vertex) -> bool:
        # The steps beside a failed one are cancelled, and say so as their error.
        cancelled = "context canceled" in vertex.error
        return bool(vertex.error) and self._failed is None and not cancelled

    def _failure(self, error: grpc.RpcError) -> Failure:
        log = self._logs[self._failed.digest] if self._failed is not None else ()
        return from_rpc_error(error, "building", self._failed, tuple(log))

    def _await_end(self) -> None:
        """Wait until the daemon has let go of a cancelled solve, but not forever."""
        deadline = time.monotonic() + _QUIET_SECONDS
        with contextlib.suppress(queue.Empty):
            while not isinstance(
                self._items.get(timeout=max(0.0, deadline - time.monotonic())), _StatusEnded
            ):
                pass
