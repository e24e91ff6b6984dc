"""Which files of the project stay out of the image: patterns, not yet matched against anything."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from ..errors import Fault, UserError
from ..files import read_file
from ..origin import Origin
from ..patterns import parse_ignore_file

__all__ = ["ALWAYS_EXCLUDED", "FILE", "IgnorePatterns", "read_ignore"]

FILE = ".dockerignore"
MAX_BYTES = 1 << 20

ALWAYS_EXCLUDED = (
    ".git",
    ".cog",
    ".cogpack",
    "**/__pycache__",
    "**/*.pyc",
    "**/.DS_Store",
)
"""Never part of an image: history, outputs of Cog and cogpack, modules compiled elsewhere."""


class IgnorePatterns(Struct, frozen=True):
    """Patterns in the syntax of .dockerignore; the last one that matches decides.

    user: those of .dockerignore, cleaned. always: what no line can bring back, `ALWAYS_EXCLUDED`
    and the virtual environments found in the project folder.
    """

    user: tuple[str, ...] = ()
    always: tuple[str, ...] = ALWAYS_EXCLUDED

    @property
    def all(self) -> tuple[str, ...]:
        """All patterns, in the order in which they are to be applied."""
        return (*self.user, *self.always)


def read_ignore(root: Path) -> IgnorePatterns:
    """The patterns of a project folder. Raises UserError when .dockerignore cannot be read."""
    try:
        text = read_file(root / FILE, MAX_BYTES).decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        text = ""
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        fault = Fault(f"{FILE} is not UTF-8 text", Origin(FILE, line), "save it as UTF-8")
        raise UserError(fault) from None
    except OSError as error:
        raise UserError(Fault(f"{FILE} cannot be read: {error.strerror}", Origin(FILE))) from None
    return IgnorePatterns(
        tuple(filter(_can_match, parse_ignore_file(text))),
        (*ALWAYS_EXCLUDED, *_environments(root)),
    )


def _can_match(pattern: str) -> bool:
    """Whether a pattern may match anything: docker takes `/` and `../x`, and they match nothing."""
    body = pattern.removeprefix("!")
    return body not in ("", ".", "/") and ".." not in body.split("/")


def _environments(root: Path) -> list[str]:
    """Folders at the top that hold a virtual environment, whatever they are called."""
    markers = sorted(root.glob("*/pyvenv.cfg"))
    return [_literal(marker.parent.name) for marker in markers]


def _literal(name: str) -> str:
    """A pattern that matches a name and nothing else."""
    return "".join(f"\\{character}" if character in "*?[\\" else character for character in name)
