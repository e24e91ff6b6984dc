"""Solving a definition: the request, the progress while it runs, the exports, and cancelling."""

from __future__ import annotations

import contextlib
import queue
import secrets
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from ...errors import CogpackError, Failure
from ..proto import control_pb2, ops_pb2
from .events import Event, EventReader, Log, Redactor, Vertex
from .export import Export
from .failures import LOG_TAIL, BuildCancelled, from_rpc_error
from .filesend import Target, filesend_service, open_targets, write_failure
from .filesync import filesync_service
from .rpc_server import Service
from .services import auth_service, secrets_service
from .session import Session, shared_key
from .transport import Transport

__all__ = ["SolveOptions", "SolveResult", "solve"]

NETWORK_HOST = "network.host"

# How often a set `cancel` is noticed while the build is silent, seconds.
_CANCEL_SECONDS = 0.1

# How long the status may be silent after the answer of the solve before it is given up, seconds;
# as in moby/buildkit client/solve.go. A solve refused at once never has a status to end.
_QUIET_SECONDS = 5.0
_REFUSED_SECONDS = 0.5


@dataclass(frozen=True)
class SolveOptions:
    """All that a solve needs beside the definition.

    exports: what to leave behind; none only builds, and fills the daemon's cache.
    folders: the local folders that the definition may read, by the names that it uses.
    secrets: the build's secrets by id. They are masked in every event and message.
    image_config: the OCI image config, JSON, for exports that are images.
    session_id: the id by which the definition names the session that offers the folders, from
        `new_session_id`; empty when it names none.
    network_host: ask for the entitlement that a step with the host's network needs.
    """

    exports: tuple[Export, ...] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    image_config: bytes = b""
    session_id: str = ""
    network_host: bool = False


@dataclass(frozen=True)
class SolveResult:
    """What the exporters answered, by the keys of BuildKit."""

    response: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The image's manifest, `sha256:...`; empty when no image was exported."""
        return self.response.get("containerimage.digest", "")

    @property
    def config_digest(self) -> str:
        """The image's config, `sha256:...`; empty when no image was exported."""
        return self.response.get("containerimage.config.digest", "")


def solve(
    transport: Transport,
    definition: bytes,
    options: SolveOptions,
    environ: Mapping[str, str],
    on_event: Callable[[Event], None] | None = None,
    cancel: threading.Event | None = None,
) -> SolveResult:
    """Build, export, and wait until both are done.

    definition: a serialised pb.Definition.
    environ: where docker's configuration is looked for ($DOCKER_CONFIG, $HOME).
    on_event: called in this thread with each event, in order.
    cancel: once it is set, the build is stopped. Ctrl-C does the same.

    Raises a Failure of `failures`, UserError for a file that cannot be read or an impossible
    destination, BuildCancelled. KeyboardInterrupt and whatever `on_event` raises pass through, the
    build being stopped first. Whatever is raised, no half-written export stays.
    """
    targets = open_targets(options.exports)
    reported: list[Failure] = []
    record = _Record(EventReader(Redactor(options.secrets.values())), on_event)
    with contextlib.ExitStack() as stack:
        for target in targets.values():
            stack.callback(target.discard)
        services = _services(options, targets, environ)
        key = shared_key(options.folders.values())
        session_id = options.session_id
        with Session(transport, services, reported.append, key, session_id) as session:
            request = _request(transport, definition, options, session.id)
            try:
                answer = _run(transport, request, record, cancel)
            except grpc.RpcError as error:
                if reported:
                    raise reported[0] from None
                raise _failure(error, record) from None
        _commit(targets.values())
    return SolveResult(dict(answer.ExporterResponse))


class _Record:
    """Passes events on, and keeps what the message of a failure needs."""

    def __init__(self, reader: EventReader, on_event: Callable[[Event], None] | None) -> None:
        self._reader = reader
        self._on_event = on_event
        self._logs: defaultdict[str, deque[Log]] = defaultdict(lambda: deque(maxlen=LOG_TAIL))
        self.failed: Vertex | None = None

    def take(self, message: control_pb2.StatusResponse) -> None:
        self._pass(self._reader.read(message))

    def finish(self) -> None:
        self._pass(self._reader.finish())

    def log(self, digest: str) -> Sequence[Log]:
        return tuple(self._logs[digest])

    def _pass(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Log):
                self._logs[event.vertex].append(event)
            elif isinstance(event, Vertex) and self._is_first_failure(event):
                self.failed = event
            if self._on_event is not None:
                self._on_event(event)

    def _is_first_failure(self, vertex: Vertex) -> bool:
        # The steps beside a failed one are cancelled, and say so as their error.
        return bool(vertex.error) and self.failed is None and "context canceled" not in vertex.error


