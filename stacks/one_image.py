"""Projects that run on the image that they are built in, for the sake of their own commands."""

from __future__ import annotations

import dataclasses

from msgspec.structs import replace

from ..blocks.programs import called
from ..project import Project
from ..solver.resolution import Resolution

__all__ = ["on_one_image"]

_SYSTEM_INSTALLERS = frozenset({"apt", "apt-get", "aptitude", "dpkg"})


def on_one_image(project: Project, resolution: Resolution) -> Resolution:
    """The resolution with the image of the build to run on, where commands install system packages.

    What these need and that image has already is not installed, and would be missing in another.
    """
    images = resolution.base_images
    steps = (*project.pre_install, *project.run)
    if images.build.ref == images.runtime.ref or not any(
        program in _SYSTEM_INSTALLERS for step in steps for program in called(step.command)
    ):
        return resolution
    return dataclasses.replace(resolution, base_images=replace(images, runtime=images.build))
