"""Reads the tables: CSV files in, tuples of typed rows out, each table when it is first asked for.

What the columns mean stands in README.md, their types in `rows`. What follows from the rows is
for `cogpack.solver.matrix` to say.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from operator import itemgetter
from pathlib import Path
from typing import TypeVar, cast

from ..errors import CogpackError, Failure, Fault, UserError
from ..files import read_file
from ..origin import Origin
from .rows import (
    LEFT_OUT,
    TABLES,
    BaseImage,
    CogRelease,
    CompanionBuild,
    Cuda,
    CudaImage,
    Cudnn,
    Gpu,
    JaxPlugin,
    JaxRelease,
    Override,
    Pin,
    PythonRelease,
    Row,
    System,
    TensorflowBuild,
    Tool,
    TorchBuild,
    Wheel,
    columns,
)

__all__ = ["OWN", "Tables", "overlaid"]

OWN = Path(__file__).parent
"""The folder of the package's own tables."""

# Characters of a cell in a message.
_SHOWN = 200

RowType = TypeVar("RowType")

_OVERLAYS: ContextVar[tuple[Path, ...]] = ContextVar("overlays", default=())


@contextmanager
def overlaid(folders: Iterable[Path]) -> Iterator[None]:
    """Inside the block `Tables.load` lays these folders over the package's tables, in this order.

    Raises UserError, as `Tables.load`, for a folder that holds no tables.
    """
    known = (*_OVERLAYS.get(), *folders)
    Tables.load(*known)
    token = _OVERLAYS.set(known)
    try:
        yield
    finally:
        _OVERLAYS.reset(token)


