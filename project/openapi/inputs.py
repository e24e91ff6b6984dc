"""The parameters of a method as the inputs of an API: types, defaults and what `Input()` says."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...errors import Fault
from ...origin import Origin
from .annotations import SignatureError, annotation
from .defaults import misfit
from .literals import UNKNOWN, Scope, json_value
from .modules import Function, dotted
from .types import InputType, Schema, input_type, title

__all__ = ["Inputs", "read_inputs"]

_COMPUTED = "write a literal, or a name of the module that stands for one"


@dataclass(frozen=True)
class Inputs:
    """schema: of the object that a request sends. enums: schemas of choices, by name."""

    schema: Schema
    enums: Mapping[str, Schema]


@dataclass(frozen=True)
class _Input:
    """The arguments of an `Input()`, read in the words of the module that has the call."""

    arguments: Mapping[str, ast.expr]
    scope: Scope
    given: Mapping[str, object]

    def __contains__(self, name: str) -> bool:
        return name in self.arguments or name in self.given

    def value(self, name: str) -> object:
        """The value of an argument; UNKNOWN when it is not there or cannot be read."""
        if name in self.given:
            return self.given[name]
        node = self.arguments.get(name)
        return UNKNOWN if node is None else self.scope.value(node)


def read_inputs(function: Function, scope: Scope, faults: list[Fault]) -> Inputs:
    """The inputs of a method or function, in its order; adds a fault for each that is none."""
    properties: dict[str, object] = {}
    required: list[str] = []
    enums: dict[str, Schema] = {}
    for order, (parameter, default) in enumerate(_parameters(function)):
        try:
            found, needed, enum = _property(parameter, default, scope)
        except SignatureError as error:
            origin = Origin(scope.module.file, parameter.lineno, ast.unparse(parameter))
            message = f"parameter `{parameter.arg}` of {function.name}(): {error.message}"
            faults.append(Fault(message, origin, error.hint))
            continue
        properties[parameter.arg] = {"x-order": order, **found}
        if needed:
            required.append(parameter.arg)
        if enum is not None:
            enums[parameter.arg] = enum
    schema: Schema = {"title": "Input", "type": "object", "properties": properties}
    if required:
        schema["required"] = required
    return Inputs(schema, enums)


def _parameters(function: Function) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    """The parameters that a request can set, with their defaults; `self` is none of them."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(positional) - len(arguments.defaults)) + [*arguments.defaults]
    for number, (parameter, default) in enumerate(zip(positional, defaults, strict=True)):
        if number or parameter.arg not in ("self", "cls"):
            yield parameter, default
    yield from zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)


def _property(
    parameter: ast.arg, default: ast.expr | None, scope: Scope
) -> tuple[Schema, bool, Schema | None]:
    """The schema of a parameter, whether a request must set it, and the schema of its choices."""
    if parameter.annotation is None:
        raise SignatureError("it has no type", "annotate it, as in text: str")
    type_ = input_type(annotation(parameter.annotation, scope.module), scope)
    told = _Input({}, scope, {})
    value: object = UNKNOWN
    if default is not None:
        declared = _input_of(default, scope)
        if declared is None:
            value = json_value(scope.value(default))
            if value is UNKNOWN:
                raise SignatureError(
                    f"its default `{ast.unparse(default)}` cannot be read off the text", _COMPUTED
                )
        else:
            told = declared
            if "default" in told:
                # Cog's reading: a default that is computed is one that the method makes itself.
                value = json_value(told.value("default"))
                value = None if value is UNKNOWN else value
    return _described(parameter.arg, type_, told, value)


def _described(
    name: str, type_: InputType, told: _Input, value: object
) -> tuple[Schema, bool, Schema | None]:
    choices = _choices(told)
    _check(type_, told, choices)
    # `seed: int = None` says that the method makes a seed; a Secret that is None is left out.
    nullable = type_.nullable or (
        value is None and type_.kind == "primitive" and type_.primitive == "Secret"
    )
    if value is None and not nullable:
        value = UNKNOWN
    found: Schema
    enum: Schema | None = None
    if choices:
        kind = InputType("primitive", type_.primitive).schema() if type_.primitive else {}
        enum = {
            "title": name,
            "description": "An enumeration.",
            "enum": choices,
            "type": kind.get("type", "string" if not type_.primitive else "object"),
        }
        found = {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}
    else:
        found = {"title": title(name), **type_.schema()}
    if value is not UNKNOWN:
        found["default"] = value
    if nullable:
        found["nullable"] = True
    found |= _constraints(told)
    if value is not UNKNOWN and value is not None:
        _check_default(value, enum or found)
    needed = value is UNKNOWN and (type_.kind == "union" or not nullable)
    return found, needed, enum


