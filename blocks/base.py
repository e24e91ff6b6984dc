"""What every block is: one concern of an image, from requirement to stage.

Blocks never import one another: what two of them share is in `layout`, and who comes together
with whom is the stack's decision.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ..origin import Origin
from ..project import Project
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["Block"]


class Block(ABC):
    """One concern: it says whether a project has it, what it needs and which stages it makes."""

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def detect(cls, project: Project) -> bool:
        """Whether the project needs this block."""

    def requirements(self, project: Project) -> tuple[Requirement, ...]:
        """What the block demands of the matrix, each demand with its origin."""
        del project
        return ()

    @abstractmethod
    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        """Add the block's stages and image config to the composer."""

    @property
    def origin(self) -> Origin:
        """The block itself as the asker, for what no line of the user's asked."""
        return Origin(asker=f"block {self.name}")
