"""Digests of images from their registries: who is asked, with which login, and how it fails."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from cogpack.errors import UserError
from cogpack.registry.errors import RefusedError, UnreachedError
from cogpack.registry.lookup import MIRRORS, Registries
from support.registry import Registry, serve
from support.upstream import Upstream, upstream

HUB_TAG = "/v2/library/python/manifests/3.12-slim"
DIGEST = f"sha256:{'a' * 64}"


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serve() as served:
        yield served


@pytest.fixture
def hub() -> Iterator[Upstream]:
    with upstream() as served:
        yield served


def environ(folder: Path) -> dict[str, str]:
    return {
        "COGPACK_CACHE": str(folder / "cache"),
        "DOCKER_CONFIG": str(folder),
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "PIP_CONFIG_FILE": os.devnull,
    }


def digest(
    folder: Path,
    reference: str,
    *,
    refresh: bool = False,
    offline: bool = False,
    mirrors: str = "",
) -> str:
    variables = {**environ(folder), MIRRORS: mirrors}
    with Registries(variables, offline=offline) as registries:
        return registries.digest(reference, refresh=refresh)


def log_in(folder: Path, host: str, **entry: str) -> None:
    (folder / "config.json").write_text(json.dumps({"auths": {host: entry}}))


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_a_registry_of_this_machine_is_asked_without_tls(
    registry: Registry, tmp_path: Path
) -> None:
    expected = registry.put("team/base:1", b'{"one": 1}')
    assert digest(tmp_path, f"{registry.address}/team/base:1") == expected


def test_an_answer_is_believed_for_a_while_and_offline_for_ever(
    registry: Registry, tmp_path: Path
) -> None:
    reference = f"{registry.address}/team/base:1"
    with pytest.raises(UnreachedError, match="not in the cache, and --offline asks nobody"):
        digest(tmp_path, reference, offline=True)
    first = registry.put("team/base:1", b'{"one": 1}')
    assert digest(tmp_path, reference) == first
    second = registry.put("team/base:1", b'{"two": 2}')
    assert digest(tmp_path, reference) == first
    assert digest(tmp_path, reference, offline=True) == first
    assert len(registry.asked) == 1
    assert digest(tmp_path, reference, refresh=True) == second
    assert digest(tmp_path, reference) == second


def test_a_tag_that_is_not_there_and_a_registry_that_is_not(
    registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(UnreachedError, match="has no image team/base:2"):
        digest(tmp_path, f"{registry.address}/team/base:2")
    registry.fault = 418
    with pytest.raises(UnreachedError, match="answered 418"):
        digest(tmp_path, f"{registry.address}/team/base:3")


def test_a_password_is_given_where_one_is_asked_for(tmp_path: Path) -> None:
    with serve(credential="ada:l0velace") as registry:
        expected = registry.put("team/base:1")
        reference = f"{registry.address}/team/base:1"
        with pytest.raises(RefusedError, match="asks for a login"):
            digest(tmp_path, reference)
        log_in(tmp_path, registry.address, auth=b64("ada:wrong"))
        with pytest.raises(RefusedError, match="refused the login") as caught:
            digest(tmp_path, reference)
        assert "wrong" not in str(caught.value)
        log_in(tmp_path, registry.address, auth=b64("ada:l0velace"))
        assert digest(tmp_path, reference) == expected


def test_a_token_is_asked_for_where_the_registry_says(hub: Upstream, tmp_path: Path) -> None:
    hub.token = "t0ken"
    hub.put_manifest("library/python:3.12-slim", DIGEST)
    mirrors = f"quay.io=http://127.0.0.1:1 docker.io={hub.url}/"
    assert digest(tmp_path, "docker.io/library/python:3.12-slim", mirrors=mirrors) == DIGEST
    asked = [urlsplit(path) for path, _ in hub.seen]
    assert [one.path for one in asked] == [HUB_TAG, "/token", HUB_TAG]
    assert parse_qs(asked[1].query)["scope"] == ["repository:library/python:pull"]
    assert "authorization" not in hub.seen[1][1]


def test_a_login_goes_to_the_server_of_tokens_alone(hub: Upstream, tmp_path: Path) -> None:
    hub.token = "t0ken"
    hub.put_manifest("library/python:3.12-slim", DIGEST)
    log_in(tmp_path, urlsplit(hub.url).netloc, auth=b64("ada:l0velace"))
    reference = f"{urlsplit(hub.url).netloc}/library/python:3.12-slim"
    assert digest(tmp_path, reference) == DIGEST
    sent = [headers.get("authorization", "") for _, headers in hub.seen]
    assert sent == ["", f"Basic {b64('ada:l0velace')}", "Bearer t0ken"]


def test_an_identity_token_is_changed_for_another(hub: Upstream, tmp_path: Path) -> None:
    hub.token = "t0ken"
    hub.put_manifest("library/python:3.12-slim", DIGEST)
    log_in(tmp_path, urlsplit(hub.url).netloc, identitytoken="identity")
    reference = f"{urlsplit(hub.url).netloc}/library/python:3.12-slim"
    assert digest(tmp_path, reference) == DIGEST
    [form] = hub.forms
    assert form["grant_type"] == ["refresh_token"]
    assert form["refresh_token"] == ["identity"]
    assert form["scope"] == ["repository:library/python:pull"]


def test_a_registry_that_announces_no_digest_is_read(hub: Upstream, tmp_path: Path) -> None:
    hub.put(HUB_TAG, b'{"schemaVersion": 2}')
    reference = f"{urlsplit(hub.url).netloc}/library/python:3.12-slim"
    expected = hashlib.sha256(b'{"schemaVersion": 2}').hexdigest()
    assert digest(tmp_path, reference) == f"sha256:{expected}"


def test_a_digest_that_is_none_is_not_believed(hub: Upstream, tmp_path: Path) -> None:
    hub.put_manifest("library/python:3.12-slim", "latest")
    with pytest.raises(UnreachedError, match="no digest but 'latest'"):
        digest(tmp_path, f"{urlsplit(hub.url).netloc}/library/python:3.12-slim")


def test_mirrors_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"docker\.io is not HOST=URL"):
        digest(tmp_path, "docker.io/library/python:3", mirrors="docker.io")
