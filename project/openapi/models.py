"""Classes that describe JSON objects: models of pydantic or Cog, and typed dictionaries."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .annotations import TYPING, Annotation, SignatureError, annotation
from .literals import UNKNOWN, Scope
from .modules import Module, Modules, dotted

__all__ = ["Field", "kind_of", "model_fields"]

_BASES = ("cog", "pydantic", "pydantic.v1")


@dataclass(frozen=True)
class Field:
    """One field of a model.

    module: in whose words its type is written. required: what a typed dictionary says of the key;
    None where the type and the default decide.
    """

    name: str
    type: Annotation
    module: Module
    has_default: bool
    required: bool | None


def kind_of(
    module: Module, found: ast.ClassDef, modules: Modules, seen: tuple[ast.ClassDef, ...] = ()
) -> Literal["model", "typed dict", ""]:
    """Which kind of description a class is, by itself or through its bases; empty for none."""
    for base in map(dotted, found.bases):
        parent = modules.find_class(base, module)
        if parent is not None:
            if parent[1] in seen or parent[1] is found:
                continue
            if kind := kind_of(*parent, modules, (*seen, found)):
                return kind
            continue
        origin = module.origin(base)
        if origin.name == "BaseModel" and origin.module in (*_BASES, ""):
            return "model"
        if origin.name == "TypedDict" and origin.module in (*TYPING, ""):
            return "typed dict"
    return ""


def model_fields(name: str, module: Module, modules: Modules) -> tuple[Field, ...]:
    """The fields of the model that a name of a module stands for, inherited ones first."""
    found = modules.find_class(name, module)
    return tuple(_fields(*found, modules, ()).values()) if found else ()


def _fields(
    module: Module, found: ast.ClassDef, modules: Modules, seen: tuple[ast.ClassDef, ...]
) -> dict[str, Field]:
    fields: dict[str, Field] = {}
    for base in map(dotted, found.bases):
        parent = modules.find_class(base, module)
        if parent is not None and parent[1] not in (*seen, found):
            fields |= _fields(*parent, modules, (*seen, found))
    typed = kind_of(module, found, modules) == "typed dict"
    total = not any(
        keyword.arg == "total" and getattr(keyword.value, "value", None) is False
        for keyword in found.keywords
    )
    for field in _own(found, Scope(modules, module), total if typed else None):
        fields[field.name] = field
    return fields


def _own(found: ast.ClassDef, scope: Scope, required: bool | None) -> Iterator[Field]:
    module = scope.module
    for statement in found.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=written, value=value):
                try:
                    type_ = annotation(written, module)
                except SignatureError as error:
                    message = f"field `{name}` of {found.name}: {error.message}"
                    raise SignatureError(message, error.hint) from None
                if type_.kind != "union" and module.origin(type_.name).name == "ClassVar":
                    continue
                needed = required
                if required is not None and type_.kind == "generic":
                    qualifier = module.origin(type_.name).name
                    if qualifier in ("Required", "NotRequired") and len(type_.args) == 1:
                        needed, type_ = qualifier == "Required", type_.args[0]
                has_default = value is not None and scope.value(value) is not UNKNOWN
                yield Field(name, type_, module, has_default, needed)
            case _:
                pass
