"""Servers that are broken or mean ill: each ends in an answer or an error, in bounded time."""

from __future__ import annotations

import gzip
import itertools
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from packaging.version import Version

from cogpack.errors import BuilderError, Failure, RetryableError
from cogpack.index import (
    CachePolicy,
    CredentialBook,
    Fetcher,
    HttpSettings,
    IndexClient,
    IndexSet,
    NoMetadata,
    Sources,
    parse_location,
)
from cogpack.index import http as http_module
from cogpack.index.http import Answer
from cogpack.index.metadata import Metadata, MetadataError, parse_metadata
from cogpack.index.static import static_metadata
from support.index_server import JSON_TYPE, Dist, IndexServer, serve

LONG = "9" * 5000


class Raw:
    """A server that says the same bytes to everybody; `serving` starts one.

    drip: said again and again after the rest, until the client has had enough.
    """

    def __init__(self, said: bytes, drip: bytes = b"") -> None:
        self._said = said
        self._drip = drip
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/simple/"
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Raw:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Whoever waits in accept() does not notice that a socket is closed.
        with closing(socket.create_connection(self._socket.getsockname())):
            pass
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                try:
                    if not connection.recv(65536):
                        return
                    connection.sendall(self._said)
                    while self._drip:
                        connection.sendall(self._drip)
                except OSError:
                    continue


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", "connection: close", *headers]
    if not any(line.startswith("content-length") for line in headers):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(said: bytes, drip: bytes = b"", **settings: object) -> Answer:
    """What one request comes to. A clock that goes on a second with each look limits it."""
    clock = itertools.count()
    made = HttpSettings(attempts=2, pause_seconds=0.0, **settings)  # type: ignore[arg-type]
    fetcher = Fetcher(
        made,
        CredentialBook(use_keyring=False),
        clock=lambda: float(next(clock)),
        sleep=lambda _: None,
    )
    with Raw(said, drip) as server, closing(fetcher):
        return fetcher.get(f"{server.url}foo/")


HTML = ("content-type: text/html",)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
        answer(b"short", "content-length: 1000"),
        answer(b"x", "content-length: -5"),
        answer(b"x", "content-length: 1", "content-length: 2"),
        answer(b"x", f"content-length: {LONG}"),
        answer(b"no chunks", "transfer-encoding: chunked", "content-length: 9"),
        answer(b"this is no gzip", "content-encoding: gzip"),
        answer(b"", status="429 Slow down"),
        answer(b"", f"retry-after: {LONG}", status="503 Busy"),
        answer(b"", "retry-after: Mon, 01 Jan 0001 00:00:00 GMT", status="503 Busy"),
        answer(b"", "retry-after: Mon, 99 Foo", status="503 Busy"),
    ],
    ids=range(15),
)
def test_an_answer_that_is_none_may_be_tried_again(said: bytes) -> None:
    with pytest.raises(RetryableError):
        get(said)


@pytest.mark.parametrize(
    "target",
    [
        "",
        "http://[x/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:port/",
        "ftp://x.invalid/",
        "file:///etc/passwd",
        "javascript:1",
        "http://\u00e9\u00e9" + "a" * 70 + ".invalid/",
    ],
)
def test_a_redirect_to_nowhere_is_an_error(target: str) -> None:
    with pytest.raises(Failure):
        get(answer(b"", f"location: {target}", status="302 Found"))


def test_redirects_in_a_circle_end() -> None:
    with pytest.raises(BuilderError, match="redirects more than 10 times"):
        get(answer(b"", "location: /simple/foo/", status="301 Moved"), total_seconds=1e6)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nx: ",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n",
    ],
    ids=["headers", "chunks", "body"],
)
def test_a_server_that_drips_is_given_up(said: bytes) -> None:
    drip = b"1\r\nx\r\n" if b"chunked" in said else b"x"
    with pytest.raises(RetryableError, match=r"in time|longer than"):
        get(said, drip, total_seconds=20.0)


def test_an_endless_body_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_module, "_MOST_BYTES", 100_000)
    for said, drip in (
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096),
        (answer(b"x", "content-length: 200000"), b""),
        (answer(gzip.compress(b"x" * 5_000_000), "content-encoding: gzip"), b""),
    ):
        with pytest.raises(BuilderError, match="sends more than 100000 bytes"):
            get(said, drip, total_seconds=1e6)


def test_what_is_sent_behind_an_answer_is_not_read() -> None:
    assert get(answer(b"hello and more", "content-length: 5")).body == b"hello"


# Pages


@pytest.fixture
def client(tmp_path: Path) -> Iterator[IndexClient]:
    fetcher = Fetcher(HttpSettings(attempts=1), CredentialBook(use_keyring=False))
    with IndexClient(tmp_path, CachePolicy(freshness=0), fetcher) as made:
        yield made


