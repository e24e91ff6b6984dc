"""Questions to the daemon that need a build to stand in: images of registries, capabilities.

BuildKit answers them on its frontend gateway. A solve without definition and frontend opens one;
calls that carry its reference reach it, until `Return` ends the solve.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping
from typing import Self, TypeVar

import grpc
from google.protobuf.message import Message

from ...errors import BuilderError, Failure, UserError
from ..capabilities import Capabilities
from ..images import ResolvedImage
from ..proto import control_pb2, gateway_pb2, ops_pb2
from .failures import ImageNotFound, from_rpc_error
from .services import auth_service
from .session import Session
from .transport import Transport

__all__ = ["Bridge"]

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)

# The metadata that names the build a gateway call belongs to (client/buildid/metadata.go).
_BUILD_KEY = "buildkit-controlapi-buildid"

# A registry that is asked for a config answers in seconds or not at all; Ping is local.
_RESOLVE_SECONDS = 120.0
_PING_SECONDS = 15.0


class Bridge:
    """A gateway, open from construction to `close`. Its methods may be called from threads."""

    def __init__(self, transport: Transport, environ: Mapping[str, str]) -> None:
        self._transport = transport
        self._reported: list[Failure] = []
        self._build = secrets.token_hex(16)
        with contextlib.ExitStack() as stack:
            services = [auth_service(environ)]
            session = stack.enter_context(Session(transport, services, self._reported.append))
            self._solving = transport.unary(
                "/moby.buildkit.v1.Control/Solve",
                control_pb2.SolveRequest,
                control_pb2.SolveResponse,
            ).future(
                control_pb2.SolveRequest(
                    Ref=self._build,
                    Session=session.id,
                    Cache=control_pb2.CacheOptions(),
                    Internal=True,
                )
            )
            stack.callback(self._return)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the build that stood behind the gateway. Harmless when called twice."""
        self._stack.close()

    def capabilities(self) -> Capabilities:
        """What this daemon understands of LLB. Raises Failure when it does not answer."""
        pong = self._call(
            "Ping",
            gateway_pb2.PingRequest(),
            gateway_pb2.PongResponse,
            "asking the builder what it can do",
            _PING_SECONDS,
        )
        return Capabilities.of({capability.ID for capability in pong.LLBCaps if capability.Enabled})

    def resolve_image(self, ref: str, platform: str) -> ResolvedImage:
        """Digest and config of an image, from its registry.

        ref: fully qualified. platform: `linux/amd64`, `linux/arm64/v8`.

        Raises ImageNotFound, RetryableError, BuilderError; UserError for a malformed platform.
        """
        system, architecture, variant = _platform(platform)
        answer = self._call(
            "ResolveImageConfig",
            gateway_pb2.ResolveImageConfigRequest(
                Ref=ref,
                Platform=ops_pb2.Platform(OS=system, Architecture=architecture, Variant=variant),
                ResolveMode="default",
                LogName=f"resolve image config for {ref}",
            ),
            gateway_pb2.ResolveImageConfigResponse,
            f"resolving the image {ref}",
            _RESOLVE_SECONDS,
            ref,
        )
        if not answer.Digest or not answer.Config:
            raise BuilderError(f"the builder resolved the image {ref} to nothing")
        return ResolvedImage(ref, answer.Digest, answer.Config)

    def _call(
        self,
        method: str,
        request: Request,
        response: type[Response],
        doing: str,
        timeout: float,
        ref: str = "",
    ) -> Response:
        call = self._transport.unary(
            f"/moby.buildkit.v1.frontend.LLBBridge/{method}", type(request), response
        )
        try:
            return call(request, timeout=timeout, metadata=((_BUILD_KEY, self._build),))
        except grpc.RpcError as error:
            raise self._failure(error, doing, ref) from None

    def _failure(self, error: grpc.RpcError, doing: str, ref: str) -> Failure:
        if self._reported:
            return self._reported[0]
        # When the solve was refused, the gateway only knows that there is no such build.
        cause = self._solving.exception() if self._solving.done() else None
        failure = from_rpc_error(cause if isinstance(cause, grpc.RpcError) else error, doing)
        if ref and isinstance(failure, ImageNotFound):
            return ImageNotFound(ref, failure.reason)
        return failure

    def _return(self) -> None:
        if not self._solving.done():
            with contextlib.suppress(Failure):
                empty = gateway_pb2.Result(ref=gateway_pb2.Ref())
                self._call(
                    "Return",
                    gateway_pb2.ReturnRequest(result=empty),
                    gateway_pb2.ReturnResponse,
                    "ending the questions",
                    _PING_SECONDS,
                )
                self._solving.exception(timeout=_PING_SECONDS)
        self._solving.cancel()


def _platform(text: str) -> tuple[str, str, str]:
    parts = text.split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise UserError(f"the platform `{text}` is malformed", hint="write linux/amd64")
    return parts[0], parts[1], parts[2] if len(parts) == 3 else ""
