"""From a folder to blocks and requirements, and from a resolution to a plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..blocks.base import Block
from ..errors import Fault, UserError
from ..plan.composer import Composer, Network, reasons
from ..plan.model import Plan, ResolvedPackage
from ..project import Project, read_project
from ..solver.requirement import Requirement
from ..solver.resolution import BaseImage, Resolution
from .base import Stack
from .generic import GenericPythonStack
from .python import PythonStack

__all__ = ["STACKS", "Composition", "compose", "load", "make_plan"]

STACKS: tuple[type[Stack], ...] = (PythonStack, GenericPythonStack)


@dataclass(frozen=True)
class Composition:
    """A project, the stack that took it, its blocks, and what they ask of the solver."""

    project: Project
    stack: Stack
    blocks: tuple[Block, ...]
    requirements: tuple[Requirement, ...]
    platform: str


def load(root: Path, platform: str = "linux/amd64", base_image: str = "") -> Composition:
    """Read the project in `root` and compose its blocks for a platform.

    base_image: instead of the project's own word on it, as `--base-image` gives it.
    Raises UserError with every fault of the project's files, or when no stack knows the project.
    """
    project = read_project(root)
    return compose(project.with_base_image(base_image) if base_image else project, platform)


def compose(project: Project, platform: str) -> Composition:
    """The composition of a project that was read. Raises UserError when no stack knows it."""
    for kind in STACKS:
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


def make_plan(
    composition: Composition, resolution: Resolution, network: Network = "default"
) -> Plan:
    """The plan of the blocks under a resolution. Raises CogpackError when it is not sound.

    network: of the commands that name none themselves.
    """
    images = resolution.base_images
    composer = Composer(
        composition.platform, _reference(images.build), _reference(images.runtime), network
    )
    for name, package in _packages(resolution):
        composer.package(name, package)
    for block in composition.blocks:
        block.plan(composition.project, resolution, composer)
    return composer.finish()


def _reference(image: BaseImage) -> str:
    return f"{image.ref}@{image.digest}" if image.digest else image.ref


def _packages(resolution: Resolution) -> Iterable[tuple[str, ResolvedPackage]]:
    for choice in resolution:
        yield (
            choice.package,
            ResolvedPackage(
                version=choice.version,
                variant=choice.variant,
                index=choice.index,
                because=reasons(choice.because),
            ),
        )
