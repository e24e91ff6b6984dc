"""The client against a real daemon: reaching it, secrets, failing, cancelling, what it shows."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogpack.llb import client as bk
from cogpack.llb.client.sockets import parse_address, splice
from cogpack.llb.graph import Image
from cogpack.llb.marshal import Marshaller
from cogpack.plan.model import SecretMount
from devdaemon.builder import Builder
from support.client_builds import BASE, PLATFORM, define, fresh, run


def test_every_address_of_the_builder_answers(builder: Builder, home: dict[str, str]) -> None:
    for address in filter(None, (builder.docker_host, builder.buildkit_host)):
        endpoint = bk.find_daemon(address, home)
        assert endpoint.origin == "--builder"
        with bk.Client(endpoint, home) as connected:
            info = connected.info()
            assert info.version
            assert "linux/amd64" in info.platforms
            assert connected.capabilities().file_replace
    if builder.docker_host:
        found = bk.find_daemon(None, {**home, "DOCKER_HOST": builder.docker_host})
        assert (found.kind, found.origin) == ("docker", "$DOCKER_HOST")


def test_tcp(builder: Builder, address: str, home: dict[str, str]) -> None:
    """A TCP relay before the unix socket stands for a daemon on another machine."""
    path = parse_address(address, "test").path
    assert path, "the builder of the tests listens on a unix socket"
    listener = socket.create_server(("127.0.0.1", 0))
    pairs: list[socket.socket] = []

    def relay() -> None:
        while True:
            try:
                outer, _ = listener.accept()
            except OSError:
                return
            inner = socket.socket(socket.AF_UNIX)
            inner.connect(path)
            pairs.extend((outer, inner))
            splice(outer, inner)

    thread = threading.Thread(target=relay)
    thread.start()
    try:
        port = listener.getsockname()[1]
        endpoint = bk.find_daemon(f"tcp://127.0.0.1:{port}", home)
        with bk.Client(endpoint, home) as connected:
            events: list[bk.Event] = []
            connected.solve(
                define(run(f"echo over-tcp-{fresh()}")), bk.SolveOptions(), events.append
            )
            assert any(isinstance(e, bk.Log) and e.text.startswith("over-tcp") for e in events)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()
        for one in pairs:
            one.close()


def test_resolving_images(client: bk.Client) -> None:
    with client.bridge() as bridge:
        image = bridge.resolve_image(BASE, "linux/amd64")
        assert image.digest.startswith("sha256:")
        assert json.loads(image.config)["os"] == "linux"
        with pytest.raises(bk.ImageNotFound) as caught:
            bridge.resolve_image("docker.io/library/no-such-image:1", "linux/amd64")
        assert caught.value.ref == "docker.io/library/no-such-image:1"


def test_a_missing_image_in_a_build(client: bk.Client) -> None:
    image = Image("docker.io/library/no-such-image:2", PLATFORM)
    with pytest.raises(bk.ImageNotFound) as caught:
        client.solve(define(image), bk.SolveOptions())
    assert caught.value.ref == "docker.io/library/no-such-image:2"


def test_secrets_reach_the_command_and_nothing_else(client: bk.Client) -> None:
    events: list[bk.Event] = []
    value = f"s3cret-{fresh()}"
    mounts = (SecretMount(id="one", target="/run/secrets/one"), SecretMount(id="two", env="TWO"))
    client.solve(
        define(run('cat /run/secrets/one; echo; echo "${#TWO} <$TWO>"', *mounts, stamp=fresh())),
        bk.SolveOptions(secrets={"one": value.encode(), "two": b"another-value"}),
        events.append,
    )
    assert [event.text for event in events if isinstance(event, bk.Log)] == ["***", "13 <***>"]
    assert value not in repr(events)


def test_a_missing_secret_fails_the_step(client: bk.Client) -> None:
    mount = SecretMount(id="absent", target="/run/secrets/absent")
    with pytest.raises(bk.StepFailed, match="absent"):
        client.solve(define(run("true", mount, stamp=fresh())), bk.SolveOptions())


def test_a_failing_step_tells_what_it_printed(client: bk.Client) -> None:
    step = run("seq 100; echo last words >&2; exit 7", stamp=fresh())
    with pytest.raises(bk.StepFailed) as caught:
        client.solve(define(step), bk.SolveOptions())
    assert caught.value.process_code == 7
    assert caught.value.log[-1] == "last words"
    assert len(caught.value.log) == 20
    assert caught.value.digest == Marshaller().digest(step)


def test_a_cancelled_build_stops_on_the_daemon(client: bk.Client) -> None:
    mark = f"{int(fresh(), 16) % 10**9 + 10**6}"
    cancel = threading.Event()

    def on_event(event: bk.Event) -> None:
        if isinstance(event, bk.Log) and event.text == "begun":
            cancel.set()

    with pytest.raises(bk.BuildCancelled):
        client.solve(define(run(f"echo begun; sleep {mark}")), bk.SolveOptions(), on_event, cancel)
    assert gone(f"sleep\0{mark}")


def test_ctrl_c_stops_on_the_daemon(client: bk.Client) -> None:
    mark = f"{int(fresh(), 16) % 10**9 + 10**6}"

    def on_event(event: bk.Event) -> None:
        if isinstance(event, bk.Log) and event.text == "begun":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.solve(define(run(f"echo begun; sleep {mark}")), bk.SolveOptions(), on_event)
    assert gone(f"sleep\0{mark}")


def gone(command_line: str) -> bool:
    """Whether no process of this machine has such a command line, within five seconds."""
    deadline = time.monotonic() + 5
    while any(command_line.encode() in cmdline for cmdline in command_lines()):
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.05)
    return True


def command_lines() -> Iterator[bytes]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes()
        except OSError:
            continue


def test_the_hosts_network_needs_its_entitlement(client: bk.Client) -> None:
    step = define(run("true", network="host", stamp=fresh()))
    with pytest.raises(bk.EntitlementRefused):
        client.solve(step, bk.SolveOptions())
    client.solve(step, bk.SolveOptions(network_host=True))


def test_the_output_of_a_whole_build(client: bk.Client) -> None:
    stream = io.StringIO()
    step = run("echo one; echo two", stamp=fresh())
    client.solve(define(step), bk.SolveOptions(), bk.PlainPrinter(stream))
    lines = [line.partition(" ")[2] for line in stream.getvalue().splitlines()]
    assert sum(line.endswith(" one") for line in lines) == 1
    assert any(line.startswith("DONE ") for line in lines)
    stream = io.StringIO()
    client.solve(define(step), bk.SolveOptions(), bk.PlainPrinter(stream))
    assert "CACHED" in stream.getvalue()
