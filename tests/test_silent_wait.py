"""Calls that somebody waits for until a deadline, and not after it."""

from __future__ import annotations

import threading
import time

import pytest

from cogpack.errors import UserError
from cogpack.solver.silent_wait import Awaited

SOON = 30.0


def test_what_it_came_to() -> None:
    call = Awaited(lambda: 7)
    call.wait(time.monotonic() + SOON)
    assert (call.value, call.failure) == (7, None)


def test_a_failure_that_was_foreseen() -> None:
    def fail() -> None:
        raise UserError("no")

    call = Awaited(fail)
    call.wait(time.monotonic() + SOON)
    assert str(call.failure) == "no"


def test_a_failure_that_nobody_foresaw_goes_to_who_waits() -> None:
    call = Awaited(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        call.wait(time.monotonic() + SOON)


@pytest.mark.parametrize("comes", ["answer", "failure", "fault"])
def test_what_comes_too_late_changes_nothing(comes: str) -> None:
    go = threading.Event()

    def late() -> str:
        go.wait(SOON)
        if comes == "failure":
            raise UserError("closed")
        if comes == "fault":
            raise ZeroDivisionError
        return "here"

    call = Awaited(late)
    call.wait(time.monotonic())
    go.set()
    call.wait(time.monotonic() + SOON)
    assert (call.value, call.failure) == (None, None)
