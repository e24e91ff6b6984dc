"""Layers by content: two builders that share nothing make the same ones."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from cogpack.blocks.wheel_groups import LARGE_BYTES
from devdaemon import builder as dev
from devdaemon.builder import Builder
from support.distributions import Dist
from support.index_server import serve
from support.projects import write_project
from support.wheelhouse import gateway

BASE = "library/python:3.11-slim-bookworm"
TORCH = "2.7.1+cpu"
WORLD = {
    "torch": [Dist(TORCH, requires=("shared-need",), padding=LARGE_BYTES)],
    "shared-need": [Dist("1.0")],
    "of-one": [Dist("1.0")],
    "of-two": [Dist("2.0")],
}

Cogpack = Callable[..., CompletedProcess[str]]


@dataclass(frozen=True)
class Image:
    """blobs: the digests of the layers as they are pushed; diff_ids: of their content; both by
    what made them. A layer of the base is there by its number.
    """

    blobs: dict[str, str]
    diff_ids: dict[str, str]


@pytest.fixture
def second(builder: Builder) -> Iterator[Builder]:
    """A builder with empty caches."""
    if builder.own is None:
        pytest.skip("a second builder is started beside one of dev/builder.py alone")
    with dev.second(BASE) as found:
        yield found


def project(folder: Path, need: str, index: str) -> Path:
    """A project with torch and one need of its own, from the local index."""
    folder.mkdir()
    wanted = f"--extra-index-url {index}\ntorch==2.7.1\n{need}\n"
    predictor = f"from cog import BaseRunner\n\nNEED = {need!r}\n\n\n"
    predictor += "class Predictor(BaseRunner):\n    def run(self, text: str) -> str:\n"
    predictor += "        return text + NEED\n"
    files = {"requirements.txt": wanted, "predict.py": predictor}
    settings = "  python_requirements: requirements.txt\ncogpack: {user: app}"
    write_project(folder, settings, files)
    (folder / ".dockerignore").write_text("pylock.cogpack.toml\nrequirements.txt\n")
    return folder


def tables(folder: Path, index: str) -> Path:
    """Tables by which torch comes from the local index."""
    folder.mkdir()
    (folder / "torch.csv").write_text(
        "version,variant,architecture,python,glibc,cuda,cudnn,triton,kernels,libraries,index_url,"
        "withdrawn,source,checked\n"
        f'{TORCH},cpu,amd64,">=3.9,<3.14",2.28,,,,,,{index},,tests,2026-01-01\n'
    )
    return folder


def read(archive: Path, stages: list[str]) -> Image:
    """The layers of an image, the last of them those of the stages."""
    with tarfile.open(archive) as tar:

        def document(digest: str) -> dict[str, object]:
            file = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert file is not None
            found: dict[str, object] = json.load(file)
            return found

        index = tar.extractfile("index.json")
        assert index is not None
        manifest = document(json.load(index)["manifests"][0]["digest"])
        blobs = [one["digest"] for one in manifest["layers"]]  # type: ignore[attr-defined]
        config = document(manifest["config"]["digest"])  # type: ignore[index]
    diff_ids: list[str] = config["rootfs"]["diff_ids"]  # type: ignore[index]
    below = [str(number) for number in range(len(blobs) - len(stages))]
    names = [*below, *stages]
    return Image(
        dict(zip(names, blobs, strict=True)),
        dict(zip(names, diff_ids, strict=True)),
    )


def test_two_builders_with_nothing_in_common_make_the_same_layers(
    cogpack: Cogpack,
    docker: Callable[..., str],
    second: Builder,
    tmp_path: Path,
) -> None:
    def built(folder: Path, name: str, *options: str, **variables: str) -> Image:
        target = tmp_path / f"{name}.tar"
        output = f"type=oci,dest={target}"
        done = cogpack("build", folder, "--locked", "-o", output, *options, **variables)
        assert done.returncode == 0, done.stderr
        plan = json.loads(cogpack("plan", "--json", folder, **variables).stdout)
        exported = [stage for phase in plan["export_phases"] for stage in phase["stages"]]
        return read(target, [stage["id"].removeprefix("export:") for stage in exported])

    with serve(WORLD, host=gateway(docker)) as index:
        compat = {"COGPACK_COMPAT": str(tables(tmp_path / "tables", index.url))}
        one = project(tmp_path / "one", "of-one", index.url)
        two = project(tmp_path / "two", "of-two", index.url)
        for folder in (one, two):
            locked = cogpack("resolve", folder, "--lock", **compat)
            assert locked.returncode == 0, locked.stderr
        first = built(one, "first", **compat)
        elsewhere = {**compat, **second.environment()}
        again = built(one, "again", "--network", "host", **elsewhere)
        other = built(two, "other", "--network", "host", **elsewhere)
    # The same project: every layer is the same, as content and as it is pushed.
    assert again == first
    # Another project: what it has in common is the same, and what is its own is not.
    shared = {"0", "apt", "user", "python", "wheels:torch", "wheels:coglet"}
    assert shared <= first.blobs.keys() & other.blobs.keys()
    for name in shared:
        assert first.blobs[name] == other.blobs[name], name
        assert first.diff_ids[name] == other.diff_ids[name], name
    assert first.blobs["source"] != other.blobs["source"]
