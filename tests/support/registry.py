"""A container registry in this process, on loopback, with faults on demand.

It speaks what a push and a pull need of the OCI distribution specification, and keeps everything
in memory.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass
class Registry:
    """What the registry holds and how it behaves.

    credential: `user:password` that it demands; empty for none.
    fault: an HTTP status with which it answers everything; 0 for none.
    invents: whether every tag that nobody pushed names an image too, always the same.
    asked: paths of the manifests that were asked for.
    """

    address: str = ""
    credential: str = ""
    fault: int = 0
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    users: set[str] = field(default_factory=set)
    invents: bool = False
    asked: list[str] = field(default_factory=list)

    def put(self, name: str, body: bytes = b"{}") -> str:
        """Have an image, `team/base:1`, of which nothing but the manifest exists; its digest."""
        repository, _, tag = name.partition(":")
        for last in (tag, _digest(body)):
            self.manifests[f"/v2/{repository}/manifests/{last}"] = (_INDEX, body)
        return _digest(body)


@contextmanager
def serve(credential: str = "") -> Iterator[Registry]:
    """A registry that listens while the context is open."""
    registry = Registry(credential=credential)

    class Handler(_Handler):
        state = registry

    server = _Server(("127.0.0.1", 0), Handler)
    registry.address = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    # A connection too many would be tried again a second later.
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # What is no request at all gets an HTTP answer too: a daemon that tried TLS knows by it.
    default_request_version = "HTTP/1.1"
    state: Registry

    def log_message(self, *_: object) -> None:  # silent
        return

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self._refused():
            return
        name = self.path.rpartition("/")[2]
        if "/manifests/" in self.path:
            self.state.asked.append(self.path)
        if self.path == "/v2/":
            self._answer(200, b"{}", "application/json")
        elif "/manifests/" in self.path and self.path in self.state.manifests:
            kind, data = self.state.manifests[self.path]
            self._answer(200, data, kind)
        elif "/manifests/" in self.path and self.state.invents:
            self._answer(200, self.path.encode(), _INDEX)
        elif "/blobs/" in self.path and name in self.state.blobs:
            self._answer(200, self.state.blobs[name], "application/octet-stream")
        else:
            self._answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}', "application/json")

    def do_POST(self) -> None:
        if self._refused():
            return
        self._body()
        place = f"{self.path.split('?')[0].rstrip('/')}/{len(self.state.uploads)}"
        self.state.uploads[place] = b""
        self._answer(202, b"", location=place)

    def do_PATCH(self) -> None:
        if self._refused():
            return
        place = self.path.split("?")[0]
        self.state.uploads[place] += self._body()
        self._answer(202, b"", location=place)

    def do_PUT(self) -> None:
        if self._refused():
            return
        body = self._body()
        if "/manifests/" in self.path:
            kind = self.headers["Content-Type"]
            folder = self.path.rpartition("/")[0]
            for path in (self.path, f"{folder}/{_digest(body)}"):
                self.state.manifests[path] = (kind, body)
            self._answer(201, b"", digest=_digest(body))
            return
        body = self.state.uploads.pop(self.path.split("?")[0], b"") + body
        self.state.blobs[_digest(body)] = body
        self._answer(201, b"", digest=_digest(body))

    def _refused(self) -> bool:
        if self.state.fault:
            self._body()
            self._answer(self.state.fault, b"")
            return True
        if self.state.credential:
            kind, _, value = self.headers.get("Authorization", "").partition(" ")
            given = base64.b64decode(value).decode() if kind == "Basic" else ""
            if given != self.state.credential:
                self._body()
                self._answer(401, b"", challenge='Basic realm="tests"')
                return True
            self.state.users.add(given.partition(":")[0])
        return False

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(
        self,
        status: int,
        body: bytes,
        kind: str = "text/plain",
        location: str = "",
        digest: str = "",
        challenge: str = "",
    ) -> None:
        self.send_response(status)
        headers = {
            "Content-Length": str(len(body)),
            "Content-Type": kind,
            "Location": location,
            "Docker-Content-Digest": digest or (_digest(body) if body else ""),
            "WWW-Authenticate": challenge,
        }
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
