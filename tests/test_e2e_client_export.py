"""Results taken from a real daemon: archives, folders, its image store, registries."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cogpack.errors import BuilderError, RetryableError, UserError
from cogpack.llb import client as bk
from cogpack.llb.graph import File, Image
from cogpack.plan.model import MkFile
from devdaemon.builder import Builder
from support.client_builds import BASE, PLATFORM, define, fresh
from support.registry import serve

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
