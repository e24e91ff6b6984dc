"""Which daemon is taken, and what is said when none can be."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cogpack.errors import BuilderError
from cogpack.llb.client import Client, endpoint, find_daemon
from cogpack.llb.client.sockets import Address, parse_address


@contextmanager
def listening(path: Path, answer: bytes) -> Iterator[str]:
    """A server on a unix socket that answers everything with the same bytes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"unix://{path}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment where nothing is set up and no system socket exists."""
    monkeypatch.setattr(endpoint, "_SYSTEM_SOCKET", str(tmp_path / "no-docker.sock"))
    return {"HOME": str(tmp_path)}


DOCKER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
BUILDKIT = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00"


def test_the_order(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        listening(tmp_path / "a", BUILDKIT) as first,
        listening(tmp_path / "b", BUILDKIT) as second,
        listening(tmp_path / "c", DOCKER) as third,
        listening(tmp_path / "d", DOCKER) as fourth,
        listening(tmp_path / "docker.sock", DOCKER),
    ):
        write_context(tmp_path, "remote", fourth)
        full = {**environ, "BUILDKIT_HOST": second, "DOCKER_HOST": third}
        full |= {"DOCKER_CONTEXT": "remote", "XDG_RUNTIME_DIR": str(tmp_path)}
        steps = [
            (first, "--builder", "buildkit"),
            ("BUILDKIT_HOST", "$BUILDKIT_HOST", "buildkit"),
            ("DOCKER_HOST", "$DOCKER_HOST", "docker"),
            ("DOCKER_CONTEXT", "the docker context `remote`", "docker"),
            ("XDG_RUNTIME_DIR", "the rootless docker socket", "docker"),
        ]
        builder: str | None = first
        for given, origin, kind in steps:
            found = find_daemon(builder, full)
            assert (found.origin, found.kind) == (origin, kind)
            builder = None
            full.pop(given, None)
        monkeypatch.setattr(endpoint, "_SYSTEM_SOCKET", str(tmp_path / "d"))
        assert find_daemon("", environ).origin == "the docker socket"
        assert str(find_daemon(third, environ)) == f"Docker's BuildKit at {third} (--builder)"


def write_context(home: Path, name: str, host: object) -> None:
    folder = home / ".docker/contexts/meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    meta = {"Name": name, "Endpoints": {"docker": {"Host": host}}}
    (folder / "meta.json").write_text(json.dumps(meta))


def test_the_selected_context(tmp_path: Path, environ: dict[str, str]) -> None:
    write_context(tmp_path, "far", "ssh://somewhere")
    (tmp_path / ".docker/config.json").write_text('{"currentContext": "far"}')
    with pytest.raises(BuilderError, match=r"the docker context `far` .* neither unix:// nor tcp"):
        find_daemon(None, environ)
    with pytest.raises(BuilderError, match="`gone` is selected, but it has no readable address"):
        find_daemon(None, {**environ, "DOCKER_CONTEXT": "gone"})


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("docker.sock", "neither unix:// nor tcp://"),
        ("unix://relative/path", "not absolute"),
        ("tcp://host", "needs a host and a port"),
        ("tcp://:123", "needs a host and a port"),
        ("tcp://host:1/path", "nothing after them"),
        ("tcp://host:99999", "out of range"),
        ("ssh://user@host", "neither unix:// nor tcp://"),
    ],
)
def test_malformed_addresses(address: str, why: str) -> None:
    with pytest.raises(BuilderError, match=why) as caught:
        find_daemon(address, {})
    assert caught.value.exit_code == 3
    assert caught.value.faults[0].hint


@pytest.mark.parametrize("text", ["unix:///run/x.sock", "tcp://host:1234", "tcp://[::1]:1234"])
def test_addresses_are_written_as_they_are_read(text: str) -> None:
    assert str(parse_address(text, "test")) == text


def test_nothing_there(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(BuilderError, match="there is no socket at"):
        find_daemon(f"unix://{tmp_path}/none", environ)
    stale = tmp_path / "stale"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(stale))
    with pytest.raises(BuilderError, match="nothing listens at"):
        find_daemon(f"unix://{stale}", environ)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(BuilderError, match="nothing listens at"):
        find_daemon(f"tcp://127.0.0.1:{port}", environ)
    with pytest.raises(BuilderError) as caught:
        find_daemon(None, {**environ, "XDG_RUNTIME_DIR": str(tmp_path)})
    message = str(caught.value)
    for tried in ("--builder", "$BUILDKIT_HOST", "$DOCKER_HOST", "no-docker.sock", "rootless"):
        assert tried in message


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (PermissionError(13, "Permission denied"), "no permission to use"),
        (TimeoutError("timed out"), "did not answer within 5 s"),
        (socket.gaierror(-2, "Name or service not known"), "host name of .* is unknown"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
    ],
)
def test_each_fault_of_dialling_has_its_words(
    error: OSError, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(address: Address, timeout: float) -> socket.socket:
        raise error

    monkeypatch.setattr(endpoint, "dial", refuse)
    with pytest.raises(BuilderError, match=says):
        find_daemon("tcp://host:1", {})


def test_tls_is_refused_in_words() -> None:
    with pytest.raises(BuilderError, match="does not speak TLS"):
        find_daemon(None, {"DOCKER_HOST": "tcp://host:2376", "DOCKER_TLS_VERIFY": "1"})


def test_a_server_that_is_no_builder(tmp_path: Path) -> None:
    with listening(tmp_path / "x", b"SSH-2.0-OpenSSH\r\n") as address:
        found = find_daemon(address, {})
        with pytest.raises(BuilderError, match="does not answer"):
            Client(found, {})
    with listening(tmp_path / "y", b"HTTP/1.1 404 Not Found\r\n\r\n") as address:
        found = find_daemon(address, {})
        assert found.kind == "docker"
        for _ in range(3):
            with pytest.raises(BuilderError, match=r"does not open its BuildKit .* 404 Not Found"):
                Client(found, {})
            names = [thread.name for thread in threading.enumerate()]
            assert [name for name in names if name.startswith("cogpack")] == []
