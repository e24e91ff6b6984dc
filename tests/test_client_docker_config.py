"""Credentials of registries, as docker's configuration has them."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.registry.docker_config import Credential, credential, load_config


def environ(folder: Path, **config: object) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(folder), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def helper(folder: Path, name: str, script: str) -> None:
    path = folder / f"docker-credential-{name}"
    path.write_text(f"#!/bin/sh\nread -r host\n{script}\n")
    path.chmod(0o755)


def find(env: dict[str, str], host: str) -> Credential | None:
    return credential(load_config(env), host, env)


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_nothing_configured(tmp_path: Path) -> None:
    assert find({"HOME": str(tmp_path)}, "example.com") is None
    assert find(environ(tmp_path), "example.com") is None


def test_stored_logins(tmp_path: Path) -> None:
    env = environ(
        tmp_path,
        auths={
            "example.com": {"auth": b64("ada:pass:word")},
            "https://index.docker.io/v1/": {"auth": b64("hub:secret")},
            "https://old.example.com/v2/": {"username": "u", "password": "p"},
            "token.example.com": {"identitytoken": "tok", "auth": b64("u:p")},
            "broken.example.com": {"auth": "%%%"},
            "localhost:5000": {"auth": b64("me:x")},
        },
    )
    assert find(env, "example.com") == Credential("ada", "pass:word")
    assert find(env, "registry-1.docker.io") == Credential("hub", "secret")
    assert find(env, "old.example.com") == Credential("u", "p")
    assert find(env, "token.example.com") == Credential("", "tok")
    assert find(env, "localhost:5000") == Credential("me", "x")
    assert find(env, "broken.example.com") is None
    assert find(env, "other.example.com") is None


def test_helpers(tmp_path: Path) -> None:
    helper(tmp_path, "one", 'echo "{\\"Username\\": \\"for $host\\", \\"Secret\\": \\"s1\\"}"')
    helper(tmp_path, "two", 'echo "{\\"Username\\": \\"<token>\\", \\"Secret\\": \\"s2\\"}"')
    env = environ(tmp_path, credHelpers={"a.example.com": "one"}, credsStore="two")
    assert find(env, "a.example.com") == Credential("for a.example.com", "s1")
    assert find(env, "b.example.com") == Credential("", "s2")


def test_a_helper_without_an_entry_leaves_the_stored_login(tmp_path: Path) -> None:
    helper(tmp_path, "none", "echo credentials not found in native keychain; exit 1")
    env = environ(tmp_path, credsStore="none", auths={"example.com": {"auth": b64("a:b")}})
    assert find(env, "example.com") == Credential("a", "b")
    assert find(env, "other.example.com") is None


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (None, "there is no program docker-credential-h"),
        ("echo leaked-secret; exit 4", "failed with code 4"),
        ("echo leaked-secret", "answered no credential"),
    ],
)
def test_faults_of_helpers_are_told_without_what_they_print(
    tmp_path: Path, script: str | None, says: str
) -> None:
    if script:
        helper(tmp_path, "h", script)
    with pytest.raises(UserError, match=says) as caught:
        find(environ(tmp_path, credsStore="h"), "example.com")
    assert "leaked-secret" not in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", "\\xff"])
def test_a_broken_file_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json"):
        load_config({"DOCKER_CONFIG": str(tmp_path)})


def test_a_credential_does_not_show_itself() -> None:
    assert "hidden" not in repr(Credential("user", "hidden"))
