"""Progress as plain lines, for terminals and logs alike: each line says which step it is of.

#1 resolve image config for docker.io/library/python:3.12-slim
#1 DONE 0.3s
#2 [app-deps] install Python packages
#2 0.412 Collecting numpy
#2 DONE 3.1s
"""

from __future__ import annotations

from datetime import datetime
from typing import TextIO

from .events import Event, Log, Transfer, Vertex, Warn

__all__ = ["PlainPrinter"]


class PlainPrinter:
    """Prints the events of one build; call it with each.

    A step gets its number when it starts. Events come with secrets already masked.

    stream: where the lines go; it is flushed after every event.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._numbers: dict[str, int] = {}
        self._starts: dict[str, datetime] = {}
        self._ended: dict[str, tuple[datetime | None, str]] = {}
        self._transferred: set[tuple[str, str]] = set()

    def __call__(self, event: Event) -> None:
        """Print what an event tells anew, if anything."""
        lines = self._lines(event)
        if lines:
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._stream.flush()

    def _lines(self, event: Event) -> list[str]:
        if isinstance(event, Vertex):
            return self._vertex(event)
        number = self._numbers.get(event.vertex)
        if number is None:
            return []
        if isinstance(event, Log):
            seconds = (event.time - self._starts[event.vertex]).total_seconds()
            return [f"#{number} {max(0.0, seconds):.3f} {event.text}"]
        if isinstance(event, Transfer):
            return self._transfer(number, event)
        return self._warning(number, event)

    def _vertex(self, vertex: Vertex) -> list[str]:
        if vertex.started is None:
            return []
        lines: list[str] = []
        if vertex.digest not in self._numbers:
            self._numbers[vertex.digest] = len(self._numbers) + 1
            self._starts[vertex.digest] = vertex.started
            lines.append(f"#{self._numbers[vertex.digest]} {vertex.name}")
        # A step can end twice: a local folder does after its cache key and after its transfer.
        end = (vertex.completed, vertex.error)
        if any(end) and self._ended.get(vertex.digest) != end:
            self._ended[vertex.digest] = end
            lines.append(f"#{self._numbers[vertex.digest]} {_outcome(vertex)}")
        return lines

    def _transfer(self, number: int, event: Transfer) -> list[str]:
        key = (event.vertex, event.id)
        if not event.completed or key in self._transferred:
            return []
        self._transferred.add(key)
        size = f" {_size(event.current)}" if event.current else ""
        return [f"#{number} {event.id}{size} done"]

    def _warning(self, number: int, event: Warn) -> list[str]:
        more = f" ({event.url})" if event.url else ""
        return [f"#{number} WARNING: {event.text}{more}"]


def _outcome(vertex: Vertex) -> str:
    if "context canceled" in vertex.error:
        return "CANCELED"
    if vertex.error:
        return f"ERROR: {vertex.error}"
    if vertex.cached:
        return "CACHED"
    if vertex.started is None or vertex.completed is None:
        return "DONE"
    return f"DONE {(vertex.completed - vertex.started).total_seconds():.1f}s"


def _size(count: int) -> str:
    """A number of bytes in decimal units, as docker writes it."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f}{unit}" if unit == "B" else f"{amount:.2f}{unit}"
        amount /= 1000
    return f"{amount:.2f}TB"
