"""The images that the project is built and runs on: the user's own, or the solver's choice."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..plan import parts
from ..project import Project
from ..references import BASE_DIGEST, BASE_NAME, split_digest
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from ..solver.universe import BUILD_IMAGE, RUNTIME_IMAGE
from .base import Block

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["BaseImage"]


class BaseImage(Block):
    """Pins the user's own base, if there is one, and names the base in the image's labels.

    The phases stand on it without further ado. A base of the user's own is both built and run on.
    """

    name: ClassVar[str] = "base-image"

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def requirements(self, project: Project) -> tuple[Requirement, ...]:
        own = project.base_image
        if own is None:
            return ()
        label, _ = split_digest(own.reference)
        return tuple(
            Requirement(name, f"=={label}", own.origin) for name in (BUILD_IMAGE, RUNTIME_IMAGE)
        )

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        runtime = resolution.base_images.runtime
        labels = {BASE_NAME: runtime.ref}
        if runtime.digest:
            labels[BASE_DIGEST] = runtime.digest
        composer.configure(parts.ExportConfig(labels=labels))
        if own := project.base_image:
            from ..plan.composer import reasons

            # Whoever finds the image missing tells the user's line by this.
            because = reasons([own.origin])
            package = parts.ResolvedPackage(version=composer.runtime_base, because=because)
            composer.package(self.name, package)
