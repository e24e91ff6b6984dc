"""The API that a predictor offers, read from its signature: the OpenAPI document of Cog 0.23.

The code is parsed, never imported or run, so what cannot be read off the text (a default that is
computed, a type of a package) is a fault that says so. What is accepted and what comes out follows
Cog's own static reader (`pkg/schema` of its source); where that one loses information that the
text has (escapes in strings, constants of another module), this one keeps it.
"""

from __future__ import annotations

from .document import openapi_document

__all__ = ["openapi_document"]
