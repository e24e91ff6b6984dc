"""What fetches uv in a locked build: pinned like all else that is fetched, and kept by the lock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogpack.compat.tables import Tables
from cogpack.plan.model import Exec, ImageInput, Plan, Stage
from cogpack.plan.walk import image_refs, stages
from cogpack.solver.lock import LOCK_FILE, Lock, load_lock, read_lock
from cogpack.stacks.compose import make_plan
from cogpack.stacks.locking import load_as_locked, resolution_to_build
from cogpack.stacks.said import Said
from support.index_server import Dist, IndexServer
from support.locked_project import cogpack, index, write_project
from support.projects import planned, stage_of
from support.registry import Registry
from support.registry import serve as serve_images

SLIM = "library/python:3.12-slim-bookworm"
PLAIN = "team/plain:1"


@pytest.fixture
def images() -> Iterator[Registry]:
    with serve_images() as registry:
        yield registry


@pytest.fixture
def server(images: Registry) -> Iterator[IndexServer]:
    with index({"app": [Dist("1.0")]}) as served:
        served.registry = f"http://{images.address}"
        yield served


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """One on a base of which nothing is known: uv is fetched in another image."""
    project = write_project(tmp_path / "project", "app")
    config = project / "cog.yaml"
    config.write_text(f"{config.read_text()}cogpack:\n  base_image: docker.io/{PLAIN}\n")
    return project


def locked(project: Path) -> Lock:
    lock = read_lock(project)
    assert lock is not None
    return lock


def plan_of(project: Path, told: list[str] | None = None) -> Plan:
    composition = load_as_locked(project, Said())
    tell = (told if told is not None else []).append
    return make_plan(composition, resolution_to_build(composition, locked=True, told=tell))


def fetching(plan: Plan) -> tuple[Stage, str]:
    stage = next(one for one in stages(plan) if one.id == "uv")
    [step] = [op for op in stage.ops if isinstance(op, Exec)]
    return stage, step.command


def test_uv_is_fetched_by_its_hash_in_an_image_at_its_digest(
    project: Path, images: Registry, server: IndexServer
) -> None:
    own, first = images.put(PLAIN, b"0"), images.put(SLIM, b"1")
    assert cogpack(project, server, "resolve", "--lock").returncode == 0
    plan = plan_of(project)
    assert set(image_refs(plan)) == {f"docker.io/{PLAIN}@{own}", f"docker.io/{SLIM}@{first}"}
    stage, command = fetching(plan)
    assert stage.source == ImageInput(ref=f"docker.io/{SLIM}@{first}")
    [row] = Tables.load().tools
    assert sorted(re.findall(r"--hash=sha256:(\w+)", command)) == sorted(row.sha256)
    assert f"uv=={row.version} --hash" in command
    assert locked(project).tools == {"uv": row.sha256}
    assert "[tool.cogpack.tools]\nuv = [" in (project / LOCK_FILE).read_text()


def test_its_image_stays_until_the_build_image_moves(
    project: Path, images: Registry, server: IndexServer
) -> None:
    images.put(PLAIN, b"0")
    first = images.put(SLIM, b"1")
    cogpack(project, server, "resolve", "--lock")
    second = images.put(SLIM, b"2")
    text = (project / LOCK_FILE).read_bytes()
    assert cogpack(project, server, "resolve", "--lock", "--refresh").returncode == 0
    assert (project / LOCK_FILE).read_bytes() == text
    cogpack(project, server, "resolve", "--upgrade", "base_image")
    assert fetching(plan_of(project))[0].source == ImageInput(ref=f"docker.io/{SLIM}@{first}")
    moved = cogpack(project, server, "resolve", "--upgrade", "build_image")
    assert f"changed tools-image {first} to {second}" in moved.stderr
    assert fetching(plan_of(project))[0].source == ImageInput(ref=f"docker.io/{SLIM}@{second}")


def test_a_lock_without_the_digest_of_that_image_is_told(
    project: Path, images: Registry, server: IndexServer
) -> None:
    images.put(PLAIN, b"0")
    failed = cogpack(project, server, "resolve", "--lock")
    assert f"the digest of docker.io/{SLIM} cannot be had" in failed.stderr
    told: list[str] = []
    plan_of(project, told)
    assert any(f"has no digest of docker.io/{SLIM}" in one for one in told)


def test_hashes_of_the_lock_count_whatever_the_tables_have(
    project: Path, images: Registry, server: IndexServer
) -> None:
    images.invents = True
    cogpack(project, server, "resolve", "--lock")
    path = project / LOCK_FILE
    [row] = Tables.load().tools
    other = "ab" * 32
    text = path.read_text()
    for digest in row.sha256[1:]:
        text = text.replace(f'    "{digest}",\n', "")
    path.write_text(text.replace(row.sha256[0], other))
    assert load_lock(path.read_text()).tools == {"uv": (other,)}
    command = fetching(plan_of(project))[1]
    assert re.findall(r"--hash=sha256:(\w+)", command) == [other]


def test_without_a_lock_uv_is_fetched_by_its_hash_too(tmp_path: Path) -> None:
    plan = planned(write_project(tmp_path, "six"))
    [step] = [op for op in stage_of(plan, "uv").ops if isinstance(op, Exec)]
    [row] = Tables.load().tools
    assert all(f"--hash=sha256:{digest}" in step.command for digest in row.sha256)
