"""Finds the credential for a request: the index URL, uv's variables, netrc, keyring.

A credential belongs to one origin (scheme, host, port) and goes to no other. Nothing here prints,
stores or logs one; messages name the sources that were tried.
"""

from __future__ import annotations

import importlib
import json
import netrc
import shutil
import subprocess
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .location import Credential, Location, origin_of

__all__ = ["CredentialBook", "keyring_lookup"]

# Seconds that a keyring may take; it may have to ask a credential service of a cloud.
_KEYRING_SECONDS = 30.0


class CredentialBook:
    """The credentials for a set of indexes; safe to use from several threads.

    locations: the indexes, with what their URLs held.
    environ: the environment: `UV_INDEX_<NAME>_USERNAME` and `_PASSWORD`, `NETRC`, `HOME`.
    use_keyring: whether to ask a keyring when a server refuses what is known.
    """

    def __init__(
        self,
        locations: Iterable[Location] = (),
        environ: Mapping[str, str] | None = None,
        *,
        use_keyring: bool = True,
    ) -> None:
        self._environ = dict(environ or {})
        self._locations: tuple[Location, ...] = tuple(dict.fromkeys(locations))
        self._use_keyring = use_keyring
        self._netrc: _Netrc | None = None
        self._asked: dict[tuple[str, str, int], Credential | None] = {}
        self._lock = threading.Lock()

    def add(self, locations: Iterable[Location]) -> None:
        """Take further indexes into the book; one that is known already stays as it is."""
        with self._lock:
            fresh = [item for item in locations if item not in self._locations]
            if fresh:
                self._locations += tuple(fresh)

    def known(self, url: str) -> Credential | None:
        """The credential to send with a request, without asking anybody.

        The URL of an index counts first, then uv's variables, then netrc.
        """
        with self._lock:
            asked = self._asked.get(origin_of(url))
        if asked:
            return asked
        for location in self._same_origin(url):
            found = location.credential or self._from_environ(location)
            if found and found.password:
                return found
        return self._from_netrc(url) or next(
            (item.credential for item in self._same_origin(url) if item.credential), None
        )

    def ask(self, url: str) -> Credential | None:
        """The credential of the keyring, asked once for each server; None when it has none."""
        if not self._use_keyring:
            return None
        key = origin_of(url)
        with self._lock:
            if key in self._asked:
                return self._asked[key]
            username = next(
                (item.credential.username for item in self._same_origin(url) if item.credential),
                None,
            )
            services = [item.url for item in self._same_origin(url)]
            services.append(urlsplit(url).netloc)
            found = next(filter(None, (keyring_lookup(name, username) for name in services)), None)
            self._asked[key] = found
            return found

    def tried(self, url: str) -> tuple[str, ...]:
        """The sources that were looked at for this URL, for the message of a refusal."""
        names = ["the index URL"]
        names.extend(
            f"{prefix}USERNAME and {prefix}PASSWORD"
            for location in self._same_origin(url)
            if (prefix := _variable_prefix(location))
        )
        names.append(self._load_netrc().label)
        if self._use_keyring:
            names.append("keyring")
        return tuple(names)

    def _same_origin(self, url: str) -> list[Location]:
        """Indexes on the server of this URL, the one with the longest common path first."""
        key = origin_of(url)
        found = [item for item in self._locations if origin_of(item.url) == key]
        return sorted(found, key=lambda item: -len(item.url) if url.startswith(item.url) else 0)

    def _from_environ(self, location: Location) -> Credential | None:
        prefix = _variable_prefix(location)
        if not prefix:
            return None
        username = self._environ.get(prefix + "USERNAME", "")
        password = self._environ.get(prefix + "PASSWORD", "")
        if not username and not password:
            return None
        return Credential(username, password, f"{prefix}USERNAME and {prefix}PASSWORD")

    def _from_netrc(self, url: str) -> Credential | None:
        return self._load_netrc().hosts.get(urlsplit(url).hostname or "")

    def _load_netrc(self) -> _Netrc:
        if self._netrc is None:
            self._netrc = _read_netrc(self._environ)
        return self._netrc


@dataclass(frozen=True)
class _Netrc:
    hosts: Mapping[str, Credential]
    label: str


def _read_netrc(environ: Mapping[str, str]) -> _Netrc:
    """The entries of netrc by host.

    A `default` entry is left out: it would be sent to any server that a page links to.
    """
    home = environ.get("HOME", "")
    named = environ.get("NETRC") or (str(Path(home, ".netrc")) if home else "")
    if not named or not Path(named).is_file():
        return _Netrc({}, "netrc (there is none)")
    try:
        parsed = netrc.netrc(named)
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
        line = f": line {error.lineno}" if isinstance(error, netrc.NetrcParseError) else ""
        return _Netrc({}, f"netrc (it cannot be read{line})")
    hosts = {
        host: Credential(login or account or "", password or "", "netrc")
        for host, (login, account, password) in parsed.hosts.items()
        if host != "default"
    }
    return _Netrc(hosts, "netrc")


def _variable_prefix(location: Location) -> str:
    """`UV_INDEX_ACME_CORP_` of the index `acme-corp`, as uv names its variables."""
    if not location.name:
        return ""
    shouted = "".join(char if char.isalnum() else "_" for char in location.name.upper())
    return f"UV_INDEX_{shouted}_"


def keyring_lookup(service: str, username: str | None) -> Credential | None:
    """Ask the `keyring` library, or the `keyring` command when the library is not installed.

    service: URL of the index or host of the server. username: None when it is not known.
    A keyring that fails counts as one that knows nothing: the refusal of the server is the error.
    """
    try:
        library: Any = importlib.import_module("keyring")
    except ImportError:
        return _keyring_command(service, username)
    try:
        found = library.get_credential(service, username)
    except Exception:  # noqa: BLE001  # backends are plug-ins and raise what they like
        return None
    if found is None or found.password is None:
        return None
    return Credential(found.username or username or "", found.password, "keyring")


def _keyring_command(service: str, username: str | None) -> Credential | None:
    program = shutil.which("keyring")
    if program is None:
        return None
    who = [username] if username else []
    asked = _run([program, "--mode", "creds", "--output", "json", "get", service, *who])
    if asked:
        try:
            data = json.loads(asked)
            return Credential(str(data["username"]), str(data["password"]), "keyring")
        except (ValueError, KeyError, TypeError):
            return None
    password = _run([program, "get", service, username]) if username else ""
    return Credential(username or "", password, "keyring") if password else None


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_KEYRING_SECONDS,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip("\n") if done.returncode == 0 else ""
