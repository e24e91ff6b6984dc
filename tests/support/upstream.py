"""A web server on loopback that plays what the tables come from: a registry, documents, wheels.

Package indexes are `support.index_server`'s subject.
"""

from __future__ import annotations

import html
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

from support.distributions import Dist

__all__ = ["Reply", "Upstream", "upstream"]


@dataclass(frozen=True)
class Reply:
    """An answer. cut: half of the body is sent, then the connection ends."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


class Upstream:
    """The server; `upstream` starts one.

    token: what `/v2/` wants as bearer token; it is handed out at /token. page: tags on a page.
    """

    def __init__(self) -> None:
        self.url = ""
        self.token = ""
        self.page = 1000
        self.seen: list[tuple[str, Mapping[str, str]]] = []
        self.forms: list[Mapping[str, list[str]]] = []
        self._digests: dict[str, str] = {}
        self._replies: dict[str, Reply] = {}
        self._tags: dict[str, tuple[str, ...]] = {}

    def put(self, path: str, body: object, **reply: object) -> None:
        """Answer requests of this path; a body that is no bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._replies[path] = Reply(data, **reply)  # type: ignore[arg-type]

    def put_wheels(
        self, path: str, name: str, dists: Iterable[Dist], *, metadata: bool = True
    ) -> None:
        """Serve a project's page of a package index, and the metadata beside its wheels."""
        links = []
        for dist in dists:
            file = dist.filename(name)
            text = html.escape(dist.requires_python)
            target = f"/files/{quote(file)}"
            told = f' data-upload-time="{dist.upload_time}"' if dist.upload_time else ""
            links.append(f'<a href="{target}" data-requires-python="{text}"{told}>{file}</a>')
            if metadata:
                self.put(f"{target}.metadata", dist.metadata_text(name).encode())
        body = f"<!DOCTYPE html><html><body>{' '.join(links)}</body></html>"
        self.put(path, body.encode(), headers={"content-type": "text/html"})

    def put_tags(self, repository: str, tags: Iterable[str]) -> None:
        """Serve the tags of a repository, page by page."""
        self._tags[repository] = tuple(sorted(tags))

    def put_manifest(self, name: str, digest: str) -> None:
        """Announce a digest for an image, `library/python:3`."""
        repository, _, tag = name.partition(":")
        self._digests[f"{repository}/manifests/{tag}"] = digest

    def asked(self, path: str) -> int:
        """How many requests there were of a path."""
        return sum(urlsplit(seen).path == path for seen, _ in self.seen)

    def reply(self, target: str, headers: Mapping[str, str]) -> Reply:
        """The answer to a request."""
        self.seen.append((target, headers))
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path in self._replies:
            return self._replies[parts.path]
        if parts.path == "/token":
            told = {"token": self.token, "scope": query.get("scope", "")}
            return Reply(json.dumps(told).encode())
        if not parts.path.startswith("/v2/"):
            return Reply(status=404)
        rest = parts.path.removeprefix("/v2/")
        repository = rest.partition("/manifests/")[0].removesuffix("/tags/list")
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            asked = f'realm="{self.url}/token",service="tests",scope="repository:{repository}:pull"'
            return Reply(status=401, headers={"www-authenticate": f"Bearer {asked}"})
        if rest in self._digests:
            return Reply(headers={"docker-content-digest": self._digests[rest]})
        return self._tag_page(repository, query.get("last", ""))

    def _tag_page(self, repository: str, last: str) -> Reply:
        if repository not in self._tags:
            return Reply(status=404)
        rest = [tag for tag in self._tags[repository] if tag > last]
        page = rest[: self.page]
        headers = {"content-type": "application/json"}
        if len(rest) > len(page):
            target = f"/v2/{repository}/tags/list?n={self.page}&last={page[-1]}"
            headers["link"] = f'<{target}>; rel="next"'
        return Reply(json.dumps({"name": repository, "tags": page}).encode(), headers=headers)


@contextmanager
def upstream() -> Iterator[Upstream]:
    """A server that listens while the context is open."""
    state = Upstream()

    class Handler(_Handler):
        served = state

    server = _Server(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    # A connection too many would be tried again a second later.
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served: Upstream

    def log_message(self, *_: object) -> None:  # silent
        return

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.served.forms.append(parse_qs(body.decode()))
        self.do_GET()

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.served.reply(self.path, headers)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(reply.body[: len(reply.body) // 2] if reply.cut else reply.body)
        self.close_connection = reply.cut or self.close_connection
