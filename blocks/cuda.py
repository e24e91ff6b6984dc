"""What the project computes on, and the CUDA of the image where the project asks for one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from ..origin import Origin
from ..plan import parts
from ..project import CogConfig, Project
from ..project.section import written
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["Cuda"]

# What NVIDIA's container runtime reads to give a container its GPUs; NVIDIA's own images set it.
_NVIDIA_ENV = {
    "NVIDIA_VISIBLE_DEVICES": "all",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
}

# A command that names one of these compiles for CUDA.
_COMPILERS = frozenset({"nvcc", "CUDA_HOME", "TORCH_CUDA_ARCH_LIST"})


class Cuda(Block):
    """Asks for CPU or CUDA builds, and for a system CUDA only where something needs it."""

    name: ClassVar[str] = "cuda"

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def requirements(self, project: Project) -> tuple[Requirement, ...]:
        config = project.config
        if config is None:
            text = "a project without cog.yaml runs on the CPU"
            return (
                Requirement("accelerator", "==cpu", Origin(asker=self.origin.asker, text=text)),
            )
        return tuple(self._requirements(project, config))

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        if project.config is not None and project.config.build.gpu:
            composer.configure(parts.ExportConfig(env=_NVIDIA_ENV))

    def _requirements(self, project: Project, config: CogConfig) -> Iterator[Requirement]:
        build = config.build
        # What the user's own base brings is the user's business, unless cog.yaml asks for CUDA.
        own = project.base_image is not None and not config.cogpack.system_cuda
        in_image = not own and config.cogpack.system_cuda is not False
        yield self._accelerator(project, config)
        if build.cuda:
            origin = config.origin("build.cuda")
            yield Requirement("cuda", _series(build.cuda), origin)
        if build.cuda and in_image:
            yield Requirement("system-cuda", _series(build.cuda), config.origin("build.cuda"))
        elif config.cogpack.system_cuda:
            yield Requirement("system-cuda", "", config.origin("cogpack.system_cuda"))
        if build.cudnn:
            origin = config.origin("build.cudnn")
            yield Requirement("cudnn", _series(build.cudnn), origin)
        if build.cudnn and build.cuda and in_image:
            major = build.cudnn.split(".")[0]
            yield Requirement("system-cudnn", _series(major), config.origin("build.cudnn"))
        for step in (*project.pre_install, *project.run):
            if not own and _compiles(step.command):
                yield Requirement("cuda-toolkit", "", step.origin)

    def _accelerator(self, project: Project, config: CogConfig) -> Requirement:
        if not config.build.gpu:
            asked = "gpu" in written(config.build)
            origin = config.origin("build.gpu") if asked else self._no_gpu()
            return Requirement("accelerator", "==cpu", origin)
        # A CPU build that the user pinned in a GPU project is the user's decision.
        pinned = any(
            entry.kind == "index" and _names_cpu_build(entry.specifier)
            for entry in project.requirements.entries
        )
        return Requirement(
            "accelerator", "!=cpu" if pinned else "==cuda", config.origin("build.gpu")
        )

    def _no_gpu(self) -> Origin:
        return Origin(asker=self.origin.asker, text="gpu is not set in cog.yaml")


def _series(version: str) -> str:
    """`12.4` means any 12.4, `12.4.1` that very release."""
    return f"=={version}" if version.count(".") > 1 else f"=={version}.*"


def _names_cpu_build(specifier: str) -> bool:
    try:
        clauses = list(SpecifierSet(specifier))
    except InvalidSpecifier:
        return False
    for clause in clauses:
        try:
            if clause.operator in ("==", "===") and Version(clause.version).local == "cpu":
                return True
        except InvalidVersion:
            continue
    return False


def _compiles(command: str) -> bool:
    try:
        words = shlex.split(command, comments=True)
    except ValueError:
        words = command.split()
    names = {word.rpartition("/")[2].partition("=")[0] for word in words}
    return not _COMPILERS.isdisjoint(names)
