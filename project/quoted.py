"""Values of `environment` that stand in quotes, as the Dockerfile reads them that Cog makes."""

from __future__ import annotations

import re

__all__ = ["unquoted"]

# In double quotes a backslash takes the meaning from these alone.
_ESCAPED = re.compile(r'\\(["\\$])')
_INSIDE = {"'": re.compile(r"[^']*"), '"': re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)}


def unquoted(value: str) -> str:
    """A value without the quotes around all of it; any other value as it is.

    Cog writes `ENV NAME=value`, where a value with a blank needs quotes, so projects have them, and
    expect the variable to have none. Quotes in the middle of a value are left alone: that a
    Dockerfile drops those of `{"a":1}` too, nobody wants.
    """
    quote, inside = value[:1], value[1:-1]
    if len(value) < 2 or quote not in _INSIDE or not value.endswith(quote):
        return value
    if not _INSIDE[quote].fullmatch(inside):
        return value
    return _ESCAPED.sub(r"\1", inside) if quote == '"' else inside
