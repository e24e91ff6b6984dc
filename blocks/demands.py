"""From the lines of requirements files to demands on the matrix.

Every line goes to the solver; it passes over the packages that belong to the open world.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.markers import Marker
from packaging.version import Version

from ..compat.tables import Tables
from ..project import Entry, Project
from ..solver.requirement import Requirement

__all__ = ["demands", "environment"]

# platform_machine as Python reports it, by OCI's name of the architecture.
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}

# Extras that choose where a framework's CUDA comes from: package -> the package of the matrix that
# stands for the choice (see `solver.matrix`), whose labels are the extras.
_CUDA_EXTRAS = {"jax": "jax-cuda", "tensorflow": "tensorflow-cuda"}


def demands(project: Project, platform: str) -> tuple[Requirement, ...]:
    """What the project's requirements ask of the matrix.

    platform: as in `linux/amd64`; lines whose marker excludes it are left out.
    """
    target = environment(project, platform)
    return tuple(
        demand
        for entry in project.requirements.entries
        if _applies(entry, target)
        for demand in _demands(entry)
    )


def environment(project: Project, platform: str) -> Mapping[str, str]:
    """The markers' variables in the image, as far as they are known before anything is solved.

    Of Python the version that the project names counts, else the newest that a base image has:
    the one that is chosen unless something speaks against it. Nothing of this machine counts.
    """
    architecture = platform.split("/")[1]
    version = project.python.version if project.python else _newest_python()
    full = version if version.count(".") > 1 else f"{version}.0"
    return {
        "implementation_name": "cpython",
        "implementation_version": full,
        "os_name": "posix",
        "platform_machine": _MACHINES.get(architecture, architecture),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": full,
        "python_version": ".".join(full.split(".")[:2]),
        "sys_platform": "linux",
    }


def _newest_python() -> str:
    versions = [Version(row.python) for row in Tables.load().base_images if row.python]
    return str(max(version for version in versions if not version.is_prerelease))


def _applies(entry: Entry, target: Mapping[str, str]) -> bool:
    return not entry.marker or Marker(entry.marker).evaluate({**target, "extra": ""})


def _demands(entry: Entry) -> Iterator[Requirement]:
    if entry.kind == "index":
        yield Requirement(entry.name, entry.specifier, entry.origin)
    elif entry.name and entry.version:
        yield Requirement(entry.name, f"=={entry.version}", entry.origin)
    chooser = _CUDA_EXTRAS.get(entry.name, "")
    if chooser:
        for extra in entry.extras:
            if extra == "and-cuda" or extra.startswith("cuda"):
                yield Requirement(chooser, f"=={extra}", entry.origin)
