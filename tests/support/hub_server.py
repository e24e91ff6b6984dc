"""A hub of models and a server of plain files for tests, with what each was asked.

Large files are handed out by a second server, as by the real hub: the first one redirects there.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

__all__ = ["FileServer", "HubServer", "Request", "digest_of", "serve_files", "serve_hub"]

Headers = dict[str, str]


@dataclass(frozen=True)
class Request:
    """A request that was seen; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def token(self) -> str:
        """What it was authorized with; empty for nothing."""
        return self.headers.get("authorization", "")


@dataclass(frozen=True)
class Answer:
    """An answer of a test's server."""

    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=dict)


def digest_of(body: bytes) -> str:
    """The digest of a content, `sha256:…`."""
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


class FileServer:
    """Files by path.

    failures: for a path, statuses that the next requests get instead. redirects: for a path, where
    to ask.
    """

    def __init__(self, files: Mapping[str, bytes], host: str = "127.0.0.1") -> None:
        self.files = dict(files)
        self.failures: dict[str, list[int]] = {}
        self.redirects: dict[str, str] = {}
        self.requests: list[Request] = []
        self._host = host
        self._httpd = _Server((host, 0), _Handler)
        self._httpd.answerer = self

    @property
    def url(self) -> str:
        """The server's URL, without a final slash."""
        return f"http://{self._host}:{self._httpd.server_address[1]}"

    def answer(self, request: Request) -> Answer:
        """The answer to a request."""
        self.requests.append(request)
        path = urlsplit(request.path).path
        if self.failures.get(path):
            return Answer(self.failures[path].pop(0))
        if path in self.redirects:
            return Answer(302, b"", {"location": self.redirects[path]})
        return self.found(request)

    def found(self, request: Request) -> Answer:
        """The answer when nothing fails."""
        body = self.files.get(unquote(urlsplit(request.path).path))
        return Answer(404) if body is None else Answer(200, body)

    def start(self) -> None:
        """Serve on a thread."""
        threading.Thread(
            target=self._httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._httpd.shutdown()
        self._httpd.server_close()


class HubServer(FileServer):
    """A hub with one model.

    repo: its name. files: its content, by path. large: the paths of what is kept by digest.
    token: what is asked of everybody; empty for a public model. gated: whether the owner has not
    let the token's user in. page: how many files a page of the listing has.
    """

    def __init__(
        self,
        repo: str,
        files: Mapping[str, bytes],
        *,
        large: tuple[str, ...] = (),
        token: str = "",
        gated: bool = False,
        page: int = 2,
        host: str = "127.0.0.1",
    ) -> None:
        super().__init__(files, host)
        self.repo = repo
        self.large = large
        self.token = token
        self.gated = gated
        self.page = page
        # What the listing is, and where it goes on, whatever the files are.
        self.listing: bytes | None = None
        self.next_page = ""
        # Of another host, as a client may take two ports of one for the same server.
        self.store = FileServer({}, "127.0.0.2")

    @property
    def commit(self) -> str:
        """The commit that `main` is."""
        text = json.dumps(sorted((path, digest_of(body)) for path, body in self.files.items()))
        return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def found(self, request: Request) -> Answer:
        parts = urlsplit(request.path)
        if self.token and request.token != f"Bearer {self.token}":
            return Answer(401, b"no", {"x-error-code": "RepoNotFound"})
        api = f"/api/models/{self.repo}/"
        if parts.path.startswith(f"{api}revision/"):
            return self._revision(unquote(parts.path.removeprefix(f"{api}revision/")))
        if parts.path == f"{api}tree/{self.commit}":
            return self._listing(parts.path, parts.query)
        content = f"/{self.repo}/resolve/{self.commit}/"
        if parts.path.startswith(content):
            return self._content(unquote(parts.path.removeprefix(content)))
        return Answer(404, b"no", {"x-error-code": "RepoNotFound"})

    def start(self) -> None:
        """Serve on threads."""
        self.store.start()
        super().start()

    def stop(self) -> None:
        """Stop serving and free the ports."""
        super().stop()
        self.store.stop()

    def _revision(self, revision: str) -> Answer:
        if self.gated:
            return Answer(403, b"no", {"x-error-code": "GatedRepo"})
        if revision not in ("main", "refs/pr/1", self.commit):
            return Answer(404, b"no", {"x-error-code": "RevisionNotFound"})
        return Answer(200, json.dumps({"sha": self.commit}).encode())

    def _listing(self, path: str, query: str) -> Answer:
        if self.listing is not None:
            headers = {"link": f'<{path}{self.next_page}>; rel="next"'} if self.next_page else {}
            return Answer(200, self.listing, headers)
        start = int(parse_qs(query).get("cursor", ["0"])[0])
        names = sorted(self.files)
        entries: list[dict[str, object]] = [] if start else [{"type": "directory", "path": "sub"}]
        for name in names[start : start + self.page]:
            body = self.files[name]
            blob = hashlib.sha1(b"blob %d\0" % len(body) + body, usedforsecurity=False).hexdigest()
            entry: dict[str, object] = {
                "type": "file",
                "path": name,
                "oid": blob,
                "size": len(body),
            }
            if name in self.large:
                oid = digest_of(body).removeprefix("sha256:")
                entry["lfs"] = {"oid": oid, "size": len(body), "pointerSize": 134}
            entries.append(entry)
        headers = {}
        if start + self.page < len(names):
            # A mirror that passes the public hub's own links on.
            following = f"https://hub.example.com{path}?recursive=true&cursor={start + self.page}"
            headers["link"] = f'<{following}>; rel="next"'
        return Answer(200, json.dumps(entries).encode(), headers)

    def _content(self, path: str) -> Answer:
        if path not in self.files:
            return Answer(404, b"no", {"x-error-code": "EntryNotFound"})
        if path not in self.large:
            return Answer(200, self.files[path])
        place = f"/{quote(self.repo)}/{digest_of(self.files[path])}"
        self.store.files[place] = self.files[path]
        return Answer(302, b"", {"location": f"{self.store.url}{place}?signed=1"})


@contextmanager
def serve_files(files: Mapping[str, bytes], host: str = "127.0.0.1") -> Iterator[FileServer]:
    """A running server of files."""
    server = FileServer(files, host)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def serve_hub(
    repo: str,
    files: Mapping[str, bytes],
    *,
    large: tuple[str, ...] = (),
    token: str = "",
    gated: bool = False,
    host: str = "127.0.0.1",
) -> Iterator[HubServer]:
    """A running hub; the arguments are those of `HubServer`."""
    server = HubServer(repo, files, large=large, token=token, gated=gated, host=host)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    answerer: FileServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        self._serve(with_body=True)

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self._serve(with_body=False)

    def _serve(self, *, with_body: bool) -> None:
        server = self.server
        assert isinstance(server, _Server)
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = server.answerer.answer(Request(self.command, self.path, headers))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if with_body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""
