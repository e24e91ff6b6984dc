"""Weights of other machines on a real BuildKit: what arrives, what is asked for, what stays out."""

from __future__ import annotations

import io
import json
import os
import secrets
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.hub_server import digest_of, serve_files, serve_hub
from support.images import Cogpack, Docker, blobs, build, layers, run_python
from support.projects import write_project
from support.wheelhouse import gateway

LARGE = "sub dir/model#1.bin"
LIST = (
    "import hashlib, os\n"
    "for top, _, names in os.walk('/src/weights'):\n"
    "    for name in names:\n"
    "        path = os.path.join(top, name)\n"
    "        look = os.stat(path)\n"
    "        with open(path, 'rb') as file: digest = hashlib.sha256(file.read()).hexdigest()\n"
    "        print(path, oct(look.st_mode), look.st_uid, int(look.st_mtime), 'sha256:' + digest)\n"
)


HUB = """\
weights:
  - name: chat
    target: /src/weights/chat
    source: {uri: hf://team/model, exclude: [README.md]}"""


def listed(docker: Docker, image: str) -> dict[str, list[str]]:
    """What each file below /src/weights is: mode, owner, time and digest."""
    found = {}
    for line in run_python(docker, image, LIST).splitlines():
        path, *rest = line.rsplit(maxsplit=4)
        found[path] = rest
    return found


def weight_members(layout: Path) -> Iterator[tarfile.TarInfo]:
    """What the layers of an OCI archive have at and below /src/weights, and the folders above."""
    for blob in blobs(layout):
        if b"src/weights/" in blob and b"ustar" in blob[:512]:
            with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
                yield from archive


@pytest.fixture
def content() -> dict[str, bytes]:
    """A model that no other test run has downloaded."""
    return {
        "README.md": b"read me",
        "config.json": json.dumps({"of": secrets.token_hex(8)}).encode(),
        LARGE: os.urandom(10 * 1024 * 1024),
    }


def test_private_weights_are_downloaded_once_and_their_token_stays_out(
    cogpack: Cogpack, docker: Docker, tmp_path: Path, content: dict[str, bytes]
) -> None:
    token, folder = f"hf_{secrets.token_hex(16)}", tmp_path / "project"
    folder.mkdir()
    layout = tmp_path / "image.tar"
    with serve_hub("team/model", content, large=(LARGE,), token=token, host=gateway(docker)) as hub:
        given = {"HF_ENDPOINT": hub.url, "HF_TOKEN": token}
        write_project(folder, HUB)
        locked = cogpack("weights", "lock", folder, **given)
        assert locked.returncode == 0, locked.stderr
        assert locked.stdout.startswith(f"hf://team/model at {hub.commit}: 2 files, 10,485,")
        assert not hub.store.requests
        image = build(cogpack, folder, "weights", **given)
        assert [one.token for one in hub.store.requests] == [""]
        fixed = ["0o100644", "0", "315532800"]
        wanted = {name: body for name, body in content.items() if name != "README.md"}
        assert listed(docker, image) == {
            f"/src/weights/chat/{name}": [*fixed, digest_of(body)] for name, body in wanted.items()
        }
        # Another code: not one question, and all layers but the source's are what they were.
        before, asked = layers(docker, image), len(hub.requests) + len(hub.store.requests)
        (folder / "predict.py").write_text((folder / "predict.py").read_text() + "# edited\n")
        build(cogpack, folder, "weights", **given)
        after = layers(docker, image)
        assert (after[:-1], after[-1] != before[-1]) == (before[:-1], True)
        assert len(hub.requests) + len(hub.store.requests) == asked
        out = ("-o", f"type=oci,dest={layout}")
        written = cogpack("build", folder, *out, **given)
        shown = [cogpack(*verb, folder, **given) for verb in (("plan", "--json"), ("plan",))]
        graph = cogpack("llb", folder, "-o", tmp_path / "llb", **given)
        assert written.returncode == graph.returncode == 0, written.stderr + graph.stderr
    members = list(weight_members(layout))
    assert {f"src/weights/chat/{name}" for name in wanted} < {one.name for one in members}
    assert {one.mtime for one in members} == {315532800}
    texts = [one.stdout + one.stderr for one in (locked, written, graph, *shown)]
    everything = [*blobs(layout), (tmp_path / "llb").read_bytes(), *map(str.encode, texts)]
    assert not [one for one in everything if token.encode() in one]
    assert hub.url in shown[0].stdout


def test_weights_by_url_are_taken_as_they_are_and_pinned_when_asked(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    body = secrets.token_bytes(1000)
    with serve_files({"/voice.bin": body}, gateway(docker)) as server:
        uri = f"{server.url}/voice.bin?a=b"
        source = f"weights:\n  - name: v\n    target: /src/weights\n    source: {{uri: '{uri}'}}"
        write_project(tmp_path, source)
        first = cogpack("build", tmp_path, "-t", "cogpack-test/voice")
        assert first.returncode == 0, first.stderr
        assert f"cog.yaml:6: {server.url}/voice.bin?a=**** is not pinned" in first.stderr
        assert [one[-1] for one in listed(docker, "cogpack-test/voice").values()] == [
            digest_of(body)
        ]
        # What is not pinned follows the server.
        server.files["/voice.bin"] = body[::-1]
        image = build(cogpack, tmp_path, "voice")
        assert [one[-1] for one in listed(docker, image).values()] == [digest_of(body[::-1])]
        assert cogpack("weights", "lock", tmp_path).returncode == 0
        build(cogpack, tmp_path, "voice")
        # What is pinned does not.
        server.files["/voice.bin"] = b"something else"
        write_project(tmp_path, source.replace("/src/weights", "/src/weights/deeper"))
        image = build(cogpack, tmp_path, "voice")
        assert [one[-1] for one in listed(docker, image).values()] == [digest_of(body[::-1])]


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_download_that_is_refused_names_the_line(
    cogpack: Cogpack, docker: Docker, tmp_path: Path, content: dict[str, bytes], token: str
) -> None:
    write_project(tmp_path, HUB)
    with serve_hub(
        "team/model", content, large=(LARGE,), token="right", host=gateway(docker)
    ) as hub:
        given = {"HF_ENDPOINT": hub.url, "HF_TOKEN": token, "HOME": str(tmp_path)}
        unlocked = cogpack("build", tmp_path, **given)
        assert unlocked.returncode == 1
        assert "cog.yaml:6: hf://team/model cannot be had" in unlocked.stderr
        assert (
            cogpack("weights", "lock", tmp_path, **{**given, "HF_TOKEN": "right"}).returncode == 0
        )
        refused = cogpack("build", tmp_path, **given)
    assert refused.returncode == 1
    assert "cog.yaml:4: " in refused.stderr
    assert f"{hub.url}/team/model/resolve/{hub.commit}/" in refused.stderr
    assert "needs HF_TOKEN" in refused.stderr


def test_weights_outside_of_the_project_arrive(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    project, outside = tmp_path / "project", tmp_path / "outside"
    project.mkdir()
    outside.mkdir()
    body = secrets.token_bytes(100)
    (outside / "a.bin").write_bytes(body)
    source = f"weights:\n  - {{name: v, target: /src/weights, source: {{uri: '{outside}'}}}}"
    image = build(cogpack, write_project(project, source), "outside")
    assert listed(docker, image) == {
        "/src/weights/a.bin": ["0o100644", "0", "315532800", digest_of(body)]
    }
