"""What the metadata of a release tell, as cells of its row; one function for each framework.

Nothing here does I/O: the updater reads every release this way, the solver one that no table has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from ...index import Metadata
from ..cells import Cells
from .needs import needed
from .wheels import Build

__all__ = [
    "CPU",
    "FRAMEWORKS",
    "VARIANT",
    "companion",
    "jax",
    "jax_plugin",
    "names_cuda",
    "pins",
    "tensorflow",
    "torch",
    "torch_variant",
]

CPU = "cpu"
"""The variant of torch without CUDA."""

FRAMEWORKS = ("tensorflow", "jax", "jaxlib", "torch", "torchvision", "torchaudio", "triton")
"""What a library may pin, in the order in which a row names them; each has a table."""

VARIANT = re.compile(r"cpu|cu(\d+)(\d)")
"""How PyTorch names its variants: `cu130` is CUDA 13.0."""

_TOOLKIT = re.compile(r"cuda-toolkit|nvidia-cuda-runtime(-cu\d+)?")
_CUDNN = re.compile(r"nvidia-cudnn-cu\d+")

# How NVIDIA numbers CUDA and cuDNN: no pre-releases, no epochs, no local parts.
_RELEASE = re.compile(r"\d+(\.\d+)+")
_LOWER_BOUND = re.compile(r"(==|===|>=|~=)(\d+)(?:\.(\d+))?(?:\.\d+)*(\.\*)?")
_TRITON = "triton"

# The extra of tensorflow with which its CUDA comes as packages, and what it installs.
_TENSORFLOW_EXTRA = "and-cuda"
_TENSORFLOW_RUNTIME = (
    "nvidia-cuda-runtime-cu11",
    "nvidia-cuda-runtime-cu12",
    "nvidia-cuda-runtime",
)
_TENSORFLOW_CUDNN = ("nvidia-cudnn-cu11", "nvidia-cudnn-cu12", "nvidia-cudnn-cu13")

# tensorflow's wheels for other machines are CPU builds (its published table of tested builds).
_TENSORFLOW_GPU = "amd64"

# Extra of jax -> the column of its plugin.
_JAX_EXTRAS = {"cuda12": "cuda12_plugin", "cuda13": "cuda13_plugin"}

# Before jax asked for jaxlib by itself, its extra for a CPU did.
_JAX_CPU_EXTRA = "cpu"

# The extra of a plugin with which CUDA comes as packages, as old and new metadata spell it.
_PLUGIN_EXTRAS = ("with-cuda", "with_cuda")

# jax has one wheel for every machine, and most libraries do.
_ANY = "amd64"

Pythons = tuple[Version, ...]


def torch(metadata: Metadata, build: Build, pythons: Pythons) -> Cells | None:
    """The CUDA that a build of torch names in its dependencies; None when it names none.

    pythons: releases that the build installs on, one of each minor; here and below.
    """
    told: dict[str, str] = {}
    for name in sorted({requirement.name for requirement in metadata.requires_dist}):
        specifier = needed(metadata, name, architecture=build.architecture, pythons=pythons)
        if specifier is None:
            continue
        if _TOOLKIT.fullmatch(name):
            told["cuda"] = _minor_floor(specifier)
        elif _CUDNN.fullmatch(name):
            told["cudnn"] = _exact(specifier)
        elif name == _TRITON:
            told["triton"] = specifier
    if not told.get("cuda"):
        return None
    return {
        "variant": f"cu{told['cuda'].replace('.', '')}",
        "cuda": told["cuda"],
        "cudnn": told.get("cudnn", ""),
        "triton": told.get("triton", ""),
        "libraries": "packages",
    }


def names_cuda(metadata: Metadata) -> bool:
    """Whether a release depends on CUDA, be it in a way that does not tell on which."""
    names = (requirement.name for requirement in metadata.requires_dist)
    return any(_TOOLKIT.fullmatch(name) or _CUDNN.fullmatch(name) for name in names)


def torch_variant(variant: str, default: Cells | None) -> Cells:
    """What the name of a variant of torch tells; the rest as in `default`, the default build."""
    named = VARIANT.fullmatch(variant)
    if named is None or variant == CPU:
        return {"variant": CPU}
    common = {name: default.get(name, "") for name in ("triton", "libraries")} if default else {}
    return {**common, "variant": variant, "cuda": f"{named[1]}.{named[2]}"}


def companion(metadata: Metadata, build: Build, pythons: Pythons) -> str:
    """The torch that torchvision or torchaudio goes with; empty when it names none."""
    found = needed(metadata, "torch", architecture=build.architecture, pythons=pythons)
    return found or ""


def tensorflow(metadata: Metadata, build: Build, pythons: Pythons) -> tuple[Cells, Cells]:
    """The CUDA packages of tensorflow's extra, and the CUDA that they let one guess.

    Both are empty on an architecture without GPU support.
    """
    if build.architecture != _TENSORFLOW_GPU:
        return {}, {}

    def asked(names: tuple[str, ...]) -> str:
        return _first(metadata, names, (_TENSORFLOW_EXTRA,), build, pythons)

    runtime, cudnn = asked(_TENSORFLOW_RUNTIME), asked(_TENSORFLOW_CUDNN)
    told = {"cuda_packages": runtime, "cudnn_packages": cudnn}
    return told, {"cuda": _minor_floor(runtime), "cudnn": _minor_floor(cudnn)}


def jax(metadata: Metadata, pythons: Pythons) -> Cells:
    """jax: the jaxlib that it goes with, empty when it names none, and its plugins."""

    def asked(name: str, extra: str = "") -> str:
        found = needed(metadata, name, architecture=_ANY, pythons=pythons, extra=extra)
        return found or ""

    told = {"jaxlib": asked("jaxlib") or asked("jaxlib", _JAX_CPU_EXTRA)}
    for extra, column in _JAX_EXTRAS.items():
        told[column] = asked(f"jax-{extra}-plugin", extra)
    return told


def jax_plugin(major: str, metadata: Metadata, build: Build, pythons: Pythons) -> Cells:
    """What a CUDA plugin of jax asks of the packages of CUDA `major`."""
    # From CUDA 13 on the runtime's package has no major in its name.
    runtime = (f"nvidia-cuda-runtime-cu{major}", "nvidia-cuda-runtime")
    return {
        "cuda_packages": _first(metadata, runtime, _PLUGIN_EXTRAS, build, pythons),
        "cudnn_packages": _first(
            metadata, (f"nvidia-cudnn-cu{major}",), _PLUGIN_EXTRAS, build, pythons
        ),
    }


def pins(metadata: Metadata, pythons: Pythons) -> tuple[tuple[str, str], ...]:
    """The frameworks that a library restricts, each with its specifier.

    One that it asks for in any version is no pin.
    """
    named = {canonicalize_name(one.name) for one in _unconditional(metadata.requires_dist)}
    found = (
        (framework, needed(metadata, framework, architecture=_ANY, pythons=pythons))
        for framework in FRAMEWORKS
        if framework in named
    )
    return tuple((framework, specifier) for framework, specifier in found if specifier)


def _unconditional(requirements: Iterable[Requirement]) -> Iterator[Requirement]:
    for requirement in requirements:
        if requirement.marker is None or "extra" not in str(requirement.marker):
            yield requirement


def _first(
    metadata: Metadata,
    names: tuple[str, ...],
    extras: tuple[str, ...],
    build: Build,
    pythons: Pythons,
) -> str:
    """The specifier of the first of the names that an extra asks for."""
    texts = (
        needed(metadata, name, architecture=build.architecture, pythons=pythons, extra=extra)
        for name in names
        for extra in extras
    )
    return next((text for text in texts if text), "")


def _exact(specifier: str) -> str:
    """`9.10.2.21` for `==9.10.2.21`; empty when no release is pinned."""
    text = specifier.removeprefix("==")
    return text if text != specifier and _RELEASE.fullmatch(text) else ""


def _minor_floor(specifier: str) -> str:
    """`12.5` for `==12.5.82` and `>=12.5.82,<13.0`; empty when no minor is named."""
    for clause in specifier.split(","):
        named = _LOWER_BOUND.fullmatch(clause)
        # `==12` is 12.0, `==12.*` is any 12.
        if named and (named[3] or not named[4]):
            return f"{named[2]}.{named[3] or 0}"
    return ""
