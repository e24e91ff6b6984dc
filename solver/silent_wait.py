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
    Neither changes any more once somebody has waited in vain: what closes behind him makes the
    call fail, and that is not why there was no answer.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self.value: T | None = None
        self.failure: Failure | None = None
        self._fault: Exception | None = None
        self._call = call
        self._lock = threading.Lock()
        self._is_over = False
        # A look-up of a name without a network may hang for long; a daemon does not outlive a run.
        self._thread = threading.Thread(target=self._run, daemon=True, name="cogpack-metadata")
        self._thread.start()

    def wait(self, deadline: float) -> None:
        """Wait until it is there, failed, or late. deadline: of `time.monotonic`, in seconds.

        Raises what the call raised and nobody foresaw.
        """
        self._thread.join(max(0.0, deadline - time.monotonic()))
        with self._lock:
            self._is_over = True
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        value: T | None = None
        failure: Failure | None = None
        fault: Exception | None = None
        try:
            value = self._call()
        except Failure as error:
            failure = error
        except Exception as error:  # noqa: BLE001  # it goes to whoever waits
            fault = error
        with self._lock:
            if not self._is_over:
                self.value, self.failure, self._fault = value, failure, fault
