"""The classes of failure, their exit codes, and the faults that they carry.

Every failure that cogpack foresees is one of these; `cli` turns them into text and an exit code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .origin import Origin

__all__ = [
    "BuilderError",
    "CogpackError",
    "Failure",
    "Fault",
    "RetryableError",
    "UserError",
]


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    message: what is wrong and why, one sentence without a final full stop.
    origin: where the user wrote it; None when no file is concerned.
    hint: what to do about it; empty when the message says it already.
    """

    message: str
    origin: Origin | None = None
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.origin.where}: " if self.origin and self.origin.where else ""
        return f"{where}{self.message}"


class Failure(Exception):  # noqa: N818  # its subclasses carry the suffix
    """Base of the foreseen failures: carries every fault found, never only the first."""

    exit_code = 70

    def __init__(self, faults: Fault | str | Iterable[Fault], hint: str = "") -> None:
        if isinstance(faults, str):
            faults = Fault(faults, hint=hint)
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class UserError(Failure):
    """The project or the command line is at fault; the faults say where and what to do."""

    exit_code = 1


class BuilderError(Failure):
    """The builder (BuildKit, a registry, the disk) refused or failed; trying again may not help."""

    exit_code = 3


class RetryableError(BuilderError):
    """A network fault that may be gone on the next try (EX_TEMPFAIL of sysexits.h)."""

    exit_code = 75


class CogpackError(Failure):
    """cogpack itself is at fault: says so, and what to report (EX_SOFTWARE of sysexits.h)."""

    exit_code = 70
