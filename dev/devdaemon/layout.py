"""Where the development builder keeps its files, and the one failure it raises.

What can be made again lives under the user's cache; what belongs to the running daemon lives under
/run, where a reboot clears it and where every user of the machine finds the one daemon. Two dockerd
on one machine disturb each other's packet filter, so there is one, whatever HOME started it; what
is started beside it for a while leaves the packet filter alone (see `daemon.second`).
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["RUN", "SetupError", "cache", "exclusive", "is_held", "say"]

RUN = Path("/run/cogpack-dev")


class SetupError(Exception):
    """What was asked for cannot be had on this machine; the text says why and what to do."""


def cache() -> Path:
    """Return the folder for packages, image data and base images (not created here)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "cogpack-dev"


def say(text: str) -> None:
    """Tell the person at the terminal what is going on; standard output stays for results."""
    print(f"builder: {text}", file=sys.stderr, flush=True)


@contextmanager
def exclusive(file: Path) -> Iterator[None]:
    """Hold the lock `file`; a second caller waits until the first has left the block."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def is_held(file: Path) -> bool:
    """Whether a process is inside `exclusive(file)` now; a killed one has left it."""
    try:
        with file.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
