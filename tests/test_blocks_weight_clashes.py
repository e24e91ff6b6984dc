"""Weights of which one is a file where another needs a folder: told before anything is built."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from cogpack.errors import UserError
from cogpack.plan import model
from cogpack.project.weight_sources import RemoteFile, RemoteSource
from cogpack.stacks.compose import load, make_plan
from cogpack.stacks.solve import solved
from support.projects import write_project

DIGEST = f"sha256:{'ab' * 32}"


def project(folder: Path, *uris: str, target: str = "/w", files: tuple[str, ...] = ()) -> Path:
    """A project with one entry of weights, whose sources stand in the lines 6 and on."""
    lines = "".join(f"      - uri: {uri}\n" for uri in uris)
    settings = f"weights:\n  - name: base\n    target: {target}\n    source:\n{lines}"
    return write_project(
        folder, settings.rstrip("\n"), {"predict.py": PREDICT} | dict.fromkeys(files, "x")
    )


PREDICT = """\
from cog import BaseRunner


class Predictor(BaseRunner):
    def run(self, text: str) -> str:
        return text
"""


def plan_of(folder: Path, *found: RemoteSource) -> model.Plan:
    composition = load(folder)
    composition = structs.replace(
        composition, project=replace(composition.project, remote_weights=found)
    )
    return make_plan(composition, solved(composition))


def remote(number: int, *paths: str) -> RemoteSource:
    files = (RemoteFile(path, f"https://x.invalid/{path}", 3, DIGEST) for path in paths)
    return RemoteSource("base", number, tuple(files))


def faults(folder: Path, *found: RemoteSource) -> list[str]:
    with pytest.raises(UserError) as caught:
        plan_of(folder, *found)
    return [str(one) for one in caught.value.faults]


def test_a_file_of_one_source_and_a_folder_of_another(tmp_path: Path) -> None:
    project(tmp_path, "one", "two", files=("one/a", "two/a/b", "two/a/c"))
    [fault] = faults(tmp_path)
    assert fault.startswith("cog.yaml:8:")
    assert "two puts a file at /w/a/b" in fault
    assert "one (cog.yaml:7) puts one at /w/a" in fault


def test_whichever_of_them_is_the_later_one(tmp_path: Path) -> None:
    project(tmp_path, "two", "one", files=("one/a", "two/a/b"))
    [fault] = faults(tmp_path)
    assert fault.startswith("cog.yaml:8:")
    assert "one puts a file at /w/a," in fault
    assert "two (cog.yaml:7) puts one at /w/a/b" in fault


def test_a_single_file_that_takes_the_name_of_a_folder(tmp_path: Path) -> None:
    project(tmp_path, "x/a", "two", files=("x/a", "two/a/deep/b"))
    [fault] = faults(tmp_path)
    assert "/w/a/deep/b" in fault


def test_sources_of_other_machines(tmp_path: Path) -> None:
    project(tmp_path, "hf://team/one", "local", "hf://team/two", files=("local/a/b",))
    found = faults(tmp_path, remote(0, "a", "n.bin"), remote(2, "a/c", "n.bin/x"))
    assert [one.partition(": ")[0] for one in found] == ["cog.yaml:8", "cog.yaml:9"]
    assert "hf://team/one (cog.yaml:7)" in found[0]
    assert "hf://team/two puts a file at /w/a/c" in found[1]


def test_one_source_for_another_in_one_place_is_no_clash(tmp_path: Path) -> None:
    project(tmp_path, "one", "two", files=("one/a/b", "two/a/b", "two/ab", "two/a.b/c"))
    assert plan_of(tmp_path)


def test_a_file_of_the_project_where_weights_have_a_folder(tmp_path: Path) -> None:
    project(tmp_path, "one", target="/src/weights", files=("one/a", "weights"))
    [fault] = faults(tmp_path)
    assert fault.startswith("cog.yaml:7:")
    assert "one puts a file at /src/weights/a, and the project has the file weights" in fault


def test_a_folder_of_the_project_where_weights_have_a_file(tmp_path: Path) -> None:
    project(tmp_path, "one", target="/src/weights", files=("one/a", "weights/a/code.py"))
    [fault] = faults(tmp_path)
    assert "the project has the file weights/a/code.py" in fault


def test_what_dockerignore_leaves_out_is_in_nobodys_way(tmp_path: Path) -> None:
    files = ("one/a", "weights/a/code.py")
    project(tmp_path, "one", target="/src/weights", files=files)
    (tmp_path / ".dockerignore").write_text("weights\n")
    assert plan_of(tmp_path)
