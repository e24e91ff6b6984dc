"""The JSON Schema of a plan; `docs/plan.schema.json` is this text, and a test compares them."""

from __future__ import annotations

import json

from pydantic import TypeAdapter

from .model import SCHEMA_VERSION, Plan

__all__ = ["schema"]


def schema() -> str:
    """The schema (draft 2020-12) as JSON text that ends with a newline."""
    document = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **TypeAdapter(Plan).json_schema(mode="serialization"),
        "title": f"cogpack plan, schema version {SCHEMA_VERSION}",
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"
