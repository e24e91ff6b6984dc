"""Locked wheels in layers: which share one, and what the stage of a group depends on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogpack.blocks.wheel_groups import LARGE_BYTES, Wheel, group_wheels, lines
from cogpack.blocks.wheels import Wheels
from cogpack.plan import model
from cogpack.plan.composer import Composer
from cogpack.plan.render import render
from cogpack.project import Project, RequirementsFile
from cogpack.solver.resolution import BaseImage, BaseImages, Resolution

BASE = "docker.io/library/python:3.12-slim-bookworm"
TORCH = Wheel("torch", "2.7.1+cu128", "a" * 64, 800_000_000, "https://index.invalid/cu128")
CUBLAS = Wheel("nvidia-cublas-cu12", "12.8.3.14", "b" * 64, 600_000_000)
SIX = Wheel("six", "1.17.0", "c" * 64, 11_000)
IDNA = Wheel("idna", "3.10", "d" * 64, 70_000)

_wheels = st.lists(
    st.builds(
        Wheel,
        name=st.text("abcdef", min_size=1, max_size=4),
        version=st.just("1"),
        sha256=st.just("e" * 64),
        size=st.integers(0, 3 * LARGE_BYTES),
    ),
    unique_by=lambda wheel: wheel.name,
)


def test_large_wheels_are_alone_and_small_ones_spread_by_name() -> None:
    groups = group_wheels([SIX, TORCH, IDNA, CUBLAS], 16)
    assert [(group.name, [wheel.name for wheel in group.wheels]) for group in groups] == [
        ("torch", ["torch"]),
        ("nvidia-cublas-cu12", ["nvidia-cublas-cu12"]),
        ("packages-4", ["idna"]),
        ("packages-7", ["six"]),
    ]


@given(_wheels, st.integers(1, 8))
def test_every_wheel_is_in_one_group_and_there_are_not_too_many(
    wheels: list[Wheel], most: int
) -> None:
    groups = group_wheels(wheels, most)
    assert sorted(wheel for group in groups for wheel in group.wheels) == sorted(wheels)
    assert len(groups) <= most
    assert group_wheels(wheels[::-1], most) == groups
    assert len({group.name for group in groups}) == len(groups)


@given(_wheels)
def test_a_small_wheel_more_changes_one_group_alone(wheels: list[Wheel]) -> None:
    more = Wheel("zz-small", "1", "f" * 64, 1000)
    before = {group.name: group for group in group_wheels(wheels, 50)}
    after = {group.name: group for group in group_wheels([*wheels, more], 50)}
    [changed] = [name for name in after if after[name] != before.get(name)]
    assert more in after[changed].wheels
    assert changed.startswith("packages-")


def test_lines_are_sorted_and_hashed() -> None:
    assert lines([SIX, IDNA]) == (
        f"idna==3.10 --hash=sha256:{'d' * 64}\nsix==1.17.0 --hash=sha256:{'c' * 64}\n"
    )


def _plan(wheels: Sequence[Wheel], most_layers: int = 24) -> model.Plan:
    composer = Composer("linux/amd64", BASE, BASE)
    base = model.PhaseInput(name="base")
    composer.side_stage("runtime", "uv", "", base, [model.Exec(command="uv")])
    composer.side_stage("runtime", "python", "", base, [model.Exec(command="venv")])
    project = Project(Path(), "x", None, RequirementsFile(), "")
    image = BaseImage(BASE)
    Wheels(wheels, most_layers).plan(project, Resolution((), BaseImages(image, image)), composer)
    return composer.finish()


def _stage(plan: model.Plan, name: str) -> model.Stage:
    stages = (stage for phase in plan.build_phases for stage in phase.stages)
    return next(stage for stage in stages if stage.id == name)


def test_groups_stand_side_by_side_on_the_bare_environment() -> None:
    plan = _plan([TORCH, CUBLAS, SIX])
    for name in ("wheels:torch", "wheels:nvidia-cublas-cu12", "wheels:packages-7"):
        assert _stage(plan, name).source == model.StageInput(id="python")
    shown = render(plan).partition("layers over the base\n")[2]
    assert [line.split()[1] for line in shown.splitlines()] == [
        "wheels:torch",
        "wheels:nvidia-cublas-cu12",
        "wheels:packages-7",
    ]


def test_a_group_is_installed_from_its_index_with_hashes_and_without_dependencies() -> None:
    [install] = _stage(_plan([TORCH, SIX]), "wheels:torch").ops
    assert isinstance(install, model.Exec)
    assert "--no-deps --require-hashes --index-url https://index.invalid/cu128" in install.command
    [file] = [mount for mount in install.mounts if mount.target.endswith("torch-0.txt")]  # type: ignore[union-attr]
    assert isinstance(file, model.BindMount)


@pytest.mark.parametrize("name", ["wheels:torch", "wheels:nvidia-cublas-cu12"])
def test_a_small_package_more_leaves_the_stage_of_a_large_one_as_it_is(name: str) -> None:
    assert _stage(_plan([TORCH, CUBLAS, SIX]), name) == _stage(
        _plan([TORCH, CUBLAS, SIX, IDNA]), name
    )


def test_the_cap_on_layers_decides_the_grouping() -> None:
    plan = _plan([TORCH, CUBLAS, SIX], most_layers=6)
    names = [stage.id for phase in plan.export_phases for stage in phase.stages]
    assert names == ["export:wheels:packages-1"]
