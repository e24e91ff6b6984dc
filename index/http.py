"""Speaks HTTP with indexes: one connection pool, retries, redirects, credentials, clear errors.

Caching is not done here. `httpx` is loaded at the first request: what the cache answers needs no
client, no certificates and no proxy settings.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from ..errors import BuilderError, RetryableError, UserError
from .credentials import CredentialBook
from .location import Location, display, origin_of

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

    from .connections import Deadline

__all__ = ["Answer", "Fetcher", "HttpSettings", "OversizedError"]

_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

_MAX_REDIRECTS = 10

# Bytes of an answer whose asker names no limit: pages have a few MiB, the longest ones some 20.
_MOST_BYTES = 64 << 20

# Longest of the pauses that double after each try, in seconds.
_LONGEST_PAUSE = 10.0


@dataclass(frozen=True)
class HttpSettings:
    """How requests are made.

    connect_seconds, read_seconds: limits of one connection and of one silence in a transfer.
    total_seconds: limit of one request with all its retries and pauses.
    attempts: how often a request is tried.
    pause_seconds: the first pause between tries; it doubles. `Retry-After` counts when longer.
    connections: size of the pool.
    ca_file: certificates to trust (PEM); None for what `SSL_CERT_FILE`, `SSL_CERT_DIR` or the
        system name.
    trusted_hosts: hosts (`name` or `name:port`) whose certificate is not checked, as pip's option.
    """

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    total_seconds: float = 90.0
    attempts: int = 5
    pause_seconds: float = 0.3
    connections: int = 16
    ca_file: Path | None = None
    trusted_hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """A response, read to its end.

    url: after redirects. status: 2xx, 304, 404, 410 or 416. headers: names in lower case.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def is_absent(self) -> bool:
        """Whether the server says that there is nothing at the URL."""
        return self.status in {404, 410}


class OversizedError(Exception):  # an answer that its asker handles
    """A body longer than its asker wants to read."""


