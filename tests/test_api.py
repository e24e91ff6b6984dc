"""The public names of the package: all there, and loaded only when they are used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import cogpack


def test_every_public_name_is_there() -> None:
    assert [name for name in cogpack.__all__ if not hasattr(cogpack, name)] == []
    with pytest.raises(AttributeError, match="nonsense"):
        cogpack.nonsense  # noqa: B018


def test_importing_the_package_loads_none_of_its_parts() -> None:
    code = "import sys, cogpack; print(sorted(m for m in sys.modules if m.startswith('cogpack.')))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_way_from_a_folder_to_a_plan() -> None:
    example = Path(__file__).parent.parent / "examples" / "hello"
    composition = cogpack.load(example)
    plan = cogpack.make_plan(composition, cogpack.solved(composition))
    assert isinstance(plan, cogpack.Plan)