class Tables:
    """The tables as they stand in a list of folders; immutable but for what it has read already."""

    def __init__(self, folders: tuple[Path, ...], shown: tuple[str, ...]) -> None:
        self._folders = tuple(zip(folders, shown, strict=True))
        self._read: dict[str, tuple[Row, ...]] = {}

    @classmethod
    def load(cls, *folders: Path) -> Tables:
        """The tables of the package, overlaid with those of more folders, the last one on top.

        A row of an overlay takes the place of the row with the same key, or is new. An overlay
        need not have every table; a folder that has them all is a set of its own and hides what
        lies below. Folders of `overlaid` come first. Nothing is read yet: a fault of a file shows
        when a table that it holds is first asked for, or on `read_all`.

        Raises UserError for a folder that does not exist or a file whose name is no table.
        """
        folders = tuple(dict.fromkeys((*_OVERLAYS.get(), *folders)))
        faults = [fault for folder in folders for fault in _overlay_faults(folder)]
        if faults:
            raise UserError(faults)
        stack = [OWN, *folders]
        lowest = max(number for number, folder in enumerate(stack) if _is_whole(folder))
        return cls(
            tuple(stack[lowest:]),
            tuple("compat" if one == OWN else str(one) for one in stack[lowest:]),
        )

    def extended(self, extra: Mapping[str, Iterable[Row]]) -> Tables:
        """These tables with more rows, by table; one with the key of a known row takes its place.

        Raises what reading a table raises.
        """
        found = copy(self)
        found._read = dict(self._read)
        for name, rows in extra.items():
            key = TABLES[name].key
            merged = {
                tuple(getattr(row, column) for column in key): row
                for row in (*self._table(name), *rows)
            }
            found._read[name] = tuple(merged[one] for one in sorted(merged))
        return found

    def read_all(self) -> Mapping[str, tuple[Row, ...]]:
        """Every table by name.

        Raises UserError or CogpackError, as `rows`, with the faults of all tables.
        """
        faults: list[Fault] = []
        failure: type[Failure] = UserError
        for name in TABLES:
            try:
                self._table(name)
            except Failure as error:
                faults += error.faults
                failure = type(error)
        if faults:
            raise failure(faults)
        return {name: self._read[name] for name in TABLES}

    @property
    def base_images(self) -> tuple[BaseImage, ...]:
        """Base images without CUDA."""
        return self._rows(BaseImage, "base_images")

    @property
    def cog(self) -> tuple[CogRelease, ...]:
        """Releases of cog and coglet."""
        return self._rows(CogRelease, "cog")

    @property
    def cuda(self) -> tuple[Cuda, ...]:
        """CUDA toolkits."""
        return self._rows(Cuda, "cuda")

    @property
    def cuda_images(self) -> tuple[CudaImage, ...]:
        """NVIDIA's images."""
        return self._rows(CudaImage, "cuda_images")

    @property
    def cudnn(self) -> tuple[Cudnn, ...]:
        """cuDNN releases."""
        return self._rows(Cudnn, "cudnn")

    @property
    def gpus(self) -> tuple[Gpu, ...]:
        """GPU models."""
        return self._rows(Gpu, "gpus")

    @property
    def jax(self) -> tuple[JaxRelease, ...]:
        """Releases of jax."""
        return self._rows(JaxRelease, "jax")

    @property
    def jax_plugins(self) -> tuple[JaxPlugin, ...]:
        """Releases of the CUDA plugins of jax."""
        return self._rows(JaxPlugin, "jax_plugins")

    @property
    def jaxlib(self) -> tuple[Wheel, ...]:
        """Releases of jaxlib."""
        return self._rows(Wheel, "jaxlib")

    @property
    def os(self) -> tuple[System, ...]:
        """Operating systems."""
        return self._rows(System, "os")

    @property
    def overrides(self) -> tuple[Override, ...]:
        """Corrections of metadata."""
        return self._rows(Override, "overrides")

    @property
    def pins(self) -> tuple[Pin, ...]:
        """Libraries that pin frameworks."""
        return self._rows(Pin, "pins")

    @property
    def python(self) -> tuple[PythonRelease, ...]:
        """CPython releases."""
        return self._rows(PythonRelease, "python")

    @property
    def tensorflow(self) -> tuple[TensorflowBuild, ...]:
        """Builds of tensorflow."""
        return self._rows(TensorflowBuild, "tensorflow")

    @property
    def tools(self) -> tuple[Tool, ...]:
        """Tools that builds use."""
        return self._rows(Tool, "tools")

    @property
    def torch(self) -> tuple[TorchBuild, ...]:
        """Builds of torch."""
        return self._rows(TorchBuild, "torch")

    @property
    def torchaudio(self) -> tuple[CompanionBuild, ...]:
        """Builds of torchaudio."""
        return self._rows(CompanionBuild, "torchaudio")

    @property
    def torchvision(self) -> tuple[CompanionBuild, ...]:
        """Builds of torchvision."""
        return self._rows(CompanionBuild, "torchvision")

    @property
    def triton(self) -> tuple[Wheel, ...]:
        """Releases of triton."""
        return self._rows(Wheel, "triton")

    def _rows(self, row: type[RowType], name: str) -> tuple[RowType, ...]:
        """The rows of a table, sorted by its key.

        Raises UserError when a file of an overlay is at fault, CogpackError when one of the
        package's own is, with every fault of the table.
        """
        del row  # it tells the type checker what the table holds
        return cast("tuple[RowType, ...]", self._table(name))

    def _table(self, name: str) -> tuple[Row, ...]:
        if name not in self._read:
            merged: dict[tuple[str, ...], Row] = {}
            for folder, shown in self._folders:
                path = folder / f"{name}.csv"
                if not _is_whole(folder) and not path.exists():
                    continue
                merged |= _read(path, f"{shown}/{name}.csv", name)
            found = list(merged.values())
            if len(self._folders) > 1:
                key = TABLES[name].key
                found.sort(key=lambda row: [getattr(row, column) for column in key])
            self._read[name] = tuple(found)
        return self._read[name]


def _is_whole(folder: Path) -> bool:
    """Whether a folder has every table; the package's own does, or is broken and says so."""
    return folder == OWN or all((folder / f"{name}.csv").exists() for name in TABLES)


def _overlay_faults(folder: Path) -> list[Fault]:
    if not os.path.isdir(folder):  # noqa: PTH112  # unlike it, pathlib raises for long names
        return [Fault(f"there is no folder {folder}", hint="name a folder that holds tables")]
    known = ", ".join(f"{name}.csv" for name in TABLES)
    return [
        Fault(f"{path} is no table that cogpack knows", hint=f"the tables are {known}")
        for path in sorted(folder.glob("*.csv"))
        if path.stem not in TABLES
    ]


