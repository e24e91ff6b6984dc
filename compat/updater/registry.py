"""Lists the tags of a repository, as the OCI distribution specification has it.

Pagination by `Link`, and tokens as Docker's registries ask for them: a 401 names who gives one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec

from ...errors import Failure
from ...index import Fetcher
from ...index.http import Answer
from ...index.location import display, origin_of
from ...index.pagecache import PageCache
from .sources import UnreachedError

__all__ = ["Registry"]

# Tags asked for at once; a registry may give fewer. Docker Hub's own limit is 1000.
_PAGE = 1000

# More pages than this are a registry that goes in circles: nvidia/cuda has a few thousand tags.
_MOST_PAGES = 200

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class _Token(msgspec.Struct):
    token: str = ""
    access_token: str = ""


class _Page(msgspec.Struct, array_like=True):
    """A page as the cache keeps it. next: where the list goes on; empty at its end."""

    tags: list[str]
    next: str


class _RefusedError(Exception):
    """The registry wants a token; `challenge` is its WWW-Authenticate."""

    def __init__(self, challenge: str) -> None:
        super().__init__(challenge)
        self.challenge = challenge


@dataclass
class Registry:
    """One registry. url: without a final slash. Tokens live as long as this object."""

    url: str
    fetcher: Fetcher
    cache: PageCache

    def __post_init__(self) -> None:
        self._tokens: dict[str, str] = {}

    def tags(self, repository: str) -> frozenset[str] | None:
        """All tags of a repository, `library/python`; None when it does not exist.

        Raises UnreachedError.
        """
        found: set[str] = set()
        seen: set[str] = set()
        url = f"{self.url}/v2/{repository}/tags/list?n={_PAGE}"
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

    def _page(self, url: str, repository: str) -> _Page | None:
        def ask(target: str, headers: Mapping[str, str]) -> Answer:
            token = self._tokens.get(repository, "")
            answer = self.fetcher.get(target, headers=headers, token=token, challenge=True)
            if answer.status == 401:
                raise _RefusedError(answer.headers.get("www-authenticate", ""))
            return answer

        try:
            try:
                body = self.cache.get(url, "application/json", ask, _pack, refresh=True)
            except _RefusedError as refused:
                self._tokens[repository] = self._token(refused.challenge, repository)
                body = self.cache.get(url, "application/json", ask, _pack, refresh=True)
        except _RefusedError as error:
            raise UnreachedError(f"{display(url)} refused the token that it asked for") from error
        except (Failure, msgspec.DecodeError) as error:
            told = str(error.faults[0]) if isinstance(error, Failure) else str(error)
            raise UnreachedError(told) from error
        return None if body is None else msgspec.msgpack.decode(body, type=_Page)

    def _token(self, challenge: str, repository: str) -> str:
        kind, _, rest = challenge.partition(" ")
        named = dict(_PARAMETER.findall(rest))
        realm = named.get("realm", "")
        if kind.lower() != "bearer" or urlsplit(realm).scheme not in {"https", "http"}:
            raise UnreachedError(f"the registry {display(self.url)} asks for {kind or 'nothing'}")
        query = {"scope": named.get("scope") or f"repository:{repository}:pull"}
        query |= {"service": named["service"]} if named.get("service") else {}
        answer = self.fetcher.get(f"{realm}?{urlencode(query)}")
        try:
            given = msgspec.json.decode(answer.body, type=_Token)
        except msgspec.DecodeError as error:
            raise UnreachedError(f"{display(realm)} gave no token: {error}") from error
        return given.token or given.access_token


def _pack(answer: Answer) -> bytes:
    listed = msgspec.json.decode(answer.body, type=_Tags)
    following = _NEXT.search(answer.headers.get("link", ""))
    target = urljoin(answer.url, following[1]) if following else ""
    if target and origin_of(target) != origin_of(answer.url):
        raise UnreachedError(f"the tags at {display(answer.url)} go on at another server")
    return msgspec.msgpack.encode(_Page(listed.tags or [], target))
