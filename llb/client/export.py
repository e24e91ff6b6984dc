"""What a build leaves behind, and where: the exports, and the reading of --output."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from ...errors import UserError

__all__ = ["STDOUT", "Export", "ExportType", "parse_output"]

ExportType = Literal["image", "oci", "docker", "local", "tar"]

# `dest` of an export that goes to standard output.
STDOUT = "-"

_FILE_TYPES = ("oci", "docker", "tar")

_REMEDY = (
    "write type=oci,dest=image.tar, type=docker,dest=image.tar, type=local,dest=folder, "
    "type=image,name=NAME or type=registry,name=NAME"
)


@dataclass(frozen=True)
class Export:
    """One result of a build.

    type: `image` goes to the daemon's image store or with `push` to a registry; `oci`, `docker`
        and `tar` are a file here; `local` is a folder here.
    attrs: attributes of BuildKit's exporter: `name`, `push`, `compression`...
    dest: file or folder; `-` is standard output, empty for `image`.
    """

    type: ExportType
    attrs: Mapping[str, str] = field(default_factory=dict)
    dest: str = ""


def parse_output(text: str, origin: str = "--output") -> Export:
    """Read `type=oci,dest=out.tar`: one CSV record of key=value fields, as docker buildx takes it.

    A lone `-` is a tar archive on standard output, a lone path a folder.

    Raises UserError naming what is wrong and how it is written.
    """
    fields = _fields(text, origin)
    if len(fields) == 1 and "=" not in fields[0] and fields[0]:
        dest = fields[0]
        return Export("tar" if dest == STDOUT else "local", dest=dest)
    values: dict[str, str] = {}
    for item in fields:
        key, equals, value = item.partition("=")
        key = key.strip().lower()
        if not equals or not key:
            raise UserError(f"{origin} {text}: `{item}` is not of the form key=value", hint=_REMEDY)
        if key in values:
            raise UserError(f"{origin} {text}: `{key}` is given twice")
        values[key] = value
    return _export(text, origin, values)


def _fields(text: str, origin: str) -> list[str]:
    try:
        records = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise UserError(f"{origin} {text}: {error}", hint=_REMEDY) from None
    if len(records) != 1 or not records[0]:
        raise UserError(f"{origin} is empty", hint=_REMEDY)
    return records[0]


def _export(text: str, origin: str, values: dict[str, str]) -> Export:
    kind = values.pop("type", "")
    dest = values.pop("dest", "")
    if kind == "registry":
        kind = "image"
        values.setdefault("push", "true")
    if kind not in get_args(ExportType):
        problem = f"the type `{kind}` is unknown" if kind else "it has no type"
        raise UserError(f"{origin} {text}: {problem}", hint=_REMEDY)
    if kind == "image" and dest:
        raise UserError(
            f"{origin} {text}: an image goes to the daemon or a registry, so it takes no dest",
            hint="for a file write type=oci or type=docker",
        )
    if kind == "image" and values.get("push") == "true" and not values.get("name"):
        raise UserError(f"{origin} {text}: pushing needs a name", hint="add name=REGISTRY/NAME:TAG")
    if kind != "image" and not dest:
        raise UserError(f"{origin} {text}: it has no dest", hint="add dest=PATH")
    if kind == "local" and dest == STDOUT:
        raise UserError(
            f"{origin} {text}: a folder cannot go to standard output",
            hint="write type=tar,dest=- for an archive of the files",
        )
    return Export(cast("ExportType", kind), values, dest)
