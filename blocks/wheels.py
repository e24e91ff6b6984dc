"""The locked packages: each large wheel a layer of its own, whatever project it is in.

Every group is installed over the same empty environment, beside the others and without
dependencies, so that its layer depends on its wheels alone: two projects with the same torch have
the same layer, and a new small package changes one small layer.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from ..plan import parts
from ..project import Project
from ..project.redact import Url, variables
from ..solver.resolution import Resolution
from .base import Block
from .build_environments import BuildEnvironment, build_environments
from .bytecode import uv_env
from .index_settings import uv_trust
from .layout import (
    BARE_ENVIRONMENT,
    PYTHON,
    SOURCE,
    UV,
    forget_times,
    quoted,
    script,
    settle_environment,
    uv_mounts,
)
from .requirement_files import build_settings, refuse_credentials
from .uv_wheels import index_option, index_secrets, uv_wheels
from .wheel_groups import MOST_LAYERS, Wheel, WheelGroup, group_wheels, guessed_size, lines

if TYPE_CHECKING:
    from ..plan.composer import Composer
    from ..solver.lock import LockedPackage

__all__ = ["Wheels", "locked_wheels"]

_LISTS = "wheel-lists"
_FOLDER = "/run/cogpack/wheels"

# Layers that come after the wheels: the API and the source.
_LAST_LAYERS = 2

# With uv.lock there may be the project itself, and the server that no lock has.
_UV_LAYERS = 2

_INSTALL = f"{UV} pip install --python {PYTHON} --no-deps"


class Wheels(Block):
    """Installs exactly what a lock says, and the wheels of uv.lock; without both it does nothing.

    Refuses a credential that stands in a URL, as `RequirementFiles` does.

    most_layers: of the image over its base, without those of weights, where cog.yaml says nothing.
    frameworks: names of packages that surely are large.
    """

    name: ClassVar[str] = "wheels"

    def __init__(
        self, most_layers: int = MOST_LAYERS, frameworks: Collection[str] = frozenset()
    ) -> None:
        self._most_layers = most_layers
        self._frameworks = frameworks

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        lock = resolution.lock
        uv = uv_wheels(project, resolution, composer.platform, self._frameworks)
        if lock is None and not uv.wheels:
            return
        packages: tuple[LockedPackage, ...] = ()
        if lock is not None:
            refuse_credentials(project.requirements)
            packages = tuple(_as_written(one, project) for one in lock.packages)
        environments = build_environments(packages, lock.builds if lock else ())
        others = composer.layers + _LAST_LAYERS + len(project.run) + len(project.pre_install)
        others += bool(environments) + (_UV_LAYERS + bool(uv.rest) if uv.wheels else 0)
        wheels = (*locked_wheels(packages, self._frameworks), *uv.wheels)
        groups = group_wheels(wheels, max(1, self._most(project) - others))
        contents = {
            f"/{group.name}-{number}.txt": _index_line(index, project) + lines(wheels)
            for group in groups
            for number, (index, wheels) in enumerate(_by_index(group.wheels))
        }
        for one in environments:
            for number, (index, archives) in enumerate(_by_index(_archives(one.packages))):
                indexes = _build_indexes(index, one, project)
                contents[f"/{_built(one, number)}"] = indexes + lines(archives)
            if one.constraints:
                contents[f"/{one.file}"] = one.constraints
        composer.side_stage(
            "framework-deps",
            _LISTS,
            "write down the locked packages",
            parts.ScratchInput(),
            [parts.MkFile(path=path, content=contents[path]) for path in sorted(contents)],
        )
        for group in groups:
            _install(project, group, composer)
        if environments:
            _build(project, environments, composer)

    def _most(self, project: Project) -> int:
        asked = project.config.cogpack.max_layers if project.config is not None else None
        return asked or self._most_layers


def _as_written(one: LockedPackage, project: Project) -> LockedPackage:
    """A package from a URL whose credential is a variable: with that, which a lock leaves out."""
    for entry in project.requirements.entries:
        if one.url and one.is_direct and entry.name == one.name and entry.url is not None:
            raw = entry.url.raw.partition("#")[0]
            return replace(one, url=raw) if variables(raw) else one
    return one


def locked_wheels(
    packages: Iterable[LockedPackage], frameworks: Collection[str] = ()
) -> tuple[Wheel, ...]:
    """The packages of a lock that are wheels; the others have to be built first.

    frameworks: names of packages that are large, where no server told the size.
    """
    return tuple(
        _installed(one, one.size or guessed_size(one.name, one.filename, frameworks))
        for one in packages
        if not one.is_built
    )


def _archives(packages: Iterable[LockedPackage]) -> tuple[Wheel, ...]:
    """The sdists among packages that have to be built: wheels to be."""
    return tuple(_installed(one) for one in packages if one.kind != "directory")


def _installed(one: LockedPackage, size: int = 0) -> Wheel:
    return Wheel(one.name, one.version, one.line(SOURCE), size, one.index, one.path)


def _install(project: Project, group: WheelGroup, composer: Composer) -> None:
    alone = len(group.wheels) == 1
    phase = "app-deps" if group.name.startswith("packages-") else "framework-deps"
    names = " ".join(f"{wheel.name}=={wheel.version}" for wheel in group.wheels)
    title = f"install {names}" if alone else f"install {len(group.wheels)} packages: {names}"
    indexes = _by_index(group.wheels)
    lists = [f"{group.name}-{number}.txt" for number in range(len(indexes))]
    secrets = {name for index, _ in indexes for name in _variables(index, project)}
    secrets |= {name for wheel in group.wheels for name in variables(wheel.line)}
    options = (index_option(index, project) for index, _ in indexes)
    commands = [
        " ".join(
            (_INSTALL, *filter(None, [option]), f"--require-hashes --requirement {_FOLDER}/{file}")
        )
        for option, file in zip(options, lists, strict=True)
    ]
    installed = composer.side_stage(
        phase,
        f"wheels:{group.name}",
        title,
        parts.StageInput(id=BARE_ENVIRONMENT),
        [
            parts.Exec(
                command=script(*commands, forget_times(), settle_environment()),
                mounts=(
                    *uv_mounts(),
                    *_list_mounts(lists),
                    *(parts.SecretMount(id=name, env=name) for name in sorted(secrets)),
                    *index_secrets(project, [index for index, _ in indexes]),
                    *_local_mounts(project, [wheel.path for wheel in group.wheels if wheel.path]),
                ),
                env=uv_env(project) | uv_trust(project),
            )
        ],
    )
    composer.stage(phase, f"layer:{group.name}", title, [parts.Layer(stage=installed.id)])
    composer.export("app", installed)


def _build(project: Project, environments: Sequence[BuildEnvironment], composer: Composer) -> None:
    """Packages that are no wheels stand on all others: building may need them."""
    packages = [package for one in environments for package in one.packages]
    paths = [package.path for package in packages if package.path]
    paths += [path for one in environments for path in one.paths]
    lists, commands = [], []
    for one in environments:
        install = " ".join((_INSTALL, *one.options(_FOLDER), build_settings(project))).rstrip()
        if one.constraints:
            lists.append(one.file)
        for number, _ in enumerate(_by_index(_archives(one.packages))):
            lists.append(_built(one, number))
            commands.append(f"{install} --require-hashes --requirement {_FOLDER}/{lists[-1]}")
        index = _build_options(one, project)
        for package in one.packages:
            if package.kind == "directory":
                editable = "--editable " if package.editable else ""
                path = quoted([f"./{package.path}"])
                commands.append(f"{install} --refresh {index}{editable}{path}")
    stage = composer.stage(
        "app-deps",
        "built-packages",
        f"build and install {' '.join(sorted(package.name for package in packages))}",
        [
            parts.Workdir(path=SOURCE),
            parts.Exec(
                command=script(*commands, forget_times(), settle_environment()),
                mounts=(
                    *uv_mounts(),
                    *(mount for one in environments for mount in one.mounts()),
                    *_list_mounts(lists),
                    *(
                        parts.SecretMount(id=name, env=name)
                        for name in sorted(_build_secrets(environments, project))
                    ),
                    *_local_mounts(project, paths),
                ),
                env=uv_env(project) | uv_trust(project),
            ),
        ],
    )
    composer.export("app", stage)


def _build_secrets(environments: Iterable[BuildEnvironment], project: Project) -> set[str]:
    """Variables of the URLs that building reads."""
    default = project.requirements.options.index_url
    found = set(default.url.variables) if default is not None else set()
    for one in environments:
        for archive in _archives(one.packages):
            found |= {*_variables(archive.index, project), *variables(archive.line)}
        for index in one.indexes:
            found |= set(_variables(index, project))
        found |= set(variables(one.constraints))
    return found


def _index_line(index: str, project: Project) -> str:
    """The option that makes one index the only one, in the user's own words where there are any.

    A credential stands in these as `${NAME}`, which uv replaces by the secret of that name.
    """
    if not index or index_option(index, project):
        return ""
    asked = _asked(index, project)
    return f"--index-url {asked.raw if asked else index}\n"


def _built(one: BuildEnvironment, number: int) -> str:
    return f"built-{one.number}-{number}.txt"


def _build_indexes(index: str, one: BuildEnvironment, project: Project) -> str:
    """The options for sdists of one index: their own index first, then the one of all others.

    What a build needs (setuptools and its kin) is often on the default index alone.
    """
    default = project.requirements.options.index_url
    extras = [*([index] if index else []), *_private(one, project)]
    own = "".join(
        _index_line(extra, project).replace("--index-url", "--extra-index-url", 1)
        for extra in dict.fromkeys(extras)
    )
    return own + (f"--index-url {default.url.raw}\n" if default is not None and index else "")


def _build_options(one: BuildEnvironment, project: Project) -> str:
    """The same for a folder, as options of a command.

    In double quotes, so that the shell puts a secret in the place of its `${NAME}`.
    """
    default = project.requirements.options.index_url
    asked = filter(None, (_asked(index, project) for index in _private(one, project)))
    found = [f'--extra-index-url "{url.raw}"' for url in asked]
    found += [f'--index-url "{default.url.raw}"'] if default is not None else []
    return "".join(f"{option} " for option in found)


def _private(one: BuildEnvironment, project: Project) -> list[str]:
    """Indexes without whose credentials the pinned files of an environment are not to be had."""
    return [index for index in one.indexes if _variables(index, project)]


def _variables(index: str, project: Project) -> tuple[str, ...]:
    asked = _asked(index, project)
    return asked.variables if asked else ()


def _asked(index: str, project: Project) -> Url | None:
    """The user's URL of an index that the lock names without credentials."""
    options = project.requirements.options
    for given in (options.index_url, *options.extra_index_urls):
        if given is not None:
            scheme, separator, rest = given.url.raw.partition("://")
            host, slash, path = rest.partition("/")
            bare = f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
            if bare.rstrip("/") == index.rstrip("/"):
                return given.url
    return None


def _list_mounts(files: Iterable[str]) -> Iterator[parts.Mount]:
    source = parts.StageInput(id=_LISTS)
    for file in files:
        yield parts.BindMount(source=source, source_path=f"/{file}", target=f"{_FOLDER}/{file}")


def _local_mounts(project: Project, paths: Sequence[str]) -> Iterator[parts.Mount]:
    """Files of the project where the source will be, as editable installs need them."""
    if paths:
        include = ("**",) if "." in paths else tuple(sorted(paths))
        source = parts.LocalInput(include=include, exclude=project.ignore.all)
        yield parts.BindMount(source=source, target=SOURCE, writable=True)


def _by_index(wheels: Iterable[Wheel]) -> list[tuple[str, tuple[Wheel, ...]]]:
    """The wheels of each index, by its URL; those of no index first."""
    found: dict[str, list[Wheel]] = {}
    for wheel in wheels:
        found.setdefault(wheel.index, []).append(wheel)
    return [(index, tuple(found[index])) for index in sorted(found)]
