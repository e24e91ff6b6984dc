"""What a release's metadata asks for on Linux: specifiers as the tables write them.

Markers are judged for every Python that the release has wheels for: a dependency counts when all
of these ask for it, so that a row never says more than is true.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from packaging.requirements import Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from ...index import Metadata
from .wheels import ARCHITECTURES

__all__ = ["needed", "specifier_text"]

_MACHINES = {architecture: machine for machine, architecture in ARCHITECTURES.items()}

# The order in which the tables write the clauses of a specifier.
_OPERATORS = ("===", "==", "~=", ">=", ">", "!=", "<=", "<")


def needed(
    metadata: Metadata,
    name: str,
    *,
    architecture: str,
    pythons: Sequence[Version],
    extra: str = "",
) -> str | None:
    """The specifier of a dependency, as text; None when it is not asked for.

    name: normalised. extra: normalised; a dependency of the extra, or of the release itself when
        it is empty.
    pythons: releases that the markers are judged for; one of each minor is enough.
    """
    found = [
        requirement
        for requirement in metadata.requires_dist
        if canonicalize_name(requirement.name) == name and _has_extra(requirement, extra)
    ]
    chosen = [one for one in found if _holds(one, architecture, pythons, extra)]
    if not chosen:
        return None
    texts = {specifier_text(one.specifier) for one in chosen}
    return ",".join(sorted(text for text in texts if text))


def specifier_text(specifier: SpecifierSet) -> str:
    """A specifier with its clauses in the tables' order: lower bounds first."""
    return ",".join(str(clause) for clause in sorted(specifier, key=_order))


def _order(clause: Specifier) -> tuple[int, str]:
    return _OPERATORS.index(clause.operator), clause.version


def _has_extra(requirement: Requirement, extra: str) -> bool:
    """Whether the dependency is the extra's alone; one without an extra is the release's."""
    mentions = requirement.marker is not None and "extra" in str(requirement.marker)
    return mentions == bool(extra)


def _holds(
    requirement: Requirement, architecture: str, pythons: Iterable[Version], extra: str
) -> bool:
    marker = requirement.marker
    if marker is None:
        return True
    environment: dict[str, str] = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": _MACHINES[architecture],
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "sys_platform": "linux",
        "extra": extra,
    }
    return all(
        marker.evaluate(
            {
                **environment,
                "python_version": f"{python.major}.{python.minor}",
                "python_full_version": str(python),
                "implementation_version": str(python),
            }
        )
        for python in pythons
    )
