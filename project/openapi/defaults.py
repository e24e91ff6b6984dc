"""Whether a default is a value that its own input admits, as Cog looks when it builds."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["misfit"]

_TYPES: Mapping[object, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int, float),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


def misfit(value: object, schema: Mapping[str, object]) -> str:
    """What a schema has against a value, as in `is 1, below the minimum of 2`; empty for nothing.

    schema: of an input without references. value: as JSON has it.
    """
    choices = schema.get("enum")
    if isinstance(choices, list):
        return "" if value in choices else f"is {value!r}, not one of the choices"
    unions = schema.get("anyOf")
    if isinstance(unions, list):
        fits = any(not misfit(value, one) for one in unions)
        return "" if fits else f"is {value!r}, of none of its types"
    if not _is_of(value, schema.get("type")):
        return f"is {value!r}, not of the type {schema['type']}"
    if isinstance(value, list):
        return _item_misfit(value, schema.get("items"))
    return _size_misfit(value, schema)


def _is_of(value: object, name: object) -> bool:
    if name not in _TYPES:
        return True
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _item_misfit(values: list[object], items: object) -> str:
    if not isinstance(items, Mapping):
        return ""
    return next(
        (f"has an item that {found}" for one in values if (found := misfit(one, items))), ""
    )


def _size_misfit(value: object, schema: Mapping[str, object]) -> str:
    minimum, maximum = schema.get("minimum"), schema.get("maximum")
    if isinstance(value, int | float):
        if isinstance(minimum, int | float) and value < minimum:
            return f"is {value!r}, below the minimum of {minimum}"
        if isinstance(maximum, int | float) and value > maximum:
            return f"is {value!r}, above the maximum of {maximum}"
    if isinstance(value, str):
        shortest, longest = schema.get("minLength"), schema.get("maxLength")
        if isinstance(shortest, int) and len(value) < shortest:
            return f"has {len(value)} characters, fewer than {shortest}"
        if isinstance(longest, int) and len(value) > longest:
            return f"has {len(value)} characters, more than {longest}"
        return _pattern_misfit(value, schema.get("pattern"))
    return ""


def _pattern_misfit(value: str, pattern: object) -> str:
    if not isinstance(pattern, str):
        return ""
    try:
        fits = re.search(pattern, value) is not None
    except re.error:
        # In the words of another dialect, which the server may know.
        return ""
    return "" if fits else f"is {value!r}, which does not match {pattern!r}"
