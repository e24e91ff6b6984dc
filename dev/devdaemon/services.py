"""Background processes that outlive the command which starts them.

A service is known by its pid file and by its folder in its own command line, so that a pid which
another program has taken over since is never mistaken for it, and never killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .layout import SetupError

__all__ = ["Service", "command_line", "kill", "start", "stop"]

_START_SECONDS = 60.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Service:
    """A process to keep: its command, environment, log, pid file and the check that it serves."""

    name: str
    argv: Sequence[str | Path]
    env: Mapping[str, str]
    folder: Path
    ready: Callable[[], bool]

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        """Where its process id stands."""
        return self.folder / f"{self.name}.pid"

    def pid(self) -> int:
        """Return the process id of the running service, 0 when it does not run."""
        with suppress(OSError, ValueError):
            pid = int(self.pid_file.read_text(encoding="ascii"))
            if str(self.folder) in command_line(pid):
                return pid
        return 0


def command_line(pid: int) -> str:
    """Return a process's command line, empty for one that is gone or a zombie."""
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b" ".join(words).decode(errors="replace")
    return ""


def start(service: Service) -> None:
    """Start a service unless it serves already; return when it does.

    Raises SetupError with the end of its log when it ends or does not answer in time.
    """
    if service.pid() and service.ready():
        return
    stop(service)
    with service.log.open("wb") as log:
        process = subprocess.Popen(
            service.argv,
            env=service.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    service.pid_file.write_text(f"{process.pid}\n", encoding="ascii")
    deadline = time.monotonic() + _START_SECONDS
    while not service.ready():
        if process.poll() is not None or time.monotonic() > deadline:
            kill(process.pid)
            log_end = service.log.read_text(encoding="utf-8", errors="replace").splitlines()[-12:]
            text = f"{service.name} did not start ({service.log}):"
            raise SetupError("\n  ".join([text, *log_end]))
        time.sleep(_POLL_SECONDS)


def stop(service: Service) -> None:
    """Stop a service, if it runs, and forget it."""
    if pid := service.pid():
        kill(pid)
    service.pid_file.unlink(missing_ok=True)


def kill(pid: int) -> None:
    """End a process: ask first, and insist when it has not gone in time."""
    for demand in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(pid, demand)
        deadline = time.monotonic() + _STOP_SECONDS
        while command_line(pid) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if not command_line(pid):
            return
