"""The project as the rest of cogpack sees it: everything that the user wrote, read and checked.

Nothing of the project is executed, and no decision is made here: versions are the solver's
business, blocks and stages the stacks'.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, structs

from ..errors import Fault, UserError
from ..files import is_file, read_file
from ..origin import Origin
from .cogyaml import FILE, CogConfig, SecretMount, nearest_origin
from .cogyaml_reader import ConfigReading, scan_config
from .ignore import FILE as IGNORE
from .ignore import IgnorePatterns, read_ignore
from .paths import LeavesProjectError, project_path
from .quoted import unquoted
from .redact import quote_text
from .requirement_model import RequirementsFile

if TYPE_CHECKING:
    from .predictor import Target
    from .pyproject import PyProject
    from .uv_lock import UvLock
    from .weight_sources import RemoteSource

__all__ = [
    "BaseReference",
    "Command",
    "EnvironmentVariable",
    "Project",
    "PythonPin",
    "SystemPackage",
    "find_project_root",
    "missing_config",
    "read_project",
]

PYPROJECT = "pyproject.toml"

# Files of the project that fix the versions of its packages.
_LOCKS = ("uv.lock", "pylock.cogpack.toml")
REQUIREMENTS = "requirements.txt"

# What people call cog.yaml by mistake, in any case.
_MISNAMED = frozenset({"cog.yaml", "cog.yaml.txt", "cog.yml"})


class SystemPackage(Struct, frozen=True):
    """An apt package as the user wants it: `ffmpeg`, `ffmpeg=7:5.1`."""

    name: str
    origin: Origin


class Command(Struct, frozen=True):
    """A shell command of `build.run` or `build.pre_install`, with the secrets it can read."""

    command: str
    mounts: tuple[SecretMount, ...]
    origin: Origin


class EnvironmentVariable(Struct, frozen=True):
    """A variable of the image."""

    name: str
    value: str
    origin: Origin


class PythonPin(Struct, frozen=True):
    """The Python that the user names: `3.12` for any of that series, `3.12.4` for that one."""

    version: str
    origin: Origin


class BaseReference(Struct, frozen=True):
    """The image that the user wants the project to stand on.

    reference: as written. python: the version of the Python in it, where the user says so.
    """

    reference: str
    python: str
    origin: Origin


@dataclass(frozen=True)
class Project:
    """Everything that the user wrote, with the place of each fact.

    root: the project folder; the one absolute path, and no part of what is compared or planned.
    name: of the folder, fit for an image name. config: None for a project without cog.yaml.
    requirements: the entries of the one source that counts, its constraints and options included.
    source: where they come from: a requirements file, `build.python_packages`, pyproject.toml, or
    nowhere. predictor, trainer: None when not given, or not readable here (see the warnings).
    uv_lock: what uv has locked, when the requirements come from pyproject.toml.
    python: from cog.yaml, or else, where cog.yaml does not say what is installed, .python-version.
    base_image: the user's own base; None leaves the choice to the solver.
    remote_weights: the files of weights that other machines have; None when nobody has asked yet.
    warnings: what the user should know though the project is valid; in the order of the files.
    """

    root: Path = field(compare=False, repr=False)
    name: str
    config: CogConfig | None
    requirements: RequirementsFile
    source: Literal["", "requirements", "packages", "pyproject"]
    pyproject: PyProject | None = None
    uv_lock: UvLock | None = None
    python: PythonPin | None = None
    predictor: Target | None = None
    trainer: Target | None = None
    system_packages: tuple[SystemPackage, ...] = ()
    pre_install: tuple[Command, ...] = ()
    run: tuple[Command, ...] = ()
    environment: tuple[EnvironmentVariable, ...] = ()
    base_image: BaseReference | None = None
    ignore: IgnorePatterns = field(default_factory=IgnorePatterns)
    remote_weights: tuple[RemoteSource, ...] | None = None
    warnings: tuple[Fault, ...] = ()

    def with_base_image(self, reference: str) -> Project:
        """The project on another base, as `--base-image` asks for it.

        What cog.yaml says of the Python in the base counts for this one too. Raises UserError when
        the text is no image name.
        """
        from .values import image_name_fault

        option = "--base-image"
        if fault := image_name_fault(reference, option):
            raise UserError(fault)
        python = self.config.cogpack.base_python if self.config else None
        origin = Origin(asker=option, text=f"{option} {reference}")
        return replace(self, base_image=BaseReference(reference, python or "", origin))


def read_project(root: Path, *, config_name: str = FILE) -> Project:
    """Read a project folder.

    root: the folder. config_name: the project file in it, relative to it.
    A folder without cog.yaml is a project when it has a requirements.txt or a pyproject.toml; its
    `config` is None.
    Raises UserError with every fault of every file, or when the folder is no project.
    """
    if not root.is_dir():
        raise UserError(f"there is no folder {root}", "name the project folder")
    reader = _Reader(root, config_name)
    project = reader.read()
    if reader.faults:
        raise UserError(reader.faults)
    return project


def find_project_root(start: Path, *, config_name: str = FILE) -> Path | None:
    """The nearest folder from `start` upwards that has a project file; None when none has."""
    start = start.resolve()
    folders = (start, *start.parents)
    return next((folder for folder in folders if (folder / config_name).is_file()), None)


def missing_config(config_name: str = FILE) -> Fault:
    """The fault of a folder without a project file."""
    hint = "run cogpack in the project's folder, or create the file"
    return Fault(f"there is no {config_name} in this folder", Origin(config_name), hint)


class _Reader:
    """Reads one file after the other and goes on after a fault, so that all are told at once."""

    def __init__(self, root: Path, config_name: str) -> None:
        self.faults: list[Fault] = []
        self._root = root
        self._config_name = config_name
        self._warnings: list[Fault] = []

    def read(self) -> Project:
        reading = self._config()
        pyproject = self._pyproject()
        if reading is None and not self.faults:
            if near := self._misnamed():
                message = f"{near} is not read: Cog's file is called {FILE}"
                self.faults.append(Fault(message, Origin(near), f"rename it to {FILE}"))
            elif not self._is_generic(pyproject):
                self.faults.append(missing_config(self._config_name))
        requirements, source = self._requirements(reading, pyproject)
        self._check_choice(reading, source)
        predictor, trainer = self._targets(reading)
        ignore = self._ignore()
        self._check_left_out(reading, requirements, ignore)
        project = Project(
            root=self._root,
            name=_image_name(self._root),
            config=reading.config if reading else None,
            requirements=requirements,
            source=source,
            pyproject=pyproject,
            uv_lock=self._uv_lock(reading, pyproject) if source == "pyproject" else None,
            python=self._python(reading, source),
            predictor=predictor,
            trainer=trainer,
            ignore=ignore,
            warnings=(*self._warnings, *requirements.warnings),
        )
        return _with_build(project, reading.config) if reading and reading.config else project

    def _check_choice(self, reading: ConfigReading | None, source: str) -> None:
        if reading is None or reading.config is None or source == "pyproject" or self.faults:
            return
        from .optional import refuse_choice

        self.faults += refuse_choice(reading.config)

    def _check_left_out(
        self, reading: ConfigReading | None, requirements: RequirementsFile, ignore: IgnorePatterns
    ) -> None:
        if not (self._root / IGNORE).is_file():
            return
        from .left_out import left_out

        written = {
            key: (text.partition(":")[0].strip(), nearest_origin(reading.origins, key))
            for key in (("run", "predict", "train") if reading else ())
            if reading and (text := reading.texts.get(key, ""))
        }
        self.faults += left_out(ignore, written, requirements.entries)

    def _config(self) -> ConfigReading | None:
        try:
            path = project_path(self._root, self._config_name)
            data = read_file(self._root / path)
        except FileNotFoundError:
            return None
        except LeavesProjectError:
            message = f"the project file {self._config_name} is outside the project folder"
            self.faults.append(Fault(message, Origin(self._config_name)))
            return None
        except OSError as error:
            message = f"{self._config_name} cannot be read: {error.strerror}"
            self.faults.append(Fault(message, Origin(self._config_name)))
            return None
        reading = scan_config(data, path)
        self.faults += reading.faults
        self._warnings += reading.warnings
        return reading

    def _misnamed(self) -> str:
        """A file that is meant to be cog.yaml; empty when there is none."""
        if self._config_name != FILE:
            return ""
        names = sorted(entry.name for entry in self._root.iterdir() if entry.name != FILE)
        return next((name for name in names if name.lower() in _MISNAMED), "")

    def _is_generic(self, pyproject: PyProject | None) -> bool:
        """Whether the folder is a project though it has no cog.yaml."""
        has_python = pyproject is not None or (self._root / REQUIREMENTS).is_file()
        return has_python and self._config_name == FILE

    def _pyproject(self) -> PyProject | None:
        if not (self._root / PYPROJECT).exists():
            return None
        from .pyproject import read_pyproject

        try:
            return read_pyproject(self._root)
        except UserError as error:
            self.faults += error.faults
            return None

    def _uv_lock(self, reading: ConfigReading | None, pyproject: PyProject | None) -> UvLock | None:
        if pyproject is None or not pyproject.has_uv_lock:
            return None
        from .optional import chosen_extras, chosen_groups
        from .uv_lock import read_uv_lock

        config = reading.config if reading else None
        extras, names = chosen_extras(config), chosen_groups(config)
        default = pyproject.default_groups
        optional = {one.name: one.entries for one in pyproject.optional if one.name in extras}
        groups = {
            one.name: one.entries
            for one in pyproject.groups
            if default is None or one.name in (*default, *names)
        }
        try:
            return read_uv_lock(self._root, pyproject.dependencies, optional, groups)
        except UserError as error:
            self.faults += error.faults
            return None

    def _python(self, reading: ConfigReading | None, source: str) -> PythonPin | None:
        config = reading.config if reading else None
        if config and config.build.python_version:
            return PythonPin(config.build.python_version, config.origin("build.python_version"))
        if reading is not None and source != "pyproject":
            return None
        from .python_file import read_python_file

        pin, warnings = read_python_file(self._root)
        self._warnings += warnings
        return PythonPin(*pin) if pin else None

    def _ignore(self) -> IgnorePatterns:
        try:
            return read_ignore(self._root)
        except UserError as error:
            self.faults += error.faults
            return IgnorePatterns()

    def _requirements(
        self, reading: ConfigReading | None, pyproject: PyProject | None
    ) -> tuple[RequirementsFile, Literal["", "requirements", "packages", "pyproject"]]:
        """The one source of Python packages: cog.yaml's word first, then pyproject.toml."""
        from .managed import without_managed
        from .requirements import parse_packages, read_requirements

        try:
            if reading and (written := reading.texts.get("build.python_requirements")):
                origin = nearest_origin(reading.origins, "build.python_requirements")
                return without_managed(self._file(written, origin)), "requirements"
            if reading and (packages := _packages(reading)):
                return without_managed(parse_packages(self._root, packages)), "packages"
            if pyproject and (pyproject.has_project and "dependencies" not in pyproject.dynamic):
                from .optional import chosen_dependencies
                from .unread import unread_settings

                entries = chosen_dependencies(pyproject, reading.config if reading else None)
                self._warnings += unread_settings(self._root, pyproject, _LOCKS)
                return RequirementsFile(entries, files=(PYPROJECT,)), "pyproject"
            if reading is None and (self._root / REQUIREMENTS).is_file():
                return read_requirements(self._root, REQUIREMENTS), "requirements"
            self._report_unread(reading, pyproject)
        except UserError as error:
            self.faults += error.faults
        return RequirementsFile(), ""

    def _file(self, written: str, origin: Origin) -> RequirementsFile:
        from .requirements import read_requirements

        shown = f'build.python_requirements is "{quote_text(written)}"'
        try:
            path = project_path(self._root, written.strip())
        except LeavesProjectError:
            message = f"{shown}, a path that leaves the project"
            raise UserError(Fault(message, origin, "copy the file into the project")) from None
        if path == PYPROJECT:
            hint = "remove the key: cogpack reads pyproject.toml by itself"
            raise UserError(Fault(f"{shown}, which is no requirements file", origin, hint))
        if not is_file(self._root / path):
            message = f"{shown}, but there is no such file in the project"
            raise UserError(Fault(message, origin, "create it, or correct the path"))
        return read_requirements(self._root, path, origin)

    def _report_unread(self, reading: ConfigReading | None, pyproject: PyProject | None) -> None:
        """Say which dependencies stand in pyproject.toml in a form that is not read."""
        from .unread import unread_dependencies

        found = unread_dependencies(self._root, pyproject, bool(reading)) if pyproject else ()
        (self._warnings if reading else self.faults).extend(found)

    def _targets(self, reading: ConfigReading | None) -> tuple[Target | None, Target | None]:
        if reading is None:
            return None, None
        key = "run" if reading.texts.get("run") else "predict"
        if not reading.faults and not reading.texts.get(key, "").strip():
            message = f"{self._config_name} names no 'run': the image's server has nothing to serve"
            self._warnings.append(
                Fault(message, Origin(self._config_name), "add it: run: run.py:Runner")
            )
        predictor, trainer = self._target(reading, key), self._target(reading, "train")
        if predictor:
            self._check_concurrency(reading, predictor)
        return predictor, trainer

    def _target(self, reading: ConfigReading, key: str) -> Target | None:
        ref = reading.texts.get(key, "").strip()
        if not ref:
            return None
        from .predictor import read_target

        python = reading.texts.get("build.python_version")
        origin = nearest_origin(reading.origins, key)
        try:
            target, warnings = read_target(self._root, key, ref, origin, python)
        except UserError as error:
            self.faults += error.faults
            return None
        self._warnings += warnings
        return target

    def _check_concurrency(self, reading: ConfigReading, target: Target) -> None:
        """Concurrent predictions need an async method; Cog refuses to start without one."""
        if target.is_async is not False or reading.config is None:
            return
        setting = reading.config.concurrency
        what = target.method or target.name
        hint = f"write 'async def {what}', or set the maximum to 1"
        if setting and setting.max > 1:
            origin = reading.config.origin("concurrency.max")
            where = target.definition.where
            message = f"concurrency.max is {setting.max}, but {what}() of {where} is not async"
            self.faults.append(Fault(message, origin, hint))
        elif setting is None and (target.concurrent_max or 1) > 1:
            message = f"@cog.concurrent allows {target.concurrent_max} predictions at a time"
            fault = Fault(f"{message}, but {what}() is not async", target.definition, hint)
            self.faults.append(fault)


