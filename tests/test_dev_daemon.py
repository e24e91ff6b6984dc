"""The development builder's parts, each by itself: no daemon, no packages, no network."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import e2e_ran
import pytest

from devdaemon import builder, daemon, images, layout, network, probe, relay, services, standins
from devdaemon.layout import SetupError


@pytest.mark.parametrize(
    ("text", "reachable", "hidden"),
    [
        ("nameserver 10.0.0.1\nnameserver 127.0.0.53\n", ["10.0.0.1"], ["127.0.0.53"]),
        ("# nameserver 10.0.0.1\nsearch example\nnameserver ::1\n", [], ["::1"]),
        ("nameserver fe80::1%eth0\n", [], ["fe80::1%eth0"]),
        ("", [], []),
    ],
)
def test_loopback_and_ipv6_name_servers_are_out_of_a_containers_reach(
    text: str, reachable: list[str], hidden: list[str]
) -> None:
    assert network.resolvers(text) == (reachable, hidden)


class _Registry(BaseHTTPRequestHandler):
    """As much of the distribution API as a push takes, kept in memory."""

    stored: dict[str, bytes]

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def do_HEAD(self) -> None:
        self._answer(200 if self.path in self.stored else 404)

    def do_POST(self) -> None:
        self._answer(202, Location=f"http://{self.headers['Host']}{self.path}one?state=1")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        place, _, query = self.path.partition("?")
        if digest := query.removeprefix("state=1&digest=").replace("%3A", ":"):
            if digest != f"sha256:{hashlib.sha256(body).hexdigest()}":
                return self._answer(400)
            place = place.replace("uploads/one", digest)
        self.stored[place] = body
        return self._answer(201)


@contextmanager
def _registry() -> Iterator[tuple[str, dict[str, bytes]]]:
    handler = type("Handler", (_Registry,), {"stored": {}, "protocol_version": "HTTP/1.1"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", handler.stored  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def image(tmp_path: Path) -> images.Image:
    content = tmp_path / "rootfs.tar"
    with tarfile.open(content, "w") as tar:
        tar.addfile(tarfile.TarInfo("etc"), None)
    layer = images.compress(content, tmp_path / "layer.tar.gz")
    return images.compose(layer, "amd64", {"LANG": "C.UTF-8"}, "python3")


def test_a_layer_names_the_digests_of_its_packed_and_unpacked_bytes(image: images.Image) -> None:
    packed = image.layer.file.read_bytes()
    assert image.layer.digest == f"sha256:{hashlib.sha256(packed).hexdigest()}"
    plain = gzip.decompress(packed)
    assert image.layer.diff_id == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    assert json.loads(image.config)["rootfs"]["diff_ids"] == [image.layer.diff_id]


def test_a_pushed_image_is_whole_and_its_blobs_are_sent_once(image: images.Image) -> None:
    with _registry() as (address, stored):
        images.push(image, address, "library/base", "1")
        kept = dict(stored)
        images.push(image, address, "library/base", "1")
        assert stored == kept
    assert kept["/v2/library/base/manifests/1"] == image.manifest
    manifest = json.loads(image.manifest)
    for descriptor in (manifest["config"], *manifest["layers"]):
        assert len(kept[f"/v2/library/base/blobs/{descriptor['digest']}"]) == descriptor["size"]


def test_a_registry_that_is_not_there_is_told(image: images.Image) -> None:
    with pytest.raises(SetupError, match=r"127\.0\.0\.1:9 does not take library/base"):
        images.push(image, "127.0.0.1:9", "library/base", "1")


def test_an_archive_holds_the_image_under_its_name(image: images.Image, tmp_path: Path) -> None:
    images.archive(image, "docker.io/library/base:1", tmp_path / "out.tar")
    with tarfile.open(tmp_path / "out.tar") as tar:
        held = {m.name: (tar.extractfile(m) or io.BytesIO()).read() for m in tar.getmembers()}
    (entry,) = json.loads(held["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/library/base:1"
    assert held["blobs/" + entry["digest"].replace(":", "/")] == image.manifest


def test_the_table_of_stand_ins_names_each_image_once() -> None:
    references = [standin.reference for standin in standins.STANDINS]
    assert len(set(references)) == len(references)
    assert all(standin.tag.startswith(f"{standin.python}-") for standin in standins.STANDINS)


async def _talk(place: Path, message: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(place)
    answer = b""
    # A relay that was refused hangs up before it has read what it was sent.
    with contextlib.suppress(ConnectionError), contextlib.closing(writer):
        writer.write(message)
        writer.write_eof()
        answer = await reader.read()
    return answer


@pytest.mark.parametrize(
    ("status", "expected"), [(b"101 UPGRADED", b"echo: hello"), (b"404 Not Found", b"")]
)
def test_the_relay_joins_a_caller_to_the_upgraded_connection(
    tmp_path: Path, status: bytes, expected: bytes
) -> None:
    async def daemon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"POST /grpc HTTP/1.1\r\n")
        with contextlib.closing(writer):
            writer.write(b"HTTP/1.1 " + status + b"\r\n\r\necho: ")
            writer.write(await reader.read())

    async def scenario() -> bytes:
        async with (
            await asyncio.start_unix_server(daemon, tmp_path / "docker.sock"),
            await relay.relay_buildkit(tmp_path / "relay.sock", tmp_path / "docker.sock"),
        ):
            answer = await asyncio.wait_for(_talk(tmp_path / "relay.sock", b"hello"), 10)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.wait_for(asyncio.gather(*others), 10)
            return answer

    assert asyncio.run(scenario()) == expected


class _Reverse(asyncio.DatagramProtocol):
    """A name server that answers with the query's bytes in reverse."""

    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data[::-1], addr)


