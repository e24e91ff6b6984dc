"""The client against a real daemon: syncing, secrets, exports, cancelling, failing."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cogpack.errors import BuilderError, RetryableError, UserError
from cogpack.llb import client as bk
from cogpack.llb.client import filesync
from cogpack.llb.client.sockets import parse_address, splice
from cogpack.llb.client.walk import Tree
from cogpack.llb.graph import Bind, CopyFiles, Exec, File, Image, Local, Mounted, Platform, Vertex
from cogpack.llb.marshal import Marshaller
from cogpack.plan.model import MkFile, SecretMount
from devdaemon.builder import Builder
from support.registry import serve

BASE = "docker.io/library/python:3.11-slim-bookworm"
PLATFORM = Platform("linux", "amd64")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture
def address(builder: Builder) -> str:
    """The builder's address, Docker's where it has both."""
    return builder.docker_host or builder.buildkit_host


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment without docker credentials."""
    folder = tmp_path / "docker-config"
    folder.mkdir()
    return {"DOCKER_CONFIG": str(folder), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}


@pytest.fixture
def client(address: str, home: dict[str, str]) -> Iterator[bk.Client]:
    """A connected client; its threads and sockets must be gone after it."""
    before = set(threading.enumerate())
    with bk.Client(bk.find_daemon(address, home), home) as connected:
        yield connected
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    # Those of the registry in this process keep connections of the daemon.
    assert [name for name in left if "process_request_thread" not in name] == []


def run(command: str, *mounts: Mounted, network: str = "default", stamp: str = "") -> Exec:
    """A command on the base image; a stamp makes it one that no cache knows."""
    env = (("PATH", PATH), ("STAMP", stamp or "none"))
    image = Image(BASE, PLATFORM)
    args = ("/bin/sh", "-c", command)
    return Exec(image, args, env, "/", mounts, network, PLATFORM)


def fresh() -> str:
    """A text that no earlier build has seen."""
    return os.urandom(8).hex()


def define(vertex: Vertex) -> bytes:
    return Marshaller().definition(vertex)


def copied(source: Local, exclude: tuple[str, ...] = ()) -> File:
    """The files of a local source, alone in a file system."""
    return File(None, (CopyFiles(source, "/", "/", exclude=exclude),))


def sync(
    client: bk.Client,
    folder: Path,
    dest: Path,
    *,
    exclude: tuple[str, ...] = (),
    daemon_side: bool = False,
) -> None:
    """Send a folder and take it back as files; the exclusion happens here or in the daemon."""
    session = bk.new_session_id()
    if daemon_side:
        vertex = copied(Local("context", session=session), exclude)
    else:
        vertex = copied(Local("context", exclude=exclude, session=session))
    options = bk.SolveOptions(
        folders={"context": folder},
        session_id=session,
        exports=(bk.Export("local", dest=str(dest)),),
    )
    client.solve(define(vertex), options)


def listing(root: Path) -> list[tuple[str, int, int, str]]:
    """Each entry of a tree: path, mode, mtime, and the link's target or the content's hash."""
    found = []
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            content = ""
        when = 0 if path.is_dir() else status.st_mtime_ns
        found.append((str(path.relative_to(root)), status.st_mode, when, content))
    return found


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


