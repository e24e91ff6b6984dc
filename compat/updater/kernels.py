"""The compute capabilities that torch has kernels for, from the release notes for its developers.

RELEASE.md of pytorch says of its newest releases which architectures each CUDA build has; older
ones stand in the RELEASE.md of their branch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from packaging.version import Version

from .sources import UnreachedError
from .world import World

__all__ = ["NOTES_SOURCE", "Kernels", "read_notes"]

NOTES_SOURCE = "pytorch RELEASE.md"

_HEADING = re.compile(r"^For Releases? (.+?) PyTorch supports", re.IGNORECASE | re.MULTILINE)
_MINOR = re.compile(r"\b\d+\.\d+\b")
_CAPABILITY = re.compile(r"(?<![\d.])\d+\.\d+(?:\+PTX)?")

# Words in the header of a table -> the architecture that it is about.
_TABLES = {"x86": "amd64", "aarch64": "arm64"}

Kernels = Mapping[tuple[str, str, str], str]
"""(minor of torch, minor of CUDA, architecture) -> the `kernels` cell."""


def read_notes(world: World, named: Iterable[str], branches: Iterable[str]) -> Kernels:
    """The kernels of releases.

    named: minors of torch (`2.14`) whose kernels are wanted where the current notes have them.
    branches: those whose own branch is asked where the current notes have them not.

    Raises UnreachedError.
    """
    base, asked = world.address("pytorch-notes"), set(branches)
    if not asked and not set(named):
        return {}
    found = dict(_parse(world.document(f"{base}/main/RELEASE.md")))
    for minor in sorted(asked - {torch for torch, _, _ in found}, key=Version):
        found |= _parse(world.document(f"{base}/release/{minor}/RELEASE.md"))
    return found


def _parse(document: bytes | None) -> Kernels:
    if document is None:
        return {}
    try:
        text = document.decode()
    except UnicodeDecodeError as error:
        raise UnreachedError(f"RELEASE.md of pytorch is no text: {error}") from error
    found: dict[tuple[str, str, str], str] = {}
    headings = list(_HEADING.finditer(text))
    for number, heading in enumerate(headings):
        last = number + 1 == len(headings)
        section = text[heading.end() : None if last else headings[number + 1].start()]
        section = section.partition("\n#")[0]
        for torch in _MINOR.findall(heading[1]):
            for cuda, architecture, kernels in _rows(section):
                found[torch, cuda, architecture] = kernels
    return found


def _rows(section: str) -> Iterable[tuple[str, str, str]]:
    architecture = ""
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.strip().startswith("|"):
            architecture = ""
        elif not cells[0][:1].isdigit():
            known = (name for word, name in _TABLES.items() if word in line)
            architecture = next(known, architecture)
        elif architecture and len(cells) > 1 and (minor := _MINOR.match(cells[0])):
            yield minor[0], architecture, " ".join(_CAPABILITY.findall(cells[1]))
