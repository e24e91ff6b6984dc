"""Faults of several steps that are told together, as those of one file are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ..errors import UserError

__all__ = ["Faulty"]

T = TypeVar("T")


class Faulty:
    """Collects the user's faults of steps that do not need each other's answers."""

    def __init__(self) -> None:
        self._errors: list[UserError] = []

    def attempt(self, step: Callable[[], T]) -> T | None:
        """The answer of a step; None when it found faults, which are kept."""
        try:
            return step()
        except UserError as error:
            self._errors.append(error)
            return None

    def needed(self, step: Callable[[], T]) -> T:
        """The answer of a step without which there is no going on.

        Raises UserError with its faults and those that were kept.
        """
        try:
            return step()
        except UserError as error:
            self._errors.append(error)
        raise self._failure()

    def check(self) -> None:
        """Raises UserError with the faults that were kept, if there are any."""
        if self._errors:
            raise self._failure()

    def _failure(self) -> UserError:
        if len(self._errors) == 1:
            return self._errors[0]  # its class may say more than its faults
        return UserError(dict.fromkeys(fault for one in self._errors for fault in one.faults))
