"""The OpenAPI 3.0.2 document of a predictor and a trainer."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from ...errors import Fault, UserError
from ...origin import Origin
from ..predictor import Target
from .annotations import SignatureError, annotation
from .inputs import Inputs, read_inputs
from .literals import Scope
from .modules import Function, Module, Modules, dotted
from .types import Schema, output_schema

__all__ = ["openapi_document"]


@dataclass(frozen=True)
class _Words:
    """How the API calls what it offers."""

    path: str
    noun: str
    verb: str
    prefix: str
    parameter: str


_PREDICT = _Words("predictions", "Prediction", "predict", "", "prediction_id")
_TRAIN = _Words("trainings", "Training", "train", "Training", "training_id")


def openapi_document(
    root: Path, predictor: Target | None, trainer: Target | None, version: str
) -> Schema | None:
    """The document of what the project offers; None when it offers nothing that can be read.

    root: the project folder. version: of the server, as the document states it.
    Raises UserError with every part of a signature that is no API.
    """
    modules = Modules(root)
    faults: list[Fault] = []
    paths: Schema = {}
    schemas: Schema = {}
    for target, words in ((predictor, _PREDICT), (trainer, _TRAIN)):
        if target is None:
            continue
        found = _signature(modules, target, words, faults)
        if found is not None:
            inputs, output, streams = found
            # What predictions and trainings both have is the predictions'.
            paths = _paths(words, streams) | paths
            schemas = _schemas(inputs, output, words) | schemas
    if faults:
        raise UserError(faults)
    if not paths:
        return None
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": version},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _signature(
    modules: Modules, target: Target, words: _Words, faults: list[Fault]
) -> tuple[Inputs, Schema, bool] | None:
    """Inputs, output, and whether results can be streamed."""
    home = modules.file(target.file)
    served = _served(modules, home, target.name, words) if home else None
    if served is None:
        message = f"{target.name} of {target.file} has no {words.verb}() that can be found"
        hint = "define it in the project, at the top level of a file"
        faults.append(Fault(message, target.origin, hint))
        return None
    module, function = served
    scope = Scope(modules, module)
    inputs = read_inputs(function, scope, faults)
    streams = _streams(function, module)
    where = Origin(module.file, function.lineno, f"def {function.name}")
    try:
        if function.returns is None:
            raise SignatureError("it has no return type", "annotate it, as in -> str")
        output = output_schema(annotation(function.returns, module), scope)
        if streams and "x-cog-array-type" not in output:
            raise SignatureError("@streaming needs a result that is an iterator")
    except SignatureError as error:
        faults.append(Fault(f"the result of {function.name}(): {error.message}", where, error.hint))
        return None
    return inputs, output, streams


def _served(
    modules: Modules, module: Module, name: str, words: _Words
) -> tuple[Module, Function] | None:
    """The method or function behind a reference, and the file that defines it."""
    methods = ("train",) if words is _TRAIN else ("run", "predict")
    found = modules.find_class(name, module)
    if found is not None:
        for method in methods:
            if (served := _method(modules, *found, method, ())) is not None:
                return served
        return None
    for wanted in (name, words.verb):
        if wanted in module.functions:
            return module, module.functions[wanted]
    origin = module.origin(name)
    other = modules.find(origin.module, module) if origin.module and origin.name else None
    if other is not None and origin.name in other.functions:
        return other, other.functions[origin.name]
    return None


def _method(
    modules: Modules,
    module: Module,
    owner: ast.ClassDef,
    name: str,
    seen: tuple[ast.ClassDef, ...],
) -> tuple[Module, Function] | None:
    """A method of a class or of its bases in the project, the last definition of each."""
    for statement in reversed(owner.body):
        if isinstance(statement, Function) and statement.name == name:
            return module, statement
    for base in map(dotted, owner.bases):
        parent = modules.find_class(base, module)
        if parent is not None and parent[1] not in (*seen, owner):
            found = _method(modules, *parent, name, (*seen, owner))
            if found is not None:
                return found
    return None


def _streams(function: Function, module: Module) -> bool:
    written = (
        dotted(one.func if isinstance(one, ast.Call) else one) for one in function.decorator_list
    )
    return any(name and module.is_from(name, ("cog",), "streaming") for name in written)


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _text(title: str, **more: str) -> Schema:
    return {"title": title, "type": "string", **more}


def _answer(schema: Schema, description: str = "Successful Response") -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _schemas(inputs: Inputs, output: Schema, words: _Words) -> Schema:
    taken, given = f"{words.prefix}Input", f"{words.prefix}Output"
    request, response = f"{words.noun}Request", f"{words.noun}Response"
    return {
        taken: {**inputs.schema, "title": taken},
        given: {**output, "title": "Output"},
        **inputs.enums,
        request: {
            "title": request,
            "type": "object",
            "properties": {"id": _text("Id"), "input": _reference(taken)},
        },
        response: {
            "title": response,
            "type": "object",
            "properties": {
                "input": _reference(taken),
                "output": _reference(given),
                "id": _text("Id"),
                "version": _text("Version"),
                "created_at": _text("Created At", format="date-time"),
                "started_at": _text("Started At", format="date-time"),
                "completed_at": _text("Completed At", format="date-time"),
                "status": _text("Status"),
                "error": _text("Error"),
                "logs": _text("Logs"),
                "metrics": {"title": "Metrics", "type": "object"},
            },
        },
        "Status": {
            "title": "Status",
            "description": "An enumeration.",
            "enum": ["starting", "processing", "succeeded", "canceled", "failed"],
            "type": "string",
        },
        "HTTPValidationError": {
            "title": "HTTPValidationError",
            "type": "object",
            "properties": {
                "detail": {
                    "title": "Detail",
                    "type": "array",
                    "items": _reference("ValidationError"),
                }
            },
        },
        "ValidationError": {
            "title": "ValidationError",
            "required": ["loc", "msg", "type"],
            "type": "object",
            "properties": {
                "loc": {
                    "title": "Location",
                    "type": "array",
                    "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                },
                "msg": _text("Message"),
                "type": _text("Error Type"),
            },
        },
    }


def _paths(words: _Words, streams: bool) -> Schema:
    invalid = _answer(_reference("HTTPValidationError"), "Validation Error")
    request, response = f"{words.noun}Request", f"{words.noun}Response"
    operation: Schema = {
        "summary": words.verb.capitalize(),
        "description": f"Run a single {words.noun.lower()} on the model",
        "operationId": f"{words.verb}_{words.path}_post",
        "requestBody": {"content": {"application/json": {"schema": _reference(request)}}},
        "responses": {"200": _answer(_reference(response)), "422": invalid},
    }
    if streams and words is _PREDICT:
        operation["x-cog-streaming"] = True
    identifier = words.parameter.replace("_", " ").title()
    return {
        "/": {
            "get": {
                "summary": "Root",
                "operationId": "root__get",
                "responses": {"200": _answer({})},
            }
        },
        "/health-check": {
            "get": {
                "summary": "Healthcheck",
                "operationId": "healthcheck_health_check_get",
                "responses": {"200": _answer({})},
            }
        },
        f"/{words.path}": {"post": operation},
        f"/{words.path}/{{{words.parameter}}}/cancel": {
            "post": {
                "summary": "Cancel",
                "operationId": f"cancel_{words.path}__{words.parameter}__cancel_post",
                "parameters": [
                    {
                        "required": True,
                        "schema": _text(identifier),
                        "name": words.parameter,
                        "in": "path",
                    }
                ],
                "responses": {"200": _answer({}), "422": invalid},
            }
        },
    }
