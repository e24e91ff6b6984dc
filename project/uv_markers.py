"""Whether a marker of uv.lock holds for an image and for the extras and groups that it gets.

Where extras exclude one another (`[tool.uv] conflicts`), uv writes into markers which of them are
chosen, in a form that PEP 508 reads and does not know: `extra == 'extra-4-mine-cpu'`, the number
being the length of the package's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from packaging.markers import InvalidMarker, Marker

__all__ = ["Choice"]

_CHOSEN = re.compile(r"extra (==|!=) '((?:extra|group|project)-\d+-[^']+)'")
_TRUE, _FALSE = "python_version >= '0'", "python_version < '0'"


@dataclass(frozen=True)
class Choice:
    """What is installed into. environment: the variables of markers.

    active: extras and groups that are chosen, as markers name them.
    """

    environment: Mapping[str, str]
    active: frozenset[str] = frozenset()

    def holds(self, marker: str) -> bool:
        """Whether a marker holds; an empty one does, and one that cannot be read."""
        if not marker:
            return True
        try:
            settled = Marker(_CHOSEN.sub(self._settled, marker))
            return settled.evaluate({"extra": "", **self.environment})
        except (InvalidMarker, ValueError, RecursionError):
            return True

    def _settled(self, condition: re.Match[str]) -> str:
        return _TRUE if (condition[2] in self.active) is (condition[1] == "==") else _FALSE
