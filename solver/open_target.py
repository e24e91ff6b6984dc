"""The environment inside the image, as package metadata sees it: markers, wheel tags, Pythons.

Nothing of the machine that runs cogpack enters: what is not known of the image is empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast

from packaging.markers import Environment, Marker
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.version import Version

__all__ = ["MACHINES", "Target", "marker_environment", "platforms"]

# platform.machine() in a container, by OCI's name of the architecture.
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}

# Aliases that wheels had before PEP 600, by the glibc that they stand for.
_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}

# The oldest glibc that manylinux knows on an architecture (PEP 513, PEP 599).
_FLOORS = {"x86_64": 5}
_OTHER_FLOOR = 17


@dataclass(frozen=True)
class Target:
    """A CPython on Linux.

    python: its full version. glibc: the version of the image's C library, major and minor; None
        when the image has none that is known, and then only wheels for any platform fit.
    machine: as `platform.machine()` tells it in the image.
    """

    python: Version
    glibc: tuple[int, int] | None
    machine: str

    @cached_property
    def ranks(self) -> Mapping[Tag, int]:
        """Every tag that fits, the most specific one with the lowest rank."""
        minor = (self.python.major, self.python.minor)
        return _ranks(minor, self.glibc, self.machine)

    @cached_property
    def environment(self) -> Environment:
        """The variables of environment markers (PEP 508)."""
        return marker_environment(str(self.python), self.machine)

    def applies(self, marker: Marker | None, extra: str = "") -> bool:
        """Whether a marker holds when the extra is asked for."""
        return marker is None or _evaluate(str(marker), str(self.python), self.machine, extra)

    def admits_python(self, specifier: SpecifierSet | None) -> bool:
        """Whether a `Requires-Python` admits the interpreter, upper bounds included."""
        return specifier is None or _contains(specifier, self.python)


def marker_environment(python: str, machine: str) -> Environment:
    """The marker variables of a CPython on Linux; the kernel's own are unknown, so empty."""
    return {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": "linux",
    }


def platforms(machine: str, glibc: tuple[int, int] | None) -> Iterator[str]:
    """Platform tags, newest glibc first."""
    if glibc is not None:
        major, newest = glibc
        floor = _FLOORS.get(machine, _OTHER_FLOOR)
        for minor in range(newest, floor - 1, -1):
            yield f"manylinux_{major}_{minor}_{machine}"
            alias = _LEGACY.get((major, minor))
            if alias:
                yield f"{alias}_{machine}"
    yield f"linux_{machine}"


def abi(minor: tuple[int, int]) -> str:
    """The ABI tag of a CPython; before 3.8 it told of pymalloc."""
    return f"cp{minor[0]}{minor[1]}{'m' if minor < (3, 8) else ''}"


@lru_cache(maxsize=256)
def _ranks(
    minor: tuple[int, int], glibc: tuple[int, int] | None, machine: str
) -> Mapping[Tag, int]:
    places = tuple(platforms(machine, glibc))
    tags = [
        *cpython_tags(minor, [abi(minor)], places),
        *compatible_tags(minor, f"cp{minor[0]}{minor[1]}", places),
    ]
    return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}


@lru_cache(maxsize=65536)
def _evaluate(marker: str, python: str, machine: str, extra: str) -> bool:
    environment = marker_environment(python, machine)
    return _marker(marker).evaluate({**cast("dict[str, str]", environment), "extra": extra})


@lru_cache(maxsize=8192)
def _marker(text: str) -> Marker:
    return Marker(text)


@lru_cache(maxsize=65536)
def _contains(specifier: SpecifierSet, version: Version) -> bool:
    return specifier.contains(version, prereleases=True)
