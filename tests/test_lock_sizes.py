"""Layers by size where the index announces no sizes, as the one of PyTorch does not."""

from __future__ import annotations

from pathlib import Path

from cogpack.blocks.wheel_groups import LARGE_BYTES
from cogpack.plan import model
from cogpack.solver.conflict import Conflict
from cogpack.stacks.compose import load, make_plan
from cogpack.stacks.locking import Relock, lock_project, resolution_to_build
from support.index_server import Dist
from support.locked_project import environment, index, write_project


def wheel_stages(plan: model.Plan) -> set[str]:
    found = (stage.id for phase in plan.export_phases for stage in phase.stages)
    return {name.removeprefix("export:wheels:") for name in found if "wheels:" in name}


def test_a_large_wheel_has_its_own_layer_though_its_index_tells_no_size(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "heavy", "light")
    world = {"heavy": [Dist("1.0", padding=LARGE_BYTES)], "light": [Dist("1.0")]}
    with index(world, sizes=False, form="html") as server:
        environ = environment(server, tmp_path)
        outcome = lock_project(load(project), Relock(), environ)
        assert not isinstance(outcome, Conflict)
        sizes = {one.name: one.size for one in outcome.lock.packages}
        again = lock_project(load(project), Relock(offline=True), environ)
    assert not isinstance(again, Conflict)
    assert again.lock == outcome.lock
    assert (sizes["heavy"] or 0) > LARGE_BYTES > (sizes["light"] or 0) > 0
    composition = load(project)
    stages = wheel_stages(make_plan(composition, resolution_to_build(composition, locked=True)))
    assert "heavy" in stages
    assert "light" not in stages
