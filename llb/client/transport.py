"""The gRPC channel to a daemon, through a relay where the daemon is a dockerd, and its calls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from ...errors import BuilderError
from ..proto import control_pb2
from .endpoint import CONNECT_SECONDS, Endpoint
from .relay import UpgradeRelay

__all__ = ["MESSAGE_OPTIONS", "Transport", "connect"]

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

# gRPC's default of 4 MiB a message is too little for the status of a large build.
MESSAGE_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)

_CHANNEL_OPTIONS = (
    *MESSAGE_OPTIONS,
    # A unix socket's path is no authority that a Go server accepts.
    ("grpc.default_authority", "localhost"),
    # $http_proxy is for the web, not for the builder.
    ("grpc.enable_http_proxy", 0),
    ("grpc.enable_retries", 0),
)


# Labels that only dockerd gives its worker (moby/moby daemon/internal/builder-next/worker/label).
_MOBY_LABELS = "org.mobyproject.buildkit.worker.moby."


@dataclass(frozen=True)
class Transport:
    """An open channel; close it. labels: of the daemon's first worker."""

    endpoint: Endpoint
    channel: grpc.Channel
    relay: UpgradeRelay | None
    labels: Mapping[str, str]

    @property
    def is_dockerd(self) -> bool:
        """Whether the BuildKit is dockerd's, also when it is reached as a plain one."""
        return self.relay is not None or any(
            label.startswith(_MOBY_LABELS) for label in self.labels
        )

    def close(self) -> None:
        """Cancel what is under way and free sockets and threads."""
        self.channel.close()
        if self.relay is not None:
            self.relay.close()

    def unary(
        self, method: str, request: type[Request], response: type[Response]
    ) -> grpc.UnaryUnaryMultiCallable[Request, Response]:
        """The call `method` (`/package.Service/Method`), one message each way."""
        return self.channel.unary_unary(method, _serializer(request), _deserializer(response))

    def stream(
        self, method: str, request: type[Request], response: type[Response]
    ) -> grpc.UnaryStreamMultiCallable[Request, Response]:
        """The call `method`, one message there and a stream back."""
        return self.channel.unary_stream(method, _serializer(request), _deserializer(response))


def _serializer(kind: type[Request]) -> Callable[[Request], bytes]:
    return kind.SerializeToString


def _deserializer(kind: type[Response]) -> Callable[[bytes], Response]:
    return kind.FromString


def connect(endpoint: Endpoint) -> Transport:
    """Open a channel and see that BuildKit answers on it, within CONNECT_SECONDS.

    Raises BuilderError when it does not.
    """
    relay = UpgradeRelay(endpoint.address, CONNECT_SECONDS) if endpoint.kind == "docker" else None
    target = relay.target if relay else endpoint.address.grpc_target
    transport = Transport(endpoint, grpc.insecure_channel(target, _CHANNEL_OPTIONS), relay, {})
    with contextlib.ExitStack() as stack:
        stack.callback(transport.close)
        ping = transport.unary(
            "/moby.buildkit.v1.Control/ListWorkers",
            control_pb2.ListWorkersRequest,
            control_pb2.ListWorkersResponse,
        )
        try:
            workers = ping(control_pb2.ListWorkersRequest(), timeout=CONNECT_SECONDS).record
        except grpc.RpcError as error:
            raise _no_answer(endpoint, relay, error) from None
        stack.pop_all()
    return replace(transport, labels=dict(workers[0].Labels) if workers else {})


def _no_answer(
    endpoint: Endpoint, relay: UpgradeRelay | None, error: grpc.RpcError
) -> BuilderError:
    detail = (relay.fault if relay else "") or error.details() or error.code().name
    return BuilderError(
        f"{endpoint} does not answer: {detail}",
        hint="see that the daemon is healthy (docker info, buildctl debug workers) and that the "
        "address is a builder's",
    )
