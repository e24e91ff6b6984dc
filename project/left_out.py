"""What the project needs in the image and .dockerignore leaves out of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..errors import Fault
from ..origin import Origin
from ..patterns import PatternError, PatternSet
from .ignore import FILE, IgnorePatterns
from .requirement_model import Entry

__all__ = ["left_out"]


def left_out(
    ignore: IgnorePatterns, targets: Mapping[str, tuple[str, Origin]], entries: Iterable[Entry]
) -> Iterator[Fault]:
    """A fault for each file or folder that the image would lack.

    targets: the path of what the image runs, and where it is named, by the key that names it.
    entries: the requirements, those among them that are in the project.
    """
    try:
        patterns = PatternSet(ignore.all)
    except PatternError:
        return  # whoever lists the files tells it
    local = ((entry.path, entry.origin) for entry in entries if entry.is_local)
    for name, (path, origin) in (*targets.items(), *(("it", one) for one in local)):
        if path != "." and patterns.covers(path) and not patterns.may_except_below(path):
            yield Fault(
                f"{name} names {path}, which {FILE} leaves out of the image",
                origin,
                f"add a line to {FILE}, behind all others: !{path}",
            )
