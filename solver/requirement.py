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
    brings: whether it brings the package in; what does not only limits one that something else
        brings in, as a line of a constraints file does.
    pythons: a PEP 440 specifier set: it holds for these Pythons and asks nothing of others, as a
        line with a marker does; empty for all.
    of_file: the line names a file or a repository that has the version: no other one can be had by
        writing another number there.
    eased_by: the lines because of which it asks for less than it would without them.
    strict: the specifier without these lines.
    """

    package: str
    specifier: str
    origin: Origin
    brings: bool = True
    pythons: str = ""
    of_file: bool = False
    eased_by: tuple[Origin, ...] = ()
    strict: str = ""

    @property
    def is_certain(self) -> bool:
        """Whether the package is there for its sake, whatever else is chosen."""
        return self.brings and not self.pythons
