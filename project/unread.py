"""What pyproject.toml says about packages in a form that is not read, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import Fault
from ..origin import Origin

if TYPE_CHECKING:
    from .pyproject import PyProject

__all__ = ["unread_dependencies", "unread_settings"]

FILE = "pyproject.toml"
POETRY_LOCK = "poetry.lock"

# Poetry's own export, which is a plugin of it since Poetry 2.
_EXPORT = "poetry self add poetry-plugin-export && poetry export --output requirements.txt"
_NAME = "; then in cog.yaml, below build: python_requirements: requirements.txt"


def unread_dependencies(root: Path, pyproject: PyProject, has_config: bool) -> Iterator[Fault]:
    """What keeps the dependencies from being read; nothing where there are none.

    root: of the project. has_config: whether it has a cog.yaml.
    """
    if pyproject.poetry:
        message = (
            "the dependencies of [tool.poetry.dependencies] are not read: their notation is "
            "Poetry's own"
        )
        lock = "" if (root / POETRY_LOCK).is_file() else "poetry lock && "
        name = _NAME if has_config else ""
        export = f"export what Poetry has locked: {lock}{_EXPORT}{name}"
        hint = f"{export}\nor write them in [project] dependencies, which Poetry 2 reads, too"
        yield Fault(message, pyproject.poetry, hint)
    elif "dependencies" in pyproject.dynamic:
        message = "the dependencies are dynamic: only the build backend knows them"
        hint = "list them in [project], or name a requirements file in cog.yaml"
        yield Fault(message, Origin(FILE), hint)


def unread_settings(root: Path, pyproject: PyProject, locks: tuple[str, ...]) -> Iterator[Fault]:
    """Warnings where [project] is read, and something beside it that another tool goes by is not.

    locks: files of the project that fix the versions, and are read.
    """
    settled = any((root / name).is_file() for name in locks)
    if pyproject.poetry_sources:
        yield Fault(
            "the indexes of [[tool.poetry.source]] are not read: packages come from the default "
            "index",
            pyproject.poetry_sources,
            f"{_EXPORT}{_NAME}",
        )
    elif (root / POETRY_LOCK).is_file() and not settled:
        yield Fault(
            f"{POETRY_LOCK} is not read: versions are chosen anew within [project] dependencies",
            Origin(POETRY_LOCK),
            f"to fix them: cogpack resolve --lock; to have those of Poetry: {_EXPORT}{_NAME}",
        )
    if pyproject.indexes and not pyproject.has_uv_lock:
        yield Fault(
            "the indexes of [[tool.uv.index]] count with uv.lock alone, which is not there: "
            "packages come from the default index",
            Origin(FILE, pyproject.indexes_line),
            "run uv lock, or name the index in a requirements file: --extra-index-url URL",
        )
