"""`cogpack resolve --json` says the same, byte for byte, whatever the hash seed and the order."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

PREDICT = "class Predictor:\n    def run(self, text: str) -> str:\n        return text\n"
FREE = ["torch>=2.5,<2.8", "torchvision", "jax", "tensorflow", "six==1.17.0", "numpy"]
CLASHING = ["torch==2.4.1", "torchvision==0.19.0", "jax==0.4.30", "jaxlib==0.4.20", "six"]
SEEDS = (0, 1, 4242)


def answer(folder: Path, seed: int, python: str, lines: list[str], *question: str) -> bytes:
    """What a process with this hash seed says when this is the seed of the order as well."""
    shuffled = random.Random(seed).sample(lines, len(lines))  # noqa: S311  # no secrets here
    # All in one line, so that no line number differs.
    packages = ", ".join(f'"{line}"' for line in shuffled)
    (folder / "cog.yaml").write_text(
        f'build:\n  gpu: true\n  python_version: "{python}"\n  python_packages: [{packages}]\n'
        "run: predict.py:Predictor\n"
    )
    (folder / "predict.py").write_text(PREDICT)
    done = subprocess.run(
        [sys.executable, "-m", "cogpack", "resolve", "--json", str(folder), *question],
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        capture_output=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("status", "python", "lines", "question"),
    [
        ("resolved", "3.11", FREE, ()),
        ("resolved", "3.11", FREE, ("--override", "torch=2.6.0", "--override", "jax>=0.4.30")),
        ("conflict", "3.13", CLASHING, ()),
        ("explained", "3.11", FREE, ("--why", "torch")),
        ("versions", "3.11", FREE, ("--all", "torchvision")),
    ],
)
def test_neither_order_nor_hash_seed_changes_a_byte(
    tmp_path: Path, status: str, python: str, lines: list[str], question: tuple[str, ...]
) -> None:
    said = {answer(tmp_path, seed, python, lines, *question) for seed in SEEDS}
    assert len(said) == 1
    assert json.loads(said.pop())["status"] == status


def test_the_order_of_options_changes_nothing(tmp_path: Path) -> None:
    options = (["--override", "torch=2.6.0"], ["--override", "jax>=0.4.30"], ["--gpu", "h100"])
    said = {
        answer(tmp_path, 0, "3.11", FREE, *(word for option in order for word in option))
        for order in (options, options[::-1])
    }
    assert len(said) == 1
