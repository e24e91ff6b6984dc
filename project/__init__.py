"""What the user wrote: cog.yaml, requirements files, pyproject.toml and the files they refer to.

Reads and validates, and keeps the place of every fact. Runs nothing of the project.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cogyaml import CogConfig
    from .project import Project, find_project_root, missing_config, read_project
    from .requirement_model import Entry, Options, RequirementsFile

__all__ = [
    "CogConfig",
    "Entry",
    "Options",
    "Project",
    "RequirementsFile",
    "find_project_root",
    "missing_config",
    "read_project",
]

_MODULES = {
    "CogConfig": "cogyaml",
    "Entry": "requirement_model",
    "Options": "requirement_model",
    "RequirementsFile": "requirement_model",
}


def __getattr__(name: str) -> object:
    """Load a name on first use: the models cost more than the rest of a small command."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{_MODULES.get(name, 'project')}", __name__)
    value: object = getattr(module, name)
    globals()[name] = value
    return value
