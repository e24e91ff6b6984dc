"""JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .framework import Framework

__all__ = ["Jax"]


class Jax(Framework):
    """jax and jaxlib, with the extra of the CUDA plugin that the solver chose."""

    name: ClassVar[str] = "jax"
    family: ClassVar[tuple[str, ...]] = ("jax", "jaxlib")
    extras: ClassVar[Mapping[str, str]] = {"jax": "jax-cuda"}
