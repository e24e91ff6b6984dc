"""A project that uv has locked: exactly uv.lock is installed, by uv, with the hashes in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from ..plan import parts
from ..project import Project
from ..project.optional import chosen_extras, chosen_groups
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .bytecode import uv_env
from .demands import environment
from .layout import (
    PYTHON,
    SOURCE,
    UV,
    VENV,
    forget_times,
    quoted,
    script,
    settle_times,
    uv_mounts,
)

if TYPE_CHECKING:
    from ..plan.composer import Composer
    from ..project.uv_lock import LockedPackage, UvLock

__all__ = ["LockedLocalPackages", "LockedPackages"]

# What stands in pyproject.toml and uv.lock is all that uv needs as long as nothing is built.
_FILES = ("pyproject.toml", "uv.lock")
_LISTS = "locked"
_FOLDER = "/run/cogpack/locked"

_SYNC = f"{UV} sync --project {SOURCE} --frozen --inexact --python {PYTHON}"


class LockedPackages(Block):
    """Installs what uv.lock has, but for packages that are in the project itself.

    A framework and all that it needs come first, in a layer of their own, so that a change of
    another package neither installs nor sends them again. The groups are uv's default ones, and
    those of cog.yaml.

    families: for each framework the packages that belong to it.
    """

    name: ClassVar[str] = "locked-packages"

    def __init__(self, platform: str, families: Mapping[str, Iterable[str]]) -> None:
        self._platform = platform
        self._families = families

    @classmethod
    def detect(cls, project: Project) -> bool:
        # pip cannot read uv.lock; for it the project's dependencies are plain requirements.
        pip = project.config is not None and project.config.cogpack.installer == "pip"
        return project.uv_lock is not None and not pip

    def requirements(self, project: Project) -> tuple[Requirement, ...]:
        """The lock's versions, and no other build of them: `===` compares the local part too."""
        return tuple(
            Requirement(one.name, f"==={one.version}", one.origin)
            for one in self.selected(project)
            if one.registry
        )

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        if project.uv_lock is None or _has_everything(resolution):
            return
        layers = list(self._frameworks(project, project.uv_lock))
        if layers:
            _write_lists(composer, layers)
        secrets = _secrets(project)
        for name, by_index in layers:
            packages = [one for members in by_index.values() for one in members]
            install = parts.Exec(
                command=script(*_installs(name, by_index, project), settle_times(VENV)),
                mounts=(*uv_mounts(), *_list_mounts(name, by_index), *secrets),
                env=uv_env(project),
            )
            stage = composer.stage(
                "framework-deps",
                name,
                f"install {name} and what it needs, as locked",
                [install],
                because=[one.origin for one in packages if one.name == name],
            )
            composer.export("app", stage)
        local = [one.name for one in self.selected(project) if one.path]
        left_out = "".join(f" --no-install-package {name}" for name in local)
        sync = parts.Exec(
            command=script(
                f"{_SYNC}{_choice(project)} --no-install-project{left_out}", settle_times(VENV)
            ),
            mounts=(
                *uv_mounts(),
                parts.BindMount(source=parts.LocalInput(include=_FILES), target=SOURCE),
                *secrets,
            ),
            env=_env(project),
        )
        title = "install the project's packages, as locked"
        because = [entry.origin for entry in project.requirements.entries]
        stage = composer.stage("app-deps", "packages", title, [sync], because=because)
        composer.export("app", stage)

    def selected(self, project: Project) -> tuple[LockedPackage, ...]:
        """The packages of uv.lock that the image gets, sorted by name."""
        if project.uv_lock is None:
            return ()
        groups = project.pyproject.default_groups if project.pyproject else ()
        if groups is not None:
            groups = (*groups, *chosen_groups(project.config))
        target = environment(project, self._platform)
        return project.uv_lock.selected(target, groups, chosen_extras(project.config))

    def _frameworks(
        self, project: Project, lock: UvLock
    ) -> Iterator[tuple[str, dict[str, list[LockedPackage]]]]:
        """For each framework its packages that no earlier one has, by the index that has them."""
        target = environment(project, self._platform)
        selected = self.selected(project)
        taken: set[str] = set()
        for name, family in self._families.items():
            by_index: dict[str, list[LockedPackage]] = {}
            for one in lock.closure(family, selected, target):
                if one.registry and one.hashes and one.name not in taken:
                    by_index.setdefault(one.registry, []).append(one)
                    taken.add(one.name)
            if by_index:
                yield name, dict(sorted(by_index.items()))


