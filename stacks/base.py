"""What every stack is: the decision which blocks make a project's image, and in which order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from ..blocks.base import Block
from ..project import Project

__all__ = ["Stack"]


class Stack(ABC):
    """A kind of project. The first stack that detects a project composes its blocks."""

    name: ClassVar[str]

    @classmethod
    @abstractmethod
    def detect(cls, project: Project) -> bool:
        """Whether the project is of this kind."""

    def adapted(self, project: Project) -> Project:
        """The project as this stack takes it; most take it as it was read."""
        return project

    @abstractmethod
    def compose(self, project: Project, platform: str) -> tuple[Block, ...]:
        """The blocks of this project, in the order in which they plan.

        platform: what the image runs on, as in `linux/amd64`.
        """
