"""A Cog project: a predictor with `cog.yaml`, served by Cog's own server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from ..blocks.apt import Apt
from ..blocks.base import Block
from ..blocks.base_image import BaseImage
from ..blocks.ca_certificates import CaCertificates
from ..blocks.cog_runtime import CogRuntime
from ..blocks.concurrency import Concurrency
from ..blocks.cuda import Cuda
from ..blocks.entrypoint import Entrypoint
from ..blocks.environment import Environment
from ..blocks.jax import Jax
from ..blocks.labels import Labels
from ..blocks.local_packages import LocalPackages
from ..blocks.openapi import OpenApi
from ..blocks.pip import Pip
from ..blocks.pip_tool import PipTool
from ..blocks.pre_install import PreInstall
from ..blocks.programs import needed_packages
from ..blocks.python_version import PythonVersion
from ..blocks.requirement_files import RequirementFiles
from ..blocks.run import Run
from ..blocks.source import Source
from ..blocks.tensorflow import Tensorflow
from ..blocks.torch import Torch
from ..blocks.train import Train
from ..blocks.user import User
from ..blocks.uv import Uv
from ..blocks.uv_lock import LockedLocalPackages, LockedPackages
from ..blocks.uv_tool import UvTool
from ..blocks.weight_files import WeightFiles
from ..blocks.weights import Weights
from ..blocks.wheels import Wheels
from ..project import Project
from .base import Stack

__all__ = ["PythonStack"]


_FRAMEWORKS = (Tensorflow, Jax, Torch)


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
        if CaCertificates.detect(project):
            yield CaCertificates()
        yield Apt(extra=(*needed_packages(project), *Entrypoint.packages))
        if User.detect(project):
            yield User()
        yield UvTool()
        yield PythonVersion()
        locked = LockedPackages.detect(project)
        if RequirementFiles.detect(project) and not locked:
            yield RequirementFiles()
        yield Wheels(frameworks={name for one in _FRAMEWORKS for name in one.family})
        for framework in _FRAMEWORKS:
            if framework.detect(project) and not locked:
                yield framework()
        for before in (PipTool, Environment, PreInstall):
            if before.detect(project):
                yield before()
        if locked:
            yield LockedPackages(platform)
        elif Pip.detect(project):
            yield Pip(platform)
        elif Uv.detect(project):
            yield Uv(platform)
        yield CogRuntime()
        if LockedLocalPackages.detect(project):
            yield LockedLocalPackages()
        elif LocalPackages.detect(project):
            yield LocalPackages(keep=("cog", "coglet"))
        yield Entrypoint()
        for after in (Train, Concurrency, Run, OpenApi, Labels):
            if after.detect(project):
                yield after()
        weights = WeightFiles(project)
        yield Weights(weights)
        yield Source(weights)
