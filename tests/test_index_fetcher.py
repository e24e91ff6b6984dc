"""What happens to the connections of a fetcher that is closed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cogpack.errors import BuilderError
from cogpack.index import CachePolicy, CredentialBook, Fetcher, HttpSettings, IndexClient
from support.index_server import Dist, serve

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server whose answers the test sends by itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(300)
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
            connection.settimeout(300)
            connection.recv(65536)
            fetcher.close()
            connection.sendall(ANSWER)
            assert asked.result(300).body == b"hi"
            assert connection.recv(1) == b""


def test_a_connection_kept_for_later_is_closed_at_once(listener: socket.socket) -> None:
    fetcher = fetcher_for_tests()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(fetcher.get, url)
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(300)
            connection.recv(65536)
            connection.sendall(ANSWER)
            asked.result(300)
            fetcher.close()
            assert connection.recv(1) == b""


def test_a_closed_client_starts_no_threads(tmp_path: Path) -> None:
    client = IndexClient(tmp_path, CachePolicy(), fetcher_for_tests())
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        client.start([lambda: None])
    client.close()


def test_a_job_that_wants_another_while_the_client_closes_gets_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs on the client's own thread, which is waited for: it leaves no thread behind."""
    client = IndexClient(tmp_path, CachePolicy(), fetcher_for_tests())
    begun, closing = threading.Event(), threading.Event()
    shutdown = ThreadPoolExecutor.shutdown

    def watched(pool: ThreadPoolExecutor, *, cancel_futures: bool) -> None:
        closing.set()
        shutdown(pool, cancel_futures=cancel_futures)

    def job() -> None:
        begun.set()
        closing.wait(300)
        client.start([lambda: None])

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", watched)
    before = set(threading.enumerate())
    (future,) = client.start([job])
    assert begun.wait(300)
    client.close()
    assert isinstance(future.exception(), RuntimeError)
    assert set(threading.enumerate()) <= before
