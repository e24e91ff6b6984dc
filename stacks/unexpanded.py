"""Takes the values of variables out of a lock: the URL of an index names them, and they are secret.

User and password of a URL never get as far as a lock. Others hold a token elsewhere:
`https://packages.example.com/${TOKEN}/simple`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ..project.requirement_model import Options

if TYPE_CHECKING:
    from ..solver.lock import Lock, LockedBuild, LockedPackage

__all__ = ["unexpanded"]


def unexpanded(lock: Lock, options: Options, environ: Mapping[str, str]) -> Lock:
    """The lock with the URLs of indexes as the project has them, `${NAME}` and all.

    options: of the requirements files. environ: that the variables were read from.
    """
    written = dict(_indexes(options, environ))
    if not written:
        return lock
    packages, *builds = (
        tuple(_unexpanded(one, written, environ) for one in packages)
        for packages in (lock.packages, *(build.packages for build in lock.builds))
    )
    return replace(
        lock,
        packages=packages,
        builds=tuple(map(_with_packages, lock.builds, builds)),
    )


def _with_packages(build: LockedBuild, packages: tuple[LockedPackage, ...]) -> LockedBuild:
    return replace(build, packages=packages)


def _indexes(
    options: Options, environ: Mapping[str, str]
) -> Iterator[tuple[str, tuple[str, tuple[str, ...]]]]:
    """URL as it was asked -> URL as it is written, and the variables in it."""
    from ..index.location import parse_location

    for given in (options.index_url, *options.extra_index_urls):
        if given is not None:
            asked = parse_location(given.url.raw, environ=environ).url
            # Without expansion: each variable stands for itself.
            itself = {name: f"${{{name}}}" for name in given.url.variables}
            bare = parse_location(given.url.raw, environ=itself).url
            if bare != asked:
                yield asked, (bare, tuple(name for name in itself if itself[name] in bare))


def _unexpanded(
    one: LockedPackage,
    written: Mapping[str, tuple[str, tuple[str, ...]]],
    environ: Mapping[str, str],
) -> LockedPackage:
    if one.index not in written:
        return one
    index, names = written[one.index]
    url = one.url
    for name in sorted(names, key=lambda name: (-len(environ[name]), name)):
        if environ[name]:
            url = url.replace(environ[name], f"${{{name}}}")
    return replace(one, index=index, url=url)
