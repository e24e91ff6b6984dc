"""Types of an API as JSON Schema: what an annotation of a parameter or of a result means.

The subset is Cog's: scalars, files, secrets, lists, dictionaries, unions of what JSON can tell
apart (parameters only), models and iterators (results only).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from .annotations import TYPING, Annotation, SignatureError, optional_of
from .literals import Scope
from .models import kind_of, model_fields
from .modules import Module

__all__ = ["InputType", "Schema", "input_type", "output_schema", "title"]

Schema = dict[str, object]

_FILE: Schema = {"type": "string", "format": "uri"}
_PRIMITIVES: Mapping[str, Schema] = {
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "int": {"type": "integer"},
    "str": {"type": "string"},
    "Path": _FILE,
    "File": _FILE,
    "Secret": {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True},
}
_ANY: Schema = {"type": "object"}
_ANY_NAMES = frozenset({"Any", "dict", "Dict"})
_LISTS = frozenset({"list", "List"})
_ITERATORS = frozenset({"Iterator", "AsyncIterator"})
_TEXT_ITERATORS = frozenset({"ConcatenateIterator", "AsyncConcatenateIterator"})

_OPAQUE_HINT = (
    "define it as a BaseModel in the project, or mark JSON of another package as such: "
    "Annotated[{0}, Opaque], with Opaque from cog"
)


def title(name: str) -> str:
    """`num_steps` as people read it: `Num Steps`."""
    return " ".join(part[:1].upper() + part[1:] for part in name.split("_"))


@dataclass(frozen=True)
class InputType:
    """What a parameter takes.

    primitive: its name in Python; of an array, that of its items; empty for any JSON object.
    """

    kind: Literal["primitive", "any", "array", "union"]
    primitive: str = ""
    item: InputType | None = None
    variants: tuple[InputType, ...] = ()
    nullable: bool = False

    def schema(self) -> Schema:
        """The type as JSON Schema, in the dialect of OpenAPI 3.0."""
        found: Schema
        if self.kind == "primitive":
            found = dict(_PRIMITIVES[self.primitive])
        elif self.kind == "array" and self.item is not None:
            found = {"type": "array", "items": self.item.schema()}
        elif self.kind == "union":
            # Every variant says it too: a reader that looks at variants alone must see it.
            variants = [replace(one, nullable=self.nullable).schema() for one in self.variants]
            found = {"anyOf": variants}
        else:
            found = dict(_ANY)
        if self.nullable:
            found["nullable"] = True
        return found


_ANYTHING = InputType("any")


def input_type(found: Annotation, scope: Scope) -> InputType:
    """The type of a parameter. Raises SignatureError for what Cog's API cannot take."""
    module = scope.module
    if found.kind == "union":
        return _union(found.args, scope)
    name = module.origin(found.name).name
    if found.kind == "name":
        return _named_input(found.name, name, scope)
    if _is_annotated(found, module):
        if opaque := _opaque(found, module):
            return _opaque_input(opaque, module)
        return input_type(found.args[0], scope)
    if name in _ANY_NAMES:
        return _ANYTHING
    if name == "Union":
        return _union(found.args, scope)
    if name == "Optional" and len(found.args) == 1:
        return replace(input_type(found.args[0], scope), nullable=True)
    if name in _LISTS and len(found.args) == 1:
        item = input_type(found.args[0], scope)
        if item.nullable or item.kind in ("array", "union"):
            raise SignatureError(f"`{found}` is a list of something other than plain values")
        return InputType("array", item.primitive, item)
    raise SignatureError(f"`{found}` is not a type that an input can have")


def _named_input(written: str, name: str, scope: Scope) -> InputType:
    defined = scope.modules.find_class(written, scope.module)
    if defined is not None:
        if kind_of(*defined, scope.modules) == "typed dict":
            return _ANYTHING
        raise SignatureError(f"`{written}` is a class, which an input cannot be", "use dict")
    if name in _ANY_NAMES:
        return _ANYTHING
    if name in _PRIMITIVES:
        return InputType("primitive", name)
    if name in _LISTS:
        raise SignatureError(f"`{written}` does not say of what", f"write {written}[str]")
    raise _unknown(written, scope.module)


def _union(members: tuple[Annotation, ...], scope: Scope) -> InputType:
    nullable = any(_is_none(one) for one in members)
    variants = [input_type(one, scope) for one in members if not _is_none(one)]
    if not variants:
        raise SignatureError("a union needs a type other than None")
    if len(variants) == 1:
        return replace(variants[0], nullable=nullable or variants[0].nullable)
    for variant in variants:
        if variant.kind == "union" or variant.nullable:
            raise SignatureError("a union inside a union cannot be an input")
        if variant.primitive in ("Path", "File", "Secret"):
            raise SignatureError(f"{variant.primitive} cannot be in a union: JSON has it as text")
    return InputType("union", variants=tuple(variants), nullable=nullable)


def output_schema(found: Annotation, scope: Scope, seen: tuple[str, ...] = ()) -> Schema:
    """The type of a result as JSON Schema.

    seen: the models around it; one of them again stays open, as a schema cannot contain itself.
    Raises SignatureError for what Cog's API cannot return.
    """
    module = scope.module
    if found.kind == "union" or optional_of(found, module) is not None:
        if optional_of(found, module) is not None:
            raise SignatureError("a result cannot be None", "return an empty value instead")
        raise SignatureError("a result cannot be a union", "return a BaseModel")
    if _is_annotated(found, module):
        if opaque := _opaque(found, module):
            if optional_of(opaque, module) is not None:
                raise SignatureError("a result cannot be None", "return an empty value instead")
            return _opaque_output(opaque, module)
        return output_schema(found.args[0], scope, seen)
    name = module.origin(found.name).name
    if found.kind == "name":
        return _named_output(found.name, name, scope, seen)
    return _generic_output(found, name, scope, seen)


