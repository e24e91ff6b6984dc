"""From status messages to events, failures and printed lines."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from cogpack.errors import BuilderError, CogpackError, Failure, RetryableError, UserError
from cogpack.llb.client import (
    EntitlementRefused,
    Event,
    ImageNotFound,
    Log,
    PlainPrinter,
    StepFailed,
    Transfer,
    Vertex,
    Warn,
)
from cogpack.llb.client.events import EventReader, Redactor
from cogpack.llb.client.failures import from_rpc_error
from cogpack.llb.proto import control_pb2

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def stamp(seconds: float = 0) -> Timestamp:
    moment = Timestamp()
    moment.FromDatetime(START + timedelta(seconds=seconds))
    return moment


def log(*pieces: bytes, stream: int = 1) -> control_pb2.StatusResponse:
    return control_pb2.StatusResponse(
        logs=[
            control_pb2.VertexLog(vertex="v", stream=stream, msg=piece, timestamp=stamp())
            for piece in pieces
        ]
    )


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Log)]


def test_pieces_become_lines() -> None:
    reader = EventReader(Redactor(()))
    assert texts(list(reader.read(log(b"on", b"e\ntw", b"o\nthr")))) == ["one", "two"]
    assert texts(list(reader.read(log(b"err\n", stream=2)))) == ["err"]
    ended = control_pb2.StatusResponse(
        vertexes=[control_pb2.Vertex(digest="v", name="n", started=stamp(), completed=stamp(1))]
    )
    events = list(reader.read(ended))
    assert texts(events) == ["thr"]
    assert isinstance(events[-1], Vertex)
    assert list(reader.finish()) == []


def test_lines_without_an_end_are_not_lost() -> None:
    reader = EventReader(Redactor(()))
    assert texts(list(reader.read(log(b"a\r50%\r100%\r\nrest")))) == ["100%"]
    assert texts(list(reader.finish())) == ["rest"]
    assert len(texts(list(reader.read(log(b"x" * 100_000))))) == 1


@given(
    st.text(min_size=4).filter(lambda text: text.strip() == text and len(text) >= 4),
    st.text(alphabet="abc\n ", max_size=20),
    st.integers(1, 7),
)
def test_a_secret_never_shows_however_it_is_cut(secret: str, around: str, size: int) -> None:
    reader = EventReader(Redactor([secret.encode()]))
    data = f"{around}{secret}{around}\n".encode()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    shown = "\n".join(texts([*reader.read(log(*pieces)), *reader.finish()]))
    assert secret not in shown or secret in around


def test_each_line_of_a_secret_is_masked() -> None:
    redact = Redactor([b"-----BEGIN-----\nc2VjcmV0\nEND\n", b"longer c2VjcmV0 one"])
    assert redact("x c2VjcmV0 y") == "x *** y"
    assert redact("longer c2VjcmV0 one") == "***"
    assert redact("THE END") == "THE END", "a part of three characters would mask ordinary words"


@pytest.mark.parametrize(
    ("secret", "shown", "masked"),
    [
        (
            "[global]\nindex-url = https://bob:hunter22@pypi.corp/simple\n",
            "global.index-url='https://bob:hunter22@pypi.corp/simple'",
            "global.index-url='https://bob:***@pypi.corp/simple'",
        ),
        ("machine pypi.corp login bob password hunter22", "-u bob:hunter22", "-u bob:***"),
        ("A=first1\nexport B='second 2'\n", "first1, second 2 of A and B", "***, *** of A and B"),
        ("[global]\ntimeout = 60\nindex-url = https://a/b\n", "at https://a/b", "at https://a/b"),
    ],
)
def test_passwords_in_a_file_of_settings_are_masked_by_themselves(
    secret: str, shown: str, masked: str
) -> None:
    assert Redactor([secret.encode()])(shown) == masked


class Error(grpc.RpcError):
    """What a call raises."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self._code = code
        self._details = details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


