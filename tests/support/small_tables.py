"""A whole set of tables that is small: what a few packages of a local index are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from packaging.version import Version

from cogpack.compat.cells import Cells, Sheet, sheets_of, write_sheet
from support.distributions import Dist
from support.matrices import tables

__all__ = ["INDEX", "small_sheets", "small_tables", "torch_wheels", "variant_wheels"]

_PYTHONS = ("3.11.", "3.12.", "3.13.")

_KEPT: Mapping[str, Callable[[Cells], bool]] = {
    "torch": lambda row: (
        row["version"] in {"2.7.1", "2.8.0", "2.7.1+cu128", "2.8.0+cu128"}
        and row["architecture"] == "amd64"
    ),
    "torchvision": lambda row: (
        row["version"] in {"0.22.1", "0.23.0"} and row["architecture"] == "amd64"
    ),
    "torchaudio": lambda row: (
        row["version"] in {"2.7.1", "2.8.0"} and row["architecture"] == "amd64"
    ),
    "triton": lambda row: row["version"] in {"3.3.1", "3.4.0"} and row["architecture"] == "amd64",
    "tensorflow": lambda row: row["version"] == "2.19.0",
    "jax": lambda row: row["version"] == "0.7.2",
    "jaxlib": lambda row: row["version"] == "0.7.2",
    "jax_plugins": lambda row: row["version"] == "0.7.2",
    "os": lambda row: row["name"] not in {"ubuntu-16.04", "ubuntu-18.04"},
    "pins": lambda row: row["package"] == "vllm" and row["version"] in {"0.10.0", "0.11.0"},
    "cog": lambda row: row["version"] == "0.23.1",
    "cuda": lambda row: Version(row["version"]) >= Version("11.8"),
    "cuda_images": lambda row: row["cuda"] in {"12.6.3", "12.8.1"},
    "python": lambda row: row["version"].startswith(_PYTHONS),
    "base_images": lambda row: not row["python"] or row["python"].startswith(_PYTHONS),
}


def small_sheets() -> dict[str, Sheet]:
    """The tables, cut down to a few releases of each package."""
    sheets = sheets_of(tables())
    kept = {
        name: Sheet.of(name, [row for row in sheet.rows if _KEPT.get(name, bool)(row)])
        for name, sheet in sheets.items()
    }
    for name in ("torchvision", "torchaudio"):
        rows = [{**row, "variants": "cu128"} for row in kept[name].rows]
        kept[name] = Sheet.of(name, rows)
    return kept


def small_tables(folder: Path) -> Path:
    """The small tables in a folder, which is then a whole set of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for sheet in small_sheets().values():
        write_sheet(folder, sheet)
    return folder


def _cuda_requires(runtime: str, cudnn: str, triton: str) -> tuple[str, ...]:
    marker = 'platform_system == "Linux" and platform_machine == "x86_64"'
    return (
        f"nvidia-cuda-runtime-cu12=={runtime}; {marker}",
        f"nvidia-cudnn-cu12=={cudnn}; {marker}",
        f"triton=={triton}; {marker}",
    )


def torch_wheels(
    version: str,
    runtime: str,
    cudnn: str,
    triton: str,
    minors: tuple[int, ...] = (9, 10, 11, 12, 13),
    **more: object,
) -> list[Dist]:
    """The wheels of a release of torch for amd64."""
    return [
        Dist(
            version,
            _cuda_requires(runtime, cudnn, triton),
            ">=3.9",
            tag=f"cp3{minor}-cp3{minor}-manylinux_2_28_x86_64",
            **more,  # type: ignore[arg-type]
        )
        for minor in minors
    ]


def variant_wheels(version: str) -> list[Dist]:
    """The wheels of a variant of torch for amd64, `2.8.0+cu128`; they name no dependencies."""
    return [
        Dist(version, requires_python=">=3.9", tag=f"cp3{minor}-cp3{minor}-manylinux_2_28_x86_64")
        for minor in (9, 10, 11, 12, 13)
    ]


INDEX: Mapping[str, list[Dist]] = {
    "torch": [
        *torch_wheels("2.7.1", "12.6.77", "9.5.1.17", "3.3.1"),
        *torch_wheels("2.8.0", "12.8.90", "9.10.2.21", "3.4.0"),
    ],
    "triton": [
        Dist(
            version,
            requires_python=">=3.9,<3.14",
            tag=f"cp3{minor}-cp3{minor}-manylinux_2_27_x86_64.manylinux_2_28_x86_64",
        )
        for version in ("3.3.1", "3.4.0")
        for minor in (9, 10, 11, 12, 13)
    ],
    "cuda-toolkit": [Dist("12.8.1", tag="py2.py3-none-any")],
    "vllm": [
        Dist(
            "0.10.0",
            ("torch==2.7.1", "torchvision==0.22.1", "torchaudio==2.7.1"),
            ">=3.9,<3.13",
            tag="cp38-abi3-manylinux1_x86_64",
        ),
        Dist(
            "0.11.0",
            ("torch==2.8.0", "torchvision==0.23.0", "torchaudio==2.8.0"),
            ">=3.9,<3.14",
            tag="cp38-abi3-manylinux1_x86_64",
        ),
    ],
}
"""What an index says that agrees with the small tables."""