def _packages(reading: ConfigReading) -> list[tuple[str, Origin]]:
    prefix = "build.python_packages["
    return [
        (text, structs.replace(reading.origins[path], text=text))
        for path, text in reading.texts.items()
        if path.startswith(prefix) and text.strip()
    ]


def _image_name(root: Path) -> str:
    """The folder's name in lower case, every other character than a letter or digit a dash."""
    name = root.resolve().name.lower()
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in name).split()
    return "-".join(words) or "project"


def _with_build(project: Project, config: CogConfig) -> Project:
    """The project with the lists of cog.yaml, each item with its place."""
    build = config.build
    packages = (
        SystemPackage(
            name, structs.replace(config.origin(f"build.system_packages[{index}]"), text=name)
        )
        for index, item in enumerate(build.system_packages)
        for name in item.split()
    )
    variables = (
        EnvironmentVariable(*_pair(item), config.origin(f"environment[{index}]"))
        for index, item in enumerate(config.environment)
    )
    return replace(
        project,
        system_packages=tuple(packages),
        pre_install=tuple(_commands(config, "pre_install")),
        run=tuple(_commands(config, "run")),
        environment=tuple(variables),
        base_image=_base_image(config),
    )


def _base_image(config: CogConfig) -> BaseReference | None:
    options = config.cogpack
    if options.base_image is None:
        return None
    origin = config.origin("cogpack.base_image")
    return BaseReference(options.base_image, options.base_python or "", origin)


def _pair(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return name, unquoted(value)


def _commands(config: CogConfig, key: Literal["run", "pre_install"]) -> Iterable[Command]:
    for index, item in enumerate(getattr(config.build, key)):
        origin = config.origin(f"build.{key}[{index}]")
        yield Command(
            item.command, item.mounts, structs.replace(origin, text=quote_text(item.command))
        )
