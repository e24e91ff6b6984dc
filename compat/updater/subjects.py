"""The tables that can be refreshed, in the order in which they build on one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..cells import Sheet
from ..rows import TABLES
from . import companions, cuda, images, jax, pins, python, simple, torch
from .finding import Finding
from .world import World

__all__ = ["BY_HAND", "SUBJECTS", "Subject", "chosen"]

Sheets = Mapping[str, Sheet]


@dataclass(frozen=True)
class Subject:
    """One table. find: what its sources say. pages: (index url, project) that it will ask for.

    also: tables that are refreshed along, because rows of this one name rows of those.
    """

    find: Callable[[Sheet, World, Sheets], Finding]
    pages: Callable[[Sheets], Iterable[tuple[str, str]]] = lambda _: ()
    also: tuple[str, ...] = ()


def _own(name: str) -> Callable[[Sheets], Iterator[tuple[str, str]]]:
    def pages(_: Sheets) -> Iterator[tuple[str, str]]:
        yield "", name

    return pages


def _companion(name: str) -> Subject:
    return Subject(
        companions.find,
        lambda sheets: companions.pages(sheets[name], sheets["torch"]),
        ("torch",),
    )


SUBJECTS: Mapping[str, Subject] = {
    "tools": Subject(simple.tools, lambda sheets: simple.tool_pages(sheets["tools"])),
    "python": Subject(python.find),
    "cuda": Subject(cuda.cuda, _own(cuda.PACKAGE)),
    "triton": Subject(simple.wheels, _own("triton")),
    "jaxlib": Subject(simple.wheels, _own("jaxlib")),
    "jax_plugins": Subject(jax.plugins, lambda sheets: jax.plugin_pages(sheets["jax_plugins"])),
    "jax": Subject(jax.jax, _own("jax"), ("jaxlib", "jax_plugins")),
    "torch": Subject(
        torch.find, lambda sheets: torch.pages(sheets["torch"]), ("cuda", "cudnn", "triton")
    ),
    "tensorflow": Subject(simple.tensorflow, _own("tensorflow"), ("cuda", "cudnn")),
    "cudnn": Subject(cuda.cudnn),
    "torchvision": _companion("torchvision"),
    "torchaudio": _companion("torchaudio"),
    "pins": Subject(pins.find, lambda sheets: pins.pages(sheets["pins"], {})),
    "cog": Subject(simple.cog, lambda sheets: simple.cog_pages(sheets["cog"])),
    "cuda_images": Subject(images.cuda_images, also=("cuda",)),
    "base_images": Subject(images.base_images, also=("python",)),
}
"""Table -> how it is refreshed. A table stands behind those that its rows name."""

BY_HAND = tuple(name for name in TABLES if name not in SUBJECTS)
"""Tables that no source tells: what NVIDIA and the distributions publish of them is for readers."""


def chosen(names: Iterable[str]) -> tuple[str, ...]:
    """The subjects to refresh for these names, in order; all of them for no name."""
    wanted: set[str] = set()
    queue = [*names] or list(SUBJECTS)
    while queue:
        name = queue.pop()
        if name not in wanted:
            wanted.add(name)
            queue += SUBJECTS[name].also
    return tuple(name for name in SUBJECTS if name in wanted)
