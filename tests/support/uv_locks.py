"""Texts of uv.lock for tests: packages described in a line each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

__all__ = ["INDEX", "TORCH_INDEX", "digest", "locked", "write_locked"]

INDEX = "https://index.invalid/simple"
TORCH_INDEX = "https://download.pytorch.org/whl/cu128"


def locked(
    name: str,
    version: str = "1.0",
    needs: Iterable[str] = (),
    *,
    source: str = "",
    more: str = "",
    wheels: Iterable[str] = ("py3-none-any",),
    size: int = 1000,
) -> str:
    """A package. needs: inline tables of its dependencies. source: its table; a registry's else.

    wheels: the tags of each. size: of each wheel in bytes, 0 for an index that tells none.
    """
    files = ", ".join(_wheel(name, version, tags, size) for tags in wheels)
    hashes = f"wheels = [{files}]"
    local = source and "registry" not in source
    return (
        f'[[package]]\nname = "{name}"\nversion = "{version}"\n'
        f"source = {source or _registry(INDEX)}\n"
        f"dependencies = [{', '.join(needs)}]\n{'' if local else hashes}\n{more}\n"
    )


def digest(name: str, tags: str = "py3-none-any") -> str:
    """The hash that `locked` gives a wheel."""
    return f"sha256:{hashlib.sha256(f'{name} {tags}'.encode()).hexdigest()}"


def _wheel(name: str, version: str, tags: str, size: int) -> str:
    url = f"https://x.invalid/{name.replace('-', '_')}-{version.replace('+', '%2B')}-{tags}.whl"
    told = f", size = {size}" if size else ""
    return f'{{ url = "{url}", hash = "{digest(name, tags)}"{told} }}'


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