def test_sync_of_ten_thousand_files_and_again(
    client: bk.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tmp_path / "context"
    for number in range(10_000):
        path = context / f"{number % 100:02}" / f"{number}.txt"
        if number < 100:
            path.parent.mkdir(parents=True)
        path.write_text(f"{number}\n")
    stamp = fresh()
    opened: list[str] = []
    original = filesync._open

    def counting(tree: Tree, path: str) -> int:
        opened.append(path)
        return original(tree, path)

    monkeypatch.setattr(filesync, "_open", counting)

    def count() -> tuple[int, list[str]]:
        opened.clear()
        session = bk.new_session_id()
        events: list[bk.Event] = []
        mount = Bind(Local("context", session=session), "/", "/context")
        client.solve(
            define(run("find /context -type f | wc -l", mount, stamp=stamp)),
            bk.SolveOptions(folders={"context": context}, session_id=session),
            events.append,
        )
        lines = [event.text.strip() for event in events if isinstance(event, bk.Log)]
        return len(opened), lines

    assert count() == (10_000, ["10000"])
    assert count() == (0, []), "nothing changed, so nothing is sent and the command is cached"
    (context / "07" / "7.txt").write_text("another content\n")
    assert count() == (1, ["10000"])
    (context / "08" / "8.txt").unlink()
    assert count() == (0, ["9999"])


def test_a_tree_comes_back_as_it_was(client: bk.Client, tmp_path: Path) -> None:
    context = tmp_path / "context"
    (context / "a" / "deep").mkdir(parents=True)
    (context / "a.txt").write_text("sorts after the folder a, before a/deep in bytes")
    (context / "a-b").write_text("-")
    (context / "empty").touch()
    (context / "a" / "big").write_bytes(os.urandom(3_000_000))
    (context / "a" / "script").write_text("#!/bin/sh\n")
    (context / "a" / "script").chmod(0o755)
    (context / "private").write_text("x")
    (context / "private").chmod(0o600)
    (context / "setuid").write_text("x")
    (context / "setuid").chmod(0o4755)
    (context / "ünï côdé").write_text("x")
    (context / "link").symlink_to("a/big")
    (context / "outside").symlink_to("/etc/passwd")
    (context / "up").symlink_to("../../..")
    (context / "dangling").symlink_to("nowhere")
    (context / "hard").hardlink_to(context / "a" / "script")
    (context / "pipe").mkdir()
    os.mkfifo(context / "pipe" / "fifo")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(context / "socket"))
    os.utime(context / "a.txt", ns=(1, 1_234_567_890_000_000_000))
    sync(client, context, tmp_path / "back")
    expected = [entry for entry in listing(context) if entry[0] != "socket"]
    assert listing(tmp_path / "back") == expected
    assert (tmp_path / "back" / "hard").samefile(tmp_path / "back" / "a" / "script")


@pytest.mark.parametrize(
    "exclude",
    [
        ("*.txt",),
        ("**/*.txt", "!a/keep.txt"),
        ("*", "!a"),
        ("a", "!a/b/c"),
        ("a/b", "!a/b/c/*.md"),
        ("a/*", "!a/b", "a/b/c"),
        ("**", "!**/c/*.md"),
        ("a/**",),
        ("**/c", "!**/x.md"),
        ("?", "!b"),
        ("[a-b]/*.txt",),
        ("a/b/../b/", "!a/b/y.txt"),
        ("**b",),
        ("a/b/c", "!a", "a/b/c/x.md"),
    ],
)
def test_patterns_mean_what_they_mean_to_the_daemon(
    client: bk.Client, tmp_path: Path, exclude: tuple[str, ...]
) -> None:
    context = tmp_path / "context"
    for folder in ("", "a", "a/b", "a/b/c", "b", "b/c"):
        (context / folder).mkdir(parents=True, exist_ok=True)
        for name in ("x.md", "y.txt", "keep.txt", "ab"):
            (context / folder / name).write_text(folder + name)
    sync(client, context, tmp_path / "ours", exclude=exclude)
    sync(client, context, tmp_path / "theirs", exclude=exclude, daemon_side=True)
    files = [entry for entry in listing(tmp_path / "ours") if entry[3]]
    assert files == [entry for entry in listing(tmp_path / "theirs") if entry[3]]


def test_a_file_that_cannot_be_read_is_named(
    client: bk.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "secret.key").write_text("x")

    def refuse(tree: Tree, path: str) -> int:
        raise PermissionError(13, "Permission denied", path)

    # Permissions do not hold back root, as whom these tests may run.
    monkeypatch.setattr(filesync, "_open", refuse)
    with pytest.raises(UserError, match=r"cannot read the file `secret\.key`"):
        sync(client, context, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_folder_that_does_not_exist(client: bk.Client, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        sync(client, tmp_path / "nowhere", tmp_path / "back")


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


CONFIG = json.dumps(
    {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["KEY=value"], "Labels": {"made": "by cogpack"}},
        "rootfs": {"type": "layers", "diff_ids": []},
    }
).encode()


def hello(text: str = "hello\n") -> bytes:
    return define(File(None, (MkFile(path="/hello", content=text),)))


def test_archives_hold_the_image(client: bk.Client, tmp_path: Path) -> None:
    exports = (
        bk.parse_output(f"type=oci,dest={tmp_path}/oci.tar"),
        bk.parse_output(f"type=docker,name=cogpack-test/archive,dest={tmp_path}/docker.tar"),
        bk.parse_output(f"type=tar,dest={tmp_path}/files.tar"),
    )
    result = client.solve(hello(), bk.SolveOptions(exports=exports, image_config=CONFIG))
    assert result.digest.startswith("sha256:")
    for name in ("oci.tar", "docker.tar"):
        with tarfile.open(tmp_path / name) as archive:
            config = read(archive, f"blobs/sha256/{result.config_digest.removeprefix('sha256:')}")
            assert json.loads(config)["config"]["Env"] == ["KEY=value"]
    with tarfile.open(tmp_path / "docker.tar") as archive:
        tags = json.loads(read(archive, "manifest.json"))[0]["RepoTags"]
        assert tags == ["cogpack-test/archive:latest"]
    with tarfile.open(tmp_path / "files.tar") as archive:
        assert read(archive, "hello") == b"hello\n"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "docker.tar",
        "files.tar",
        "oci.tar",
    ]


