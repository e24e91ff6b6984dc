"""Reads the pyproject.toml of a stranger's project."""

from __future__ import annotations

import tomllib
from typing import Any

from .metadata import MetadataError

__all__ = ["read_toml"]

# Dots in a line. The parser walks from the top for each part of a dotted key, so that one of 50,000
# parts takes it half a minute.
_MOST_DOTS = 500


def read_toml(body: bytes) -> dict[str, Any]:
    """The tables of a pyproject.toml.

    Raises MetadataError when it cannot be read.
    """
    message = "its pyproject.toml cannot be read"
    if any(line.count(b".") > _MOST_DOTS for line in body.splitlines()):
        raise MetadataError(message)
    try:
        return tomllib.loads(body.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits is a ValueError of int() and no fault of TOML.
        raise MetadataError(message) from error
