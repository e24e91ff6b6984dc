"""Weights in layers of their own, so that a change of code never pushes them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from ..errors import Fault, UserError
from ..origin import Origin
from ..plan import parts
from ..project import Project
from ..project.weight_places import remote_sources
from ..solver.resolution import Resolution
from .base import Block
from .layout import FIXED_TIME
from .weight_files import WeightFiles, WeightLayer, literal

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["Weights"]


class Weights(Block):
    """Copies what cog.yaml names as weights to its target, and large files to their place.

    What cog.yaml names is copied though .dockerignore leaves it out, as Cog's own weights demand;
    large files only where .dockerignore does not. What other machines have, the builder downloads.
    The layers stand on nothing, so that their digests depend on the files alone: on another
    machine, in another project, they are the same.
    """

    name: ClassVar[str] = "weights"

    def __init__(self, files: WeightFiles) -> None:
        self._files = files

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        if project.config and project.config.weights and (found := self._clashes(project)):
            raise UserError(found)
        for local in self._files.layers:
            _add(composer, local.name, local.title, _copies(local), local.origin)
        if not remote_sources(project.config):
            return
        from .weight_downloads import download_layers

        for layer in download_layers(project, self._files.layers):
            _add(composer, layer.name, layer.title, layer.copies, layer.origin)

    def _clashes(self, project: Project) -> tuple[Fault, ...]:
        from .weight_clashes import clashes

        return clashes(project, self._files.layers)


def _add(
    composer: Composer, name: str, title: str, copies: Sequence[parts.Copy], origin: Origin
) -> None:
    stage = composer.side_stage(
        "app-source", name, title, parts.ScratchInput(), copies, because=(origin,)
    )
    composer.export("app", stage)


def _copies(layer: WeightLayer) -> list[parts.Copy]:
    return [
        parts.Copy(
            # The files are chosen here and not by the copy: BuildKit gives the folders above a
            # file that a copy chooses the time of the clock.
            source=parts.LocalInput(
                name=copy.context or parts.PROJECT_CONTEXT,
                include=tuple(map(literal, copy.files)),
                exclude=copy.without,
            ),
            src="/" if copy.src == "." else f"/{copy.src}",
            dest=copy.dest,
            owner="0:0",
            time=FIXED_TIME,
        )
        for copy in layer.copies
    ]