class LockedLocalPackages(Block):
    """Installs the packages of uv.lock that are in the project itself, and the project.

    They change as often as the source does, so they come last, in a layer of their own.
    """

    name: ClassVar[str] = "locked-local-packages"

    @classmethod
    def detect(cls, project: Project) -> bool:
        lock = project.uv_lock
        if lock is None or not LockedPackages.detect(project):
            return False
        return any(one.path and one.installed for one in lock.packages)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        lock = project.uv_lock
        if lock is None or _has_everything(resolution):
            return
        local = [one for one in lock.packages if one.path and one.installed]
        paths = {one.path for one in lock.packages if one.path}
        include = ("**",) if lock.root.installed else (*_FILES, *sorted(paths - {"."}))
        # What uv reads must be there, whatever .dockerignore leaves out of the image.
        exclude = (*project.ignore.all, *(f"!{name}" for name in _FILES))
        sync = parts.Exec(
            command=script(
                f"{_SYNC}{_choice(project)} --refresh", forget_times(), settle_times(VENV)
            ),
            mounts=(
                *uv_mounts(),
                parts.BindMount(
                    source=parts.LocalInput(include=include, exclude=exclude),
                    target=SOURCE,
                    writable=True,
                ),
                *_secrets(project),
            ),
            env=_env(project),
        )
        stage = composer.stage(
            "app-deps",
            "local-packages",
            f"install from the project: {' '.join(sorted(one.path for one in local))}",
            [parts.Workdir(path=SOURCE), sync],
            because=[one.origin for one in local],
        )
        composer.export("app", stage)


def _has_everything(resolution: Resolution) -> bool:
    """Whether a lock of cogpack's own leaves nothing to uv.lock."""
    return resolution.lock is not None and not resolution.lock.beside


def _choice(project: Project) -> str:
    """The options for what cog.yaml asks for beside the default groups."""
    options = [f" --extra {name}" for name in chosen_extras(project.config)]
    options += [f" --group {name}" for name in chosen_groups(project.config)]
    return "".join(options)


def _installs(
    name: str, by_index: Mapping[str, list[LockedPackage]], project: Project
) -> Iterator[str]:
    names = {url: name for name, url in (project.pyproject.indexes if project.pyproject else ())}
    for number, index in enumerate(by_index, 1):
        url = f"{names[index]}={index}" if names.get(index) else index
        yield (
            f"{UV} pip install --python {PYTHON} --no-deps --require-hashes "
            f"--default-index {quoted([url])} --requirement {_FOLDER}/{name}-{number}.txt"
        )


def _write_lists(
    composer: Composer, layers: Iterable[tuple[str, Mapping[str, list[LockedPackage]]]]
) -> None:
    files = [
        parts.MkFile(path=f"/{name}-{number}.txt", content="".join(map(_line, packages)))
        for name, by_index in layers
        for number, packages in enumerate(by_index.values(), 1)
    ]
    composer.side_stage(
        "system-deps", _LISTS, "write down what is locked", parts.ScratchInput(), files
    )


def _line(package: LockedPackage) -> str:
    hashes = "".join(f" --hash={value}" for value in package.hashes)
    return f"{package.name}=={package.version}{hashes}\n"


def _list_mounts(name: str, by_index: Mapping[str, object]) -> list[parts.Mount]:
    files = [f"{name}-{number}.txt" for number in range(1, len(by_index) + 1)]
    source = parts.StageInput(id=_LISTS)
    return [
        parts.BindMount(source=source, source_path=f"/{file}", target=f"{_FOLDER}/{file}")
        for file in files
    ]


def _secrets(project: Project) -> list[parts.Mount]:
    """The credentials of named indexes, under the names that uv reads; none need be given."""
    indexes = project.pyproject.indexes if project.pyproject else ()
    words = [
        "".join(letter if letter.isalnum() else "_" for letter in name.upper())
        for name, _ in indexes
        if name
    ]
    variables = [f"UV_INDEX_{word}_{kind}" for word in words for kind in ("USERNAME", "PASSWORD")]
    return [parts.SecretMount(id=name, env=name, required=False) for name in sorted(set(variables))]


def _env(project: Project) -> dict[str, str]:
    return uv_env(project) | {"UV_PROJECT_ENVIRONMENT": VENV}
