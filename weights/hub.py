"""The hub of models: which files a revision has, with their digests, and the token for it.

The hub keeps large files by the sha256 of their content and says it. Of small ones it knows git's
blob id alone: they are read, checked against that, and their sha256 is taken.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import quote, urlsplit

from ..errors import Fault
from ..origin import Origin
from ..project.weight_places import selected
from ..project.weight_sources import (
    HubUri,
    RemoteFile,
    SourceUriError,
    is_inner_path,
    split_url,
)
from .http import Client, RefusedError

__all__ = ["TOKEN", "Hub", "NothingSelectedError", "endpoint", "find_token", "setting_faults"]

# https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables: the default
# of HF_ENDPOINT, the variables of the token, and where the hub's own command keeps it.
_DEFAULT_ENDPOINT = "https://huggingface.co"

TOKEN = "HF_TOKEN"  # noqa: S105  # the name of a secret
"""The secret of a build that holds the hub's token, by the name of the hub's own variable."""

_ENDPOINT_VARIABLE = "HF_ENDPOINT"
_TOKEN_VARIABLES = (TOKEN, "HUGGING_FACE_HUB_TOKEN")
# RFC 6750 2.1; of anything else no header can be made, or it would show in the library's refusal.
_TOKEN_CHARACTERS = frozenset(string.ascii_letters + string.digits + "-._~+/=")

# The hub refuses files above 10 MiB that are not kept by their digest.
_MAX_SMALL_BYTES = 64 << 20
_MAX_TOKEN_BYTES = 4096
_AT_ONCE = 4
_SHA = frozenset("0123456789abcdef")


class NothingSelectedError(Exception):
    """The patterns leave none of a source's files. count: how many it has."""

    def __init__(self, count: int) -> None:
        super().__init__(f"none of {count} files")
        self.count = count


@dataclass(frozen=True)
class _Entry:
    """A file of a listing. digest: `sha256:…` of a large one. blob: git's id of a small one."""

    path: str
    size: int
    digest: str
    blob: str


def endpoint(environ: Mapping[str, str]) -> str:
    """The URL of the hub, without a final slash: HF_ENDPOINT, or the public one."""
    return (environ.get(_ENDPOINT_VARIABLE, "").strip() or _DEFAULT_ENDPOINT).rstrip("/")


def setting_faults(url: str, token: str) -> Iterator[Fault]:
    """What is wrong with the hub's address and the user's token, without showing them."""
    try:
        parts = split_url(url)
        said = "has a query or a fragment" if parts.query or parts.fragment else ""
    except SourceUriError as error:
        said = error.message
    if said:
        origin = Origin(asker=f"${_ENDPOINT_VARIABLE}")
        yield Fault(f"the address of the hub {said}", origin, "write it as https://host")
    if not _TOKEN_CHARACTERS.issuperset(token):
        message = "the hub's token holds a character that no token has"
        yield Fault(message, Origin(asker=f"${TOKEN}"), f"correct {TOKEN}")


def find_token(environ: Mapping[str, str]) -> str:
    """The user's token for the hub, from a variable or the file of the hub's own command.

    Empty when there is none; a file that cannot be read counts as none.
    """
    for name in _TOKEN_VARIABLES:
        if value := environ.get(name, "").strip():
            return value
    path = _token_file(environ)
    try:
        if path is None or path.stat().st_size > _MAX_TOKEN_BYTES:
            return ""
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _token_file(environ: Mapping[str, str]) -> Path | None:
    if given := environ.get("HF_TOKEN_PATH"):
        return Path(given)
    if home := environ.get("HF_HOME"):
        return Path(home) / "token"
    cache = environ.get("XDG_CACHE_HOME")
    if not cache and environ.get("HOME"):
        cache = f"{environ['HOME']}/.cache"
    return Path(cache) / "huggingface" / "token" if cache else None