def _choices(told: _Input) -> list[object]:
    node = told.arguments.get("choices")
    if node is None:
        return []
    items = told.scope.choices(node)
    if items is None:
        raise SignatureError(
            f"its choices `{ast.unparse(node)}` cannot be read off the text", _COMPUTED
        )
    return [json_value(item) for item in items]


def _check(type_: InputType, told: _Input, choices: list[object]) -> None:
    if "default_factory" in told:
        raise SignatureError("default_factory is computed", _COMPUTED)
    if "accept" in told and type_.primitive not in ("Path", "File"):
        raise SignatureError("`accept` is for files only, of type Path")
    bounds = ("ge", "le", "min_length", "max_length", "regex")
    if type_.kind == "union" and (choices or any(name in told for name in bounds)):
        raise SignatureError("a union can have neither choices nor bounds")


def _check_default(value: object, schema: Schema) -> None:
    if found := misfit(value, schema):
        raise SignatureError(f"its default {found}", "correct the default, or what limits it")


def _constraints(told: _Input) -> Schema:
    found: Schema = {}
    for name, key, kinds in (
        ("description", "description", (str,)),
        ("ge", "minimum", (int, float)),
        ("le", "maximum", (int, float)),
        ("min_length", "minLength", (int,)),
        ("max_length", "maxLength", (int,)),
        ("regex", "pattern", (str,)),
        ("accept", "x-cog-accept", (str,)),
    ):
        value = told.value(name)
        if isinstance(value, kinds) and not isinstance(value, bool):
            found[key] = value
    if told.value("deprecated") is True:
        found["deprecated"] = True
    return found


def _input_of(node: ast.expr, scope: Scope) -> _Input | None:
    """The `Input()` that a default is or refers to: itself, `Class.name`, `Class.name(…)`."""
    if _is_input(node, scope):
        return _Input(_arguments(node, ["default"]), scope, {})
    name = dotted(node.func if isinstance(node, ast.Call) else node)
    owner, _, member = name.rpartition(".")
    found = scope.modules.find_class(owner, scope.module) if owner else None
    if found is None:
        return None
    home = Scope(scope.modules, found[0])
    if not isinstance(node, ast.Call):
        return _attribute(found[1], member, home)
    return _made(found[1], member, home, node, scope)


def _attribute(owner: ast.ClassDef, member: str, home: Scope) -> _Input | None:
    for statement in owner.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ) if name == member and _is_input(value, home):
                return _Input(_arguments(value, ["default"]), home, {})
    return None


def _made(
    owner: ast.ClassDef, member: str, home: Scope, call: ast.Call, scope: Scope
) -> _Input | None:
    """The Input() that a static method returns, with the arguments of the call put in."""
    for method in owner.body:
        if isinstance(method, ast.FunctionDef) and method.name == member:
            for statement in method.body:
                if (
                    isinstance(statement, ast.Return)
                    and statement.value is not None
                    and _is_input(statement.value, home)
                ):
                    inner = _arguments(statement.value, ["default"])
                    names = [p.arg for p in method.args.args if p.arg not in ("self", "cls")]
                    passed = _arguments(call, names)
                    given = {
                        name: value
                        for name, node in passed.items()
                        if name in ("default", "description", "ge", "le")
                        and (value := scope.value(node)) is not UNKNOWN
                    }
                    return _Input(inner, home, given)
    return None


def _is_input(node: ast.expr, scope: Scope) -> bool:
    if not isinstance(node, ast.Call):
        return False
    origin = scope.module.origin(dotted(node.func))
    return origin.name == "Input" and origin.module in ("", "cog")


def _arguments(call: ast.expr, names: list[str]) -> dict[str, ast.expr]:
    """The arguments of a call by name; names: of the positional ones."""
    if not isinstance(call, ast.Call):
        return {}
    positional = dict(zip(names, call.args, strict=False))
    return positional | {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
