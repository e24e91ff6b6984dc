"""What the project computes on, and the CUDA of the image where the project asks for one."""

from __future__ import annotations

import re
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

# Where a platform may put the driver's libraries instead (Google's, for one); NVIDIA's images look
# there, and in cog.yaml the name is reserved.
_DRIVER_FOLDERS = "/usr/local/nvidia/lib:/usr/local/nvidia/lib64"

# Their wheels bring cuDNN themselves, or say which one they want.
_FRAMEWORKS = frozenset({"jax", "jaxlib", "tensorflow", "torch", "torchaudio", "torchvision"})

# A command that names one of these compiles for CUDA: its compiler, or a variable that tells build
# tools where it is (CMake, PyTorch's extensions) or what to compile for.
_COMPILERS = frozenset({"nvcc", "CUDACXX", "CUDA_HOME", "CUDA_PATH", "TORCH_CUDA_ARCH_LIST"})

# Where NVIDIA's images have the toolkit, and a CMake option that turns CUDA on (-DGGML_CUDA=on).
_SIGNS = re.compile(
    r"^/usr/local/cuda|[=:]/usr/local/cuda|-D\w*(?:CUDA|CUBLAS)\w*=(?!(?:0|off|false)\b)",
    re.IGNORECASE,
)


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
        if project.config is None or not project.config.build.gpu:
            return
        composer.configure(parts.ExportConfig(env=_NVIDIA_ENV))
        image = resolution.base_images.runtime
        if image.is_known and "cuda" not in image.provides:
            composer.configure(parts.ExportConfig(env={"LD_LIBRARY_PATH": _DRIVER_FOLDERS}))

    def _requirements(self, project: Project, config: CogConfig) -> Iterator[Requirement]:
        build = config.build
        # What the user's own base brings is the user's business, unless cog.yaml asks for CUDA.
        own = project.base_image is not None and not config.cogpack.system_cuda
        # Without a GPU the pins say nothing of the image, as with Cog, unless they are told to.
        asked = config.cogpack.system_cuda
        in_image = not own and (asked or (asked is None and build.gpu))
        yield self._accelerator(project, config)
        if build.cuda:
            origin = config.origin("build.cuda")
            yield Requirement("cuda", _series(build.cuda), origin)
        if build.cuda and in_image:
            yield Requirement("system-cuda", _series(build.cuda), config.origin("build.cuda"))
        elif asked:
            yield Requirement("system-cuda", "", config.origin("cogpack.system_cuda"))
        if build.cudnn:
            origin = config.origin("build.cudnn")
            yield Requirement("cudnn", _series(build.cudnn), origin)
        if build.cudnn and build.cuda and in_image:
            major = build.cudnn.split(".")[0]
            yield Requirement("system-cudnn", _series(major), config.origin("build.cudnn"))
        elif build.cuda and in_image and not _has_framework(project):
            # As with Cog, CUDA in the image is CUDA with cuDNN: what uses it is not known here.
            yield Requirement("system-cudnn", "", config.origin("build.cuda"))
        for step in (*project.pre_install, *project.run):
            if not own and _compiles(step.command):
                yield Requirement("cuda-toolkit", "", step.origin)

    def _accelerator(self, project: Project, config: CogConfig) -> Requirement:
        if not config.build.gpu:
            asked = "gpu" in written(config.build)
            origin = config.origin("build.gpu") if asked else self._no_gpu()
            return Requirement("accelerator", "==cpu", origin)
        # A CPU build that the user pinned in a GPU project is the user's decision.
        pins = tuple(
            entry.origin
            for entry in project.requirements.entries
            if entry.kind == "index" and _names_cpu_build(entry.specifier)
        )
        origin = config.origin("build.gpu")
        if not pins:
            return Requirement("accelerator", "==cuda", origin)
        return Requirement("accelerator", "!=cpu", origin, eased_by=pins, strict="==cuda")

    def _no_gpu(self) -> Origin:
        return Origin(asker=self.origin.asker, text="gpu is not set in cog.yaml")


def _has_framework(project: Project) -> bool:
    return any(entry.name in _FRAMEWORKS for entry in project.requirements.entries)


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
    words = _words(command)
    names = {word.partition("=")[0].rpartition("/")[2] for word in words}
    return not _COMPILERS.isdisjoint(names) or any(_SIGNS.search(word) for word in words)


def _words(command: str) -> list[str]:
    """The words of a shell's command, without its comments and what stands between commands."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:  # quotes that the shell alone makes sense of
        return command.split()
