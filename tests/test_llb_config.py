"""The image config: the plan's over the base's; and image references in full."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cogpack.errors import BuilderError
from cogpack.llb.config import DEFAULT_PATH, base_config, image_config
from cogpack.llb.graph import Platform
from cogpack.llb.images import ResolvedImage
from cogpack.plan.model import ExportConfig
from cogpack.references import pinned, qualified

AMD64 = Platform("linux", "amd64")
STORED = {
    "architecture": "amd64",
    "created": "2020-01-01T00:00:00Z",
    "history": [{"created_by": "somebody"}],
    "rootfs": {"type": "layers", "diff_ids": ["sha256:1"]},
    "config": {
        "Env": ["PATH=/opt/bin", "LANG=C.UTF-8", "ODD"],
        "Entrypoint": ["/init"],
        "Cmd": ["bash"],
        "WorkingDir": "/base",
        "User": "nobody",
        "Labels": {"a": "base", "b": "base"},
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": None,
        "OnBuild": ["RUN true"],
        "StopSignal": "SIGINT",
    },
}


def image(document: object = STORED) -> ResolvedImage:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return ResolvedImage("docker.io/library/base:1", "sha256:ab", data)


def made(config: ExportConfig, created: int | None = None) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(
        image_config(config, AMD64, base_config(image()), created=created)
    )
    return read


def test_an_empty_config_keeps_what_an_image_inherits_and_nothing_else() -> None:
    document = made(ExportConfig())
    stored = STORED["config"]
    assert isinstance(stored, dict)
    kept = {key: stored[key] for key in stored if key not in ("OnBuild", "Volumes")}
    kept["Env"] = ["PATH=/opt/bin", "LANG=C.UTF-8", "ODD="]
    assert document == {
        "architecture": "amd64",
        "os": "linux",
        "config": kept,
        "rootfs": {"type": "layers", "diff_ids": []},
    }


def test_the_plans_config_is_laid_over() -> None:
    document = made(
        ExportConfig(
            env={"Z": "1", "LANG": "de", "A": "2"},
            cmd=("python", "-m", "x"),
            workdir="/src",
            user="1000",
            labels={"b": "own", "c": "own"},
            ports=("5000/tcp", "53/udp", "81"),
        ),
        created=86_400,
    )
    config = document["config"]
    assert config["Env"] == ["PATH=/opt/bin", "LANG=de", "ODD=", "A=2", "Z=1"]
    assert config["Cmd"] == ["python", "-m", "x"]
    assert config["Entrypoint"] == ["/init"]
    assert (config["WorkingDir"], config["User"]) == ("/src", "1000")
    assert config["Labels"] == {"a": "base", "b": "own", "c": "own"}
    assert set(config["ExposedPorts"]) == {"80/tcp", "5000/tcp", "53/udp", "81/tcp"}
    assert document["created"] == "1970-01-02T00:00:00Z"


def test_an_entrypoint_ends_the_bases_command() -> None:
    config = made(ExportConfig(entrypoint=("/tini", "--")))["config"]
    assert config["Entrypoint"] == ["/tini", "--"]
    assert "Cmd" not in config


def test_the_order_of_a_mapping_does_not_show() -> None:
    base = base_config(image())
    ab, ba = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    assert image_config(ExportConfig(env=ab, labels=ab), AMD64, base) == image_config(
        ExportConfig(env=ba, labels=ba), AMD64, base
    )


@pytest.mark.parametrize("known", [None, image({}), image({"config": None})])
def test_a_silent_image_has_the_default_path(known: ResolvedImage | None) -> None:
    base = base_config(known)
    assert base.env == {"PATH": DEFAULT_PATH}
    assert base.workdir == "/"
    document = json.loads(image_config(ExportConfig(), Platform("linux", "arm", "v7"), base))
    assert document["variant"] == "v7"


@pytest.mark.parametrize("config", [b"no json", b"[]", b'{"config": 3}', b"\xff"])
def test_a_broken_config_is_the_registrys_fault(config: bytes) -> None:
    with pytest.raises(BuilderError, match="image docker"):
        base_config(image(config))


@pytest.mark.parametrize(
    ("short", "full"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.12-slim", "docker.io/library/python:3.12-slim"),
        ("nvidia/cuda:12", "docker.io/nvidia/cuda:12"),
        ("docker.io/python:3", "docker.io/library/python:3"),
        ("index.docker.io/a/b", "docker.io/a/b:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("localhost:5000/x:1", "localhost:5000/x:1"),
        ("ghcr.io/a/b/c:1", "ghcr.io/a/b/c:1"),
        ("python@sha256:ab", "docker.io/library/python@sha256:ab"),
        ("python:3@sha256:ab", "docker.io/library/python:3@sha256:ab"),
    ],
)
def test_references_are_completed_as_docker_does(short: str, full: str) -> None:
    assert qualified(short) == full
    assert qualified(full) == full


def test_a_known_digest_pins_and_never_replaces_the_users() -> None:
    assert pinned("python:3", "sha256:ab") == "docker.io/library/python:3@sha256:ab"
    assert pinned("python:3", "") == "docker.io/library/python:3"
    assert pinned("python@sha256:cd", "sha256:ab") == "docker.io/library/python@sha256:cd"


def test_the_history_is_that_of_the_base_and_the_titles_of_the_layers() -> None:
    def history(base: object, layers: tuple[str, ...] | None) -> object:
        text = image_config(ExportConfig(), AMD64, base_config(image(base)), layers=layers)
        return json.loads(text).get("history")

    told = [{"created_by": "somebody"}]
    assert history(STORED, ("install six",)) == [*told, {"created_by": "install six"}]
    assert history(STORED, ()) == told
    assert history(STORED, None) is None
    # One that does not tell of each layer would give the titles to others' layers.
    silent = STORED | {"history": [{"created_by": "ENV", "empty_layer": True}]}
    assert history(silent, ("install six",)) is None
