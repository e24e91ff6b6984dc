"""Where weights come from: the URIs of `weights`, as Cog 0.23 reads them, and files found there.

Nothing is fetched here; `cogpack.weights` asks the servers.
"""

from __future__ import annotations

import posixpath
import string
import unicodedata
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from .redact import redact

__all__ = [
    "FileUri",
    "HttpUri",
    "HubUri",
    "RemoteFile",
    "RemoteSource",
    "SourceUriError",
    "Uri",
    "is_inner_path",
    "parse_uri",
    "split_url",
]

MAIN_BRANCH = "main"
_HUB_SCHEMES = ("hf", "huggingface")
_HEX = frozenset("0123456789abcdef")
# https://huggingface.co/docs/hub/repositories-getting-started: the names of models and teams.
_HUB_NAME = frozenset(string.ascii_letters + string.digits + "-_.")


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

    @property
    def shown(self) -> str:
        """The URI for messages."""
        return self.text


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

    @property
    def shown(self) -> str:
        """The URI for messages: the values of a query may be credentials."""
        return redact(self.text)


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
        "has a scheme that is not supported", "write hf://, https://, file:// or a path"
    )


def _hub(rest: str) -> HubUri:
    repo, at, revision = rest.rpartition("@") if "@" in rest else (rest, "", MAIN_BRANCH)
    if at and not revision:
        raise SourceUriError("has nothing behind the @", "name a branch, a tag or a commit")
    if not is_inner_path(revision) or " " in revision:
        raise SourceUriError("names no revision", "name a branch, a tag or a commit")
    team, slash, name = repo.partition("/")
    if not (team and slash and name) or {team, name} & {".", ".."}:
        raise SourceUriError("names no model of the hub", "write hf://team/model")
    if not _HUB_NAME.issuperset(team + name):
        hint = "write hf://team/model, and choose files of it with include and exclude"
        raise SourceUriError("names no model of the hub", hint)
    return HubUri(repo, revision)


def _http(text: str) -> HttpUri:
    parts = split_url(text)
    digest = _fragment_digest(parts.fragment)
    found = HttpUri(urlunsplit(parts._replace(fragment="")), digest)
    if not is_inner_path(found.name) or "/" in found.name:
        raise SourceUriError("names no file", "write https://host/folder/file")
    return found


def split_url(text: str) -> SplitResult:
    """The parts of the URL of something on a server. Raises SourceUriError when it is none."""
    if " " in text or not text.isprintable():
        raise SourceUriError("holds a character that no URL has", "write a space as %20")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise SourceUriError("is no URL", "write https://host/folder/file") from None
    if not parts.hostname or port == 0 or parts.scheme not in ("http", "https"):
        raise SourceUriError("names no server", "write https://host/folder/file")
    if parts.username is not None or parts.password is not None:
        raise SourceUriError("holds a credential that would stay in the image", "remove it")
    return parts


def is_inner_path(path: str) -> bool:
    """Whether a path stays in its folder, and a file of an image can have it for its name."""
    if {"", ".", ".."} & {*path.split("/")}:
        return False
    return not any(char == "\\" or unicodedata.category(char) in ("Cc", "Cs") for char in path)


def _fragment_digest(fragment: str) -> str:
    """The digest of `#sha256=…`; other fragments mean nothing to a server, nor to us."""
    name, equals, written = fragment.partition("=")
    if not equals or name != "sha256":
        return ""
    digest = written.lower()
    if len(digest) != 64 or not _HEX.issuperset(digest):
        raise SourceUriError("ends in a sha256 that has not 64 digits of hex", "correct it")
    return f"sha256:{digest}"
