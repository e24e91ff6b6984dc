"""`cogpack resolve` over small projects, without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from cogpack.cli.resolve import command

from .projects import PREDICTOR

__all__ = ["packages", "resolve"]


def resolve(folder: Path, build: str, requirements: str, *options: str, **files: str) -> Result:
    """`cogpack resolve` over a project. files: name without `.txt` -> content."""
    lines = [f"  {line}" for line in (*build.splitlines(), "python_requirements: requirements.txt")]
    text = "\n".join(["build:", *lines, "run: predict.py:Predictor", ""])
    (folder / "cog.yaml").write_text(text, encoding="utf-8")
    (folder / "predict.py").write_text(PREDICTOR, encoding="utf-8")
    for name, content in {"requirements": requirements, **files}.items():
        (folder / f"{name}.txt").write_text(content, encoding="utf-8")
    # What an index said of unknown releases on this machine is nobody's business here.
    nothing = {"COGPACK_CACHE": str(folder / "no-cache")}
    return CliRunner().invoke(command, [str(folder), "--offline", *options], env=nothing)


def packages(folder: Path, build: str, requirements: str, **files: str) -> dict[str, Any]:
    """The packages of the answer, as `--json` has them."""
    result = resolve(folder, build, requirements, "--json", **files)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)["packages"]
    return found