def read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    assert member is not None
    return member.read()


def test_standard_output(client: bk.Client, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    client.solve(hello(), bk.SolveOptions(exports=(bk.parse_output("-"),)))
    with tarfile.open(fileobj=io.BytesIO(capfdbinary.readouterr().out)) as archive:
        assert read(archive, "hello") == b"hello\n"


def test_a_folder_keeps_what_is_there(client: bk.Client, tmp_path: Path) -> None:
    dest = tmp_path / "out"
    dest.mkdir()
    (dest / "mine").write_text("mine")
    (dest / "hello").write_text("old")
    exports = (bk.Export("local", dest=str(dest)),)
    client.solve(hello(), bk.SolveOptions(exports=exports))
    assert {path.name: path.read_text() for path in dest.iterdir()} == {
        "hello": "hello\n",
        "mine": "mine",
    }
    (dest / "hello").unlink()
    (dest / "hello").mkdir()
    with pytest.raises(UserError, match="where a folder stands"):
        client.solve(hello(), bk.SolveOptions(exports=exports))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".out")] == []


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("kind", ["oci", "local"])
def test_a_full_disk_leaves_nothing(client: bk.Client, tiny_disk: Path, kind: str) -> None:
    export = bk.parse_output(f"type={kind},dest={tiny_disk}/out")
    image = define(Image(BASE, PLATFORM))
    with pytest.raises(BuilderError, match="the disk is full"):
        client.solve(image, bk.SolveOptions(exports=(export,)))
    assert list(tiny_disk.iterdir()) == []


def test_the_image_store_of_the_daemon(
    client: bk.Client, builder: Builder, docker: Callable[..., str]
) -> None:
    if builder.docker is None:
        pytest.fail("these tests read the image back through Docker")
    name = f"cogpack-test/store:{fresh()}"
    result = client.solve(
        hello(),
        bk.SolveOptions(exports=(bk.Export("image", {"name": name}),), image_config=CONFIG),
    )
    found = json.loads(docker("image", "inspect", name))[0]
    docker("image", "rm", name)
    assert found["Id"] in (result.digest, result.config_digest)
    assert found["Config"]["Labels"] == {"made": "by cogpack"}


def test_pushing_with_credentials(address: str, home: dict[str, str]) -> None:
    endpoint = bk.find_daemon(address, home)
    with serve(credential="ada:l0velace") as registry, bk.Client(endpoint, home) as connected:
        name = f"{registry.address}/team/hello:1"
        options = bk.SolveOptions(
            exports=(bk.parse_output(f"type=registry,name={name}"),), image_config=CONFIG
        )
        text = fresh()
        with pytest.raises(BuilderError):
            connected.solve(hello(text), options)
        login = {"auth": base64.b64encode(registry.credential.encode()).decode()}
        path = Path(home["DOCKER_CONFIG"]) / "config.json"
        path.write_text(json.dumps({"auths": {registry.address: login}}))
        result = connected.solve(hello(text), options)
        assert connected.resolve_image(name, "linux/amd64").digest == result.digest
        _, manifest = registry.manifests["/v2/team/hello/manifests/1"]
        assert f"sha256:{hashlib.sha256(manifest).hexdigest()}" == result.digest
        assert registry.users == {"ada"}


def test_a_sick_registry_is_worth_another_try(client: bk.Client) -> None:
    with serve() as registry:
        registry.fault = 503
        name = f"{registry.address}/x:1"
        export = bk.parse_output(f"type=registry,name={name}")
        with pytest.raises(RetryableError):
            client.solve(hello(fresh()), bk.SolveOptions(exports=(export,)))
        with pytest.raises(RetryableError):
            client.resolve_image(f"{registry.address}/y:1", "linux/amd64")
    with pytest.raises(RetryableError):
        client.resolve_image(f"{registry.address}/y:1", "linux/amd64")


def test_a_malformed_name_is_the_users(client: bk.Client) -> None:
    export = bk.Export("image", {"name": "Not A Name"})
    with pytest.raises(UserError, match="malformed"):
        client.solve(hello(), bk.SolveOptions(exports=(export,), image_config=CONFIG))


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
