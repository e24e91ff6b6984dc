"""Progress of a build as typed events, made of the daemon's status messages.

Log output comes in pieces of any size; here it becomes whole lines, and a secret of the build that
a command printed becomes `***` before anyone sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from ..proto import control_pb2

__all__ = ["Event", "EventReader", "Log", "Redactor", "Transfer", "Vertex", "Warn"]

MASK = "***"

# A part of a secret that is shorter than this would mask ordinary words, characters.
_SHORTEST_PART = 4

# A line that grows longer than this is cut, characters: a command may print without ever ending it.
_LONGEST_LINE = 1 << 16


@dataclass(frozen=True)
class Vertex:
    """A step of the build changed its state. `error` is empty unless it failed."""

    digest: str
    name: str
    started: datetime | None = None
    completed: datetime | None = None
    cached: bool = False
    error: str = ""


@dataclass(frozen=True)
class Log:
    """One line that a step printed; stream 1 is its standard output, 2 its error output."""

    vertex: str
    text: str
    stream: int
    time: datetime


@dataclass(frozen=True)
class Transfer:
    """Part of a step advanced: `id` says which (a layer's digest, `transferring context`).

    current, total: bytes or whatever the part counts; total is 0 where it is unknown.
    """

    vertex: str
    id: str
    current: int
    total: int
    completed: bool


@dataclass(frozen=True)
class Warn:
    """The daemon warns of something in a step."""

    vertex: str
    text: str
    url: str = ""


Event = Vertex | Log | Transfer | Warn


# What programs show of a file of settings without the line that it stands in: passwords in URLs, as
# of pip.conf, those of netrc, and the values of variables.
_INNER = (
    re.compile(r"://[^/\s:@]*:([^/\s@]+)@"),
    re.compile(r"\bpassword\s+(\S+)"),
    re.compile(r"^(?:export\s+)?[A-Za-z_]\w*=[\"']?(.*?)[\"']?\s*$", re.MULTILINE),
)


class Redactor:
    """Replaces secret values in text, each line of a secret of several lines too.

    Of a secret that is a file of settings its passwords are replaced by themselves, too.
    """

    def __init__(self, secrets: Iterable[bytes]) -> None:
        parts: set[str] = set()
        for secret in secrets:
            text = secret.decode("utf-8", "replace")
            inner = (part for pattern in _INNER for part in pattern.findall(text))
            parts.update(part.strip() for part in (text, *text.splitlines(), *inner))
        # Longer ones first: one secret may be a part of another.
        self._parts = sorted(
            (part for part in parts if len(part) >= _SHORTEST_PART),
            key=lambda part: (-len(part), part),
        )

    def __call__(self, text: str) -> str:
        for part in self._parts:
            text = text.replace(part, MASK)
        return text


@dataclass
class _Partial:
    """The output of one step since its last line break, for one of its streams."""

    text: str = ""
    time: datetime = field(default=datetime.fromtimestamp(0, UTC))


class EventReader:
    """Turns status messages into events; it remembers unfinished lines, so one serves one build."""

    def __init__(self, redactor: Redactor) -> None:
        self._redact = redactor
        self._partial: dict[tuple[str, int], _Partial] = {}

    def read(self, message: control_pb2.StatusResponse) -> Iterator[Event]:
        """The events of one message. A step's last line comes before the step's end."""
        starts = [vertex for vertex in message.vertexes if not vertex.HasField("completed")]
        ends = [vertex for vertex in message.vertexes if vertex.HasField("completed")]
        for vertex in starts:
            yield self._vertex(vertex)
        for log in message.logs:
            yield from self._log(log)
        for status in message.statuses:
            completed = status.HasField("completed")
            yield Transfer(
                status.vertex, status.ID, status.current, status.total, completed=completed
            )
        for warning in message.warnings:
            text = self._redact(warning.short.decode("utf-8", "replace"))
            yield Warn(warning.vertex, text, warning.url)
        for vertex in ends:
            yield from self._flush(vertex.digest)
            yield self._vertex(vertex)

    def finish(self) -> Iterator[Event]:
        """The unfinished lines of steps whose end never came."""
        for digest in dict.fromkeys(digest for digest, _ in list(self._partial)):
            yield from self._flush(digest)

    def _vertex(self, vertex: control_pb2.Vertex) -> Vertex:
        return Vertex(
            vertex.digest,
            self._redact(vertex.name),
            _time(vertex.started) if vertex.HasField("started") else None,
            _time(vertex.completed) if vertex.HasField("completed") else None,
            vertex.cached,
            self._redact(vertex.error),
        )

    def _log(self, log: control_pb2.VertexLog) -> Iterator[Log]:
        partial = self._partial.setdefault((log.vertex, log.stream), _Partial())
        partial.time = _time(log.timestamp)
        *lines, rest = (partial.text + log.msg.decode("utf-8", "replace")).split("\n")
        if len(rest) > _LONGEST_LINE:
            lines.append(rest)
            rest = ""
        partial.text = rest
        for line in lines:
            yield self._line(log.vertex, log.stream, line, partial.time)

    def _flush(self, digest: str) -> Iterator[Log]:
        for key in sorted(key for key in self._partial if key[0] == digest):
            partial = self._partial.pop(key)
            if partial.text:
                yield self._line(digest, key[1], partial.text, partial.time)

    def _line(self, digest: str, stream: int, line: str, time: datetime) -> Log:
        # A carriage return starts the line anew, as progress bars do: the last state counts.
        shown = line.rstrip("\r").rpartition("\r")[2]
        return Log(digest, self._redact(shown), stream, time)


def _time(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(UTC)
