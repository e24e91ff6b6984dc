"""Values that can be read off the text: literals, and names of a module that stand for them."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from .modules import Module, Modules, dotted

__all__ = ["UNKNOWN", "Scope", "json_value"]


class _Unknown:
    """The value of what only running the code could tell."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Scope:
    """A module in whose words expressions are read, with the project around it."""

    modules: Modules
    module: Module

    def value(self, node: ast.expr) -> object:
        """The value of a literal, or of a name that stands for one; else UNKNOWN.

        Lists, tuples and sets come as lists; an unknown part makes them unknown as a whole, except
        for the values of a dict.
        """
        match node:
            case ast.Constant(value=None | bool() | int() | float() | str() as value):
                return value
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                number = self.value(operand)
                if isinstance(number, int | float) and not isinstance(number, bool):
                    return -number if isinstance(node.op, ast.USub) else number
                return UNKNOWN
            case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
                values = [self.value(item) for item in items]
                return UNKNOWN if UNKNOWN in values else values
            case ast.Dict(keys=keys, values=values):
                return self._dict(keys, values)
            case ast.Name() | ast.Attribute():
                return self._named(dotted(node))
        return UNKNOWN

    def choices(self, node: ast.expr) -> list[object] | None:
        """The items of `choices=`: a list, `list(NAME.keys())`, or such lists added; else None."""
        match node:
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                first, second = self.choices(left), self.choices(right)
                return None if first is None or second is None else [*first, *second]
            case ast.Call(func=ast.Name(id="list" | "tuple"), args=[inner], keywords=[]):
                return self._listed(inner)
        value = self.value(node)
        return value if isinstance(value, list) else None

    def _listed(self, node: ast.expr) -> list[object] | None:
        wanted = "keys"
        match node:
            case ast.Call(func=ast.Attribute(value=inner, attr="keys" | "values" as method)):
                wanted, node = method, inner
        value = self.value(node)
        if isinstance(value, list):
            return value
        if not isinstance(value, dict):
            return None
        items = list(value if wanted == "keys" else value.values())
        return None if UNKNOWN in items else items

    def _dict(self, keys: list[ast.expr | None], values: list[ast.expr]) -> object:
        found: dict[object, object] = {}
        for key, value in zip(keys, values, strict=True):
            name = self.value(key) if key is not None else UNKNOWN
            if name is UNKNOWN or isinstance(name, list | dict):
                return UNKNOWN
            found[name] = self.value(value)
        return found

    def _named(self, name: str) -> object:
        found = self.modules.find_value(name, self.module) if name else None
        if found is None:
            return UNKNOWN
        module, node = found
        # A name for a name is not followed: two of them could stand for one another.
        if isinstance(node, ast.Name | ast.Attribute):
            return UNKNOWN
        return Scope(self.modules, module).value(node)


def json_value(value: object) -> object:
    """A value as JSON has it: the keys of objects are texts. UNKNOWN stays, inside or alone."""
    if isinstance(value, list):
        items = [json_value(item) for item in value]
        return UNKNOWN if UNKNOWN in items else items
    if isinstance(value, dict):
        pairs = {_key(key): json_value(item) for key, item in value.items()}
        return UNKNOWN if UNKNOWN in pairs.values() else pairs
    return value


def _key(key: object) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)
