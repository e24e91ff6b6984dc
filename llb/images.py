"""A base image as a registry has it now."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ResolvedImage"]


@dataclass(frozen=True)
class ResolvedImage:
    """An image reference with what the registry answered for one platform.

    ref: the fully qualified reference, as in `docker.io/library/python:3.12-slim`.
    digest: `sha256:...` of the manifest or index that the reference names.
    config: the image config, JSON as stored.
    """

    ref: str
    digest: str
    config: bytes
