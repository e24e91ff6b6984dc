"""The gRPC server on one connection, against grpcio's own client."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from cogpack.errors import CogpackError, Failure, UserError
from cogpack.llb.client.rpc_server import (
    Messages,
    Metadata,
    Refused,
    RpcServer,
    Service,
    Status,
)


@contextmanager
def connected(
    folder: Path, service: Service, report: Callable[[Failure], None]
) -> Iterator[grpc.Channel]:
    """A channel to a server with one service; its bytes pass through a socket."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "s"))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()

        def write(data: bytes) -> None:
            with suppress(ConnectionError):
                connection.sendall(data)

        with connection:
            server = RpcServer([service], write, lambda: None, report)
            # A caller that leaves with data on the way resets the connection.
            with suppress(ConnectionError):
                while data := connection.recv(1 << 16):
                    server.receive(data)
            server.close()

    thread = threading.Thread(target=serve)
    thread.start()
    options = [("grpc.default_authority", "localhost"), ("grpc.max_receive_message_length", -1)]
    try:
        with grpc.insecure_channel(f"unix:{folder}/s", options) as channel:
            yield channel
    finally:
        thread.join(10)
        listener.close()
        assert not thread.is_alive()


def method(channel: grpc.Channel, name: str) -> grpc.StreamStreamMultiCallable[bytes, bytes]:
    """A method of the service, its messages plain bytes."""
    return channel.stream_stream(f"/a.B/{name}", bytes, bytes)


def echo(metadata: Metadata, messages: Messages) -> Iterator[Sequence[bytes]]:
    yield [value.encode() for value in metadata.get("x-greeting", ())]
    for message in messages:
        yield [message, message]


def refuse(_metadata: Metadata, messages: Messages) -> Iterator[Sequence[bytes]]:
    next(messages)
    yield ()
    raise Refused(Status.NOT_FOUND, "not here: 100 % sure, é\n")


def fail(_metadata: Metadata, _messages: Messages) -> Iterator[Sequence[bytes]]:
    yield ()
    raise UserError("the file is bad")


def crash(_metadata: Metadata, _messages: Messages) -> Iterator[Sequence[bytes]]:
    yield ()
    raise ZeroDivisionError


def endless(_metadata: Metadata, _messages: Messages) -> Iterator[Sequence[bytes]]:
    while True:
        yield (b"x" * 100_000,)


SERVICE = Service(
    "a.B", {"Echo": echo, "Refuse": refuse, "Fail": fail, "Crash": crash, "Endless": endless}
)


@pytest.fixture
def reported() -> list[Failure]:
    return []


@pytest.fixture
def channel(tmp_path: Path, reported: list[Failure]) -> Iterator[grpc.Channel]:
    with connected(tmp_path, SERVICE, reported.append) as opened:
        yield opened


def test_messages_of_every_size_go_both_ways(channel: grpc.Channel) -> None:
    sizes = [0, 1, 5, 16_384, 16_385, 70_000, 5_000_000, *range(500)]
    sent = [bytes([size % 251]) * size for size in sizes]
    call = method(channel, "Echo")
    answers = list(call(iter(sent), metadata=(("x-greeting", "one"), ("x-greeting", "two"))))
    assert answers[:2] == [b"one", b"two"]
    assert answers[2:] == [message for message in sent for _ in range(2)]


def test_calls_at_the_same_time(channel: grpc.Channel) -> None:
    call = method(channel, "Echo")
    calls = [call(iter([str(number).encode()] * 50)) for number in range(20)]
    for number, answers in enumerate(calls):
        assert list(answers) == [str(number).encode()] * 100


@pytest.mark.parametrize(
    ("name", "code", "details"),
    [
        ("Refuse", grpc.StatusCode.NOT_FOUND, "not here: 100 % sure, é\n"),
        ("Fail", grpc.StatusCode.FAILED_PRECONDITION, "the file is bad"),
        ("Crash", grpc.StatusCode.INTERNAL, "the client failed"),
        ("None", grpc.StatusCode.UNIMPLEMENTED, "this session has no such method"),
    ],
)
def test_answers_that_are_no_messages(
    channel: grpc.Channel, name: str, code: grpc.StatusCode, details: str
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        list(method(channel, name)(iter([b"x"])))
    assert caught.value.code() == code
    assert caught.value.details() == details


def test_failures_are_reported_in_full(channel: grpc.Channel, reported: list[Failure]) -> None:
    for name in ("Refuse", "Fail", "Crash"):
        with pytest.raises(grpc.RpcError):
            list(method(channel, name)(iter([b"x"])))
    assert [type(failure) for failure in reported] == [UserError, CogpackError]
    assert "ZeroDivisionError" in str(reported[1])


def test_a_cancelled_call_ends_its_handler(channel: grpc.Channel, reported: list[Failure]) -> None:
    for _ in range(3):
        call = method(channel, "Endless")(iter(()))
        assert len(next(call)) == 100_000
        call.cancel()
    assert list(method(channel, "Echo")(iter([b"still here"]))) == [b"still here"] * 2
    assert reported == []


def test_a_connection_that_ends_ends_every_handler(tmp_path: Path, reported: list[Failure]) -> None:
    with connected(tmp_path, SERVICE, reported.append) as channel:
        for _ in range(3):
            next(method(channel, "Endless")(iter(())))
    assert [thread for thread in threading.enumerate() if thread.name == "cogpack-service"] == []
    assert reported == []


def test_what_is_no_http2_is_refused() -> None:
    server = RpcServer([SERVICE], lambda _: None, lambda: None, lambda _: None)
    with pytest.raises(CogpackError, match="breaks HTTP/2"):
        server.receive(b"GET / HTTP/1.1\r\n\r\n" * 10)
    server.close()
