"""Digests of base images for a lock: kept from the old one, else asked of their registries.

The build image is the one in which wheels are installed. Its digest stays when that of the runtime
image moves, so that a new base repeats no installation (docs/layers.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass

from msgspec.structs import replace

from ..blocks.uv_tool import tool_image
from ..compat.tables import Tables
from ..errors import RetryableError
from ..registry.errors import UnreachedError
from ..solver.resolution import BaseImage, BaseImages, Resolution
from ..solver.universe import BUILD_IMAGE, RUNTIME_IMAGE
from .asks import EVERYTHING

__all__ = [
    "BASE_IMAGE",
    "TOOLS_IMAGE",
    "Pinned",
    "images_of",
    "pinned_images",
    "unhashed",
    "unpinned",
]

BASE_IMAGE = "base-image"
"""What `--upgrade` calls the digest of the image that the project runs on; BUILD_IMAGE stands for
both digests, and so that packages are installed anew. Which image it is, neither changes."""

TOOLS_IMAGE = "tools-image"
"""What messages call the image in which uv is fetched, where the base has no Python for it. Its
digest moves with that of the build image."""

_MOVES_BUILD = frozenset({BUILD_IMAGE, EVERYTHING})
_MOVES_RUNTIME = frozenset({BASE_IMAGE, RUNTIME_IMAGE}) | _MOVES_BUILD

_HINT = "try again later, or name another address of its registry in COGPACK_REGISTRY_MIRRORS"

Ask = Callable[[str, bool], str]


@dataclass(frozen=True)
class Pinned:
    """The images with the digests that could be had, and warnings about those that could not."""

    images: BaseImages
    warnings: tuple[str, ...] = ()


def pinned_images(
    images: BaseImages, old: BaseImages | None, upgraded: Set[str], ask: Ask
) -> Pinned:
    """The images with their digests.

    old: those of the lock before. upgraded: what is to move.
    ask: the digest of a reference; its second argument says whether a cache may answer. Raises
        UnreachedError.

    Raises RetryableError when a digest that was to move cannot be had.
    """
    pinner = _Pinner(upgraded, ask)
    runtime = pinner.pinned(images.runtime, old.runtime if old else None, _MOVES_RUNTIME)
    before = old.build if old else None
    if images.build.ref != images.runtime.ref:
        build = pinner.pinned(images.build, before, _MOVES_BUILD)
    elif before and not images.build.digest and not upgraded & _MOVES_BUILD:
        stays = before.digest and runtime.digest and _is_alike(before, images.build)
        build = replace(images.build, digest=before.digest if stays else runtime.digest)
    else:
        build = replace(images.build, digest=runtime.digest)
    tools = images.tools and pinner.pinned(images.tools, old.tools if old else None, _MOVES_BUILD)
    return Pinned(BaseImages(build, runtime, tools), tuple(pinner.warnings))


def images_of(resolution: Resolution) -> BaseImages:
    """Its images, with that in which tools are fetched where it is one of its own."""
    images = resolution.base_images
    return replace(images, tools=images.tools or tool_image(resolution))


def unhashed(resolution: Resolution, hashes: Mapping[str, object]) -> Iterator[str]:
    """What to tell of tools without a hash."""
    for row in Tables.load().tools:
        choice = resolution.get(row.tool)
        if choice and choice.version == str(row.version) and row.tool not in hashes:
            yield f"the tables have no hash of {row.tool} {row.version}: the lock has none"


def unpinned(images: BaseImages) -> Iterator[str]:
    """References of images without a digest, each once."""
    every = filter(None, (images.build, images.runtime, images.tools))
    yield from sorted({image.ref for image in every if not image.digest})


class _Pinner:
    def __init__(self, upgraded: Set[str], ask: Ask) -> None:
        self._upgraded = upgraded
        self._ask = ask
        self.warnings: list[str] = []

    def pinned(self, image: BaseImage, old: BaseImage | None, moves: Set[str]) -> BaseImage:
        if image.digest:
            return image  # the user's own word
        moving = self._upgraded & moves
        kept = old.digest if old and old.ref == image.ref else ""
        if kept and not moving:
            return replace(image, digest=kept)
        try:
            return replace(image, digest=self._ask(image.ref, bool(moving)))
        except UnreachedError as error:
            if moving - {EVERYTHING}:
                message = f"the digest of {image.ref} cannot be had: {error}"
                raise RetryableError(message, hint=_HINT) from None
            what = "it stays as it is" if kept else "the lock has none"
            self.warnings.append(f"the digest of {image.ref} cannot be had: {error}; {what}")
            return replace(image, digest=kept)


def _is_alike(old: BaseImage, new: BaseImage) -> bool:
    """Whether an environment made in the one runs on the other: the same image, only later.

    The tag of an image that the tables know names its minor of Python. One of the user's own may
    get another one some day; without a Python that counts it gets uv's, and nothing of it matters.
    """
    if old.ref != new.ref:
        return False
    before, after = old.provides.get("python", ""), new.provides.get("python", "")
    if not before and not after:
        return True
    return new.is_known and before.split(".")[:2] == after.split(".")[:2]
