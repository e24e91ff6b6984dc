"""Where an index lives: a URL freed of its credentials, what kind of index it is, who named it.

Nothing here speaks HTTP. A `Location` never holds a secret in its URL, so its URL may be printed,
cached and written into a lock.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit, urlunsplit

from ..errors import UserError

__all__ = ["Credential", "Kind", "Location", "display", "expand", "origin_of", "parse_location"]

Kind = Literal["simple", "flat"]

_DEFAULT_PORTS = {"http": 80, "https": 443}

# PyTorch's index lies on an object store that answers 403 for a folder that is not there.
_FORBIDDEN_MEANS_ABSENT = frozenset({"download.pytorch.org"})


@dataclass(frozen=True)
class Credential:
    """A user name and a password for one server; printing it shows only where it came from.

    source: where it was found, for messages: `the URL`, `netrc`, `UV_INDEX_ACME_PASSWORD`.
    """

    username: str = field(repr=False)
    password: str = field(repr=False)
    source: str = ""


@dataclass(frozen=True)
class Location:
    """One package index.

    url: without credentials; a simple index ends with `/`; a local folder is a `file:` URL.
    kind: `simple` (PEP 503/691, one page a project) or `flat` (one page or folder of files).
    name: the name that the user gave it (uv's `name=URL`); empty when it has none.
    origin: the setting or line that named it, for messages: `PIP_INDEX_URL`.
    credential: what stood in the URL itself; None when nothing did.
    """

    url: str
    kind: Kind = "simple"
    name: str = ""
    origin: str = field(default="", compare=False)
    credential: Credential | None = field(default=None, compare=False, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder or file of this machine."""
        return self.url.startswith("file:")

    @property
    def path(self) -> Path:
        """The folder or file of a local index."""
        return Path(unquote(urlsplit(self.url).path))

    @property
    def display(self) -> str:
        """How messages name the index: its name if it has one, and its URL."""
        shown = display(self.url)
        return f"{self.name} ({shown})" if self.name else shown

    @property
    def forbidden_is_absent(self) -> bool:
        """Whether this server says 403 where others say 404."""
        return urlsplit(self.url).hostname in _FORBIDDEN_MEANS_ABSENT

    def page_url(self, name: str) -> str:
        """The URL of a project's page.

        name: normalised project name; a flat index has the same page for all of them.
        """
        return f"{self.url}{name}/" if self.kind == "simple" else self.url


def parse_location(
    text: str,
    *,
    kind: Kind = "simple",
    origin: str = "",
    base: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Location:
    """Read an index location as the user wrote it.

    text: a URL, with or without credentials; a path; uv's `name=URL`. `${NAME}` is expanded.
    origin: the setting or line it stands in, for messages.
    base: folder that a relative path starts from; the current folder by default.
    environ: the environment that `${NAME}` is read from; empty by default.

    Raises UserError for a scheme that is no index or a variable that is not set.
    """
    text = expand(text.strip(), environ or {}, origin)
    name, text = _split_name(text)
    try:
        parts = urlsplit(text)
        _ = parts.port  # checked when it is read
    except ValueError as error:
        raise UserError(f"{_prefix(origin)}the URL is malformed ({error})") from error
    if parts.scheme in _DEFAULT_PORTS:
        return _remote(text, kind, name, origin)
    if parts.scheme == "file":
        path = Path(unquote(parts.path))
    elif parts.scheme and "://" in text:
        raise UserError(
            f"{_prefix(origin)}{display(text)} is no package index: "
            f"scheme {parts.scheme!r} is not supported",
            hint="use an https:, http: or file: URL, or a path",
        )
    else:
        path = Path(os.path.expanduser(text))  # noqa: PTH111  # `~nobody` stays as it is
        path = path if path.is_absolute() else (base or Path.cwd()) / path
    url = path.absolute().as_uri()
    slash = "/" if kind == "simple" and not url.endswith("/") else ""
    return Location(url + slash, kind, name, origin)


def expand(text: str, environ: Mapping[str, str], origin: str = "") -> str:
    """The text with each `${NAME}` replaced by its value.

    Raises UserError that names the variable when it is not set.
    """
    head, *pieces = text.split("${")
    out = [head]
    for piece in pieces:
        name, brace, rest = piece.partition("}")
        if not brace:
            out.append("${" + piece)
        elif name not in environ:
            raise UserError(
                f"{_prefix(origin)}the URL uses the variable {name}, which is not set",
                hint=f"set {name} in the environment",
            )
        else:
            out.append(environ[name] + rest)
    return "".join(out)


def display(url: str) -> str:
    """The URL as messages show it: no user, no password, no values of the query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "a malformed URL"
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(
        f"{pair.partition('=')[0]}=****" if "=" in pair else "****"
        for pair in parts.query.split("&")
        if pair
    )
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what a credential is bound to (RFC 6454)."""
    parts = urlsplit(url)
    port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or "").lower(), port


def _remote(text: str, kind: Kind, name: str, origin: str) -> Location:
    parts = urlsplit(text)
    if not parts.hostname:
        # What stands in the host's place may be a credential.
        raise UserError(
            f"{_prefix(origin)}the URL names no host", hint="write it as https://HOST/PATH"
        )
    user, at, host = parts.netloc.rpartition("@")
    path = parts.path if kind == "flat" or parts.path.endswith("/") else parts.path + "/"
    url = urlunsplit((parts.scheme, host, path, parts.query if kind == "flat" else "", ""))
    location = Location(url, kind, name, origin)
    if not at:
        return location
    username, _, password = user.partition(":")
    credential = Credential(unquote(username), unquote(password), "the URL")
    return replace(location, credential=credential)


def _split_name(text: str) -> tuple[str, str]:
    name, equals, rest = text.partition("=")
    is_name = name and name.replace("-", "").replace("_", "").replace(".", "").isalnum()
    return (name, rest) if equals and is_name and "/" not in name else ("", text)


def _prefix(origin: str) -> str:
    return f"{origin}: " if origin else ""
