"""An address where nobody listens, for as long as a test needs it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["nowhere"]


@contextmanager
def nowhere() -> Iterator[str]:
    """A URL without a path whose port refuses every connection, at once.

    The port is taken, so that no other server can get it meanwhile, and nobody listens there.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
