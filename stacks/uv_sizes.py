"""Sizes of the wheels of uv.lock, where an index tells none: layers are planned by them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from packaging.version import Version

from ..blocks.uv_wheels import unsized_wheels
from .compose import Composition

if TYPE_CHECKING:
    from ..index.client import IndexClient
    from ..project.uv_lock import LockedPackage, LockedWheel
    from ..solver.resolution import Resolution

__all__ = ["asked_sizes"]


def asked_sizes(
    composition: Composition, resolution: Resolution, client: IndexClient, known: Mapping[str, int]
) -> dict[str, int]:
    """The sizes that uv.lock does not have, in bytes, by the hash of the wheel.

    Those that their server does not tell are left out. known: of an earlier time; a file of a hash
    has one size for good.
    """
    wheels = [*unsized_wheels(composition.project, resolution, composition.platform)]
    sizes = {wheel.hash: known.get(wheel.hash, 0) for _, wheel in wheels}
    jobs = {
        wheel.hash: partial(_size, package, wheel, client)
        for package, wheel in wheels
        if not sizes[wheel.hash]
    }
    client.start(jobs.values())
    sizes |= {digest: job() or 0 for digest, job in jobs.items()}
    return {digest: size for digest, size in sorted(sizes.items()) if size}


def _size(package: LockedPackage, wheel: LockedWheel, client: IndexClient) -> int | None:
    from ..index.page import File

    algorithm, _, digest = wheel.hash.partition(":")
    version = Version(package.version)
    return client.size(File(wheel.filename, wheel.url, "wheel", version, ((algorithm, digest),)))