@pytest.fixture
def server() -> Iterator[IndexServer]:
    with serve({"foo": [Dist("1.0", ("six",))]}) as running:
        yield running


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"meta": {"api-version": "2.0"}, "files": []}', JSON_TYPE),
        (b'{"meta": {"api-version": "10.1"}, "files": []}', JSON_TYPE),
        (b'{"meta": {"api-version": null}, "files": []}', JSON_TYPE),
        (b'{"files": ' + b"[" * 50_000, JSON_TYPE),
        (b'{"meta": ' + b'{"a":' * 50_000, JSON_TYPE),
        (b'{"files": [{"filename": "foo-1.zip", "url": 3}]}', JSON_TYPE),
        (b"\x80\x81", JSON_TYPE),
        (b"", JSON_TYPE),
        (b"{}", "application/vnd.pypi.simple.v2+json"),
        (b"%PDF", "application/pdf"),
    ],
)
def test_a_page_that_is_none_is_an_error_that_names_it(
    client: IndexClient, server: IndexServer, body: bytes, kind: str
) -> None:
    server.fail("/foo/", body=body, headers={"content-type": kind})
    index = IndexSet(client, Sources(parse_location(server.url)))
    with pytest.raises(BuilderError, match=r"/simple/foo/ is no index page: "):
        index.page("foo")


def test_names_and_files_that_are_odd(client: IndexClient, server: IndexServer) -> None:
    body = (
        b'{"meta": {"api-version": "1.99", "_last": 1}, "name": "FOO", "alternate-locations": [1],'
        b' "tracks": "x", "versions": [3], "files": ['
        b'{"filename": "Foo-1.0.zip", "url": "a.zip", "hashes": {}, "requires-python": "three",'
        b' "gpg-sig": true, "size": -3, "core-metadata": {}, "new-field": [[]],'
        b' "provenance": null},'
        b'{"filename": "foo-1.0-py3-none-any.whl", "url": "b.whl", "hashes": {},'
        b' "dist-info-metadata": {"sha256": "AB"}, "yanked": ""},'
        b'{"filename": "foo-x.zip", "url": "c.zip", "hashes": {}},'
        b'{"filename": "foo-2.exe", "url": "d.exe", "hashes": {}},'
        b'{"filename": "..", "url": "", "hashes": {}}]}'
    )
    server.fail("/foo/", body=body)
    page = IndexSet(client, Sources(parse_location(server.url))).page("FOO")
    assert page is not None
    wheel, sdist = page.files
    assert (wheel.url, wheel.metadata, wheel.yanked) == (f"{server.url}foo/b.whl", "ab", False)
    assert (sdist.filename, sdist.size, sdist.metadata) == ("Foo-1.0.zip", None, "yes")


@pytest.mark.parametrize("told", [f"bytes 0-9/{LONG}", f"bytes {LONG}-1/5", "bytes */5", "x", ""])
def test_a_content_range_that_is_none(client: IndexClient, told: str) -> None:
    with serve({"foo": [Dist("1.0", sibling=False)]}) as server:
        server.fail(".whl", status=206, body=b"PK", headers={"content-range": told})
        index = IndexSet(client, Sources(parse_location(server.url)))
        found = index.metadata("foo", Version("1.0"))
        assert isinstance(found, NoMetadata)
        assert "a malformed Content-Range" in str(found)


# Metadata

HEAD = b"Metadata-Version: 2.2\nName: foo\nVersion: 1\n"


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": f"a = {LONG}".encode()},
        {"pyproject.toml": b"a = " + b"[" * 50_000},
        {"pyproject.toml": b"a" + b".a" * 50_000 + b" = 1"},
        {"pyproject.toml": b'[project]\ndependencies = ["a ; ' + b"(" * 5000 + b'"]'},
        {"pyproject.toml": f'[project]\ndependencies = ["a=={LONG}"]'.encode()},
        {"setup.py": b"setup(install_requires=['a; " + b"(" * 5000 + b"'])"},
        {"setup.py": b"setup(install_requires=[" + b"-" * 100_000 + b"1])"},
        {"setup.py": b"setup(install_requires=" + b"(" * 5000},
        {"PKG-INFO": f"Metadata-Version: 2.2\nName: foo\nVersion: {LONG}".encode()},
        {"PKG-INFO": f"Metadata-Version: {LONG}\nName: foo\nVersion: 1".encode()},
        {"PKG-INFO": HEAD + b"Content-Type: message/rfc822\n\n" * 5000},
    ],
)
def test_metadata_that_only_do_harm_are_refused(files: Mapping[str, bytes]) -> None:
    with pytest.raises(MetadataError):
        static_metadata(files, "foo", Version("1"))


def test_lines_that_only_do_harm_are_left_out_and_told() -> None:
    bad = [f"a=={LONG}", f"a; python_version < '{LONG}'", "a; " + "(" * 5000]
    lines = "".join(f"Requires-Dist: {one}\n" for one in (*bad, "six"))
    found = parse_metadata(HEAD + f"Requires-Python: >={LONG}\n{lines}".encode())
    assert isinstance(found, Metadata)
    assert found.requirement_texts == ("six",)
    assert len(found.warnings) == 1 + len(bad)
    assert found.requires_python is None
