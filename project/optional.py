"""Which of a project's optional dependencies are installed: `extras` and `groups` of cog.yaml.

pyproject.toml says what belongs to each of them; it is read in `pyproject`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from ..errors import Fault, UserError
from .cogyaml import CogConfig
from .requirement_model import Entry

if TYPE_CHECKING:
    from .pyproject import OptionalGroup, PyProject

__all__ = ["chosen_dependencies", "chosen_extras", "chosen_groups", "refuse_choice"]


def chosen_extras(config: CogConfig | None) -> tuple[str, ...]:
    """The extras that cog.yaml asks for, normalised, in its order, each once."""
    return _normalised(config.cogpack.extras) if config else ()


def chosen_groups(config: CogConfig | None) -> tuple[str, ...]:
    """The dependency groups that cog.yaml asks for, normalised, in its order, each once."""
    return _normalised(config.cogpack.groups) if config else ()


def chosen_dependencies(pyproject: PyProject, config: CogConfig | None) -> tuple[Entry, ...]:
    """What [project] depends on, and what the chosen extras and groups add to it.

    Raises UserError when pyproject.toml has no extra or group of a name.
    """
    faults: list[Fault] = []
    chosen: list[Entry] = []
    if config is not None:
        for key, names, known, table in (
            ("extras", config.cogpack.extras, pyproject.optional, "project.optional-dependencies"),
            ("groups", config.cogpack.groups, pyproject.groups, "dependency-groups"),
        ):
            by_name = {one.name: one for one in known}
            for number, name in enumerate(names):
                found = by_name.get(canonicalize_name(name))
                if found is None:
                    path = f"cogpack.{key}[{number}]"
                    there = ", ".join(sorted(by_name)) or "nothing"
                    message = f'{path} is "{name}", which is not in [{table}] of pyproject.toml'
                    faults.append(Fault(message, config.origin(path), f"there is {there}"))
                else:
                    chosen += _expanded(found, pyproject)
    if faults:
        raise UserError(faults)
    return tuple(dict.fromkeys((*pyproject.dependencies, *chosen)))


def refuse_choice(config: CogConfig | None) -> Iterator[Fault]:
    """The faults of extras and groups where the packages do not come from pyproject.toml."""
    for key in ("extras", "groups") if config else ():
        if config and getattr(config.cogpack, key):
            message = f"cogpack.{key} belongs to the dependencies of pyproject.toml"
            hint = "remove it, or remove what takes the place of pyproject.toml's dependencies"
            yield Fault(
                f"{message}, which are not installed", config.origin(f"cogpack.{key}"), hint
            )


def _normalised(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(canonicalize_name(name) for name in names))


def _expanded(group: OptionalGroup, pyproject: PyProject) -> Iterator[Entry]:
    """The entries, those of an extra in place of the project's own name: `all = ["me[a,b]"]`."""
    extras = {one.name: one for one in pyproject.optional}
    queue, seen = [group], {group.name}
    while queue:
        for entry in queue.pop(0).entries:
            if entry.name != pyproject.name or entry.kind != "index":
                yield entry
                continue
            more = [extras[name] for name in entry.extras if name in extras and name not in seen]
            seen |= {one.name for one in more}
            queue += more
