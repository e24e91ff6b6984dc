"""The model of cog.yaml: every key that Cog 0.23 reads, and the section `cogpack` of our own.

What a single value may be stands in `values`, what keys may not stand together in `cogyaml_checks`.
Files that the keys refer to are not looked at here.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from copy import copy
from types import MappingProxyType
from typing import ClassVar, Literal, TypeVar

from ..origin import Origin
from .apt_values import SNAPSHOT_MIRROR, TIMESTAMP
from .section import Kind, Section, key, refuse, section
from .values import (
    APT_PACKAGES,
    COMMAND,
    CUDA,
    CUDNN,
    FLAG,
    IMAGE_NAME,
    MAYBE_TEXT,
    PYTHON_VERSION,
    REPOSITORY_NAME,
    SDK_VERSION,
    TEXT,
    USER_NAME,
    VARIABLE,
    WEIGHT_NAME,
    WHOLE_NUMBER,
    items,
    show,
    text_of,
)
from .yaml import Scalar

__all__ = [
    "FILE",
    "Build",
    "CogConfig",
    "CogpackOptions",
    "Concurrency",
    "RunItem",
    "SecretMount",
    "WeightSource",
    "Weights",
]

FILE = "cog.yaml"


# What is no wheel needs some layers in any case; and an image has at most 127, its base included.
_FEWEST_LAYERS, _MOST_LAYERS = 10, 100

Choice = TypeVar("Choice", bound=str)


def _one_of(*choices: Choice) -> Kind[Choice]:
    def read(value: object) -> Choice:
        text = text_of(value).strip()
        if text not in choices:
            refuse(f"is {show(text)}, not one of {', '.join(choices)}")
        return choices[choices.index(text)]

    return Kind(read)


def _mount_type(value: object) -> Literal["secret"]:
    text = text_of(value).strip()
    if text != "secret":
        hint = (
            "remove it: the caches of pip and uv are there without it, and no other lasts"
            if text == "cache"
            else "use 'type: secret', or copy the file into the project"
        )
        refuse(f"is {show(text)}, but Cog mounts secrets only", hint)
    return "secret"


def _absolute(value: object) -> str:
    text = text_of(value).strip()
    if not text.startswith("/") or "\0" in text:
        refuse(f"is {show(text)}, not an absolute path of the image", 'write it as "/weights"')
    return text


def _url(value: object) -> str:
    text = TEXT.read(value).strip()
    # A variable may stand for the whole of it: only the build knows its value.
    if not text.startswith(("http://", "https://", "file://", "${")) or text.split() != [text]:
        refuse(f"is {show(text)}, not a URL", "write it as https://mirror.example/folder")
    return text


_URL = Kind(_url, TEXT.shown)


def _layer_count(value: object) -> int:
    count = WHOLE_NUMBER.read(value)
    if not _FEWEST_LAYERS <= count <= _MOST_LAYERS:
        refuse(f"is {count}, not a number from {_FEWEST_LAYERS} to {_MOST_LAYERS}")
    return count


_LAYER_COUNT = Kind(_layer_count)


def _mount_target(value: object) -> str:
    text = text_of(value).strip()
    if "\0" in text or posixpath.normpath(f"/{text}") == "/":
        refuse(f"is {show(text)}, not the path of a file")
    return text


def _pattern(value: object) -> str:
    text = text_of(value).strip()
    if not text:
        refuse("is empty", "write a pattern or remove it")
    if text.startswith("!"):
        refuse(f"is {show(text)}, but a pattern cannot be negated with '!'", "use 'exclude'")
    if "\\" in text:
        refuse(f"is {show(text)}, with a backslash", "separate folders with '/'")
    from ..patterns import PatternError, PatternSet

    try:
        PatternSet([text])
    except PatternError:
        refuse(f"is {show(text)}, with a '[' that no ']' closes", "close it, or write '?'")
    return text


def _source_uri(value: object) -> str:
    from .weight_sources import SourceUriError, parse_uri

    text = TEXT.read(value).strip()
    try:
        parse_uri(text)
    except SourceUriError as error:
        refuse(f"is {show(text)}, which {error.message}", error.hint)
    return text


_MOUNT_TYPE = Kind(_mount_type)
_ABSOLUTE_PATH = Kind(_absolute)
_MOUNT_TARGET = Kind(_mount_target)
_PATTERN = Kind(_pattern)
_SOURCE_URI = Kind(_source_uri, TEXT.shown)


class SecretMount(Section):
    """A secret of the build that one command can read.

    id: its name in `--secret id=…`. target: the file it appears as, absolute, or relative to the
    folder that the command runs in. env: the variable instead.
    """

    type: Literal["secret"] = key(_MOUNT_TYPE)
    id: str = key(TEXT)
    target: str | None = key(_MOUNT_TARGET, default=None)
    env: str | None = key(TEXT, default=None)


class RunItem(Section):
    """A shell command of the build."""

    command: str = key(COMMAND)
    mounts: tuple[SecretMount, ...] = key(items(section(SecretMount)), default=())


def _run_item(value: object) -> object:
    if isinstance(value, Scalar | str):
        return {"command": value}
    if isinstance(value, list | tuple) or value is None:
        refuse("must be a command, or a mapping with 'command' and 'mounts'")
    return value


_RUN_ITEMS = items(section(RunItem, _run_item))


class Build(Section):
    """`build:`, how the image is made."""

    gpu: bool = key(FLAG, default=False)
    python_version: str | None = key(PYTHON_VERSION, default=None)
    cuda: str | None = key(CUDA, default=None)
    cudnn: str | None = key(CUDNN, default=None)
    python_requirements: str | None = key(TEXT, default=None)
    python_packages: tuple[str, ...] = key(items(MAYBE_TEXT), default=())
    system_packages: tuple[str, ...] = key(items(APT_PACKAGES), default=())
    run: tuple[RunItem, ...] = key(_RUN_ITEMS, default=())
    pre_install: tuple[RunItem, ...] = key(_RUN_ITEMS, default=())
    sdk_version: str | None = key(SDK_VERSION, default=None)


class Concurrency(Section):
    """`concurrency:`, how many predictions run at the same time."""

    max: int = key(WHOLE_NUMBER)
    default_target: int | None = key(WHOLE_NUMBER, default=None)


class WeightSource(Section):
    """Where weights come from: `hf://`, `file://`, `https://` or a path of the project."""

    uri: str = key(_SOURCE_URI)
    include: tuple[str, ...] = key(items(_PATTERN), default=())
    exclude: tuple[str, ...] = key(items(_PATTERN), default=())


def _sources(value: object) -> object:
    if isinstance(value, Scalar | str):
        refuse("must be a mapping with 'uri', not one text", f"write 'uri: {text_of(value)}'")
    if isinstance(value, list | tuple) and not value:
        refuse("is an empty list", "write a mapping with 'uri'")
    return [value] if isinstance(value, Mapping | WeightSource) else value


class Weights(Section):
    """An entry of `weights:`, a folder of the image filled from its sources."""

    name: str = key(WEIGHT_NAME)
    target: str = key(_ABSOLUTE_PATH)
    source: tuple[WeightSource, ...] = key(items(section(WeightSource), _sources))


class CogpackOptions(Section):
    """`cogpack:`, what only this builder reads; Cog ignores the section.

    base_image: an image to build on instead of the one that the solver picks.
    base_python: the version of the Python in it; without it an image that the tables do not know
    counts as having none.
    installer: the program that installs Python packages.
    bytecode: whether modules are compiled at build (validated by hash) or at every start.
    max_layers: how many layers an image may have over its base, those of weights not counted.
    user: who runs the server, a name or `uid[:gid]`.
    system_cuda: whether the image itself must bring CUDA; by default the solver decides.
    python_mirror: where uv gets an interpreter when the base image has none, as in
    UV_PYTHON_INSTALL_MIRROR. python_downloads: the list of those that there are, in place of uv's
    own, as in UV_PYTHON_DOWNLOADS_JSON_URL.
    extras, groups: optional dependencies and dependency groups of pyproject.toml to install, too.
    apt_snapshot: the moment from which system packages are taken. apt_snapshot_mirror: where they
    are to be had, when apt itself does not know it.
    """

    base_image: str | None = key(IMAGE_NAME, default=None)
    base_python: str | None = key(PYTHON_VERSION, default=None)
    installer: Literal["uv", "pip"] = key(_one_of("uv", "pip"), default="uv")
    bytecode: Literal["hash", "none"] = key(_one_of("hash", "none"), default="hash")
    max_layers: int | None = key(_LAYER_COUNT, default=None)
    user: str | None = key(USER_NAME, default=None)
    system_cuda: bool | None = key(FLAG, default=None)
    python_mirror: str | None = key(_URL, default=None)
    python_downloads: str | None = key(_URL, default=None)
    extras: tuple[str, ...] = key(items(TEXT), default=())
    groups: tuple[str, ...] = key(items(TEXT), default=())
    apt_snapshot: str | None = key(TIMESTAMP, default=None)
    apt_snapshot_mirror: str | None = key(SNAPSHOT_MIRROR, default=None)


class CogConfig(Section):
    """The whole of cog.yaml, validated. `run` stands for the deprecated `predict` too."""

    build: Build = key(section(Build), default=Build())
    image: str | None = key(IMAGE_NAME, default=None)
    model: str | None = key(REPOSITORY_NAME, default=None)
    run: str | None = key(TEXT, default=None)
    predict: str | None = key(TEXT, default=None)
    train: str | None = key(TEXT, default=None)
    concurrency: Concurrency | None = key(section(Concurrency), default=None)
    environment: tuple[str, ...] = key(items(VARIABLE), default=())
    weights: tuple[Weights, ...] = key(items(section(Weights)), default=())
    cogpack: CogpackOptions = key(section(CogpackOptions), default=CogpackOptions())

    _origins: ClassVar[Mapping[str, Origin]] = MappingProxyType({})

    @property
    def predictor(self) -> str | None:
        """The reference `file.py:Name` of what serves predictions, under either spelling."""
        return self.run or self.predict

    @property
    def predictor_key(self) -> str:
        """The key that the user wrote the reference under."""
        return "predict" if self.predict and not self.run else "run"

    def located(self, origins: Mapping[str, Origin]) -> CogConfig:
        """The same config with the places of its values, by path."""
        found = copy(self)
        vars(found)["_origins"] = dict(origins)
        return found

    def origin(self, path: str) -> Origin:
        """Where a value was written.

        path: keys joined by `.`, items by index: `build.python_version`, `build.run[2]`.
        Returns the origin of the value; when it was not written, that of the nearest key above it.
        """
        return nearest_origin(self._origins, path)


def nearest_origin(origins: Mapping[str, Origin], path: str) -> Origin:
    """The origin of a path, or of what stands nearest above it; the file when nothing does."""
    while path:
        if path in origins:
            return origins[path]
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return origins.get("", Origin(FILE))
