"""From the lines of requirements files to demands on the matrix.

Every line goes to the solver, which passes over the packages that belong to the open world; but for
those that have by accident the name of something in the matrix that is no distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.markers import Marker
from packaging.version import Version

from ..compat.tables import Tables
from ..project import Entry, Project
from ..project.requirement_model import RequirementsFile
from ..solver.requirement import Requirement

__all__ = ["demands", "environment"]

# platform_machine as Python reports it, by OCI's name of the architecture.
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}

# Extras that choose where a framework's CUDA comes from: package -> the package of the matrix that
# stands for the choice (see `solver.matrix`), whose labels are the extras.
_CUDA_EXTRAS = {"jax": "jax-cuda", "tensorflow": "tensorflow-cuda"}

# What of the extras asks for CUDA, and which label it means. `cuda` has meant the plugin of CUDA 12
# in every release of jax; `-pip` is the older spelling, and what `-local` would take from the image
# comes as packages just as well. An extra that is not here says nothing of CUDA.
_EXTRAS = {
    "and-cuda": "and-cuda",
    "cuda": "cuda12",
    "cuda12": "cuda12",
    "cuda12-local": "cuda12",
    "cuda12-pip": "cuda12",
    "cuda13": "cuda13",
    "cuda13-local": "cuda13",
}


# Distributions under an old name with the wheels of another one, whose rows of the tables hold for
# them. Only for pins: the last release under the old name is empty.
_SAME_WHEELS = {"tensorflow-gpu": "tensorflow"}


def demands(project: Project, platform: str) -> tuple[Requirement, ...]:
    """What the project's requirements ask of the matrix, its constraints among them.

    platform: as in `linux/amd64`; lines whose marker excludes it are left out. One whose marker
    speaks of the Python asks for something of those Pythons only for which it holds.
    """
    from ..solver.matrix import own_names

    target = environment(project, platform)
    read = project.requirements
    others = own_names(Tables.load())
    places = {marker: _pythons(marker, target) for marker in _markers(read)}
    return tuple(
        Requirement(name, specifier, entry.origin, brings, pythons, entry.kind != "index")
        for entries, brings in ((read.entries, True), (read.constraints, False))
        for entry in entries
        if entry.name not in others and (pythons := places[entry.marker]) is not None
        for name, specifier in _asked(entry)
    )


def environment(project: Project, platform: str, python: str = "") -> Mapping[str, str]:
    """The markers' variables in the image; nothing of this machine counts.

    python: its version. Before anything is solved it is empty: then the version that the project
    names counts, else the newest that a base image has, which is chosen unless something speaks
    against it.
    """
    architecture = platform.split("/")[1]
    version = python or (project.python.version if project.python else _newest_python())
    full = version if version.count(".") > 1 else f"{version}.0"
    return {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": _MACHINES.get(architecture, architecture),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "sys_platform": "linux",
        **_of_python(full),
    }


def _newest_python() -> str:
    versions = [Version(row.python) for row in Tables.load().base_images if row.python]
    return str(max(version for version in versions if not version.is_prerelease))


def _markers(read: RequirementsFile) -> set[str]:
    return {entry.marker for entry in (*read.entries, *read.constraints)}


def _pythons(marker: str, target: Mapping[str, str]) -> str | None:
    """The Pythons for which a marker holds, as a specifier set; None when it never does.

    Empty for all. It names those of the tables for which the marker does not hold, the only form
    in which PEP 440 can put any set: a Python that no table knows is taken to be like the others.
    """
    if not marker:
        return ""
    parsed = Marker(marker)

    def holds(full: str) -> bool:
        return parsed.evaluate({**target, **_of_python(full), "extra": ""})

    if not any(name in marker for name in _of_python("")):
        return "" if holds(target["python_full_version"]) else None
    by_minor: dict[str, list[str]] = {}
    for full in _known_pythons(target["python_full_version"]):
        by_minor.setdefault(_minor(full), []).append(full)
    to_patches = any(name in marker for name in ("full_version", "implementation_version"))
    excluded, found = [], False
    for minor, releases in by_minor.items():
        kept = [one for one in (releases if to_patches else releases[:1]) if holds(one)]
        found = found or bool(kept)
        if not kept:
            excluded.append(f"!={minor}.*")
        elif to_patches:
            excluded += [f"!={one}" for one in releases if one not in kept]
    return ",".join(excluded) if found else None


def _known_pythons(target: str) -> list[str]:
    """The releases of the tables, and the one that the project names."""
    known = {row.version for row in Tables.load().python} | {Version(target)}
    return [str(one) for one in sorted(known)]


def _of_python(full: str) -> Mapping[str, str]:
    """The markers' variables that tell of the Python."""
    return {
        "implementation_version": full,
        "python_full_version": full,
        "python_version": _minor(full),
    }


def _minor(full: str) -> str:
    return ".".join(full.split(".")[:2])


def _asked(entry: Entry) -> Iterator[tuple[str, str]]:
    """Package and specifier of each thing that an entry asks for."""
    if entry.name in _SAME_WHEELS and entry.specifier.startswith("=="):
        yield _SAME_WHEELS[entry.name], entry.specifier
    if entry.kind == "index":
        yield entry.name, entry.specifier
    elif entry.name and entry.version:
        yield entry.name, f"=={entry.version}"
    chooser = _CUDA_EXTRAS.get(entry.name, "")
    if chooser:
        chosen = {_EXTRAS[extra] for extra in entry.extras if extra in _EXTRAS}
        yield from ((chooser, f"=={extra}") for extra in sorted(chosen))
