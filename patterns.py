"""Path patterns as .dockerignore and BuildKit's local sources understand them.

The rules are those of https://docs.docker.com/build/concepts/context/#dockerignore-files: `*` and
`?` stay inside a path component, `**` spans any number of them, a pattern that matches a folder
covers what lies in it, and of all patterns that match the last decides, `!` making an exception.
Nothing here touches the file system.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable
from functools import cached_property

from msgspec import Struct

__all__ = ["Flags", "PatternError", "PatternSet", "parse_ignore_file"]

# For each pattern of a set: whether it matched the path or one of its parents.
Flags = tuple[bool, ...]

_WILDCARDS = frozenset("*?[]\\")


class PatternError(ValueError):
    """A pattern that breaks the syntax; the text names the pattern and the fault."""


class Pattern(Struct, frozen=True, dict=True):
    """One cleaned pattern, without its `!`."""

    text: str
    exception: bool

    @cached_property
    def matches(self) -> Callable[[str], bool]:
        """Whether this pattern matches a path itself, its parents not considered."""
        if _WILDCARDS.isdisjoint(self.text):
            return self.text.__eq__
        expression = re.compile(_regex(self.text), re.DOTALL)
        return lambda path: expression.fullmatch(path) is not None

    @cached_property
    def literal_prefix(self) -> str | None:
        """The folder to which the pattern is confined; None when wildcards leave that open."""
        prefix = self.text.removesuffix("/**").removesuffix("/*")
        return prefix if _WILDCARDS.isdisjoint(prefix) else None


class PatternSet:
    """An ordered list of patterns that together include or exclude paths.

    Raises PatternError when one of them is malformed.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple(_parse(text) for text in map(str.strip, patterns) if text)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def match(self, path: str, parent: Flags = ()) -> tuple[bool, Flags]:
        """Whether the set matches a path, and the flags to pass on for its children.

        path: relative, with `/`.
        parent: the flags that the parent folder got; empty for a path without one.
        """
        matched = False
        flags = []
        for index, pattern in enumerate(self._patterns):
            hit = parent[index] if parent else False
            # An exception counts only after a match, another match only before one: Docker skips
            # such a pattern, and remembers it as unmatched for the children too.
            if not hit and pattern.exception == matched:
                hit = pattern.matches(path)
            flags.append(hit)
            if hit:
                matched = not pattern.exception
        return matched, tuple(flags)

    def covers(self, path: str) -> bool:
        """Whether the set matches a path by itself or through one of its parents."""
        parts = path.split("/")
        matched, flags = False, Flags()
        for end in range(1, len(parts) + 1):
            matched, flags = self.match("/".join(parts[:end]), flags)
        return matched

    def may_match_below(self, folder: str) -> bool:
        """Whether something in a folder that is not matched itself could be matched."""
        return self._reaches(folder, exception=False)

    def may_except_below(self, folder: str) -> bool:
        """Whether an exception could match something in a folder that is matched itself."""
        return self._reaches(folder, exception=True)

    def _reaches(self, folder: str, *, exception: bool) -> bool:
        wanted = [pattern for pattern in self._patterns if pattern.exception == exception]
        if any(pattern.literal_prefix is None for pattern in wanted):
            return True
        return any(f"{pattern.literal_prefix}/".startswith(f"{folder}/") for pattern in wanted)


def parse_ignore_file(text: str) -> tuple[str, ...]:
    """The patterns of a .dockerignore file, cleaned, in their order; comments are left out."""
    patterns = []
    for line in text.removeprefix("\ufeff").split("\n"):
        if line.startswith("#") or not line.strip():
            continue
        stripped = line.strip()
        mark = "!" if stripped.startswith("!") else ""
        body = stripped.removeprefix("!").strip()
        if body:
            body = posixpath.normpath(body)
            body = body.lstrip("/") or "/"
        patterns.append(mark + body)
    return tuple(patterns)


def _parse(text: str) -> Pattern:
    exception = text.startswith("!")
    body = text.removeprefix("!")
    if not body:
        raise PatternError("the pattern `!` names nothing to except")
    cleaned = posixpath.normpath(body)
    _check_syntax(text, cleaned)
    pattern = Pattern(cleaned, exception)
    try:
        pattern.matches  # noqa: B018  # what a range of a class is worth, only compiling tells
    except re.error:
        raise PatternError(f"the pattern `{text}` has a malformed character class") from None
    return pattern


def _check_syntax(text: str, pattern: str) -> None:
    """Brackets and escapes must be whole, as Go's path.Match demands."""
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\" and position + 1 == len(pattern):
            raise PatternError(f"the pattern `{text}` ends in a lone backslash")
        if char == "[":
            position = _end_of_class(text, pattern, position)
        position += 2 if char == "\\" else 1


def _end_of_class(text: str, pattern: str, start: int) -> int:
    """The position of the `]` that closes the class which opens at `start`."""
    position = start + 1
    if pattern[position : position + 1] == "^":
        position += 1
    first = position
    while position < len(pattern):
        if pattern[position] == "]" and position > first:
            return position
        if pattern[position] in "-]":
            break
        position = _end_of_range(pattern, position)
    raise PatternError(f"the pattern `{text}` has a malformed character class")


def _end_of_range(pattern: str, position: int) -> int:
    """The position after one element of a class: `a`, `\\a` or `a-z`."""
    position += 2 if pattern[position] == "\\" else 1
    if pattern[position : position + 1] == "-" and position + 1 < len(pattern):
        position += 1
        if pattern[position] == "]":
            return len(pattern)
        position += 2 if pattern[position] == "\\" else 1
    return position


def _regex(pattern: str) -> str:
    tail = pattern[2:]
    if pattern.startswith("**") and tail and _WILDCARDS.isdisjoint(tail):
        # Docker compares a literal tail as a suffix: `**foo` matches `barfoo`.
        return f"(?:.*/)?{re.escape(tail[1:])}" if tail[0] == "/" else f".*{re.escape(tail)}"
    parts = []
    position = 0
    while position < len(pattern):
        part, position = _next_part(pattern, position)
        parts.append(part)
    return "".join(parts)


def _next_part(pattern: str, position: int) -> tuple[str, int]:
    """The regular expression of the element at `position`, and the position after it."""
    char = pattern[position]
    if pattern.startswith("**", position):
        position += 2
        if pattern.startswith("/", position):
            position += 1
        return (".*" if position == len(pattern) else "(?:.*/)?"), position
    if char == "*":
        return "[^/]*", position + 1
    if char == "?":
        return "[^/]", position + 1
    if char == "\\":
        return re.escape(pattern[position + 1]), position + 2
    if char == "[":
        end = _end_of_class(pattern, pattern, position)
        return _class(pattern[position + 1 : end]), end + 1
    return re.escape(char), position + 1


def _class(body: str) -> str:
    """A character class; inside it only `^` at the start, `-` and the backslash are special."""
    negation = "^" if body.startswith("^") else ""
    body = body.removeprefix("^")
    parts = []
    position = 0
    while position < len(body):
        if body[position] == "\\":
            position += 1
            parts.append(re.escape(body[position]))
        else:
            parts.append("-" if body[position] == "-" else re.escape(body[position]))
        position += 1
    return f"[{negation}{''.join(parts)}]"
