"""Requests to a registry with the token that it asks for, as Docker's registries do.

A 401 names who gives a token (https://distribution.github.io/distribution/spec/auth/token/), or
wants a password itself. What is asked for is the business of `reader`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode, urlsplit

import msgspec

from ..index.location import Credential as Login
from ..index.location import Location, display, origin_of
from .errors import RefusedError, UnreachedError

if TYPE_CHECKING:
    from ..index.http import Answer, Fetcher
    from .docker_config import Credential

__all__ = ["Access"]

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class _Token(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None


class _ChallengedError(Exception):
    """The registry wants a token; `challenge` is its WWW-Authenticate."""

    def __init__(self, challenge: str) -> None:
        super().__init__(challenge)
        self.challenge = challenge


class Access:
    """Asks one registry. url: without a final slash. Tokens live as long as this object.

    login: finds the user's credential, when the registry asks for one.
    offline: every request fails.
    """

    def __init__(
        self,
        url: str,
        fetcher: Fetcher,
        login: Callable[[], Credential | None] = lambda: None,
        *,
        offline: bool = False,
    ) -> None:
        self.url = url
        self._offline = offline
        self._fetcher = fetcher
        self._login = login
        self._tokens: dict[str, str] = {}

    def ask(
        self,
        repository: str,
        url: str,
        headers: Mapping[str, str],
        method: Literal["GET", "HEAD"] = "GET",
    ) -> Answer:
        """One request about a repository; a token is got when the registry asks for it.

        Raises RefusedError, UnreachedError and what `Fetcher.get` raises.
        """
        if self._offline:
            raise UnreachedError(f"{display(url)} is not in the cache, and --offline asks nobody")
        try:
            return self._send(repository, url, headers, method)
        except _ChallengedError as error:
            self._meet(error.challenge, repository)
        try:
            return self._send(repository, url, headers, method)
        except _ChallengedError:
            what = "the token that it asked for" if self._tokens.get(repository) else "the login"
            raise RefusedError(f"{display(url)} refused {what}") from None

    def _send(
        self,
        repository: str,
        url: str,
        headers: Mapping[str, str],
        method: Literal["GET", "HEAD"],
    ) -> Answer:
        token = self._tokens.get(repository, "")
        answer = self._fetcher.get(url, headers=headers, token=token, challenge=True, method=method)
        if answer.status == 401:
            raise _ChallengedError(answer.headers.get("www-authenticate", ""))
        return answer

    def _meet(self, challenge: str, repository: str) -> None:
        """Do what a challenge wants: fetch a token, or know a password for the registry."""
        kind, _, rest = challenge.partition(" ")
        named = dict(_PARAMETER.findall(rest))
        found = self._login()
        if kind.lower() == "basic":
            if found is None or not found.username:
                raise RefusedError(f"the registry {display(self.url)} asks for a login")
            self._know(self.url, found)
            return
        realm = named.get("realm", "")
        if kind.lower() != "bearer" or not self._may_serve_tokens(realm):
            told = f"{kind} {display(realm)}".strip() or "nothing"
            raise UnreachedError(f"the registry {display(self.url)} wants a login, by {told}")
        query = {"scope": named.get("scope") or f"repository:{repository}:pull"}
        query |= {"service": named["service"]} if named.get("service") else {}
        self._tokens[repository] = self._token(realm, query, found)

    def _may_serve_tokens(self, realm: str) -> bool:
        """Whether it is a URL, and one that is no less protected than the registry itself."""
        try:
            scheme, host, _ = origin_of(realm)
        except ValueError:
            return False
        return bool(host) and scheme in {"https", urlsplit(self.url).scheme}

    def _token(self, realm: str, query: dict[str, str], found: Credential | None) -> str:
        if found is not None and not found.username:
            # An identity token is changed for another one, as OAuth 2 has it.
            form = query | {
                "grant_type": "refresh_token",
                "client_id": "cogpack",
                "refresh_token": found.secret,
            }
            answer = self._fetcher.get(realm, method="POST", form=form)
        else:
            if found is not None:
                self._know(realm, found)
            mark = "&" if urlsplit(realm).query else "?"
            answer = self._fetcher.get(f"{realm}{mark}{urlencode(query)}")
        try:
            given = msgspec.json.decode(answer.body, type=_Token)
        except msgspec.DecodeError as error:
            raise UnreachedError(f"{display(realm)} gave no token: {error}") from error
        token = given.token or given.access_token or ""
        if not (token.isascii() and token.isprintable()):
            raise UnreachedError(f"{display(realm)} gave no token that can be sent")
        return token

    def _know(self, url: str, found: Credential) -> None:
        login = Login(found.username, found.secret, "docker login")
        self._fetcher.credentials.add([Location(url, credential=login)])
