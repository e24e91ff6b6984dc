"""`[tool.cogpack]` of a lock: what PEP 751 has no place for, as it stands in the file.

The file's own part is packaging's; what it all means is `lock`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self, TypeVar

import msgspec
from packaging.version import Version

from ..origin import Origin
from .lock_builds import BuildTable
from .resolution import BaseImage, BaseImages, Choice, Resolution

__all__ = ["FORMAT", "Extra", "Table"]

FORMAT = 1
"""Of the table; a lock of another format counts as stale."""


class _Image(msgspec.Struct, omit_defaults=True):
    ref: str
    digest: str = ""
    provides: Mapping[str, str] = {}


class _Images(msgspec.Struct, omit_defaults=True):
    build: _Image
    runtime: _Image
    tools: _Image | None = None


class _Origin(msgspec.Struct, omit_defaults=True):
    file: str = ""
    line: int = 0
    text: str = ""
    asker: str = ""


class _Choice(msgspec.Struct, omit_defaults=True):
    version: str
    variant: str = ""
    index: str = ""
    because: tuple[_Origin, ...] = ()


class Extra(msgspec.Struct, omit_defaults=True):
    """The table of one package: extras that are installed with it, whether the matrix chose it."""

    extras: tuple[str, ...] = ()
    matrix: bool = False

    @classmethod
    def read(cls, tool: Mapping[str, Any] | None) -> Self:
        """Raises ValueError. tool: the package's `[tool]`."""
        return _convert((tool or {}).get("cogpack", {}), cls)

    @property
    def data(self) -> dict[str, Any] | None:
        """The package's `[tool]`; None when there is nothing to say."""
        table: dict[str, Any] = msgspec.to_builtins(self)
        return {"cogpack": table} if table else None


class Table(msgspec.Struct, rename="kebab", kw_only=True, omit_defaults=True):
    """The table of the whole lock, in the order in which its keys are written.

    The fields that are no part of a resolution are those of `Lock`.
    """

    format: int
    fingerprint: str
    platform: str
    machine: str
    exclude_newer: str = ""
    beside: str = ""
    options: Mapping[str, str | bool] = {}
    corrections: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    base_image: _Images
    tools: Mapping[str, tuple[str, ...]] = {}
    sizes: Mapping[str, int] = {}
    matrix: dict[str, _Choice]
    builds: tuple[BuildTable, ...] = ()

    @classmethod
    def of(cls, resolution: Resolution, **others: Any) -> Self:
        """The table of a resolution. others: the fields that are no part of it."""
        images = resolution.base_images
        return cls(
            format=FORMAT,
            warnings=resolution.warnings,
            base_image=_Images(_written(images.build), _written(images.runtime), _tools(images)),
            matrix={one.package: _chosen(one) for one in resolution},
            **others,
        )

    @classmethod
    def read(cls, data: object) -> Self:
        """The table out of a file. Raises ValueError for what is none."""
        table = _convert(data, cls)
        if "python" not in table.matrix:
            raise ValueError("its matrix has no python")
        Version(table.matrix["python"].version)
        return table

    @property
    def data(self) -> dict[str, Any]:
        """The table as it is written."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    @property
    def resolution(self) -> Resolution:
        """The matrix's assignment, base images included."""
        choices = tuple(
            Choice(
                name,
                one.version,
                one.variant,
                one.index,
                tuple(
                    Origin(file=why.file, line=why.line, text=why.text, asker=why.asker)
                    for why in one.because
                ),
            )
            for name, one in sorted(self.matrix.items())
        )
        written = self.base_image
        tools = _read(written.tools) if written.tools else None
        images = BaseImages(_read(written.build), _read(written.runtime), tools)
        return Resolution(choices, images, self.warnings)


T = TypeVar("T")


def _convert(data: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def _written(image: BaseImage) -> _Image:
    return _Image(image.ref, image.digest, dict(sorted(image.provides.items())))


def _tools(images: BaseImages) -> _Image | None:
    return _written(images.tools) if images.tools else None


def _read(image: _Image) -> BaseImage:
    return BaseImage(image.ref, image.digest, dict(image.provides))


def _chosen(one: Choice) -> _Choice:
    because = tuple(_Origin(why.file, why.line, why.text, why.asker) for why in one.because)
    return _Choice(one.version, one.variant, one.index, because)