def _read(path: Path, shown: str, table: str) -> dict[tuple[str, ...], Row]:
    failure = CogpackError if path.parent == OWN else UserError
    try:
        text = read_file(path).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise failure(Fault(f"{shown} cannot be read: {error}")) from error
    reader = csv.reader(text.splitlines(), strict=True)
    try:
        header = next(reader, [])
        if faults := list(_header_faults(header, table, shown)):
            raise failure(faults)
        return _parse(reader, header, shown, table, is_own=path.parent == OWN)
    except csv.Error as error:
        where = Origin(shown, reader.line_num)
        raise failure(Fault(f"this is no CSV: {error}", where)) from error
    except _BadCells as error:
        raise failure(error.faults) from error


class _BadCells(Exception):  # noqa: N818  # never leaves the module
    """The faults of the rows of one file."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__()
        self.faults = faults


def _header_faults(header: list[str], table: str, shown: str) -> Iterable[Fault]:
    wanted = [*(name for name, _ in columns(table)), "source", "checked"]
    where = Origin(shown, 1)
    for name in wanted:
        if name not in header and name not in LEFT_OUT:
            yield Fault(f"the column '{name}' is missing", where, f"add '{name}' to the header")
    for name in header:
        if name not in wanted:
            hint = f"the columns are {', '.join(wanted)}"
            yield Fault(f"there is no column '{name}' in this table", where, hint)


def _parse(
    lines: Iterable[list[str]], header: list[str], shown: str, table: str, *, is_own: bool
) -> dict[tuple[str, ...], Row]:
    width = len(header)
    # A column that the file leaves out is read from an empty cell behind the others.
    readers = [
        (name, header.index(name) if name in header else width, read)
        for name, read in (columns(table) if is_own else _checked_columns(table))
    ]
    # Most cells are text and stay what they are.
    typed = [(place, read) for place, (_, _, read) in enumerate(readers) if read is not str]
    schema = TABLES[table]
    cells_of = itemgetter(
        *(position for _, position, _ in readers), header.index("source"), header.index("checked")
    )
    keys = [header.index(name) for name in schema.key]
    found: dict[tuple[str, ...], Row] = {}
    faults: list[Fault] = []
    make = cast("Callable[..., Row]", schema.row)
    # A cell never holds a line break, so a row's number is its line.
    for number, cells in enumerate(lines, start=2):
        if len(cells) != width:
            hint = "a cell with a comma in it stands in double quotes"
            message = f"the row has {len(cells)} cells, not {width}"
            faults.append(Fault(message, Origin(shown, number), hint))
            continue
        cells.append("")
        values: list[object] = list(cells_of(cells))
        try:
            for place, read in typed:
                values[place] = read(cells[readers[place][1]])
        except ValueError:
            faults += _cell_faults(readers, cells, Origin(shown, number), table)
            continue
        key = tuple([cells[position] for position in keys])
        if key in found:
            hint = f"line {found[key].line} is about the same: keep one of the two"
            faults.append(Fault("the row stands twice", Origin(shown, number), hint))
        found[key] = make(*values, shown, number)
    if faults:
        raise _BadCells(faults)
    return found


def _checked_columns(table: str) -> Iterator[tuple[str, Callable[[str], object]]]:
    """The columns, with readers that look at texts too; our own tables are checked by a test."""
    from .texts import checked_text

    for name, read in columns(table):
        yield name, (checked_text(table, name) or read) if read is str else read


def _cell_faults(
    readers: Iterable[tuple[str, int, Callable[[str], object]]],
    cells: list[str],
    where: Origin,
    table: str,
) -> Iterable[Fault]:
    from .texts import SPECIFIERS

    for name, position, read in readers:
        try:
            read(cells[position])
        except ValueError:
            kind = "a whole number" if read is int else "a version as PEP 440 has it"
            if name in SPECIFIERS.get(table, ()):
                kind = "a range of versions as PEP 440 has it"
            cell = cells[position][:_SHOWN]
            yield Fault(f"column '{name}': '{cell}' is not {kind}", where, "correct it")