class Hub:
    """One hub. url: without a final slash. token: of the user, empty for none."""

    def __init__(self, client: Client, url: str, token: str) -> None:
        self._client = client
        self._url = url
        self._token = token

    def commit(self, uri: HubUri) -> str:
        """The commit of a revision. Raises RefusedError, RetryableError."""
        place = f"{self._url}/api/models/{uri.repo}/revision/{quote(uri.revision, safe='')}"
        answer, _ = self._client.json(place, self._token)
        commit = answer.get("sha") if isinstance(answer, dict) else None
        if not isinstance(commit, str) or len(commit) != 40 or not _SHA.issuperset(commit):
            raise RefusedError(place, 0, "the hub names no commit")
        return commit

    def files(
        self, uri: HubUri, commit: str, include: Sequence[str], exclude: Sequence[str]
    ) -> tuple[RemoteFile, ...]:
        """The files of a commit that patterns select, sorted by path.

        Raises NothingSelectedError, RefusedError, RetryableError.
        """
        entries = {entry.path: entry for entry in self._listing(uri, commit)}
        chosen = selected(sorted(entries), include, exclude)
        if not chosen:
            raise NothingSelectedError(len(entries))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = [pool.submit(self._file, uri, commit, entries[path]) for path in chosen]
            try:
                return tuple(one.result() for one in found)
            finally:
                # After a failure the others are of no use.
                pool.shutdown(cancel_futures=True)

    def _listing(self, uri: HubUri, commit: str) -> Iterator[_Entry]:
        """The files of a commit; a listing comes in pages."""
        base = f"{self._url}/api/models/{uri.repo}/tree/{commit}"
        place, seen = f"{base}?recursive=true", set()
        while place:
            seen.add(place)
            answer, following = self._client.json(place, self._token)
            if not isinstance(answer, list):
                raise RefusedError(place, 0, "the hub's listing is no list")
            for item in answer:
                if (entry := _entry(item, place)) is not None:
                    yield entry
            # The next page is asked of the same server, so that the token stays there.
            following = f"{base}?{urlsplit(following).query}" if following else ""
            if following in seen:
                raise RefusedError(place, 0, "the hub's listing has no end")
            place = following

    def _file(self, uri: HubUri, commit: str, entry: _Entry) -> RemoteFile:
        url = f"{self._url}/{uri.repo}/resolve/{commit}/{quote(entry.path)}"
        digest = entry.digest
        if not digest:
            if entry.size > _MAX_SMALL_BYTES:
                raise RefusedError(url, 0, f"the hub has no digest of its {entry.size} bytes")
            limit = max(entry.size, 1)
            measured = self._client.measure(url, self._token, limit=limit, keep=True)
            other_blob = entry.blob and entry.blob != _git_blob(measured.data)
            if other_blob or measured.size != entry.size:
                raise RefusedError(url, 0, "the hub sends another content than it lists")
            digest = measured.digest
        return RemoteFile(entry.path, url, entry.size, digest, TOKEN)


def _entry(item: Any, place: str) -> _Entry | None:
    """A file of the listing, None for a folder."""
    if not isinstance(item, dict) or item.get("type") != "file":
        return None
    path, size, blob = item.get("path"), item.get("size"), item.get("oid")
    held = item.get("lfs")
    large: dict[str, Any] = held if isinstance(held, dict) else {}
    oid = large.get("oid")
    if isinstance(oid, str):
        size = large.get("size", size)
    if not isinstance(path, str) or not is_inner_path(path) or not _is_size(size):
        raise RefusedError(place, 0, f"the hub lists a file that cannot be: {path!r}")
    if isinstance(oid, str):
        digits = oid.removeprefix("sha256:")
        if len(digits) != 64 or not _SHA.issuperset(digits):
            raise RefusedError(place, 0, f"the hub's digest of {path} is none")
        return _Entry(path, size, f"sha256:{digits}", "")
    return _Entry(path, size, "", blob if isinstance(blob, str) else "")


def _is_size(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _git_blob(data: bytes) -> str:
    """Git's id of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
