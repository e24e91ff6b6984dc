"""Texts of uv.lock for tests: packages described in a line each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["INDEX", "TORCH_INDEX", "locked", "write_locked"]

INDEX = "https://index.invalid/simple"
TORCH_INDEX = "https://download.pytorch.org/whl/cu128"


def locked(
    name: str,
    version: str = "1.0",
    needs: Iterable[str] = (),
    *,
    source: str = "",
    more: str = "",
) -> str:
    """A package. needs: inline tables of its dependencies. source: its table; a registry's else."""
    hashes = f'wheels = [{{ url = "https://x/{name}.whl", hash = "sha256:{"0" * 63}{len(name)}" }}]'
    local = source and "registry" not in source
    return (
        f'[[package]]\nname = "{name}"\nversion = "{version}"\n'
        f"source = {source or _registry(INDEX)}\n"
        f"dependencies = [{', '.join(needs)}]\n{'' if local else hashes}\n{more}\n"
    )


def _registry(url: str) -> str:
    return f'{{ registry = "{url}" }}'


def write_locked(folder: Path, dependencies: Iterable[str], *packages: str, head: str = "") -> Path:
    """A project with its lock. dependencies: of [project]. head: more of pyproject.toml."""
    listed = ", ".join(f'"{one}"' for one in dependencies)
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "mine"\nversion = "0"\nrequires-python = ">=3.11"\n'
        f"dependencies = [{listed}]\n{head}"
    )
    (folder / "uv.lock").write_text("version = 1\nrevision = 3\n\n" + "\n".join(packages))
    (folder / "cog.yaml").write_text(
        'build:\n  gpu: true\n  python_version: "3.12"\nrun: predict.py:Predictor\n'
    )
    return folder
