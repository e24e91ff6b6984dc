"""What goes into the solver: requirements on packages of the matrix, each with its origin."""

from __future__ import annotations

from msgspec import Struct

from ..origin import Origin

__all__ = ["Requirement"]


class Requirement(Struct, frozen=True, order=True):
    """One demand on one package of the matrix.

    package: PEP 503 normalised name: `python`, `torch`, `cuda`, `driver`, `gpu-capability`, ...
    specifier: a PEP 440 specifier set (`>=2.0,<2.5`, `==2.7.1+cu128`); empty admits any version.
    origin: the user's line, the option or the block that asked.
    """

    package: str
    specifier: str
    origin: Origin
