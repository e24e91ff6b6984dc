"""The user's docker configuration: the selected context and the credentials of registries.

The file is `config.json` in $DOCKER_CONFIG or ~/.docker, in the format of the docker command line.
It is only ever read. A credential never appears in a message.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import UserError
from ..files import read_file

__all__ = ["Credential", "DockerConfig", "config_folder", "credential", "load_config"]

# docker.io's registry is stored under the address that it had in its first version.
_HUB_HOST = "registry-1.docker.io"
_HUB_KEY = "https://index.docker.io/v1/"

# What a credential helper answers as the user name when its secret is an identity token.
_TOKEN_USER = "<token>"  # noqa: S105  # no secret: the marker of docker-credential-helpers

_HELPER_SECONDS = 30.0

_MEND = "correct it, or name another folder with DOCKER_CONFIG"


@dataclass(frozen=True)
class Credential:
    """What a registry wants to see; with an identity token the user name is empty."""

    username: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class DockerConfig:
    """What cogpack reads of config.json.

    auths: registry to its stored entry. helpers: registry to the name of its credential helper.
    store: the credential helper of every other registry; empty when there is none.
    """

    current_context: str = ""
    auths: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)
    helpers: Mapping[str, str] = field(default_factory=dict)
    store: str = ""


def config_folder(environ: Mapping[str, str]) -> Path:
    """The folder of docker's configuration; it need not exist."""
    if folder := environ.get("DOCKER_CONFIG"):
        return Path(folder)
    return Path(environ.get("HOME") or os.path.expanduser("~"), ".docker")  # noqa: PTH111


def load_config(environ: Mapping[str, str]) -> DockerConfig:
    """Read config.json; a file that does not exist is an empty one.

    Raises UserError when it cannot be read or is no JSON object.
    """
    path = config_folder(environ) / "config.json"
    try:
        data = json.loads(read_file(path))
    except (FileNotFoundError, NotADirectoryError):
        return DockerConfig()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}", hint=_MEND) from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}", hint=_MEND) from None
    if not isinstance(data, dict):
        raise UserError(f"{path} does not hold a JSON object", hint=_MEND)
    return DockerConfig(
        current_context=str(data.get("currentContext") or ""),
        auths={key: value for key, value in _mapping(data, "auths") if isinstance(value, dict)},
        helpers={key: str(value) for key, value in _mapping(data, "credHelpers")},
        store=str(data.get("credsStore") or ""),
    )


def _mapping(data: dict[str, object], key: str) -> list[tuple[str, object]]:
    value = data.get(key)
    return sorted(value.items()) if isinstance(value, dict) else []


def credential(config: DockerConfig, host: str, environ: Mapping[str, str]) -> Credential | None:
    """The credential for a registry, as `docker login` stored it; None means anonymous access.

    host: as BuildKit asks for it: `registry-1.docker.io`, `localhost:5000`.

    Raises UserError when the configured credential helper is missing or fails.
    """
    key = _HUB_KEY if host == _HUB_HOST else host
    if helper := config.helpers.get(key) or config.helpers.get(host) or config.store:
        found = _ask_helper(helper, key, environ)
        if found is not None:
            return found
    entry = config.auths.get(key) or next(
        (value for name, value in config.auths.items() if _registry(name) == host), None
    )
    return _stored(entry) if entry else None


def _registry(name: str) -> str:
    """The host of a key of `auths`, which may be written as an URL."""
    return name.removeprefix("https://").removeprefix("http://").split("/", 1)[0]


def _stored(entry: Mapping[str, object]) -> Credential | None:
    if token := entry.get("identitytoken"):
        return Credential("", str(token))
    if auth := entry.get("auth"):
        try:
            plain = base64.b64decode(str(auth), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        username, _, password = plain.partition(":")
        return Credential(username, password.rstrip("\0"))
    if user := entry.get("username"):
        return Credential(str(user), str(entry.get("password") or ""))
    return None


def _ask_helper(helper: str, key: str, environ: Mapping[str, str]) -> Credential | None:
    """Ask `docker-credential-NAME get`, the protocol of docker-credential-helpers."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(
            [program, "get"],
            input=key,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            env=dict(environ),
            check=False,
        )
    except FileNotFoundError:
        raise UserError(
            f"docker's config.json names the credential helper `{helper}`, but there is no "
            f"program {program}",
            hint="install it, or remove `credsStore`/`credHelpers` and log in again",
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"the credential helper {program} failed: {type(error).__name__}") from None
    if done.returncode != 0:
        # The protocol has no code for "nothing stored", only this sentence on standard output.
        if "credentials not found" in done.stdout:
            return None
        raise UserError(f"the credential helper {program} failed with code {done.returncode}")
    try:
        answer = json.loads(done.stdout)
        username, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"the credential helper {program} answered no credential") from None
    return Credential("" if username == _TOKEN_USER else username, secret)
