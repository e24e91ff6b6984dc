"""Solving a definition: what is asked of the daemon, what is served to it, and the exports.

Following a solve while it runs is `watch`'s business.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..proto import control_pb2, ops_pb2
from .events import Event, EventReader, Redactor
from .export import Export
from .filesend import Target, filesend_service, open_targets
from .filesync import filesync_service
from .rpc_server import Service
from .services import auth_service, secrets_service
from .session import Session, shared_key
from .transport import Transport
from .watch import Watch

__all__ = ["SolveOptions", "SolveResult", "solve"]

NETWORK_HOST = "network.host"


@dataclass(frozen=True)
class SolveOptions:
    """All that a solve needs beside the definition.

    exports: what to leave behind; none only builds, and fills the daemon's cache.
    folders: the local folders that the definition may read, by the names that it uses.
    plain_modes: of their permissions, send only whether a file can be run.
    secrets: the build's secrets by id. They are masked in every event and message.
    image_config: the OCI image config, JSON, for exports that are images.
    session_id: the id by which the definition names the session that offers the folders, from
        `new_session_id`; empty when it names none.
    network_host: ask for the entitlement that a step with the host's network needs.
    """

    exports: tuple[Export, ...] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)
    plain_modes: bool = False
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
    watch = Watch(EventReader(Redactor(options.secrets.values())), on_event, cancel)
    with contextlib.ExitStack() as stack:
        for target in targets.values():
            stack.callback(target.discard)
        services = _services(options, targets, environ)
        key = shared_key(options.folders.values())
        session_id = options.session_id
        with Session(transport, services, watch.report, key, session_id) as session:
            request = _request(transport, definition, options, session.id)
            answer = watch.run(transport, request)
        _commit(targets.values())
    return SolveResult(dict(answer.ExporterResponse))


def _services(
    options: SolveOptions,
    targets: Mapping[int, Target],
    environ: Mapping[str, str],
) -> list[Service]:
    services = [auth_service(environ), secrets_service(options.secrets)]
    if options.folders:
        services.append(filesync_service(options.folders, plain_modes=options.plain_modes))
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
    if kind == "image" and transport.is_dockerd:
        # dockerd's own exporter: it makes names canonical, unpacks, and tells docker of the image.
        kind = "moby"
    attrs = dict(export.attrs)
    if options.image_config and export.type in ("image", "oci", "docker"):
        attrs["containerimage.config"] = options.image_config.decode()
    return control_pb2.Exporter(Type=kind, Attrs=attrs)


def _commit(targets: Iterable[Target]) -> None:
    for target in targets:
        try:
            target.commit()
        except OSError as error:
            raise target.failure(error) from None
