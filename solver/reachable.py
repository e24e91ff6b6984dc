"""Whether every row of the tables can be chosen for some project: proved by solving.

The invariants that the tables can be asked for alone are `cogpack.compat.check`'s subject.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..compat.check import Problem
from ..compat.rows import Row
from ..compat.tables import Tables
from ..origin import Origin
from .matrix import build_universe
from .matrix_platform import cuda_image_refs
from .requirement import Requirement
from .sat import Engine
from .universe import BUILD_IMAGE, RUNTIME_IMAGE, Universe

__all__ = ["TITLE", "unreachable"]

TITLE = "every row can be chosen for some project"

_IMAGES = (RUNTIME_IMAGE, BUILD_IMAGE)

# What makes an image of NVIDIA a candidate at all, and a full image one.
_IMAGE_REASONS = ("compiler", "cuda-toolkit", "system-cuda", "system-cudnn")

Choice = tuple[str, str]
"""A package and the label of a candidate."""


def unreachable(tables: Tables) -> Iterator[Problem]:
    """The rows that no project can get, with what of them.

    A row about one architecture is asked for there, another on any. A release of Python that
    neither uv nor an image offers is in the tables to say so, and is passed over.

    Raises what `Tables` raises.
    """
    reached = {
        architecture: _reached(build_universe(tables, platform=f"linux/{architecture}"))
        for architecture in sorted({one for row in tables.base_images for one in row.architectures})
    }
    anywhere = frozenset[Choice]().union(*reached.values())
    for row, groups in _choices(tables):
        architecture = getattr(row, "architecture", "")
        known = reached.get(architecture, frozenset()) if architecture else anywhere
        for group in groups:
            if not any(choice in known for choice in group):
                package, label = group[0]
                where = f" on {architecture}" if architecture else ""
                yield Problem(row, f"no project can get {package} {label}{where}")


def _choices(tables: Tables) -> Iterator[tuple[Row, list[list[Choice]]]]:
    """Each row with what it stands for; of each group of choices one must be reachable."""
    rows: Any = tables
    for name in ("torch", "tensorflow", "triton", "jaxlib", "jax", "cuda", "cudnn"):
        for row in getattr(rows, name):
            yield row, [[(name, str(row.version))]]
    for name in ("torchaudio", "torchvision"):
        for row in getattr(rows, name):
            labels = [str(row.version), *(f"{row.version}+{one}" for one in row.variants)]
            yield row, [[(name, label)] for label in labels]
    for name in ("jax_plugins", "pins", "cog"):
        for row in getattr(rows, name):
            yield row, [[(row.package, str(row.version))]]
    for tool in tables.tools:
        yield tool, [[(tool.tool, str(tool.version))]]
    for gpu in tables.gpus:
        yield gpu, [[("gpu-capability", str(gpu.capability))]]
    for system in tables.os:
        yield system, [[("os", system.name)]]
    for python in tables.python:
        if python.managed:
            yield python, [[("python", str(python.version))]]
    for image in tables.base_images:
        yield image, [[(role, image.ref) for role in _IMAGES]]
    for cuda in tables.cuda_images:
        yield cuda, [[(role, ref) for role in _IMAGES] for ref in cuda_image_refs(cuda)]


def _reached(universe: Universe) -> frozenset[Choice]:
    return frozenset(
        (package, label) for package in universe.packages for label in _solvable(universe, package)
    )


def _solvable(universe: Universe, package: str) -> Iterator[str]:
    """The candidates of a package that some solution has, with the images of a real project."""
    wanted = [_asked(name) for name in (package, "python", *_IMAGES)]
    reasons = [_asked(name) for name in _IMAGE_REASONS if name in universe]
    with Engine(universe, [*wanted, *reasons] if package in _IMAGES else wanted) as engine:
        members = engine.encoding.packages[package]
        for position, candidate in enumerate(members.candidates):
            literal = engine.among(members, [position])
            # What a project asks for of CUDA is in the way of an image that has none.
            if engine.solve([*engine.selectors, literal]) or any(
                engine.solve([*(engine.selector(one) for one in some), literal])
                for some in (wanted, *([*wanted, reason] for reason in reasons))
                if package in _IMAGES
            ):
                yield candidate.label


def _asked(package: str) -> Requirement:
    return Requirement(package, "", Origin(asker="compat check", text=package))
