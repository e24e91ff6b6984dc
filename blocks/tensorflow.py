"""TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .framework import Framework

__all__ = ["Tensorflow"]


class Tensorflow(Framework):
    """tensorflow, with the extra that brings CUDA where the solver chose it."""

    name: ClassVar[str] = "tensorflow"
    family: ClassVar[tuple[str, ...]] = ("tensorflow",)
    extras: ClassVar[Mapping[str, str]] = {"tensorflow": "tensorflow-cuda"}
