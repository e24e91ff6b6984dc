"""The packages of the server among a project's own requirements.

`build.sdk_version` says which server an image gets. Lines that name its packages are common all the
same, for editors and linters, and often old; Cog passes over them, and so does this.
"""

from __future__ import annotations

from msgspec import structs

from ..errors import Fault
from .redact import quote_text
from .requirement_model import Entry, RequirementsFile

__all__ = ["MANAGED", "without_managed"]

MANAGED = frozenset({"cog", "coglet"})
"""What Cog installs itself, whatever the project's requirements say of it."""


def without_managed(read: RequirementsFile) -> RequirementsFile:
    """Requirements without the lines that name the server's packages, with a warning for each."""
    dropped = [entry for entry in (*read.entries, *read.constraints) if entry.name in MANAGED]
    if not dropped:
        return read
    return structs.replace(
        read,
        entries=_others(read.entries),
        constraints=_others(read.constraints),
        warnings=(*read.warnings, *map(_ignored, dropped)),
    )


def _others(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries if entry.name not in MANAGED)


def _ignored(entry: Entry) -> Fault:
    message = f"{quote_text(entry.origin.text or entry.name)} is ignored: cog.yaml says which"
    hint = "remove the line; sdk_version of 'build:' asks for a version of the server"
    return Fault(f"{message} server the image gets", entry.origin, hint)
