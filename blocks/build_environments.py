"""What locked sdists and folders are built with: the pins as uv takes them, and a cache for each.

uv keeps a wheel that it built by the sdist alone, whatever it was built with. So the wheels that
were built with the same pins share a cache, and with no others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from ..plan import parts
from .layout import SOURCE

if TYPE_CHECKING:
    from ..solver.lock import LockedBuild, LockedPackage

__all__ = ["BuildEnvironment", "build_environments"]

_CACHE = "/root/.cache/cogpack-builds"


class BuildEnvironment(Struct, frozen=True):
    """Packages that one set of pins builds.

    number: among those of the lock. constraints: what they are built with, each by the URL of its
    file and with its hash; empty where they need nothing, or the lock does not say.
    indexes: that the files come from, sorted. paths: of those that are in the project.
    """

    number: int
    packages: tuple[LockedPackage, ...]
    constraints: str = ""
    indexes: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        """The name of the file with the constraints."""
        return f"build-{self.number}.txt"

    def options(self, folder: str) -> Iterator[str]:
        """Words for uv. folder: where the file with the constraints is."""
        if self.constraints:
            yield f"--build-constraints {folder}/{self.file}"
            yield f"--cache-dir {self._cache}"

    def mounts(self) -> Iterator[parts.Mount]:
        """The cache that `options` name."""
        if self.constraints:
            from hashlib import sha256  # OpenSSL is slow to load

            digest = sha256(self.constraints.encode()).hexdigest()
            yield parts.CacheMount(id=f"cogpack-uv-{digest[:16]}", target=self._cache)

    @property
    def _cache(self) -> str:
        return f"{_CACHE}/{self.number}"


def build_environments(
    packages: Iterable[LockedPackage], builds: Sequence[LockedBuild]
) -> tuple[BuildEnvironment, ...]:
    """The packages that have to be built, those first of which the lock does not say with what."""
    built = [one for one in packages if one.is_built]
    known = {name for build in builds for name in build.names}
    found = [BuildEnvironment(0, tuple(one for one in built if one.name not in known))]
    for number, build in enumerate(builds, 1):
        found.append(
            BuildEnvironment(
                number,
                tuple(one for one in built if one.name in build.names),
                "".join(f"{pin.line(SOURCE)}\n" for pin in build.packages),
                tuple(sorted({pin.index for pin in build.packages if pin.index})),
                tuple(pin.path for pin in build.packages if pin.path),
            )
        )
    return tuple(one for one in found if one.packages)
