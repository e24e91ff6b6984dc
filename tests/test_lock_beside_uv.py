"""A lock beside uv.lock: uv.lock stays the master of what it has, the rest is pinned too."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.blocks.wheel_groups import LARGE_BYTES
from cogpack.plan.model import Exec, MkFile, Plan
from cogpack.plan.walk import image_refs, stages
from cogpack.solver.lock import LOCK_FILE, Lock, read_lock
from cogpack.stacks.compose import make_plan
from cogpack.stacks.locking import load_as_locked, resolution_to_build
from cogpack.stacks.said import Said
from support.index_server import Dist, IndexServer
from support.locked_project import PREDICTOR, cogpack, index
from support.uv_locks import digest, locked, write_locked

# The server's own needs, one of which the project has too.
WORLD = {
    "cog": [Dist("0.23.1", ("shared", "inner>=1"))],
    "coglet": [Dist("0.23.1")],
    "shared": [Dist("1.0"), Dist("2.0")],
    "inner": [Dist("1.0"), Dist("1.5")],
    "six": [Dist("9.0")],
}


def write(folder: Path, shared: str = "1.0") -> Path:
    folder.mkdir(exist_ok=True)
    root = locked(
        "mine",
        "0",
        ['{ name = "six" }', '{ name = "shared" }'],
        source='{ virtual = "." }',
        more='[package.metadata]\nrequires-dist = [{ name = "six" }, { name = "shared" }]\n',
    )
    write_locked(folder, ["six", "shared"], locked("six"), locked("shared", shared), root)
    config = folder / "cog.yaml"
    config.write_text(config.read_text().replace("build:\n", 'build:\n  sdk_version: "0.23.1"\n'))
    (folder / "predict.py").write_text(PREDICTOR)
    return folder


def made(project: Path, server: IndexServer) -> Lock:
    done = cogpack(project, server, "resolve", "--lock")
    assert done.returncode == 0, done.stdout + done.stderr
    lock = read_lock(project)
    assert lock is not None
    return lock


def plan_of(project: Path) -> Plan:
    composition = load_as_locked(project, Said())
    return make_plan(composition, resolution_to_build(composition, locked=True))


def commands(plan: Plan, name: str) -> str:
    [stage] = [one for one in stages(plan) if one.id == name]
    return "\n".join(op.command for op in stage.ops if isinstance(op, Exec))


def test_only_what_uv_lock_has_not_is_in_the_lock(tmp_path: Path) -> None:
    project = write(tmp_path / "project")
    with index(WORLD) as server:
        lock = made(project, server)
        assert cogpack(project, server, "resolve", "--locked").returncode == 0
        pages = {one.path for one in server.requests}
    assert lock.beside == "uv.lock"
    # Of what both need, uv.lock's version counted: `shared` is not in the lock, and is not 2.0.
    assert {one.name: one.version for one in lock.packages} == {
        "cog": "0.23.1",
        "coglet": "0.23.1",
        "inner": "1.5",
    }
    assert lock.by_name["cog"].requires == ("inner",)
    assert "/simple/six/" not in pages


def test_wheels_of_both_locks_are_installed_with_hashes(tmp_path: Path) -> None:
    project = write(tmp_path / "project")
    with index(WORLD) as server:
        made(project, server)
    plan = plan_of(project)
    assert all("@sha256:" in ref for ref in image_refs(plan))
    wheels = [one.id for one in stages(plan) if one.id.startswith("wheels:")]
    assert wheels
    assert all("--require-hashes" in commands(plan, name) for name in wheels)
    [lists] = [one for one in stages(plan) if one.id == "wheel-lists"]
    text = "".join(op.content for op in lists.ops if isinstance(op, MkFile))
    assert f"shared==1.0 --hash={digest('shared')}\n" in text
    assert "cog==0.23.1 --hash=sha256:" in text
    assert not {"cog", "packages"} & {one.id for one in stages(plan)}
    assert "run.cog.pip_freeze" not in plan.config.labels


def test_sizes_that_uv_lock_lacks_are_asked_for_and_kept(tmp_path: Path) -> None:
    project = write(tmp_path / "project")
    path = project / "uv.lock"
    with index({**WORLD, "six": [Dist("1.0", padding=LARGE_BYTES)]}) as server:
        url = f"{server.root}/files/six/six-1.0-py3-none-any.whl"
        written = locked("six", size=0).replace("https://x.invalid/six-1.0-py3-none-any.whl", url)
        path.write_text(path.read_text().replace(locked("six"), written))
        lock = made(project, server)
        asked = [
            one.path for one in server.requests if one.path.endswith("six-1.0-py3-none-any.whl")
        ]
        size = lock.sizes[digest("six")]
        assert len(asked) == 1
    assert size > LARGE_BYTES
    assert set(lock.sizes) == {digest("six")}
    assert "wheels:six" in {one.id for one in stages(plan_of(project))}
    # Nobody need answer a second time.
    with index(WORLD) as server:
        assert made(project, server).sizes == lock.sizes


def test_another_uv_lock_makes_the_lock_stale(tmp_path: Path) -> None:
    project = write(tmp_path / "project")
    with index(WORLD) as server:
        made(project, server)
    write(project, shared="2.0")
    told: list[str] = []
    resolution = resolution_to_build(load_as_locked(project, Said()), told=told.append)
    assert resolution.lock is None
    assert "the lock is stale" in told[0]


def test_a_server_that_cannot_live_beside_uv_lock_is_explained(tmp_path: Path) -> None:
    project = write(tmp_path / "project")
    world = {**WORLD, "cog": [Dist("0.23.1", ("shared>=2",))]}
    with index(world) as server:
        done = cogpack(project, server, "resolve", "--lock")
    assert done.returncode == 1
    assert "cog 0.23.1 needs shared>=2" in done.stdout
    assert "shared==1.0 (uv.lock:" in done.stdout
    assert not (project / LOCK_FILE).exists()


@pytest.mark.parametrize("installer", ["pip"])
def test_a_lock_without_uv_lock_has_everything(tmp_path: Path, installer: str) -> None:
    project = write(tmp_path / "project")
    with (project / "cog.yaml").open("a") as file:
        file.write(f"cogpack:\n  installer: {installer}\n")
    with index(WORLD) as server:
        lock = made(project, server)
    assert lock.beside == ""
    assert {"six", "shared", "cog"} <= {one.name for one in lock.packages}
