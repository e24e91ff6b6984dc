"""Signatures written by a test, and the schemas that are read off them."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.project.openapi import openapi_document
from cogpack.project.predictor import Target

__all__ = [
    "ANY",
    "HEAD",
    "POINT",
    "TEXT",
    "URI",
    "document",
    "fault",
    "result",
    "schemas",
    "signature",
    "target",
]

HEAD = """\
import cog
import typing
from typing import Annotated, Any, AsyncIterator, Iterator, List, Optional, TypedDict, Union
from typing_extensions import NotRequired
from cog import (
    BaseModel, BasePredictor, BaseRunner, ConcatenateIterator, File, Input, Opaque, Path, Secret,
)
"""
URI = {"type": "string", "format": "uri"}
TEXT = {"type": "string"}
ANY = {"type": "object"}
POINT = {
    "type": "object",
    "properties": {"x": {"type": "integer", "title": "X"}},
    "required": ["x"],
}


def target(file: str = "predict.py", name: str = "Predictor") -> Target:
    return Target(
        f"{file}:{name}", file, name, "unknown", "", None, None, Origin("cog.yaml", 3), Origin(file)
    )


def document(root: Path, trainer: Target | None = None) -> dict[str, Any]:
    found = openapi_document(root, target(), trainer, "0.23.1")
    assert found is not None
    # A document is JSON, whatever it was made of.
    decoded: dict[str, Any] = json.loads(json.dumps(found, allow_nan=False))
    return decoded


def schemas(root: Path, source: str, **files: str) -> dict[str, Any]:
    for name, content in {"predict": source, **files}.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content))
    found: dict[str, Any] = document(root)["components"]["schemas"]
    return found


def signature(
    root: Path, parameters: str, returns: str = "str", before: str = "", **files: str
) -> dict[str, Any]:
    method = f"class Predictor(BaseRunner):\n    def run(self, {parameters}) -> {returns}:\n"
    return schemas(root, f"{HEAD}\n{textwrap.dedent(before)}\n{method}        ...\n", **files)


def result(root: Path, returns: str, before: str = "", **files: str) -> dict[str, Any]:
    found = signature(root, "", returns, before, **files)["Output"]
    assert found.pop("title") == "Output"
    return dict(found)


def fault(root: Path, parameters: str, returns: str = "str", before: str = "") -> str:
    """The message of a signature that is no API; each fault names its line."""
    with pytest.raises(UserError) as raised:
        signature(root, parameters, returns, before)
    assert all(one.origin and one.origin.line for one in raised.value.faults)
    return str(raised.value)
