"""A Cog project: a predictor with `cog.yaml`, served by Cog's own server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ..blocks.apt import Apt
from ..blocks.base import Block
from ..blocks.base_image import BaseImage
from ..blocks.cog_runtime import CogRuntime
from ..blocks.cuda import Cuda
from ..blocks.jax import Jax
from ..blocks.pip import Pip
from ..blocks.python_version import PythonVersion
from ..blocks.requirement_files import RequirementFiles
from ..blocks.run import Run
from ..blocks.source import Source
from ..blocks.tensorflow import Tensorflow
from ..blocks.torch import Torch
from ..blocks.uv import Uv
from ..blocks.uv_tool import UvTool
from ..origin import Origin
from ..project import Project
from .base import Stack

__all__ = ["PythonStack"]

# The server needs a process above it that reaps children and passes signals on.
_INIT = ("tini", Origin(asker="block cog-runtime", text="an init as process 1"))


class PythonStack(Stack):
    """Base, system packages, interpreter, dependencies, server, commands, source: in this order.

    What changes most comes last, so that a change repeats and pushes as little as possible.
    """

    name: ClassVar[str] = "python"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return project.config is not None

    def compose(self, project: Project, platform: str) -> tuple[Block, ...]:
        return tuple(self._blocks(project, platform))

    def _blocks(self, project: Project, platform: str) -> Iterator[Block]:
        yield BaseImage()
        yield Cuda()
        yield Apt(extra=[_INIT])
        yield UvTool()
        yield PythonVersion()
        if RequirementFiles.detect(project):
            yield RequirementFiles()
        for framework in (Tensorflow, Jax, Torch):
            if framework.detect(project):
                yield framework()
        if Pip.detect(project):
            yield Pip(platform)
        elif Uv.detect(project):
            yield Uv(platform)
        yield CogRuntime()
        if Run.detect(project):
            yield Run()
        yield Source()
