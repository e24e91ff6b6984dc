"""Where weights come from: the URIs of `weights`, as Cog 0.23 reads them, and files found there.

Nothing is fetched here; `cogpack.weights` asks the servers.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit, urlunsplit

__all__ = [
    "FileUri",
    "HttpUri",
    "HubUri",
    "RemoteFile",
    "RemoteSource",
    "SourceUriError",
    "Uri",
    "parse_uri",
]

MAIN_BRANCH = "main"
_HUB_SCHEMES = ("hf", "huggingface")
_HEX = frozenset("0123456789abcdef")


class SourceUriError(ValueError):
    """A URI that names no weights. message: what follows the URI in a report. hint: the remedy."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class HubUri:
    """A model of the hub. repo: `team/model`. revision: a branch, a tag or a commit."""

    repo: str
    revision: str

    @property
    def text(self) -> str:
        """The one spelling of it: without the main branch, which is what counts anyway."""
        revision = "" if self.revision == MAIN_BRANCH else f"@{self.revision}"
        return f"hf://{self.repo}{revision}"


@dataclass(frozen=True)
class HttpUri:
    """One file of a server. url: without a fragment. digest: `sha256:…`, when the URI has it."""

    url: str
    digest: str

    @property
    def name(self) -> str:
        """The name of the file in the image: the last part of the path."""
        return unquote(posixpath.basename(urlsplit(self.url).path))

    @property
    def text(self) -> str:
        """The URI with its digest."""
        return f"{self.url}#{self.digest.replace(':', '=', 1)}" if self.digest else self.url


@dataclass(frozen=True)
class FileUri:
    """A file or a folder of this machine, as it was written."""

    path: str


Uri = HubUri | HttpUri | FileUri


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    path: relative to the target. size: in bytes, 0 when the server does not say.
    digest: `sha256:…`; empty when nobody has fixed the content.
    token: the id of the secret that opens the server, when it needs one; empty for none.
    """

    path: str
    url: str
    size: int
    digest: str
    token: str = ""


@dataclass(frozen=True)
class RemoteSource:
    """What a source of `weights` holds. entry: its name. index: which source of that entry."""

    entry: str
    index: int
    files: tuple[RemoteFile, ...]


def parse_uri(text: str) -> Uri:
    """What a URI names. Raises SourceUriError when Cog would not take it either."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return FileUri(text)
    if scheme == "file":
        return FileUri(rest)
    if scheme in _HUB_SCHEMES:
        return _hub(rest)
    if scheme in ("http", "https"):
        return _http(text)
    raise SourceUriError(
        f"has the scheme {scheme}, which nobody knows", "write hf://, https://, file:// or a path"
    )


def _hub(rest: str) -> HubUri:
    repo, at, revision = rest.rpartition("@") if "@" in rest else (rest, "", MAIN_BRANCH)
    if at and not revision:
        raise SourceUriError("has nothing behind the @", "name a branch, a tag or a commit")
    team, slash, name = repo.partition("/")
    if not (team and slash and name) or "/" in name or {team, name} & {".", ".."}:
        raise SourceUriError("names no model of the hub", "write hf://team/model")
    return HubUri(repo, revision)


def _http(text: str) -> HttpUri:
    parts = urlsplit(text)
    if not parts.hostname:
        raise SourceUriError("names no server", "write https://host/file")
    if parts.username is not None or parts.password is not None:
        raise SourceUriError("holds a credential, which would stay in the image", "remove it")
    digest = _fragment_digest(parts.fragment)
    found = HttpUri(urlunsplit(parts._replace(fragment="")), digest)
    if found.name in ("", ".", "..") or "/" in found.name:
        raise SourceUriError("names no file", "write https://host/folder/file")
    return found


def _fragment_digest(fragment: str) -> str:
    """The digest of `#sha256=…`; other fragments mean nothing to a server, nor to us."""
    name, equals, digest = fragment.partition("=")
    if not equals or name != "sha256":
        return ""
    if len(digest) != 64 or not _HEX.issuperset(digest):
        raise SourceUriError("ends in a sha256 that has not 64 digits of hex", "correct it")
    return f"sha256:{digest}"
