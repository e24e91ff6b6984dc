"""The model of cog.yaml: every key that Cog 0.23 reads, and the section `cogpack` of our own.

What a single value may be stands in `values`, what keys may not stand together in `cogyaml_checks`.
Files that the keys refer to are not looked at here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

from ..origin import Origin
from .values import (
    AptPackages,
    Cuda,
    Cudnn,
    Flag,
    ImageName,
    Items,
    PythonVersion,
    RepositoryName,
    SdkVersion,
    Text,
    UserName,
    Variable,
    WeightName,
    WholeNumber,
    refuse,
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


class Section(BaseModel):
    """A mapping of cog.yaml: frozen, and an unknown key is a fault; built on first use."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def _one_of(*choices: str) -> BeforeValidator:
    def check(value: object) -> str:
        text = text_of(value).strip()
        if text not in choices:
            refuse(f"is {show(text)}, not one of {', '.join(choices)}")
        return text

    return BeforeValidator(check)


def _mount_type(value: object) -> str:
    text = text_of(value).strip()
    if text != "secret":
        hint = "use 'type: secret', or copy the file into the project"
        refuse(f"is {show(text)}, but Cog mounts secrets only", hint)
    return text


def _absolute(value: object) -> str:
    text = text_of(value).strip()
    if not text.startswith("/") or "\0" in text:
        refuse(f"is {show(text)}, not an absolute path of the image")
    return text


def _pattern(value: object) -> str:
    text = text_of(value).strip()
    if not text:
        refuse("is empty", "write a pattern or remove it")
    if text.startswith("!"):
        refuse(f"is {show(text)}, but a pattern cannot be negated with '!'", "use 'exclude'")
    if "\\" in text:
        refuse(f"is {show(text)}, with a backslash", "separate folders with '/'")
    return text


Pattern = Annotated[str, BeforeValidator(_pattern)]
AbsolutePath = Annotated[str, BeforeValidator(_absolute)]


class SecretMount(Section):
    """A secret of the build that one command can read.

    id: its name in `--secret id=…`. target: the file it appears as. env: the variable instead.
    """

    type: Annotated[Literal["secret"], BeforeValidator(_mount_type)]
    id: Text
    target: AbsolutePath | None = None
    env: Text | None = None


class RunItem(Section):
    """A shell command of the build."""

    command: Text
    mounts: Annotated[tuple[SecretMount, ...], Items] = ()


def _run_item(value: object) -> object:
    if isinstance(value, Scalar | str):
        return {"command": value}
    if isinstance(value, list | tuple) or value is None:
        refuse("must be a command, or a mapping with 'command' and 'mounts'")
    return value


class Build(Section):
    """`build:`, how the image is made."""

    gpu: Flag = False
    python_version: PythonVersion | None = None
    cuda: Cuda | None = None
    cudnn: Cudnn | None = None
    python_requirements: Text | None = None
    python_packages: Annotated[tuple[Text, ...], Items] = ()
    system_packages: Annotated[tuple[AptPackages, ...], Items] = ()
    run: Annotated[tuple[Annotated[RunItem, BeforeValidator(_run_item)], ...], Items] = ()
    pre_install: Annotated[tuple[Annotated[RunItem, BeforeValidator(_run_item)], ...], Items] = ()
    sdk_version: SdkVersion | None = None


class Concurrency(Section):
    """`concurrency:`, how many predictions run at the same time."""

    max: WholeNumber
    default_target: WholeNumber | None = None


class WeightSource(Section):
    """Where weights come from: `hf://`, `file://`, `https://` or a path of the project."""

    uri: Text
    include: Annotated[tuple[Pattern, ...], Items] = ()
    exclude: Annotated[tuple[Pattern, ...], Items] = ()


def _sources(value: object) -> object:
    if isinstance(value, Scalar | str):
        refuse("must be a mapping with 'uri', not one text", f"write 'uri: {text_of(value)}'")
    if isinstance(value, list | tuple) and not value:
        refuse("is an empty list", "write a mapping with 'uri'")
    return [value] if isinstance(value, Mapping | WeightSource) else value


class Weights(Section):
    """An entry of `weights:`, a folder of the image filled from its sources."""

    name: WeightName
    target: AbsolutePath
    source: Annotated[tuple[WeightSource, ...], BeforeValidator(_sources)]


class CogpackOptions(Section):
    """`cogpack:`, what only this builder reads; Cog ignores the section.

    base_image: an image to build on instead of the one that the solver picks.
    base_python: the version of the Python in it; without it an image that the tables do not know
    counts as having none.
    installer: the program that installs Python packages.
    bytecode: whether modules are compiled at build (validated by hash) or at every start.
    user: who runs the server, a name or `uid[:gid]`.
    system_cuda: whether the image itself must bring CUDA; by default the solver decides.
    python_mirror: where uv gets an interpreter when the base image has none, as in
    UV_PYTHON_INSTALL_MIRROR.
    """

    base_image: ImageName | None = None
    base_python: PythonVersion | None = None
    installer: Annotated[Literal["uv", "pip"], _one_of("uv", "pip")] = "uv"
    bytecode: Annotated[Literal["hash", "none"], _one_of("hash", "none")] = "hash"
    user: UserName | None = None
    system_cuda: Flag | None = None
    python_mirror: Text | None = None


class CogConfig(Section):
    """The whole of cog.yaml, validated. `run` stands for the deprecated `predict` too."""

    build: Build = Field(default_factory=Build)
    image: ImageName | None = None
    model: RepositoryName | None = None
    run: Text | None = None
    predict: Text | None = None
    train: Text | None = None
    concurrency: Concurrency | None = None
    environment: Annotated[tuple[Variable, ...], Items] = ()
    weights: Annotated[tuple[Weights, ...], Items] = ()
    cogpack: CogpackOptions = Field(default_factory=CogpackOptions)

    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:
        """Take the origins of the values along; `read_config` hands them over as context."""
        if isinstance(context, dict) and "origins" in context:
            self._origins = dict(context["origins"])

    @property
    def predictor(self) -> str | None:
        """The reference `file.py:Name` of what serves predictions, under either spelling."""
        return self.run or self.predict

    @property
    def predictor_key(self) -> str:
        """The key that the user wrote the reference under."""
        return "predict" if self.predict and not self.run else "run"

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
