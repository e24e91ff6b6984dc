"""The small services of a session: credentials of registries, and secrets.

Neither ever writes what it hands out anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ...registry.docker_config import credential, load_config
from ..proto import session_pb2
from .rpc_server import Messages, Metadata, Refused, Service, Status

__all__ = ["auth_service", "secrets_service"]


def auth_service(environ: Mapping[str, str]) -> Service:
    """Credentials from docker's configuration, read when the daemon asks, so after a login too.

    Only `Credentials` is served: for the other methods a daemon takes UNIMPLEMENTED as "fetch the
    token yourself" (moby/buildkit session/auth/auth.go).
    """

    def credentials(_: Metadata, messages: Messages) -> Iterator[Sequence[bytes]]:
        for message in messages:
            host = session_pb2.CredentialsRequest.FromString(message).Host
            found = credential(load_config(environ), host, environ)
            answer = session_pb2.CredentialsResponse()
            if found is not None:
                answer.Username, answer.Secret = found.username, found.secret
            yield (answer.SerializeToString(),)

    return Service("moby.filesync.v1.Auth", {"Credentials": credentials})


def secrets_service(values: Mapping[str, bytes]) -> Service:
    """Secrets by id, from memory; an id that is not among them is NOT_FOUND."""

    def get_secret(_: Metadata, messages: Messages) -> Iterator[Sequence[bytes]]:
        for message in messages:
            wanted = session_pb2.GetSecretRequest.FromString(message).ID
            if wanted not in values:
                raise Refused(Status.NOT_FOUND, f"there is no secret `{wanted}`")
            yield (session_pb2.GetSecretResponse(data=values[wanted]).SerializeToString(),)

    return Service("moby.buildkit.secrets.v1.Secrets", {"GetSecret": get_secret})
