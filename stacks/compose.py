"""From a folder to blocks and requirements, and from a resolution to a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from ..blocks.base import Block
from ..compat.tables import Tables
from ..errors import Fault, UserError
from ..plan import parts
from ..project import Project, read_project
from ..solver.lock_options import DEFAULT_PLATFORM, LockOptions
from ..solver.matrix import architecture_of
from ..solver.requirement import Requirement
from ..solver.resolution import BaseImages, Resolution
from .base import Stack
from .one_image import on_one_image

if TYPE_CHECKING:
    from ..plan.composer import Composer, Network

__all__ = ["Composition", "compose", "load", "make_plan"]


class Composition(Struct, frozen=True):
    """A project, the stack that took it, its blocks, and what they ask of the solver.

    options: what is asked for beside the project.
    """

    project: Project
    stack: Stack
    blocks: tuple[Block, ...]
    requirements: tuple[Requirement, ...]
    platform: str
    options: LockOptions = field(default_factory=LockOptions)


def load(
    root: Path,
    platform: str = DEFAULT_PLATFORM,
    base_image: str = "",
    options: LockOptions | None = None,
) -> Composition:
    """Read the project in `root` and compose its blocks for a platform.

    base_image: instead of the project's own word on it, as `--base-image` gives it.
    options: all that is asked for beside the project, in place of `base_image`.
    Raises UserError with every fault of the project's files, or when no stack knows the project.
    """
    asked = options or LockOptions(base_image=base_image)
    project = read_project(root)
    if asked.base_image:
        project = project.with_base_image(asked.base_image)
    return replace(compose(project, platform), options=asked)


def compose(project: Project, platform: str) -> Composition:
    """The composition of a project that was read.

    Raises UserError when no stack knows it, and for a platform that no table knows.
    """
    architecture_of(Tables.load(), platform)
    for kind in _stacks():
        if kind.detect(project):
            stack = kind()
            project = stack.adapted(project)
            blocks = stack.compose(project, platform)
            asked = {requirement for block in blocks for requirement in block.requirements(project)}
            return Composition(project, stack, blocks, tuple(sorted(asked)), platform)
    raise UserError(
        Fault(
            "no stack knows how to build this project",
            hint="write a cog.yaml that names the predictor: run: predict.py:Predictor",
        )
    )


def _stacks() -> Iterator[type[Stack]]:
    """The stacks in the order in which they are asked; the second is loaded only when it is."""
    from .python import PythonStack

    yield PythonStack
    from .generic import GenericPythonStack

    yield GenericPythonStack


def make_plan(
    composition: Composition, resolution: Resolution, network: Network = "default"
) -> parts.Plan:
    """The plan of the blocks under a resolution. Raises CogpackError when it is not sound.

    network: of the commands that name none themselves.
    """
    resolution = on_one_image(composition.project, resolution)
    composer = _composer(composition.platform, resolution.base_images, network)
    for name, package in _packages(resolution):
        composer.package(name, package)
    for block in composition.blocks:
        block.plan(composition.project, resolution, composer)
    return composer.finish()


def _composer(platform: str, images: BaseImages, network: Network) -> Composer:
    """Where build and runtime image are one at two digests, the earlier is for packages alone.

    System packages and the project's own commands depend on what they run over, so that has to be
    the base as it is now; the environment and its wheels do not (docs/layers.md).
    """
    from ..plan.composer import Composer

    build, runtime = images.build.pinned_ref, images.runtime.pinned_ref
    if images.build.ref != images.runtime.ref or build == runtime:
        return Composer(platform, build, runtime, network)
    return Composer(platform, runtime, runtime, network, environment=build)


def _packages(resolution: Resolution) -> Iterable[tuple[str, parts.ResolvedPackage]]:
    from ..plan.composer import reasons

    for choice in resolution:
        yield (
            choice.package,
            parts.ResolvedPackage(
                version=choice.version,
                variant=choice.variant,
                index=choice.index,
                because=reasons(choice.because),
            ),
        )
