"""Where a fact comes from: a line that the user wrote, an option, a block, or a table row."""

from __future__ import annotations

from msgspec import Struct

__all__ = ["Origin"]


class Origin(Struct, frozen=True, order=True):
    """The place that asked for something, as messages and explanations quote it.

    file: path relative to the project, with `/`; empty when it was no file.
    line: 1-based line in that file; 0 when unknown.
    text: the user's words (`torch==2.7.1`) or what stands in their place.
    asker: who asked when it was no file: `block apt`, `--gpu`.
    """

    file: str = ""
    line: int = 0
    text: str = ""
    asker: str = ""

    @property
    def where(self) -> str:
        """`requirements.txt:3`, `cog.yaml`, `--gpu` or an empty string."""
        if self.file:
            return f"{self.file}:{self.line}" if self.line else self.file
        return self.asker
