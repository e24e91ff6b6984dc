"""A package index on loopback for tests: describe packages, get a real index with real files.

The wheels and sdists are valid, so that pip and uv can resolve and install from it too; an sdist
carries the wheel that its own build backend hands out. Faults are injected by path.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import quote, unquote, urlsplit

from packaging.utils import canonicalize_name

from support.distributions import Dist, file_bytes

__all__ = ["JSON_TYPE", "Dist", "Fault", "IndexServer", "Request", "serve"]

JSON_TYPE = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True)
class Fault:
    """What happens to requests instead of what they ask for.

    path: the requests whose path ends so. times: how many of them; the later ones are served.
    status: the answer's; 0 lets the answer be, to change its body. cut: send half the body and
    close the connection. body: sent instead of the true one.
    """

    path: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut: bool = False
    times: int = 1_000_000


@dataclass(frozen=True)
class Request:
    """A request that the server saw; header names in lower case."""

    path: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class _Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class IndexServer:
    """The index; `serve` starts one.

    packages: files by project name. prefix: the folder of the simple pages.
    form: what pages look like; `both` lets the client choose.
    ranges: whether files are served in ranges. etag: whether pages are conditional.
    auth: user name and password that every request needs.
    hashes, sizes: whether pages give them. headers: further ones of every page.
    host: loopback address or name to listen on.

    statuses: of projects, each with its reason (PEP 792).
    registry: URL of a registry of images that stands beside the index; empty when there is none.
    """

    def __init__(
        self,
        packages: Mapping[str, Sequence[Dist]],
        *,
        form: Literal["html", "json", "both"] = "both",
        ranges: bool = True,
        etag: bool = True,
        auth: tuple[str, str] | None = None,
        hashes: bool = True,
        sizes: bool = True,
        headers: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.packages: dict[str, list[Dist]] = {}
        self.names: dict[str, str] = {}
        for name, dists in packages.items():
            self.names[canonicalize_name(name)] = name
            self.packages[canonicalize_name(name)] = list(dists)
        self.form = form
        self.ranges = ranges
        self.etag = etag
        self.auth = auth
        self.hashes = hashes
        self.sizes = sizes
        self.headers = dict(headers or {})
        self.registry = ""
        self.statuses: dict[str, tuple[str, str]] = {}
        self.requests: list[Request] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._host = host
        self._httpd = _Server((host, 0), _Handler)
        self._httpd.index = self

    @property
    def root(self) -> str:
        """The URL of the server, without a final `/`."""
        return f"http://{self._host}:{self._httpd.server_address[1]}"

    @property
    def url(self) -> str:
        """The URL of the index."""
        return f"{self.root}/simple/"

    def with_credential(self, username: str, password: str) -> str:
        """The URL of the index with a credential in it."""
        return self.url.replace("://", f"://{quote(username, '')}:{quote(password, '')}@")

    def fail(self, path: str, **fault: Any) -> None:
        """Inject a fault; see `Fault`."""
        with self._lock:
            self._faults.append(Fault(path, **fault))

    def heal(self) -> None:
        """Take all faults back."""
        with self._lock:
            self._faults.clear()

    def count(self, suffix: str = "") -> int:
        """How many requests had a path that ends so."""
        with self._lock:
            return sum(request.path.endswith(suffix) for request in self.requests)

    def wait_for(self, count: int, timeout: float = 300.0) -> bool:
        """Wait until so many requests have come; False when they did not."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.requests) >= count, timeout)

    def forget(self) -> None:
        """Begin to count anew."""
        with self._lock:
            self.requests.clear()

    def start(self) -> None:
        """Serve on a thread."""
        threading.Thread(
            target=self._httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        ).start()

    def stop(self) -> None:
        """Stop serving and free the port."""
        self._httpd.shutdown()
        self._httpd.server_close()

    def answer(self, request: Request) -> tuple[_Answer, bool]:
        """The answer to a request, and whether it is cut."""
        with self._lock:
            self.requests.append(request)
            self._arrived.notify_all()
            fault = self._take_fault(request.path)
        if fault is not None and fault.status:
            return _Answer(fault.status, fault.body or b"", fault.headers), fault.cut
        answer = self._answer(request)
        if fault is None:
            return answer, False
        body = answer.body if fault.body is None else fault.body
        headers = {**answer.headers, **fault.headers}
        return _Answer(answer.status, body, headers), fault.cut

    def _take_fault(self, path: str) -> Fault | None:
        for number, fault in enumerate(self._faults):
            if path.endswith(fault.path) and fault.times > 0:
                self._faults[number] = replace(fault, times=fault.times - 1)
                return fault
        return None

    def _answer(self, request: Request) -> _Answer:
        if self.auth and not _is_authorized(request, self.auth):
            return _Answer(401, b"", {"www-authenticate": "Basic"})
        kind, _, rest = urlsplit(request.path).path.lstrip("/").partition("/")
        if kind == "simple":
            return self._page(rest.strip("/"), request)
        if kind == "flat":
            return self._html_answer(
                [entry for name in sorted(self.packages) for entry in self._entries(name)], "flat"
            )
        if kind == "files":
            return self._file(unquote(rest), request)
        return _Answer(404)

    def _page(self, name: str, request: Request) -> _Answer:
        if not name:
            links = "".join(f'<a href="{item}/">{item}</a>' for item in sorted(self.packages))
            return _Answer(200, f"<!DOCTYPE html>{links}".encode(), {"content-type": "text/html"})
        if name not in self.packages:
            return _Answer(404)
        entries = self._entries(name)
        as_json = self.form == "json" or (
            self.form == "both" and JSON_TYPE in request.headers.get("accept", "")
        )
        status = self.statuses.get(name, ("", ""))
        if as_json:
            answer = _json_answer(entries, name, status)
        else:
            answer = self._html_answer(entries, name)
        headers = {**answer.headers, **self.headers}
        if self.etag:
            tag = f'"{hashlib.sha256(answer.body).hexdigest()[:16]}"'
            headers["etag"] = tag
            if request.headers.get("if-none-match") == tag:
                return _Answer(304, b"", headers)
        return _Answer(200, answer.body, headers)

    def _entries(self, name: str) -> list[dict[str, Any]]:
        return [self._entry(name, dist) for dist in self.packages[name]]

    def _entry(self, name: str, dist: Dist) -> dict[str, Any]:
        filename = dist.filename(name)
        body = file_bytes(self.names[name], dist)
        entry: dict[str, Any] = {
            "filename": filename,
            "url": f"/files/{name}/{quote(filename)}",
            "hashes": {"sha256": _sha256(body)} if self.hashes else {},
            "size": len(body) if self.sizes else None,
            "yanked": False if dist.yanked is None else dist.yanked or True,
        }
        if dist.requires_python:
            entry["requires-python"] = dist.requires_python
        if dist.upload_time:
            entry["upload-time"] = dist.upload_time
        if dist.announce and not dist.is_sdist:
            text = dist.metadata_text(self.names[name]).encode()
            entry["core-metadata"] = {"sha256": _sha256(text)}
        return entry

    @staticmethod
    def _html_answer(entries: Sequence[Mapping[str, Any]], name: str) -> _Answer:
        body = f"<!DOCTYPE html><html><head><title>Links for {name}</title></head><body>\n"
        body += "".join(_anchor(entry) for entry in entries) + "</body></html>\n"
        return _Answer(200, body.encode(), {"content-type": "text/html; charset=utf-8"})

    def _file(self, path: str, request: Request) -> _Answer:
        name, _, filename = path.partition("/")
        is_metadata = filename.endswith(".whl.metadata")
        for dist in self.packages.get(name, ()):
            if dist.filename(name) == filename.removesuffix(".metadata"):
                if is_metadata:
                    text = dist.metadata_text(self.names[name]).encode()
                    return _Answer(200, text) if dist.sibling else _Answer(404)
                return self._ranged(file_bytes(self.names[name], dist), request)
        return _Answer(404)

    def _ranged(self, body: bytes, request: Request) -> _Answer:
        wanted = request.headers.get("range", "")
        if not self.ranges or not wanted.startswith("bytes="):
            return _Answer(200, body)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(body) - int(last))
        end = min(int(last) + 1 if first and last else len(body), len(body))
        if start >= end:
            return _Answer(416, b"", {"content-range": f"bytes */{len(body)}"})
        headers = {"content-range": f"bytes {start}-{end - 1}/{len(body)}"}
        return _Answer(206, body[start:end], headers)


