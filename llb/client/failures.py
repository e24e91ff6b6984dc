"""What went wrong in a build, as one of cogpack's classes of failure.

The daemon reports an error as a gRPC code and a sentence. The sentences read here are those of
BuildKit, of containerd's registry client and of the Linux kernel; a test holds each of them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import grpc

from ...errors import BuilderError, CogpackError, Failure, RetryableError, UserError
from .events import Log, Vertex

__all__ = [
    "LOG_TAIL",
    "BuildCancelled",
    "EntitlementRefused",
    "ImageNotFound",
    "StepFailed",
    "from_rpc_error",
]

# How many of its last lines a failed step shows.
LOG_TAIL = 20

_EXIT_CODE = re.compile(
    r'^process "(?P<command>.*)" did not complete successfully: (?P<why>.*)', re.S
)
_MISSING_IMAGE = re.compile(
    r"(?:failed to resolve source metadata for |failed to load cache key: |"
    r"failed to copy: |docker-image://)?"
    r"(?P<ref>[\w.-]+(?::\d+)?(?:/[\w.@:-]+)+): (?:not found|failed to authorize|"
    r"pull access denied|no match for platform)"
)
_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.I)
_REFUSED_ENTITLEMENT = re.compile(
    r"(?:granting entitlement )?(?P<name>network\.host|security\.insecure) is not allowed"
)
_NETWORK = re.compile(
    r"connection reset by peer|connection refused|broken pipe|i/o timeout|TLS handshake timeout|"
    r"no such host|server misbehaving|temporary failure in name resolution|"
    r"network is unreachable|no route to host|unexpected EOF|context deadline exceeded|"
    r"too many requests|"
    r"unexpected status(?: code| from \w+ request)?.*?: ?(?:429|5\d\d)\b|"
    r"\b(?:500 Internal Server Error|502 Bad Gateway|503 Service Unavailable|"
    r"504 Gateway Time-?out)\b",
    re.I,
)


class BuildCancelled(BuilderError):  # noqa: N818  # an outcome, as its name says
    """The caller cancelled the build, and the daemon has stopped it."""


class EntitlementRefused(BuilderError):  # noqa: N818  # an outcome, as its name says
    """The daemon's configuration forbids what the build asks for."""


class ImageNotFound(BuilderError):  # noqa: N818  # an outcome, as its name says
    """The registry has no such image, or does not show it to us. ref: as it was asked for."""

    def __init__(self, ref: str, reason: str) -> None:
        self.ref = ref
        self.reason = reason
        super().__init__(
            f"the image {ref} was not found: {reason}",
            hint="check its name, its tag and that it exists for this platform; for a private one "
            "log in first: docker login",
        )


class StepFailed(BuilderError):  # noqa: N818  # an outcome, as its name says
    """A step of the build failed. Whose fault that is, the caller knows: it made the steps.

    digest, name: the vertex. reason: the daemon's sentence. log: its last lines, LOG_TAIL at most.
    process_code: of the command; None when the step is no command or did not get so far.
    """

    def __init__(self, vertex: Vertex, log: Sequence[Log]) -> None:
        self.digest = vertex.digest
        self.name = vertex.name
        self.log = tuple(line.text for line in log[-LOG_TAIL:])
        found = _EXIT_CODE.match(vertex.error)
        code = re.fullmatch(r"exit code: (\d+)", found["why"]) if found else None
        self.process_code = int(code[1]) if code else None
        self.reason = found["why"] if found else vertex.error
        tail = "".join(f"\n    {line}" for line in self.log)
        super().__init__(f"the step `{vertex.name}` failed: {self.reason}{tail}")


def from_rpc_error(
    error: grpc.RpcError, doing: str, failed: Vertex | None = None, log: Sequence[Log] = ()
) -> Failure:
    """The failure for what a call ended with.

    doing: what was being done, for the message (`resolving the image x`).
    failed, log: the step that failed, when it was one, and what it printed.
    """
    code = error.code()
    text = error.details() or code.name
    reason = failed.error if failed is not None else text
    if failed is not None and _EXIT_CODE.match(failed.error):
        return StepFailed(failed, log)
    if refused := _REFUSED_ENTITLEMENT.search(text):
        return _entitlement(refused["name"])
    if missing := _MISSING_IMAGE.search(reason):
        return ImageNotFound(missing["ref"], _last_part(reason))
    if _DISK_FULL.search(reason):
        return BuilderError(
            f"the builder's disk is full ({doing}: {reason})",
            hint="free some space there: docker builder prune, buildctl prune",
        )
    if code == grpc.StatusCode.UNAVAILABLE:
        return RetryableError(
            f"the connection to the builder broke while {doing}: {text}",
            hint="see that the daemon is running, and try again",
        )
    if _NETWORK.search(reason):
        return RetryableError(f"the network failed while {doing}: {reason}", hint="try again")
    if failed is not None:
        return StepFailed(failed, log)
    if "invalid reference format" in text:
        return UserError(
            f"the image's name is malformed: {_last_part(text)}",
            hint="write NAME, NAME:TAG or REGISTRY/NAME:TAG, in lower case",
        )
    if code in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INVALID_ARGUMENT):
        return CogpackError(
            f"the builder does not understand cogpack ({doing}: {text})",
            hint="please report this, with the builder's version",
        )
    return BuilderError(f"the builder failed while {doing}: {text}")


def _entitlement(name: str) -> EntitlementRefused:
    setting = name.replace(".", "-")
    return EntitlementRefused(
        f"the builder does not allow `{name}`, which a step needs",
        hint=f"buildkitd: start it with --allow-insecure-entitlement {name} (or "
        f'insecure-entitlements = ["{name}"] in buildkitd.toml); Docker: set '
        f'"builder": {{"entitlements": {{"{setting}": true}}}} in daemon.json; then restart it',
    )


def _last_part(reason: str) -> str:
    """The end of a chain of `outer: inner` messages, which says what really happened."""
    return reason.rpartition(": ")[2]
