"""Asks servers of weights over HTTP: retries, redirects, tokens, and what an answer means.

A token goes to the server that it is for and to no other: redirects to another origin are followed
without it. `httpx` is loaded with the first request.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ..errors import RetryableError
from ..project.redact import redact

if TYPE_CHECKING:
    import httpx

__all__ = ["Client", "Measured", "RefusedError"]

_Result = TypeVar("_Result")

# What may be gone on the next try: RFC 9110 15.5.9, RFC 8470, RFC 6585, and faults of the server.
_RETRY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_ATTEMPTS = 4
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0  # seconds; the pauses double
_CONNECT_SECONDS, _SILENCE_SECONDS = 10.0, 60.0
_PIECE_BYTES = 1 << 20
_JSON_BYTES = 64 << 20


class RefusedError(Exception):
    """A server's answer that another try will not mend.

    status: the answer's; 0 when it makes no sense. code: the hub's own word for the reason.
    """

    def __init__(self, url: str, status: int, reason: str = "", code: str = "") -> None:
        super().__init__(f"{url}: {reason or f'the server answered {status}'}")
        self.url = url
        self.status = status
        self.reason = reason or f"the server answered {status}"
        self.code = code


@dataclass(frozen=True)
class Measured:
    """A body that was read to its end. digest: `sha256:…`. size: in bytes. data: if asked for."""

    digest: str
    size: int
    data: bytes = b""


class _AgainError(Exception):
    """A fault that another try may mend."""


class Client:
    """Connections to the servers of weights; may be used from several threads.

    pause: the first pause between tries, in seconds; tests make it short.
    """

    def __init__(self, pause: float = _FIRST_PAUSE) -> None:
        import httpx

        self._pause = pause
        self._http = httpx.Client(
            timeout=httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
            headers={"user-agent": "cogpack"},
            follow_redirects=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def json(self, url: str, token: str = "") -> tuple[Any, str]:
        """The JSON at a URL, and the URL of the next page, empty when this is the last.

        Raises RefusedError for an answer that is no success or no JSON, RetryableError when the
        network fails to the end.
        """

        def read(response: httpx.Response) -> tuple[Any, str]:
            body = b"".join(_pieces(response, _JSON_BYTES))
            try:
                data = json.loads(body)
            except (ValueError, RecursionError):
                raise RefusedError(url, 0, "the server's answer is no JSON") from None
            following = response.links.get("next", {}).get("url", "")
            return data, str(response.url.join(following)) if following else ""

        return self._read(url, token, read)

    def measure(self, url: str, token: str = "", *, limit: int = 0, keep: bool = False) -> Measured:
        """Read a file and take its digest. limit: the most bytes that it may have; 0 for any.

        keep: return the bytes too. Raises as `json`.
        """

        def read(response: httpx.Response) -> Measured:
            digest, size, kept = hashlib.sha256(), 0, []
            for piece in _pieces(response, limit):
                digest.update(piece)
                size += len(piece)
                if keep:
                    kept.append(piece)
            return Measured(f"sha256:{digest.hexdigest()}", size, b"".join(kept))

        return self._read(url, token, read)

    def size(self, url: str) -> int | None:
        """The bytes of a file as its server announces them; None when it does not say.

        The body is not read. Raises as `json`.
        """

        def read(response: httpx.Response) -> int | None:
            length = response.headers.get("content-length", "")
            encoded = response.headers.get("content-encoding", "identity") != "identity"
            return int(length) if length.isdecimal() and not encoded else None

        return self._read(url, "", read)

    def _read(self, url: str, token: str, read: Callable[[httpx.Response], _Result]) -> _Result:
        from tenacity import (
            Retrying,
            retry_if_exception_type,
            stop_after_attempt,
            wait_exponential,
        )

        tries = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(self._pause, max=_LONGEST_PAUSE),
            retry=retry_if_exception_type(_AgainError),
            reraise=True,
        )
        try:
            answer: _Result = tries(self._once, url, token, read)
        except _AgainError as error:
            raise RetryableError(f"{redact(url)}: {error}", hint="try again later") from error
        return answer

    def _once(self, url: str, token: str, read: Callable[[httpx.Response], _Result]) -> _Result:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        with self._answer(url, headers) as response:
            if response.status_code in _RETRY_STATUS:
                raise _AgainError(f"the server answered {response.status_code}")
            if response.status_code != 200:
                code = response.headers.get("x-error-code", "")
                raise RefusedError(url, response.status_code, code=code)
            return read(response)

    @contextmanager
    def _answer(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        import httpx

        # A digest is of the bytes as they are stored, not of a compressed form of the transfer.
        sent = {"accept-encoding": "identity", **headers}
        try:
            with self._http.stream("GET", url, headers=sent) as response:
                yield response
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise RefusedError(url, 0, f"no URL that can be asked ({error})") from error
        except httpx.TooManyRedirects as error:
            raise RefusedError(url, 0, "it redirects in a circle") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            first = str(error).strip().partition("\n")[0] or type(error).__name__
            raise _AgainError(f"the network failed ({first})") from error


def _pieces(response: httpx.Response, limit: int) -> Iterator[bytes]:
    count = 0
    for piece in response.iter_bytes(_PIECE_BYTES):
        count += len(piece)
        if limit and count > limit:
            url = str(response.request.url)
            raise RefusedError(url, 0, f"the server sends more than {limit} bytes")
        yield piece
