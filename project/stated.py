"""`[[tool.uv.dependency-metadata]]` of pyproject.toml: what releases need, in the user's words.

The table is uv's own, so that one statement serves both tools. Where it stands in the file is the
reader's business; here it is only checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from .redact import quote_text

__all__ = ["Stated", "read_stated"]

PATH = "tool.uv.dependency-metadata"


@dataclass(frozen=True)
class Stated:
    """What a release needs, or every release when version is empty.

    name: normalised. version: canonical. requires: PEP 508 lines. requires_python: a specifier set.
    """

    name: str
    version: str = ""
    requires: tuple[str, ...] = ()
    requires_python: str = ""


def read_stated(value: Any, fault: Callable[[str, str], None]) -> Iterator[Stated]:
    """The statements of the table.

    value: as tomllib has it. fault: takes what is wrong: a message, and the text near which it is.
    """
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        fault(f"{PATH} must be a list of tables: write each as [[{PATH}]]", "dependency-metadata")
        return
    for item in value:
        name = item.get("name")
        if not isinstance(name, str) or not name:
            fault(f"a table of {PATH} has no name", "dependency-metadata")
            continue
        version = _read(item, "version", lambda text: str(Version(text)), name, fault)
        python = _read(item, "requires-python", lambda text: str(SpecifierSet(text)), name, fault)
        lines = item.get("requires-dist", [])
        if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
            fault(f"requires-dist of {name} in {PATH} must be a list of texts", name)
            continue
        requires = []
        for line in lines:
            try:
                requires.append(str(Requirement(line)))
            except InvalidRequirement:
                fault(f'"{quote_text(line)}" in {PATH} is not a requirement', line)
        yield Stated(canonicalize_name(name), version, tuple(requires), python)


def _read(
    item: dict[str, Any],
    key: str,
    read: Callable[[str], str],
    name: str,
    fault: Callable[[str, str], None],
) -> str:
    text = item.get(key, "")
    try:
        return read(text) if text else ""
    except (InvalidVersion, InvalidSpecifier, TypeError):
        fault(f'{key} of {name} in {PATH} is "{quote_text(str(text))}"', str(text))
        return ""