def _named_output(written: str, name: str, scope: Scope, seen: tuple[str, ...]) -> Schema:
    defined = scope.modules.find_class(written, scope.module)
    if defined is not None and kind_of(*defined, scope.modules):
        home, model = defined
        key = f"{home.file}:{model.name}"
        return dict(_ANY) if key in seen else _object(written, scope, (*seen, key))
    if defined is None and name in _ANY_NAMES:
        return dict(_ANY)
    if defined is None and name in _LISTS:
        return {"type": "array", "items": dict(_ANY)}
    if defined is None and name in _PRIMITIVES:
        return dict(_PRIMITIVES[name])
    raise _unknown(written, scope.module)


def _generic_output(found: Annotation, name: str, scope: Scope, seen: tuple[str, ...]) -> Schema:
    if name in _ANY_NAMES and len(found.args) == 2:
        return {
            "type": "object",
            "additionalProperties": output_schema(found.args[1], scope, seen),
        }
    if len(found.args) == 1:
        if name in _LISTS:
            return {"type": "array", "items": output_schema(found.args[0], scope, seen)}
        if name in _ITERATORS:
            items = output_schema(found.args[0], scope, seen)
            return {"type": "array", "items": items, "x-cog-array-type": "iterator"}
        if name in _TEXT_ITERATORS:
            if scope.module.origin(found.args[0].name).name != "str":
                raise SignatureError(f"`{found}`: what is put together must be str")
            return {
                "type": "array",
                "items": {"type": "string"},
                "x-cog-array-type": "iterator",
                "x-cog-array-display": "concatenate",
            }
    raise SignatureError(f"`{found}` is not a type that a result can have")


def _object(written: str, scope: Scope, seen: tuple[str, ...]) -> Schema:
    properties: dict[str, object] = {}
    required = []
    for field in model_fields(written, scope.module, scope.modules):
        inner = Scope(scope.modules, field.module)
        try:
            schema, needed = _field(field.type, inner, seen)
        except SignatureError as error:
            message = f"field `{field.name}` of {written}: {error.message}"
            raise SignatureError(message, error.hint) from None
        properties[field.name] = {**schema, "title": title(field.name)}
        if not field.has_default and (needed if field.required is None else field.required):
            required.append(field.name)
    found: Schema = {"type": "object", "properties": properties}
    if required:
        found["required"] = required
    return found


def _field(found: Annotation, scope: Scope, seen: tuple[str, ...]) -> tuple[Schema, bool]:
    """The schema of a model's field, and whether it must be there."""
    if _is_annotated(found, scope.module):
        opaque = _opaque(found, scope.module)
        if opaque is None:
            return _field(found.args[0], scope, seen)
        inner = optional_of(opaque, scope.module)
        schema = _opaque_output(inner or opaque, scope.module)
        return ({**schema, "nullable": True}, False) if inner else (schema, True)
    inner = optional_of(found, scope.module)
    if inner is not None:
        return {**output_schema(inner, scope, seen), "nullable": True}, False
    return output_schema(found, scope, seen), True


def _is_none(found: Annotation) -> bool:
    return found == Annotation("name", "None")


def _is_annotated(found: Annotation, module: Module) -> bool:
    return found.kind == "generic" and module.is_from(found.name, TYPING, "Annotated")


def _opaque(found: Annotation, module: Module) -> Annotation | None:
    """What `Annotated[…, Opaque]` wraps: JSON that nothing more is known of."""
    marked = any(module.is_from(one.name, ("cog",), "Opaque") for one in found.args[1:])
    return found.args[0] if marked else None


def _container(found: Annotation, module: Module) -> str:
    """`list`, `Optional` or `Union` where the name really stands for that, else nothing."""
    origin = module.origin(found.name)
    if origin.module in TYPING and origin.name in ("List", "Optional", "Union"):
        return "list" if origin.name == "List" else origin.name
    return "list" if (origin.module, origin.name) in (("", "list"), ("builtins", "list")) else ""


def _opaque_input(found: Annotation, module: Module) -> InputType:
    if _is_annotated(found, module) and (inner := _opaque(found, module)):
        return _opaque_input(inner, module)
    if found.kind == "union" or _container(found, module) in ("Optional", "Union"):
        inside = optional_of(found, module)
        return replace(_opaque_input(inside, module), nullable=True) if inside else _ANYTHING
    if _container(found, module) == "list":
        return InputType("array", item=_ANYTHING)
    return _ANYTHING


def _opaque_output(found: Annotation, module: Module) -> Schema:
    if found.kind != "union" and _container(found, module) == "list":
        return {"type": "array", "items": dict(_ANY)}
    return dict(_ANY)


def _unknown(written: str, module: Module) -> SignatureError:
    source = module.origin(written).module
    where = f", which comes from {source}," if source else ""
    return SignatureError(
        f"`{written}`{where} is not a type that can be described", _OPAQUE_HINT.format(written)
    )