def _services(
    options: SolveOptions,
    targets: Mapping[int, Target],
    environ: Mapping[str, str],
) -> list[Service]:
    services = [auth_service(environ), secrets_service(options.secrets)]
    if options.folders:
        services.append(filesync_service(options.folders))
    if targets:
        services.append(filesend_service(targets))
    return services


def _request(
    transport: Transport, definition: bytes, options: SolveOptions, session_id: str
) -> control_pb2.SolveRequest:
    exporters = [_exporter(transport, export, options) for export in options.exports]
    request = control_pb2.SolveRequest(
        Ref=secrets.token_hex(16),
        Definition=ops_pb2.Definition.FromString(definition),
        Session=session_id,
        Cache=control_pb2.CacheOptions(),
        Entitlements=[NETWORK_HOST] if options.network_host else [],
        Exporters=exporters,
    )
    if exporters:
        # Daemons before BuildKit 0.13 know these fields alone; later ones prefer the list.
        request.ExporterDeprecated = exporters[0].Type
        request.ExporterAttrsDeprecated.update(exporters[0].Attrs)
    return request


def _exporter(transport: Transport, export: Export, options: SolveOptions) -> control_pb2.Exporter:
    kind: str = export.type
    if kind == "image" and transport.endpoint.kind == "docker":
        # dockerd's own exporter: it makes names canonical, unpacks, and tells docker of the image.
        kind = "moby"
    attrs = dict(export.attrs)
    if options.image_config and export.type in ("image", "oci", "docker"):
        attrs["containerimage.config"] = options.image_config.decode()
    return control_pb2.Exporter(Type=kind, Attrs=attrs)


def _failure(error: grpc.RpcError, record: _Record) -> Failure:
    log = record.log(record.failed.digest) if record.failed is not None else ()
    return from_rpc_error(error, "building", record.failed, log)


def _commit(targets: Iterable[Target]) -> None:
    for target in targets:
        try:
            target.commit()
        except OSError as error:
            raise write_failure(error) from None


# What the two calls put into the queue when they are done.
_SOLVED = object()
_STATUS_ENDED = object()


def _run(
    transport: Transport,
    request: control_pb2.SolveRequest,
    record: _Record,
    cancel: threading.Event | None,
) -> control_pb2.SolveResponse:
    """Both calls until they end. Raises grpc.RpcError when the solve fails, BuildCancelled."""
    items: queue.SimpleQueue[object] = queue.SimpleQueue()
    status = transport.stream(
        "/moby.buildkit.v1.Control/Status", control_pb2.StatusRequest, control_pb2.StatusResponse
    )(control_pb2.StatusRequest(Ref=request.Ref))
    listener = threading.Thread(
        target=_listen, args=(status, items), name="cogpack-status", daemon=True
    )
    listener.start()
    solving = transport.unary(
        "/moby.buildkit.v1.Control/Solve", control_pb2.SolveRequest, control_pb2.SolveResponse
    ).future(request)
    solving.add_done_callback(lambda _: items.put(_SOLVED))
    try:
        _follow(items, record, cancel)
        record.finish()
        answer: control_pb2.SolveResponse = solving.result()
        return answer
    except BaseException:
        if not solving.done():
            solving.cancel()
            _await_end(items)
        raise
    finally:
        status.cancel()
        listener.join()


def _listen(status: Iterable[control_pb2.StatusResponse], items: queue.SimpleQueue[object]) -> None:
    # The answer of the solve tells what went wrong; here it only matters that the status is over.
    with contextlib.suppress(grpc.RpcError):
        for message in status:
            items.put(message)
    items.put(_STATUS_ENDED)


def _follow(
    items: queue.SimpleQueue[object], record: _Record, cancel: threading.Event | None
) -> None:
    """Pass the status on until both calls have ended."""
    solved = ended = heard = False
    last = time.monotonic()
    while not (solved and ended):
        if cancel is not None and cancel.is_set() and not solved:
            raise BuildCancelled("the build was cancelled")
        quiet = _QUIET_SECONDS if heard else _REFUSED_SECONDS
        if solved and time.monotonic() - last > quiet:
            return
        try:
            item = items.get(timeout=_CANCEL_SECONDS if cancel is not None or solved else None)
        except queue.Empty:
            continue
        last = time.monotonic()
        if item is _SOLVED:
            solved = True
        elif item is _STATUS_ENDED:
            ended = True
        elif isinstance(item, control_pb2.StatusResponse):
            heard = True
            record.take(item)
        else:
            raise CogpackError(f"a foreign object among the status messages: {item!r}")


def _await_end(items: queue.SimpleQueue[object]) -> None:
    """Wait until the daemon has let go of a cancelled build, but not forever."""
    deadline = time.monotonic() + _QUIET_SECONDS
    with contextlib.suppress(queue.Empty):
        while items.get(timeout=max(0.0, deadline - time.monotonic())) is not _STATUS_ENDED:
            pass
