"""Byte relays: dockerd's embedded BuildKit as a plain gRPC socket, and name queries off the bridge.

Run as `python -m devdaemon.relay`. It knows sockets only, nothing of packages or of the daemon.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from pathlib import Path
from typing import cast

__all__ = ["main", "relay_buildkit", "relay_names"]

# dockerd speaks HTTP/1.1 until this is accepted, and gRPC on the same connection from there on.
_UPGRADE = (
    b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_CHUNK = 256 * 1024
_DNS_PORT = 53
_DNS_SECONDS = 10


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Carry bytes one way until the source ends, then end the sink's direction too."""
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
    with contextlib.suppress(OSError, RuntimeError):
        sink.write_eof()


async def _join(
    near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Carry bytes both ways until both directions have ended."""
    await asyncio.gather(_pump(near[0], far[1]), _pump(far[0], near[1]))


async def relay_buildkit(listen: Path, docker: Path) -> asyncio.Server:
    """Serve on the unix socket `listen` the BuildKit that dockerd at `docker` embeds."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, asyncio.IncompleteReadError):
            upper = await asyncio.open_unix_connection(docker)
            with contextlib.closing(upper[1]):
                upper[1].write(_UPGRADE)
                head = await upper[0].readuntil(b"\r\n\r\n")
                if head.split(b" ", 2)[1] == b"101":
                    await _join((reader, writer), upper)

    listen.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(serve, listen)
    listen.chmod(0o600)
    return server


class _Names(asyncio.DatagramProtocol):
    """Sends each datagram on from a socket of its own, so that answers find their asker."""

    def __init__(self, upstream: tuple[str, int]) -> None:
        self._upstream = upstream
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own datagram transport is no subclass of the class that it documents.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.ensure_future(self._ask(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _ask(self, query: bytes, asker: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        with contextlib.suppress(OSError, TimeoutError):
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Answer(answer), remote_addr=self._upstream
            )
            with contextlib.closing(transport):
                transport.sendto(query)
                reply = await asyncio.wait_for(answer, _DNS_SECONDS)
            if self._transport:
                self._transport.sendto(reply, asker)


class _Answer(asyncio.DatagramProtocol):
    """Takes the first datagram that comes."""

    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


async def relay_names(
    listen: str, upstream: str, port: int = _DNS_PORT, upstream_port: int = _DNS_PORT
) -> tuple[asyncio.Server, asyncio.DatagramTransport]:
    """Serve name queries, by UDP and TCP, on `listen` and have `upstream` answer them."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError):
            upper = await asyncio.open_connection(upstream, upstream_port)
            with contextlib.closing(upper[1]):
                await _join((reader, writer), upper)

    loop = asyncio.get_running_loop()
    datagrams, _ = await loop.create_datagram_endpoint(
        lambda: _Names((upstream, upstream_port)), local_addr=(listen, port)
    )
    return await asyncio.start_server(serve, listen, port), datagrams


async def _serve(options: argparse.Namespace) -> None:
    serving = [await relay_buildkit(options.listen, options.docker)]
    if options.names:
        names, _datagrams = await relay_names(*options.names)
        serving.append(names)
    await asyncio.gather(*(server.serve_forever() for server in serving))


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", type=Path, required=True, help="socket to serve BuildKit on")
    parser.add_argument("--docker", type=Path, required=True, help="dockerd's socket")
    parser.add_argument("--names", nargs=2, metavar=("LISTEN", "UPSTREAM"), help="addresses")
    asyncio.run(_serve(parser.parse_args()))


if __name__ == "__main__":
    main()
