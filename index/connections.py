"""Connections as they are made to indexes and registries: certificates, pools, and a deadline.

httpx limits each silence of a server and not a whole request: one that sends a byte now and then,
in the headers of its answer for example, would keep a request for ever.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from ..errors import UserError

if TYPE_CHECKING:
    from .http import HttpSettings

__all__ = ["Deadline", "open_http"]


class Deadline:
    """When the request of a thread has to be over. clock: seconds, as `time.monotonic`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._local = threading.local()

    @contextmanager
    def until(self, moment: float) -> Iterator[None]:
        """Inside the block no read of this thread waits longer than to a moment of the clock."""
        self._local.moment = moment
        try:
            yield
        finally:
            del self._local.moment

    def watch(self, client: httpx.Client) -> None:
        """Make the connections of a client heed the deadline."""
        # httpx hands a network of one's own to httpcore by no public way that keeps its proxies.
        transports = (client._transport, *client._mounts.values())
        for transport in transports:
            pool = getattr(transport, "_pool", None)
            if isinstance(pool, httpcore.ConnectionPool):
                pool._network_backend = _Network(pool._network_backend, self)

    def left(self, timeout: float | None) -> float | None:
        """The seconds that a read may take, of those that it would be given.

        Raises httpcore.ReadTimeout when there are none.
        """
        moment = getattr(self._local, "moment", None)
        if moment is None:
            return timeout
        seconds = float(moment - self._clock())
        if seconds <= 0:
            raise httpcore.ReadTimeout("the request took too long")
        return seconds if timeout is None else min(timeout, seconds)


def open_http(settings: HttpSettings, deadline: Deadline) -> httpx.Client:
    """A client with connections that heed the deadline; closing it is the caller's business.

    Raises UserError when the certificates cannot be read.
    """
    limits = httpx.Limits(
        max_connections=settings.connections, max_keepalive_connections=settings.connections
    )
    verify: Any = True
    if settings.ca_file is not None:
        try:
            verify = ssl.create_default_context(cafile=str(settings.ca_file))
        except (OSError, ssl.SSLError) as error:
            raise UserError(f"the certificates in {settings.ca_file} cannot be read") from error
    mounts: dict[str, httpx.BaseTransport | None] = {
        f"https://{host}": httpx.HTTPTransport(verify=False, limits=limits)  # asked for
        for host in settings.trusted_hosts
    }
    client = httpx.Client(
        verify=verify,
        mounts=mounts,
        limits=limits,
        timeout=httpx.Timeout(
            settings.read_seconds, connect=settings.connect_seconds, pool=settings.total_seconds
        ),
        headers={"user-agent": "cogpack"},
        follow_redirects=False,
    )
    deadline.watch(client)
    return client


class _Network(httpcore.NetworkBackend):
    """A network whose connections heed a deadline."""

    def __init__(self, network: httpcore.NetworkBackend, deadline: Deadline) -> None:
        self._network = network
        self._deadline = deadline

    def connect_tcp(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(self._network.connect_tcp(*args, **options), self._deadline)

    def connect_unix_socket(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(self._network.connect_unix_socket(*args, **options), self._deadline)

    def sleep(self, seconds: float) -> None:
        self._network.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(*args, **options), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
