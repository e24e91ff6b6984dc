"""PyTorch and its companions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from .framework import Framework

__all__ = ["Torch"]


class Torch(Framework):
    """torch, torchvision and torchaudio, from the index of their variant alone."""

    name: ClassVar[str] = "torch"
    family: ClassVar[tuple[str, ...]] = ("torch", "torchvision", "torchaudio")
    extras: ClassVar[Mapping[str, str]] = {}
