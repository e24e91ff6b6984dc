"""What comes out of the solver when a consistent set of versions exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from ..errors import Fault, UserError
from ..origin import Origin

if TYPE_CHECKING:
    from .lock import Lock

__all__ = ["BaseImage", "BaseImages", "Choice", "Resolution"]


@dataclass(frozen=True)
class Choice:
    """The candidate chosen for one package.

    version: as the table has it, with its local part (`2.7.1+cu128`).
    variant: the build variant (`cu128`, `cpu`); empty where the package has none.
    index: the package index that serves it; empty for the default index or for no Python package.
    because: the origins of the requirements that brought it in, sorted.
    facts: where its facts come from when no table has it, `index metadata`; a lock forgets it.
    """

    package: str
    version: str
    variant: str = ""
    index: str = ""
    because: tuple[Origin, ...] = ()
    facts: str = field(default="", compare=False)


class BaseImage(Struct, frozen=True):
    """An image from a registry and what it brings.

    ref: fully qualified, as in `docker.io/library/python:3.12-slim`.
    digest: `sha256:...` where it is known, else empty.
    provides: name -> version of what it contains (`python`, `cuda`, `os`, `glibc`, ...).
    """

    ref: str
    digest: str = ""
    provides: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def pinned_ref(self) -> str:
        """The reference, with the digest where it is known."""
        return f"{self.ref}@{self.digest}" if self.digest else self.ref

    @property
    def is_known(self) -> bool:
        """Whether the tables describe the image; else only what the user says of it is known."""
        return "os" in self.provides


class BaseImages(Struct, frozen=True):
    """The image in which the project is built and the one on which it runs; often the same.

    tools: in which the build's own tools are fetched, where a lock has pinned another one for it.
    """

    build: BaseImage
    runtime: BaseImage
    tools: BaseImage | None = None


@dataclass(frozen=True)
class Resolution:
    """One consistent assignment: at most one choice a package, sorted by package name.

    lock: every file of the image's Python packages, when the project is locked.
    """

    choices: tuple[Choice, ...]
    base_images: BaseImages
    warnings: tuple[str, ...] = ()
    lock: Lock | None = field(default=None, compare=False, repr=False)

    def __contains__(self, package: str) -> bool:
        return self.get(package) is not None

    def __getitem__(self, package: str) -> Choice:
        choice = self.get(package)
        if choice is None and self.lock is not None:
            from .lock import LOCK_FILE, RELOCK

            message = f"it is damaged: its matrix has no {package}"
            raise UserError(Fault(message, Origin(LOCK_FILE), RELOCK))
        if choice is None:
            raise KeyError(package)
        return choice

    def __iter__(self) -> Iterator[Choice]:
        return iter(self.choices)

    def get(self, package: str) -> Choice | None:
        return next((choice for choice in self.choices if choice.package == package), None)
