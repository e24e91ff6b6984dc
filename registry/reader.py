"""The tags of a repository and the digest of a reference, as the OCI distribution API has them.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md; pages go on by `Link`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from urllib.parse import quote, urljoin

import msgspec

from ..errors import Failure
from ..index.http import Answer
from ..index.location import display, origin_of
from ..index.pagecache import PageCache
from .access import Access
from .errors import UnreachedError

__all__ = ["Registry"]

# Tags asked for at once; a registry may give fewer. Docker Hub's own limit is 1000.
_PAGE = 1000

# More pages than this are a registry that goes in circles: nvidia/cuda has a few thousand tags.
_MOST_PAGES = 200

_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')

# An image for several platforms comes first: its digest is the one that a pull by tag shows, and
# it is the same whatever platform asks.
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)

# Of all manifests since 2016; the digest of an older one is not that of its bytes.
_SCHEMA = 2

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


class _Manifest(msgspec.Struct, rename="camel"):
    schema_version: int


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _Page(msgspec.Struct, array_like=True):
    """A page as the cache keeps it. next: where the list goes on; empty at its end."""

    tags: list[str]
    next: str


class Registry:
    """One registry, through a cache."""

    def __init__(self, access: Access, cache: PageCache) -> None:
        self._access = access
        self._cache = cache

    def tags(self, repository: str) -> frozenset[str] | None:
        """All tags of a repository, `library/python`; None when it does not exist.

        Raises UnreachedError.
        """
        found: set[str] = set()
        seen: set[str] = set()
        url = f"{self._access.url}/v2/{repository}/tags/list?n={_PAGE}"
        while url:
            if url in seen or len(seen) >= _MOST_PAGES:
                raise UnreachedError(f"the tags of {repository} at {display(url)} have no end")
            seen.add(url)
            page = self._page(url, repository)
            if page is None:
                if found:
                    raise UnreachedError(f"the tags of {repository} end at {display(url)}: 404")
                return None
            found.update(page.tags)
            url = page.next
        return frozenset(found)

    def digest(self, repository: str, tag: str, *, refresh: bool = False) -> str | None:
        """The digest that a tag has, of all platforms together; None when there is no such tag.

        refresh: ask although the cache has an answer that is fresh.

        Raises UnreachedError.
        """
        url = f"{self._access.url}/v2/{repository}/manifests/{quote(tag)}"

        def ask(target: str, headers: Mapping[str, str]) -> Answer:
            # A GET would count as a pull where those are limited, as on Docker Hub.
            answer = self._access.ask(repository, target, headers, "HEAD")
            if answer.is_absent or "docker-content-digest" in answer.headers:
                return answer
            return self._access.ask(repository, target, headers)

        try:
            body = self._cache.get(url, _MANIFESTS, ask, _digest, refresh=refresh)
        except Failure as error:
            raise UnreachedError(str(error.faults[0])) from error
        return body.decode() if body else None

    def _page(self, url: str, repository: str) -> _Page | None:
        def ask(target: str, headers: Mapping[str, str]) -> Answer:
            return self._access.ask(repository, target, headers)

        try:
            body = self._cache.get(url, "application/json", ask, _pack, refresh=True)
        except (Failure, msgspec.DecodeError) as error:
            told = str(error.faults[0]) if isinstance(error, Failure) else str(error)
            raise UnreachedError(told) from error
        return None if body is None else msgspec.msgpack.decode(body, type=_Page)


def _digest(answer: Answer) -> bytes:
    announced = answer.headers.get("docker-content-digest", "")
    found = announced if answer.body == b"" else f"sha256:{sha256(answer.body).hexdigest()}"
    if answer.body and not _is_manifest(answer.body):
        # A proxy that wants a login says so with a page of its own, and with a 200.
        raise UnreachedError(f"{display(answer.url)} answered with something else than an image")
    if not _DIGEST.fullmatch(found):
        raise UnreachedError(f"{display(answer.url)} has no digest but {announced!r}")
    return found.encode()


def _is_manifest(body: bytes) -> bool:
    try:
        return msgspec.json.decode(body, type=_Manifest).schema_version == _SCHEMA
    except msgspec.DecodeError:
        return False


def _pack(answer: Answer) -> bytes:
    listed = msgspec.json.decode(answer.body, type=_Tags)
    following = _NEXT.search(answer.headers.get("link", ""))
    target = urljoin(answer.url, following[1]) if following else ""
    if target and origin_of(target) != origin_of(answer.url):
        raise UnreachedError(f"the tags at {display(answer.url)} go on at another server")
    return msgspec.msgpack.encode(_Page(listed.tags or [], target))
