"""The options of one command line, before the lock fills in what it does not say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import asdict, replace

from ..solver.lock_options import DEFAULT_PLATFORM, LockOptions
from .compose import Composition, load

if TYPE_CHECKING:
    from ..solver.lock import Lock

__all__ = ["Said"]


class Said(Struct, frozen=True):
    """What a command line says of the options that shape the answer; None for what it does not.

    An empty text takes an option back. The fields are those of `LockOptions`, and the platform.
    """

    platform: str | None = None
    base_image: str | None = None
    gpu: str | None = None
    driver: str | None = None
    prefer: str | None = None
    overrides: bool | None = None

    def composition(self, root: Path, lock: Lock | None) -> Composition:
        """The project under these options, and for the rest those of a lock."""
        said = {key: value for key, value in asdict(self).items() if value is not None}
        platform = said.pop("platform", lock.platform if lock else "") or DEFAULT_PLATFORM
        options = replace(lock.options if lock else LockOptions(), **said)
        return load(root, platform, options=options)