class _Asker(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.answer.set_result(data)


def test_name_queries_find_their_way_back() -> None:
    async def scenario() -> list[bytes]:
        loop = asyncio.get_running_loop()
        upstream, _ = await loop.create_datagram_endpoint(_Reverse, ("127.0.0.1", 0))
        port = upstream.get_extra_info("sockname")[1]
        server, names = await relay.relay_names("127.0.0.1", "127.0.0.1", 0, port)
        where = names.get_extra_info("sockname")
        answers = []
        for query in (b"one", b"two"):
            asking, asker = await loop.create_datagram_endpoint(_Asker, remote_addr=where)
            asking.sendto(query)
            answers.append(await asyncio.wait_for(asker.answer, 10))
            asking.close()
        for closing in (server, names, upstream):
            closing.close()
        return answers

    assert asyncio.run(scenario()) == [b"eno", b"owt"]


def test_a_probe_tells_http_from_nothing() -> None:
    with _registry() as (address, _):
        assert probe.http_status(f"tcp://{address}", "/nothing") == 501
        assert not probe.docker_answers(f"tcp://{address}")
        assert not probe.buildkit_answers(f"tcp://{address}")
    assert probe.http_status("unix:///nowhere.sock", "/") == 0
    assert probe.http_status("nonsense", "/") == 0


_SLEEPS = "import pathlib, signal, sys; pathlib.Path(sys.argv[1], 'up').touch(); signal.pause()"
_ENDS = "raise SystemExit('no such setting')"


def _service(folder: Path, script: str) -> services.Service:
    argv = [sys.executable, "-c", script, str(folder)]
    return services.Service("sleeper", argv, os.environ, folder, (folder / "up").exists)


# It is meant to go on running after the command that started it.
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_service_starts_once_and_stops(tmp_path: Path) -> None:
    service = _service(tmp_path, _SLEEPS)
    services.start(service)
    pid = service.pid()
    try:
        services.start(service)
        assert service.pid() == pid
    finally:
        services.stop(service)
    assert service.pid() == 0
    services.stop(service)


def test_a_pid_file_that_names_another_program_kills_nobody(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with bystander:
        service = _service(tmp_path, _SLEEPS)
        service.pid_file.write_text(f"{bystander.pid}\n", encoding="ascii")
        assert service.pid() == 0
        services.stop(service)
        assert bystander.poll() is None
        bystander.kill()


def test_a_service_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"sleeper did not start .*\n  no such setting"):
        services.start(_service(tmp_path, _ENDS))


def test_a_variable_that_names_a_dead_builder_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BUILDKIT_HOST", f"unix://{tmp_path}/gone.sock")
    with pytest.raises(SetupError, match=r"BUILDKIT_HOST=.*gone\.sock; correct or unset it"):
        builder.existing()


_PASSED = '<testcase name="a"><properties><property name="e2e" value="true"/></properties>'


@pytest.mark.parametrize(
    ("results", "code"),
    [
        (f"<testsuites><testsuite>{_PASSED}</testcase></testsuite></testsuites>", 0),
        (f"<testsuites><testsuite>{_PASSED}<skipped/></testcase></testsuite></testsuites>", 1),
        ('<testsuites><testsuite><testcase name="unit"/></testsuite></testsuites>', 1),
    ],
)
def test_a_run_without_end_to_end_tests_does_not_pass(
    tmp_path: Path, results: str, code: int
) -> None:
    file = tmp_path / "results.xml"
    file.write_text(results, encoding="utf-8")
    assert e2e_ran.main([str(file)]) == code
    assert e2e_ran.main([str(tmp_path / "none.xml")]) == 1


def test_a_second_daemon_has_folders_of_its_own_and_leaves_the_packet_filter_alone() -> None:
    first = daemon.Daemon("/data", "/bin", "127.0.0.1:1", bridged=True)
    other = daemon.Daemon.at(
        Path("/run/second"), Path("/other"), Path("/bin"), 2, bridged=network.NONE.bridged
    )
    assert first.run == str(daemon.RUN)
    assert other.docker_host == "unix:///run/second/docker.sock"
    assert other.buildkit_host == "unix:///run/second/buildkit.sock"
    settings = [daemon.dockerd_settings(one, network.NONE) for one in (first, other)]
    for one in settings:
        assert (one["bridge"], one["iptables"], one["ip6tables"]) == ("none", False, False)
    for key in ("hosts", "data-root", "exec-root", "pidfile", "registry-mirrors"):
        assert settings[0][key] != settings[1][key]


def test_a_record_of_the_daemon_from_before_there_were_two_is_read() -> None:
    stored = {"data": "/data", "bin": "/bin", "registry": "127.0.0.1:1", "bridged": True}
    stored |= {"docker_host": "unix:///run/d.sock", "buildkit_host": "unix:///run/b.sock"}
    assert daemon.Daemon(**stored).run == str(daemon.RUN)  # type: ignore[arg-type]


@pytest.mark.parametrize("is_alive", [True, False])
def test_only_second_daemons_that_were_killed_are_cleared_away(
    is_alive: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(daemon, "RUN", run)
    monkeypatch.setattr(daemon, "_LOCK", run / "lock")
    monkeypatch.setattr(daemon, "_RECORD", run / "daemon.json")
    monkeypatch.setattr(network, "remove", lambda: None)
    data = tmp_path / "cogpack-dev"
    data.mkdir()
    with daemon._beside() as (own_run, own_data):
        named = ["bash", "-c", 'exec -a dockerd tail -f "$0"', str(own_run / "alive")]
        with subprocess.Popen(named) as process:
            while not services.command_line(process.pid).startswith("dockerd "):
                assert process.poll() is None
            with contextlib.ExitStack() as stack:
                if not is_alive:
                    stack.enter_context(pytest.MonkeyPatch.context()).setattr(
                        daemon, "is_held", lambda _: False
                    )
                daemon.stop()
            assert (own_run.is_dir(), own_data.is_dir()) == (is_alive, is_alive)
            if is_alive:
                assert process.poll() is None
                process.kill()
            else:
                assert process.wait(30) != 0
        own_run.mkdir(exist_ok=True)
        own_data.mkdir(exist_ok=True)


def test_a_lock_is_held_while_its_context_is_open(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    assert not layout.is_held(file)
    with layout.exclusive(file):
        assert layout.is_held(file)
    assert not layout.is_held(file)
