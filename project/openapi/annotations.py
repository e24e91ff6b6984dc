"""Type annotations as written, without the question what they mean for an API."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Literal

from .modules import Module, dotted

__all__ = ["TYPING", "Annotation", "SignatureError", "annotation", "optional_of"]

TYPING = ("typing", "typing_extensions")


class SignatureError(Exception):
    """A signature from which no API can be read.

    message: what is wrong, one sentence. hint: what to do about it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Annotation:
    """`name`, `name[args]`, or the union of `args`.

    name: dotted where it was written so.
    """

    kind: Literal["name", "generic", "union"]
    name: str = ""
    args: tuple[Annotation, ...] = ()

    def __str__(self) -> str:
        inner = (" | " if self.kind == "union" else ", ").join(map(str, self.args))
        return f"{self.name}[{inner}]" if self.kind == "generic" else self.name or inner


def annotation(node: ast.expr, module: Module) -> Annotation:
    """The annotation of an expression; strings are forward references and are read as code.

    Raises SignatureError for an expression that is no type.
    """
    match node:
        case ast.Name() | ast.Attribute() if name := dotted(node):
            return Annotation("name", name)
        case ast.Constant(value=None):
            return Annotation("name", "None")
        case ast.Constant(value=str(text)):
            return annotation(_forward(text), module)
        case ast.Subscript(value=value, slice=inner) if name := dotted(value):
            return _generic(name, inner, module)
        case ast.BinOp(op=ast.BitOr()):
            sides = (annotation(node.left, module), annotation(node.right, module))
            members = (side.args if side.kind == "union" else (side,) for side in sides)
            return Annotation("union", args=tuple(one for part in members for one in part))
    raise SignatureError(f"`{ast.unparse(node)}` is not a type that can be read from the text")


def optional_of(found: Annotation, module: Module) -> Annotation | None:
    """The type that may also be None: `X` of `Optional[X]`, `X | None`, `Union[X, None]`."""
    if found.kind == "generic":
        name = module.origin(found.name).name
        if name == "Optional" and len(found.args) == 1:
            return found.args[0]
        if name != "Union":
            return None
    elif found.kind == "name":
        return None
    others = tuple(one for one in found.args if one != Annotation("name", "None"))
    return others[0] if len(found.args) == 2 and len(others) == 1 else None


def _forward(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise SignatureError(f'the annotation "{text}" is not Python: {error}') from None


def _generic(name: str, inner: ast.expr, module: Module) -> Annotation:
    items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if module.is_from(name, TYPING, "Annotated") and items:
        # What stands behind the type may be any expression; only names can mean something here.
        metadata = (Annotation("name", dotted(item) or "…") for item in items[1:])
        return Annotation("generic", name, (annotation(items[0], module), *metadata))
    if module.origin(name).name == "Literal":
        raise SignatureError(
            "Literal is no type of an API", "write the base type and Input(choices=[…])"
        )
    return Annotation("generic", name, tuple(annotation(item, module) for item in items))