@contextmanager
def serve(packages: Mapping[str, Sequence[Dist]], **options: Any) -> Iterator[IndexServer]:
    """A running index; options are those of `IndexServer`."""
    server = IndexServer(packages, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    index: IndexServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        """Answer from the index."""
        self._serve(with_body=True)

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self._serve(with_body=False)

    def _serve(self, *, with_body: bool) -> None:
        server = self.server
        assert isinstance(server, _Server)
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer, cut = server.index.answer(Request(self.path, headers))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 304:
            self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if with_body and answer.status != 304:
            self.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
        self.wfile.flush()
        self.close_connection = self.close_connection or cut

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def _anchor(entry: Mapping[str, Any]) -> str:
    hashes = "".join(f"#{name}={digest}" for name, digest in entry["hashes"].items())
    attributes = {"href": entry["url"] + hashes}
    if entry["size"] is not None:
        attributes["data-size"] = str(entry["size"])
    for key in ("requires-python", "upload-time"):
        if key in entry:
            attributes[f"data-{key}"] = entry[key]
    if entry["yanked"] is not False:
        attributes["data-yanked"] = "" if entry["yanked"] is True else entry["yanked"]
    if "core-metadata" in entry:
        attributes["data-core-metadata"] = f"sha256={entry['core-metadata']['sha256']}"
    text = " ".join(f'{name}="{html.escape(value)}"' for name, value in attributes.items())
    return f"<a {text}>{html.escape(entry['filename'])}</a><br/>\n"


def _json_answer(
    entries: Sequence[Mapping[str, Any]], name: str, status: tuple[str, str]
) -> _Answer:
    page = {"meta": {"api-version": "1.1"}, "name": name, "files": entries, "versions": []}
    if status[0]:
        page["project-status"] = {"status": status[0], "reason": status[1]}
    return _Answer(200, json.dumps(page).encode(), {"content-type": JSON_TYPE})


def _is_authorized(request: Request, auth: tuple[str, str]) -> bool:
    expected = base64.b64encode(":".join(auth).encode()).decode()
    return request.headers.get("authorization") == f"Basic {expected}"


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
