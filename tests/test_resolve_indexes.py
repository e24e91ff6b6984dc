"""An index of torch's builds that the project names says which build is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.solver.resolution import Resolution
from cogpack.stacks.compose import load
from cogpack.stacks.solve import solved

WHEELS = "https://download.pytorch.org/whl"


def resolved(folder: Path, requirements: str, settings: str = "gpu: true") -> Resolution:
    (folder / "requirements.txt").write_text(requirements)
    (folder / "cog.yaml").write_text(
        f'build:\n  python_version: "3.11"\n  {settings}\n  python_requirements: requirements.txt\n'
    )
    return solved(load(folder))


@pytest.mark.parametrize("option", ["--extra-index-url", "--index-url"])
@pytest.mark.parametrize("line", ["torch==2.4.1", "torch<2.5", "torchvision==0.19.1\ntorch"])
def test_the_build_of_the_named_index_is_taken(tmp_path: Path, option: str, line: str) -> None:
    found = resolved(tmp_path, f"{option} {WHEELS}/cu118/\n{line}\n")
    assert found["torch"].version == "2.4.1+cu118"
    assert found["torch"].index == f"{WHEELS}/cu118"
    assert found["cuda"].version.startswith("11.8.")
    assert found.warnings == ()


def test_a_newer_release_without_such_a_build_is_none_for_a_free_torch(tmp_path: Path) -> None:
    found = resolved(tmp_path, f"--extra-index-url {WHEELS}/cu118\ntorch\n")
    assert found["torch"].version == "2.7.1+cu118"


@pytest.mark.parametrize(
    ("line", "settings", "build"),
    [
        ("torch==2.14.1", "gpu: true", "2.14.1+cu132"),
        ("torch==2.4.1+cu121", "gpu: true", "2.4.1+cu121"),
        ("torch==2.4.1", "cuda: '12.4'\n  gpu: true", "2.4.1+cu124"),
        ("torch==2.4.1", "gpu: false", "2.4.1+cpu"),
    ],
)
def test_what_a_line_says_of_the_build_counts_first_and_it_is_told(
    tmp_path: Path, line: str, settings: str, build: str
) -> None:
    found = resolved(tmp_path, f"--extra-index-url {WHEELS}/cu118\n{line}\n", settings)
    assert found["torch"].version == build
    (warning,) = found.warnings
    assert f"another index than {WHEELS}/cu118 (requirements.txt:1)" in warning


@pytest.mark.parametrize("url", ["https://packages.example.com/simple", WHEELS, f"{WHEELS}/cu140"])
def test_other_indexes_say_nothing_of_the_build(tmp_path: Path, url: str) -> None:
    named = resolved(tmp_path, f"--extra-index-url {url}\ntorch==2.4.1\n")
    assert named["torch"].version == resolved(tmp_path, "torch==2.4.1\n")["torch"].version
    assert named.warnings == ()
