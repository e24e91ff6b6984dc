"""What uv.lock has for an image: wheels, of which layers are made by content, and the rest.

A wheel is what a later `uv sync` would install as well; what has none that fits is left to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from msgspec import Struct
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from ..compat.tables import Tables
from ..plan import parts
from ..project import Project
from ..project.optional import chosen_extras, chosen_groups
from ..project.redact import Url
from ..solver.resolution import Resolution
from .demands import environment
from .layout import quoted
from .wheel_groups import Wheel, guessed_size

if TYPE_CHECKING:
    from packaging.tags import Tag

    from ..project.uv_lock import LockedPackage, LockedWheel
    from ..solver.open_target import Target

__all__ = [
    "UvWheels",
    "index_option",
    "index_secrets",
    "is_uv_locked",
    "unsized_wheels",
    "uv_selected",
    "uv_wheels",
]

_EVERYTHING = ":all:"


class UvWheels(Struct, frozen=True):
    """wheels: for groups that are installed by content. rest: what uv itself has to install."""

    wheels: tuple[Wheel, ...] = ()
    rest: tuple[LockedPackage, ...] = ()


def is_uv_locked(project: Project) -> bool:
    """Whether the project's packages come from uv.lock.

    pip cannot read it; for it the project's dependencies are plain requirements.
    """
    pip = project.config is not None and project.config.cogpack.installer == "pip"
    return project.uv_lock is not None and not pip


def uv_selected(project: Project, platform: str, python: str = "") -> tuple[LockedPackage, ...]:
    """The packages of uv.lock that the image gets, sorted by name.

    python: its full version, once it is known.
    """
    if project.uv_lock is None:
        return ()
    groups = project.pyproject.default_groups if project.pyproject else ()
    if groups is not None:
        groups = (*groups, *chosen_groups(project.config))
    target = environment(project, platform, python)
    return project.uv_lock.selected(target, groups, chosen_extras(project.config))


def uv_wheels(
    project: Project, resolution: Resolution, platform: str, frameworks: Collection[str] = ()
) -> UvWheels:
    """The packages of uv.lock that are in no folder of the project.

    Nothing where a lock of cogpack's own has everything.
    frameworks: packages that surely are large, where nothing tells their sizes.
    """
    if not is_uv_locked(project) or (resolution.lock and not resolution.lock.beside):
        return UvWheels()
    known = resolution.lock.sizes if resolution.lock else {}
    wheels, rest = [], []
    for one, fitting in _fitted(project, resolution, platform):
        if fitting and all(wheel.hash for wheel in fitting):
            best = fitting[0]
            size = (
                best.size
                or known.get(best.hash, 0)
                or guessed_size(one.name, best.filename, frameworks)
            )
            wheels.append(Wheel(one.name, one.version, _line(one, fitting), size, one.registry))
        else:
            rest.append(one)
    return UvWheels(tuple(wheels), tuple(rest))


def unsized_wheels(
    project: Project, resolution: Resolution, platform: str
) -> Iterator[tuple[LockedPackage, LockedWheel]]:
    """The wheels that would be installed and of which uv.lock does not know the size."""
    for one, fitting in _fitted(project, resolution, platform):
        if fitting and fitting[0].hash and not fitting[0].size:
            yield one, fitting[0]


def index_option(index: str, project: Project) -> str:
    """The option that makes an index of uv.lock the only one, by its name where it has one.

    uv looks for its credentials by that name.
    """
    name = _names(project).get(index.rstrip("/"), "")
    return f"--default-index {quoted([f'{name}={index}'])}" if name else ""


def index_secrets(project: Project, indexes: Iterable[str] | None = None) -> list[parts.Mount]:
    """The credentials of named indexes, under the names that uv reads; none need be given.

    indexes: which of them; None means all.
    """
    known = _names(project)
    names = list(known.values())
    if indexes is not None:
        names = [known[url] for one in indexes if (url := one.rstrip("/")) in known]
    words = ["".join(one if one.isalnum() else "_" for one in name.upper()) for name in names]
    variables = [f"UV_INDEX_{word}_{kind}" for word in words for kind in ("USERNAME", "PASSWORD")]
    return [parts.SecretMount(id=name, env=name, required=False) for name in sorted(set(variables))]


def _names(project: Project) -> dict[str, str]:
    """The names of uv's own indexes, by their URL, where packages come from uv.lock."""
    if not is_uv_locked(project) or project.pyproject is None:
        return {}
    return {url.rstrip("/"): name for name, url in project.pyproject.indexes if name}


def _unfit_indexes(project: Project) -> set[str]:
    """URLs from which only `uv sync` fetches: mere lists of files, which it takes for no index, and
    those whose credential stands in pyproject.toml, for it is nowhere else.
    """
    own = project.pyproject
    if own is None:
        return {""}
    written = [Url(url) for _, url in own.indexes]
    guarded = [_bare(url.raw) for url in written if url.has_credentials or url.variables]
    return {"", *own.file_lists, *guarded}


def _bare(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}".rstrip("/")


def _fitted(
    project: Project, resolution: Resolution, platform: str
) -> Iterator[tuple[LockedPackage, list[LockedWheel]]]:
    """The packages that are in no folder of the project, each with the wheels that may be taken."""
    built = {*project.pyproject.no_binary} if project.pyproject else set()
    if project.uv_lock and project.uv_lock.is_entangled:
        built = {_EVERYTHING}
    unfit = _unfit_indexes(project)
    python = resolution["python"].version
    target = _target(project, resolution, python, platform)
    for one in uv_selected(project, platform, python):
        if one.path:
            continue
        left_out = one.registry in unfit or {one.name, _EVERYTHING} & built
        yield one, [] if left_out else _fitting(one, target)


def _target(project: Project, resolution: Resolution, python: str, platform: str) -> Target:
    from ..solver.open_target import Target

    told = resolution.base_images.runtime.provides.get("glibc")
    # Of an image that nobody knows the C library is taken to fit, here as elsewhere.
    glibc = Version(told) if told else max(Version(row.glibc) for row in Tables.load().os)
    machine = environment(project, platform, python)["platform_machine"]
    return Target(Version(python), (glibc.major, glibc.minor), machine)


def _fitting(package: LockedPackage, target: Target) -> list[LockedWheel]:
    """The wheels that the image can install, the one that uv would choose first."""
    ranks = target.ranks
    found = []
    for wheel in package.wheels:
        build, tags = _name_of(wheel.filename)
        rank = min((ranks[tag] for tag in tags if tag in ranks), default=None)
        if rank is not None:
            found.append((rank, -build, wheel.filename, wheel))
    return [wheel for *_, wheel in sorted(found, key=lambda one: one[:3])]


def _name_of(filename: str) -> tuple[int, frozenset[Tag]]:
    """The number of the build, -1 without one, and the tags."""
    try:
        _, _, build, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return -1, frozenset()
    return build[0] if build else -1, tags


def _line(package: LockedPackage, wheels: Iterable[LockedWheel]) -> str:
    """All that fit: which one it is, uv decides in the image, as `uv sync` does."""
    hashes = "".join(f" --hash={value}" for value in sorted({one.hash for one in wheels}))
    return f"{package.name}=={package.version}{hashes}"
