"""The output of a command: words that any terminal and encoding takes, streams that fail.

What is written, and which exit code tells of a failure, is the business of others.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["OutputError", "abandon_output", "last_words", "prepare_streams", "safe_lines"]

_ESCAPED = "cogpack.escaped"


def safe_lines(text: str) -> list[str]:
    """The lines of a text, each character escaped that could steer a terminal.

    A file name, a setting or a library's message may hold any; tabs and odd blanks stay.
    """
    return [_safe(line) for line in text.splitlines()]


class OutputError(Exception):
    """The output cannot be written: its disk is full, or its reader has left.

    No OSError, of which click and others have their own opinion. reason: the system's words.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.is_deserted = isinstance(error, BrokenPipeError)
        self.reason = error.strerror or str(error)


def prepare_streams() -> None:
    """Make the output such that every text can be written, and that a failure tells what it is.

    What its encoding lacks is written as `\\u00e9`, which JSON reads back, unless the output says
    already what becomes of it. One that is closed (`>&-`) becomes one that keeps nothing, so that
    no file that is opened later takes its place.
    """
    codecs.register_error(_ESCAPED, _escaped)
    sys.stdout, sys.stderr = _prepared(sys.stdout), _prepared(sys.stderr)


def abandon_output() -> None:
    """Drop what could not be written: the interpreter would complain of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


@contextmanager
def last_words() -> Iterator[None]:
    """A place to write where a failure is no matter: the exit code is left to tell."""
    try:
        yield
        sys.stderr.flush()
    except OutputError:
        abandon_output()


class _Output(io.FileIO):
    """An output of the process; a failure to write is an OutputError."""

    def write(self, data: Buffer, /) -> int:
        try:
            # None: it does not wait, as whoever started us wants it, and is full for the moment.
            while (count := super().write(data)) is None:
                select.select([], [self.fileno()], [])
        except OSError as error:
            raise OutputError(error) from None
        return count


def _prepared(stream: TextIO | None) -> TextIO:
    # Python has None for an output that is closed, whatever the type says.
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  # lives to the end
    if type(stream) is not io.TextIOWrapper:
        return stream  # somebody else's, as in a test
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(stream.fileno(), "w", closefd=False)),
        stream.encoding,
        _ESCAPED if stream.errors == "strict" else stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _safe(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(c if _is_harmless(c) else c.encode("unicode_escape").decode() for c in line)


def _is_harmless(character: str) -> bool:
    is_blank = character == "\t" or (character.isspace() and ord(character) > 0xFF)
    return is_blank or character.isprintable()


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = (units[at : at + 2] for at in range(0, len(units), 2))
    return "".join(f"\\u{pair.hex()}" for pair in pairs), error.end
