"""Files that a folder of the project has: locked as files of the project, and built from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.plan.model import BindMount, Exec, LocalInput, Plan
from cogpack.solver.conflict import Conflict
from cogpack.solver.lock import LOCK_FILE, Lock, dump_lock, load_lock
from cogpack.stacks.compose import load, make_plan
from cogpack.stacks.locking import Locked, Relock, lock_project, resolution_to_build
from support.distributions import Dist, file_bytes, wheel_bytes
from support.index_server import IndexServer
from support.locked_project import environment, index, write_project
from support.projects import stage_of

_PYPROJECT = '[build-system]\nrequires = ["maker"]\nbuild-backend = "maker"\n'
OLD = Dist("1.0", tag="sdist", pyproject=_PYPROJECT)


def put(folder: Path, name: str, dist: Dist) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / dist.filename(name)
    path.write_bytes(file_bytes(name, dist))
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = write_project(tmp_path / "project", "--find-links wheels", "lib", "old")
    put(folder / "wheels", "lib", Dist("1.0"))
    put(folder / "wheels", "old", OLD)
    put(folder / "wheels", "maker", Dist("3.0"))
    return folder


def made(project: Path, server: IndexServer) -> Lock:
    outcome = lock_project(load(project), Relock(), environment(server, project.parent))
    assert not isinstance(outcome, Conflict)
    assert isinstance(outcome, Locked)
    return outcome.lock


def planned(project: Path) -> Plan:
    composition = load(project)
    return make_plan(composition, resolution_to_build(composition, locked=True))


def test_they_are_locked_by_their_place_in_the_project(project: Path) -> None:
    with index({"lib": [Dist("2.0")]}) as server:
        lock = made(project, server)
    lib, old = lock.by_name["lib"], lock.by_name["old"]
    assert (lib.kind, lib.version, lib.url, lib.index) == ("archive", "1.0", "", "")
    assert (lib.path, old.path) == ("wheels/lib-1.0-py3-none-any.whl", "wheels/old-1.0.tar.gz")
    [maker] = lock.builds[0].packages
    assert (maker.path, maker.url) == ("wheels/maker-3.0-py3-none-any.whl", "")
    text = (project / LOCK_FILE).read_text()
    assert str(project) not in text
    assert dump_lock(load_lock(text)) == text


def test_the_build_has_them_mounted(project: Path) -> None:
    with index({}) as server:
        made(project, server)
    [build] = [
        op for op in stage_of(planned(project), "built-packages").ops if isinstance(op, Exec)
    ]
    mounted = [
        mount.source.include
        for mount in build.mounts
        if isinstance(mount, BindMount) and isinstance(mount.source, LocalInput)
    ]
    assert mounted == [("wheels/maker-3.0-py3-none-any.whl", "wheels/old-1.0.tar.gz")]


@pytest.mark.parametrize("name", ["lib", "maker"])
def test_another_file_in_their_place_makes_the_lock_stale(project: Path, name: str) -> None:
    with index({}) as server:
        made(project, server)
    planned(project)
    [path] = (project / "wheels").glob(f"{name}-*")
    path.write_bytes(b"another")
    with pytest.raises(UserError, match=rf"wheels/{path.name} is not the file that was locked"):
        planned(project)
    path.unlink()
    with pytest.raises(UserError, match="is not the file that was locked"):
        planned(project)


def test_a_link_that_leaves_the_project_is_told(tmp_path: Path) -> None:
    wheel = put(tmp_path / "elsewhere", "lib", Dist("1.0"))
    project = write_project(tmp_path / "project", "--find-links wheels", "lib")
    (project / "wheels").mkdir()
    (project / "wheels" / wheel.name).symlink_to(wheel)
    with index({}) as server, pytest.raises(UserError) as caught:
        made(project, server)
    [fault] = caught.value.faults
    assert "lib-1.0-py3-none-any.whl is outside the project" in fault.message
    assert "copy it into the project" in fault.hint


def test_a_large_file_counts_as_itself(project: Path) -> None:
    body = wheel_bytes("lib", Dist("1.0", padding=70 << 20))
    (project / "wheels" / "lib-1.0-py3-none-any.whl").write_bytes(body)
    with index({}) as server:
        assert made(project, server).by_name["lib"].size == len(body)
    planned(project)
