"""The client: one connection to a daemon, and what can be asked of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

import grpc

from ..capabilities import Capabilities
from ..images import ResolvedImage
from ..proto import control_pb2, ops_pb2
from .endpoint import CONNECT_SECONDS, Endpoint
from .events import Event
from .failures import from_rpc_error
from .gateway import Bridge
from .solve import SolveOptions, SolveResult, solve
from .transport import connect

__all__ = ["Client", "DaemonInfo"]


@dataclass(frozen=True)
class DaemonInfo:
    """What a daemon says of itself.

    version: of BuildKit, as in `v0.25.1`. platforms: `linux/amd64`, the native one first.
    labels: of its first worker: the snapshotter, the executor, the host name.
    """

    version: str
    platforms: tuple[str, ...]
    labels: Mapping[str, str]


class Client:
    """A connection to a daemon; close it, or use it as a context manager.

    endpoint: from `find_daemon`.
    environ: where docker's configuration is looked for; the process's by default.

    Raises BuilderError when the daemon does not answer within CONNECT_SECONDS.
    """

    def __init__(self, endpoint: Endpoint, environ: Mapping[str, str] | None = None) -> None:
        self.endpoint = endpoint
        self._environ = os.environ if environ is None else environ
        self._transport = connect(endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; builds that still run on it are cancelled."""
        self._transport.close()

    def info(self) -> DaemonInfo:
        """Version, platforms and labels. Raises Failure when the daemon does not answer."""
        workers = self._transport.unary(
            "/moby.buildkit.v1.Control/ListWorkers",
            control_pb2.ListWorkersRequest,
            control_pb2.ListWorkersResponse,
        )
        about = self._transport.unary(
            "/moby.buildkit.v1.Control/Info", control_pb2.InfoRequest, control_pb2.InfoResponse
        )
        try:
            records = workers(control_pb2.ListWorkersRequest(), timeout=CONNECT_SECONDS).record
            version = about(control_pb2.InfoRequest(), timeout=CONNECT_SECONDS).buildkitVersion
        except grpc.RpcError as error:
            raise from_rpc_error(error, "asking the builder for its version") from None
        return DaemonInfo(
            version.version,
            tuple(_platform(platform) for record in records for platform in record.platforms),
            dict(records[0].Labels) if records else {},
        )

    def bridge(self) -> Bridge:
        """A gateway for several questions; one costs as much as a small solve, so keep it."""
        return Bridge(self._transport, self._environ)

    def capabilities(self) -> Capabilities:
        """What the daemon understands of LLB. Raises Failure when it does not answer."""
        with self.bridge() as bridge:
            return bridge.capabilities()

    def resolve_image(self, ref: str, platform: str) -> ResolvedImage:
        """Digest and config of an image; see `Bridge.resolve_image`."""
        with self.bridge() as bridge:
            return bridge.resolve_image(ref, platform)

    def solve(
        self,
        definition: bytes,
        options: SolveOptions,
        on_event: Callable[[Event], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> SolveResult:
        """Build and export; see `solve.solve`."""
        return solve(self._transport, definition, options, self._environ, on_event, cancel)


def _platform(platform: ops_pb2.Platform) -> str:
    return "/".join(filter(None, (platform.OS, platform.Architecture, platform.Variant)))