@pytest.mark.parametrize(
    ("code", "text", "kind", "says"),
    [
        (
            grpc.StatusCode.NOT_FOUND,
            "docker.io/library/nope:1: not found",
            ImageNotFound,
            "the image docker.io/library/nope:1 was not found",
        ),
        (
            grpc.StatusCode.UNKNOWN,
            (
                "failed to resolve source metadata for docker.io/me/private:2: pull access denied, "
                "repository does not exist or may require authorization: server message: "
                "insufficient_scope: authorization failed"
            ),
            ImageNotFound,
            "the image docker.io/me/private:2 was not found",
        ),
        (
            grpc.StatusCode.UNKNOWN,
            "granting entitlement network.host is not allowed by build daemon configuration",
            EntitlementRefused,
            "does not allow `network.host`",
        ),
        (
            grpc.StatusCode.UNKNOWN,
            "failed to load LLB: network.host is not allowed",
            EntitlementRefused,
            "does not allow `network.host`",
        ),
        (
            grpc.StatusCode.UNKNOWN,
            "write /var/lib/docker/x: no space left on device",
            BuilderError,
            "the builder's disk is full",
        ),
        (grpc.StatusCode.UNAVAILABLE, "Socket closed", RetryableError, "connection .* broke"),
        (
            grpc.StatusCode.UNKNOWN,
            (
                'failed to do request: Head "https://r.example/v2/x": dial tcp: '
                "lookup r.example on 10.0.0.1:53: no such host"
            ),
            RetryableError,
            "the network failed",
        ),
        (
            grpc.StatusCode.UNKNOWN,
            (
                "failed to push r.example/x: unexpected status from POST request to "
                "https://r.example/v2/x/blobs/uploads/: 503 Service Unavailable"
            ),
            RetryableError,
            "the network failed",
        ),
        (
            grpc.StatusCode.UNKNOWN,
            (
                "failed to copy: httpReadSeeker: failed open: unexpected status code "
                "https://r.example/v2/x/blobs/sha256:1: 429 Too Many Requests"
            ),
            RetryableError,
            "the network failed",
        ),
        (
            grpc.StatusCode.UNKNOWN,
            "read tcp 10.0.0.2:1->10.0.0.3:443: read: connection reset by peer",
            RetryableError,
            "the network failed",
        ),
        (grpc.StatusCode.UNKNOWN, "invalid reference format: X", UserError, "malformed"),
        (grpc.StatusCode.UNIMPLEMENTED, "unknown method", CogpackError, "does not understand"),
        (grpc.StatusCode.UNKNOWN, "something else", BuilderError, "something else"),
    ],
)
def test_errors_of_the_daemon_are_classed(
    code: grpc.StatusCode, text: str, kind: type[Failure], says: str
) -> None:
    failure = from_rpc_error(Error(code, text), "building")
    assert type(failure) is kind
    with pytest.raises(kind, match=says):
        raise failure


def failed(error: str) -> Failure:
    vertex = Vertex("sha256:1", "the step", error=error)
    lines = [Log("sha256:1", f"line {number}", 1, START) for number in range(30)]
    return from_rpc_error(Error(grpc.StatusCode.UNKNOWN, error), "building", vertex, lines)


def test_a_failed_command() -> None:
    failure = failed('process "/bin/sh -c exit 3" did not complete successfully: exit code: 3')
    assert isinstance(failure, StepFailed)
    assert (failure.digest, failure.name, failure.process_code) == ("sha256:1", "the step", 3)
    assert failure.log == tuple(f"line {number}" for number in range(10, 30))
    assert failure.exit_code == 3, "cogpack's own, of the class of builder failures"


def test_what_a_command_says_of_the_network_is_its_own_affair() -> None:
    failure = failed(
        'process "curl x" did not complete successfully: connection reset by peer, no such host'
    )
    assert isinstance(failure, StepFailed)
    assert failure.process_code is None


def test_a_missing_file_is_no_missing_image() -> None:
    failure = failed(
        "failed to compute cache key: failed to calculate checksum of ref a::b: "
        '"/requirements.txt": not found'
    )
    assert type(failure) is StepFailed


def printed(*events: Event) -> list[str]:
    stream = io.StringIO()
    printer = PlainPrinter(stream)
    for event in events:
        printer(event)
    return stream.getvalue().splitlines()


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_the_printed_lines() -> None:
    assert printed(
        Vertex("a", "first"),
        Vertex("b", "[stage] second", started=START),
        Log("b", "hello", 1, later(0.5)),
        Vertex("a", "first", started=START, completed=START, cached=True),
        Transfer("b", "transferring context:", 1_234_567, 0, completed=False),
        Transfer("b", "transferring context:", 1_234_567, 0, completed=True),
        Transfer("b", "transferring context:", 1_234_567, 0, completed=True),
        Warn("b", "careful", "https://example.com"),
        Vertex("b", "[stage] second", started=START, completed=later(1.25)),
        Vertex("b", "[stage] second", started=START, completed=later(1.25)),
        Vertex("c", "third", started=START),
        Vertex("c", "third", started=START, completed=later(2), error="exit code: 1"),
        Vertex("d", "fourth", started=START, error="context canceled"),
        Log("never-started", "dropped", 1, START),
    ) == [
        "#1 [stage] second",
        "#1 0.500 hello",
        "#2 first",
        "#2 CACHED",
        "#1 transferring context: 1.23MB done",
        "#1 WARNING: careful (https://example.com)",
        "#1 DONE 1.2s",
        "#3 third",
        "#3 ERROR: exit code: 1",
        "#4 fourth",
        "#4 CANCELED",
    ]
