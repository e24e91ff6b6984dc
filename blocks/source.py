"""The user's own files, last: they change most."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..plan import parts
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .layout import FIXED_TIME, SOURCE
from .weight_files import WeightFiles

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["Source"]


class Source(Block):
    """Copies the project, less what .dockerignore, cogpack itself and the weights leave out.

    Times and owners of the machine do not come along, nor does its umask (see `pipeline`), and the
    layer stands on nothing: the same files give the same layer everywhere, and every user of the
    image can read them.

    weights: the files that have layers of their own.
    """

    name: ClassVar[str] = "source"

    def __init__(self, weights: WeightFiles) -> None:
        self._weights = weights

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        stage = composer.side_stage(
            "app-source",
            "source",
            "copy the project",
            parts.ScratchInput(),
            [
                parts.Copy(
                    source=parts.LocalInput(exclude=(*project.ignore.all, *self._weights.patterns)),
                    dest=SOURCE,
                    owner="0:0",
                    time=FIXED_TIME,
                )
            ],
        )
        composer.export("app", stage)