class _AgainError(Exception):
    """A fault that another try may mend; `after` is what Retry-After asks for, in seconds."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


@dataclass(frozen=True)
class _Asked:
    """What `Fetcher.get` was asked for."""

    url: str
    headers: dict[str, str]
    location: Location | None
    limit: int | None
    token: str = field(repr=False)
    challenge: bool
    method: Literal["GET", "HEAD", "POST"]
    form: dict[str, str] = field(repr=False)


class Fetcher:
    """Fetches URLs of package indexes; safe to use from several threads.

    credentials: what each server is to be told. sleep, clock: replaced by tests.
    """

    def __init__(
        self,
        settings: HttpSettings | None = None,
        credentials: CredentialBook | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings or HttpSettings()
        self.credentials = credentials or CredentialBook()
        self._sleep = sleep
        self._clock = clock
        self._client: httpx.Client | None = None
        self._deadline: Deadline | None = None
        self._under_way = 0
        self._closed = False
        self._lock = threading.Lock()

    def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        location: Location | None = None,
        limit: int | None = None,
        token: str = "",
        challenge: bool = False,
        method: Literal["GET", "HEAD", "POST"] = "GET",
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET a URL; network faults, 429 and 5xx are tried again.

        location: the index it belongs to, for messages.
        limit: longest body, in bytes; without one 64 MiB.
        token: a bearer token for the URL's own server (RFC 6750); a redirect to another server
            is followed without it.
        challenge: a 401 is an answer, whose `www-authenticate` the caller reads.
        method, form: another request than GET, and what a POST sends; it must bear repetition.

        Raises RetryableError when the network or the server fails to the end, UserError when the
        server refuses the credential, BuilderError for another refusal or a fetcher that is
        closed, OversizedError past the limit.
        """
        from tenacity import Retrying, retry_if_exception_type

        if location is not None:
            self.credentials.add([location])
        deadline = self._clock() + self.settings.total_seconds

        def is_over(state: RetryCallState) -> bool:
            is_last = state.attempt_number >= self.settings.attempts
            return is_last or self._clock() + self._pause(state) >= deadline

        tries = Retrying(
            stop=is_over,
            wait=self._pause,
            retry=retry_if_exception_type(_AgainError),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            asked = _Asked(
                url,
                dict(headers or {}),
                location,
                limit,
                token,
                challenge,
                method,
                dict(form or {}),
            )
            return tries(self._follow, asked, deadline)
        except OversizedError as error:
            if limit is not None:
                raise
            message = f"{_asker(location)}{display(url)} sends more than {_MOST_BYTES} bytes"
            raise BuilderError(message) from error
        except _AgainError as error:
            raise RetryableError(
                f"{_asker(location)}{display(url)}: {error}",
                hint="try again later, or use --offline to work from the cache alone",
            ) from error

    def close(self) -> None:
        """Begin no request any more, and close the connections once none is under way.

        A request that nobody waits for any more may still run on another thread: a connection
        that it opens in a closed pool would be closed by nobody.
        """
        with self._lock:
            self._closed = True
            self._close_if_idle()

    def _pause(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.after if isinstance(error, _AgainError) else 0.0
        doubled = self.settings.pause_seconds * 2.0 ** (state.attempt_number - 1)
        return max(min(doubled, _LONGEST_PAUSE), asked)

    def _follow(self, asked: _Asked, deadline: float) -> Answer:
        """One try: the request, the redirects after it, and a second one with a credential."""
        url = asked.url
        try:
            home = origin_of(url)
        except ValueError as error:
            raise BuilderError(f"{display(url)} is malformed ({error})") from error
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._send(url, asked, deadline)
            if answer.status == 401 and asked.challenge:
                return answer
            if answer.status in {401, 403} and self._may_ask(url, answer.status):
                answer = self._send(url, asked, deadline)
            target = _redirect_target(answer)
            if target is None:
                return self._judge(answer, asked.location)
            if asked.form and origin_of(target) != home:
                # What a form holds, a token for one, is for the server that was asked alone.
                raise BuilderError(f"{display(url)} sends a form on to {display(target)}")
            url = target
        raise BuilderError(f"{display(url)} redirects more than {_MAX_REDIRECTS} times")

    def _may_ask(self, url: str, status: int) -> bool:
        """Whether a keyring knows a credential that was not sent yet."""
        before = self.credentials.known(url)
        if status == 403 and before is None:
            return False
        found = self.credentials.ask(url)
        return found is not None and found != before

    def _send(self, url: str, asked: _Asked, deadline: float) -> Answer:
        with self._connected(url) as (client, limit), limit.until(deadline):
            return self._exchange(client, url, asked, deadline)

    def _exchange(self, client: httpx.Client, url: str, asked: _Asked, deadline: float) -> Answer:
        """One request and its answer."""
        import httpx

        try:
            request = client.build_request(
                asked.method, url, headers=asked.headers, data=asked.form or None
            )
        except (httpx.InvalidURL, UnicodeError) as error:
            raise BuilderError(f"{display(url)} is malformed ({error})") from error
        auth: httpx.BasicAuth | None = None
        if asked.token and origin_of(url) == origin_of(asked.url):
            request.headers["authorization"] = f"Bearer {asked.token}"
        elif credential := self.credentials.known(url):
            auth = httpx.BasicAuth(credential.username, credential.password)
        try:
            response = client.send(request, auth=auth, stream=True)
            try:
                body = self._read(response, asked.limit, deadline)
            finally:
                response.close()
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise _AgainError(_network_fault(error)) from error
        except httpx.InvalidURL as error:
            # httpx looks at where it is sent on to, although it is not to go there.
            message = f"{display(url)} redirects to a malformed URL ({error})"
            raise BuilderError(message) from error
        except UnicodeError as error:
            # The host's name, which is encoded for the resolver only now.
            raise BuilderError(f"{display(url)} is malformed ({error})") from error
        if response.status_code in _RETRY_STATUS:
            raise _AgainError(
                f"the server answered {response.status_code}",
                _retry_after(response.headers.get("retry-after", "")),
            )
        return Answer(str(response.url), response.status_code, dict(response.headers), body)

    def _read(self, response: httpx.Response, limit: int | None, deadline: float) -> bytes:
        if response.status_code >= 400 or response.has_redirect_location:
            return b""
        limit = _MOST_BYTES if limit is None else limit
        announced = response.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit and response.request.method != "HEAD":
            raise OversizedError
        pieces = []
        count = 0
        for piece in response.iter_bytes():
            pieces.append(piece)
            count += len(piece)
            if count > limit:
                raise OversizedError
            if self._clock() > deadline:
                seconds = self.settings.total_seconds
                raise _AgainError(f"the transfer took longer than {seconds:g} s")
        return b"".join(pieces)

    def _judge(self, answer: Answer, location: Location | None) -> Answer:
        status = answer.status
        if status < 300 or status in {304, 416} or answer.is_absent:
            return answer
        if status == 403 and location and location.forbidden_is_absent:
            return Answer(answer.url, 404, answer.headers, b"")
        if status in {401, 403, 407}:
            raise self._refusal(answer, location)
        raise BuilderError(f"{_asker(location)}{display(answer.url)} answered {status}")

    def _refusal(self, answer: Answer, location: Location | None) -> UserError:
        sent = self.credentials.known(answer.url)
        named = f" ({location.origin})" if location and location.origin else ""
        who = f"package index {location.display}{named}" if location else "the server"
        what = f"the credential from {sent.source}" if sent else "a request without a credential"
        tried = ", ".join(self.credentials.tried(answer.url))
        return UserError(
            f"{who} refused {what} for {display(answer.url)}: it answered {answer.status}",
            hint=f"give a valid credential; looked at: {tried}",
        )

    @contextmanager
    def _connected(self, url: str) -> Iterator[tuple[httpx.Client, Deadline]]:
        """The client, which stays open until the request is over, and what limits a request."""
        with self._lock:
            if self._closed:
                raise BuilderError(f"{display(url)} was asked for when the client was closed")
            if self._client is None or self._deadline is None:
                from .connections import Deadline, open_http

                self._deadline = Deadline(self._clock)
                self._client = open_http(self.settings, self._deadline)
            client, deadline = self._client, self._deadline
            self._under_way += 1
        try:
            yield client, deadline
        finally:
            with self._lock:
                self._under_way -= 1
                self._close_if_idle()

    def _close_if_idle(self) -> None:
        if self._closed and not self._under_way and self._client is not None:
            self._client.close()
            self._client = None


def _asker(location: Location | None) -> str:
    """How a message begins about a request to an index; other servers are named by the URL."""
    return f"package index {location.display}: " if location else ""


def _redirect_target(answer: Answer) -> str | None:
    if answer.status not in {301, 302, 303, 307, 308}:
        return None
    import httpx

    target = answer.headers.get("location", "")
    try:
        joined = httpx.URL(answer.url).join(target)
        _ = origin_of(str(joined))
    except (httpx.InvalidURL, ValueError) as error:
        raise BuilderError(f"{display(answer.url)} redirects to a malformed URL") from error
    if urlsplit(str(joined)).scheme not in {"http", "https"} or not target:
        raise BuilderError(f"{display(answer.url)} redirects to {display(str(joined))}")
    # A credential in the target would be sent by httpx; the book alone says what is sent where.
    return str(joined.copy_with(username=None, password=None, fragment=None))


def _retry_after(text: str) -> float:
    """Seconds of a Retry-After header, which holds a number or a date (RFC 9110)."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError, IndexError):
        return 0.0


def _network_fault(error: Exception) -> str:
    import httpx

    if isinstance(error, httpx.ConnectTimeout | httpx.ReadTimeout | httpx.PoolTimeout):
        return "the server did not answer in time"
    if isinstance(error, httpx.ConnectError):
        return f"no connection ({_first_line(error)})"
    return f"the connection broke ({_first_line(error) or type(error).__name__})"


def _first_line(error: Exception) -> str:
    return str(error).strip().partition(os.linesep)[0]
