"""Waiting for answers that may never come: calls on threads that do not outlive the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ..errors import Failure

__all__ = ["Awaited"]

T = TypeVar("T")


class Awaited(Generic[T]):
    """A call under way.

    value: what it came to; None until then. failure: why it failed, where that was foreseen.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self.value: T | None = None
        self.failure: Failure | None = None
        self._fault: Exception | None = None
        self._call = call
        # A look-up of a name without a network may hang for long; a daemon does not outlive a run.
        self._thread = threading.Thread(target=self._run, daemon=True, name="cogpack-metadata")
        self._thread.start()

    def wait(self, deadline: float) -> None:
        """Wait until it is there, failed, or late. deadline: of `time.monotonic`, in seconds.

        Raises what the call raised and nobody foresaw.
        """
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        try:
            self.value = self._call()
        except Failure as error:
            self.failure = error
        except Exception as error:  # noqa: BLE001  # it goes to whoever waits
            self._fault = error
