"""Digests of images from their registries: who is asked, with which login, and how it fails."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from cogpack.errors import UserError
from cogpack.index.http import Answer, Fetcher
from cogpack.registry.access import Access
from cogpack.registry.docker_config import Credential
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
        "COGPACK_PATIENCE": "300",
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
    mirrors = f"quay.io=http://quay.invalid docker.io={hub.url}/"
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


def test_a_page_of_a_proxy_is_no_image(hub: Upstream, tmp_path: Path) -> None:
    for body in (b"<html>log in first</html>", b'{"schemaVersion": 1}', b"{}"):
        hub.put(HUB_TAG, body)
        with pytest.raises(UnreachedError, match="something else than an image"):
            digest(tmp_path, f"{urlsplit(hub.url).netloc}/library/python:3.12-slim")


@pytest.mark.parametrize("realm", ["http://[", "http://a:99999/t", "/token", "file:///etc", ""])
def test_a_server_of_tokens_that_is_none_is_not_asked(
    hub: Upstream, tmp_path: Path, realm: str
) -> None:
    challenge = {"www-authenticate": f'Bearer realm="{realm}"'}
    hub.put(HUB_TAG, b"", status=401, headers=challenge)
    with pytest.raises(UnreachedError, match="wants a login"):
        digest(tmp_path, f"{urlsplit(hub.url).netloc}/library/python:3.12-slim")


def test_a_registry_with_tls_sends_nobody_to_a_server_without() -> None:
    challenge = {"www-authenticate": 'Bearer realm="http://tokens.example.com/"'}

    class Refusing(Fetcher):
        def get(self, url: str, **_: object) -> Answer:
            assert url.startswith("https://")
            return Answer(url, 401, challenge, b"")

    login = Credential("ada", "l0velace")
    access = Access("https://registry.example.com", Refusing(), lambda: login)
    with pytest.raises(UnreachedError, match="wants a login, by Bearer http://tokens"):
        access.ask("base", "https://registry.example.com/v2/base", {})


def test_a_server_of_tokens_may_have_a_query_of_its_own(hub: Upstream, tmp_path: Path) -> None:
    challenge = {"www-authenticate": f'Bearer realm="{hub.url}/given?tenant=1"'}
    hub.put(HUB_TAG, b"", status=401, headers=challenge)
    hub.put("/given", {"token": None, "access_token": "t0ken"})
    with pytest.raises(RefusedError, match="refused the token"):
        digest(tmp_path, f"{urlsplit(hub.url).netloc}/library/python:3.12-slim")
    [asked] = [path for path, _ in hub.seen if path.startswith("/given")]
    assert parse_qs(urlsplit(asked).query) == {
        "tenant": ["1"],
        "scope": ["repository:library/python:pull"],
    }


def test_a_token_that_no_header_holds_is_in_no_message(hub: Upstream, tmp_path: Path) -> None:
    hub.token = "t0ken\nfor: you"
    with pytest.raises(UnreachedError, match="no token that can be sent") as caught:
        digest(tmp_path, f"{urlsplit(hub.url).netloc}/library/python:3.12-slim")
    assert "t0ken" not in str(caught.value)


def test_an_identity_token_is_sent_on_to_nobody(hub: Upstream, tmp_path: Path) -> None:
    with upstream() as other:
        hub.token = "t0ken"
        hub.put("/token", b"", status=307, headers={"location": f"{other.url}/token"})
        log_in(tmp_path, urlsplit(hub.url).netloc, identitytoken="identity")
        with pytest.raises(UnreachedError, match="sends a form on"):
            digest(tmp_path, f"{urlsplit(hub.url).netloc}/library/python:3.12-slim")
        assert other.seen == []
        assert other.forms == []


@pytest.mark.parametrize("mirror", ["http://[", "http://a:b:c", "http://a:99999"])
def test_a_mirror_that_is_no_address_is_told(tmp_path: Path, mirror: str) -> None:
    with pytest.raises(UserError, match=f"{MIRRORS}: .*malformed"):
        digest(tmp_path, "docker.io/library/python:3", mirrors=f"docker.io={mirror}")


def test_the_password_of_a_mirror_is_nowhere(hub: Upstream, tmp_path: Path) -> None:
    hub.put_manifest("library/python:3.12-slim", DIGEST)
    mirror = hub.url.replace("://", "://ada:l0velace@")
    reference = "docker.io/library/python:3.12-slim"
    assert digest(tmp_path, reference, mirrors=f"docker.io={mirror}") == DIGEST
    assert hub.seen[0][1]["authorization"] == f"Basic {b64('ada:l0velace')}"
    kept = [path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert kept
    assert not any(b"l0velace" in body for body in kept)
    with pytest.raises(UserError) as caught:
        digest(tmp_path, reference, mirrors="ada:l0velace@mirror.example.com")
    assert "l0velace" not in str(caught.value)


def test_a_port_that_is_none_is_a_registry_that_is_not_reached(tmp_path: Path) -> None:
    with pytest.raises(UnreachedError, match="malformed"):
        digest(tmp_path, "registry.example.com:99999/base:1")


def test_a_registry_that_is_silent_is_asked_once(tmp_path: Path) -> None:
    with serve() as registry, Registries(environ(tmp_path)) as registries:
        registry.fault = 503
        with pytest.raises(UnreachedError, match="503"):
            registries.digest(f"{registry.address}/team/base:1")
        registry.fault = 0
        registry.put("team/other:1")
        with pytest.raises(UnreachedError, match="did not answer just now"):
            registries.digest(f"{registry.address}/team/other:1")
        assert registry.asked == []


def test_offline_speaks_no_http(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from cogpack.registry.lookup import Registries\n"
        "from cogpack.registry.errors import UnreachedError\n"
        "with Registries(os.environ, offline=True) as registries:\n"
        "    try:\n"
        "        registries.digest('docker.io/library/python:3')\n"
        "    except UnreachedError:\n"
        "        print(sorted({'httpx', 'hishel'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environ(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "[]\n", done.stderr
