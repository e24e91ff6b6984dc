"""What happens to the connections of a fetcher that is closed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cogpack.errors import BuilderError
from cogpack.index import CredentialBook, Fetcher, HttpSettings
from support.index_server import Dist, serve

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server whose answers the test sends by itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server


def fetcher_for_tests() -> Fetcher:
    return Fetcher(HttpSettings(attempts=1), CredentialBook(use_keyring=False))


def test_a_closed_fetcher_connects_to_nobody() -> None:
    fetcher = fetcher_for_tests()
    with serve({"foo": [Dist("1.0")]}) as server:
        assert fetcher.get(f"{server.url}foo/").status == 200
        server.forget()
        fetcher.close()
        with pytest.raises(BuilderError, match="when the client was closed"):
            fetcher.get(f"{server.url}foo/")
        assert server.requests == []


def test_a_request_under_way_ends_and_then_its_connection(listener: socket.socket) -> None:
    fetcher = fetcher_for_tests()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(fetcher.get, url)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            connection.recv(65536)
            fetcher.close()
            connection.sendall(ANSWER)
            assert asked.result(30).body == b"hi"
            assert connection.recv(1) == b""


def test_a_connection_kept_for_later_is_closed_at_once(listener: socket.socket) -> None:
    fetcher = fetcher_for_tests()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(fetcher.get, url)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(30)
            connection.recv(65536)
            connection.sendall(ANSWER)
            asked.result(30)
            fetcher.close()
            assert connection.recv(1) == b""
