"""Options that shape the answer: the lock remembers them, and says which one differs."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from cogpack.errors import UserError
from cogpack.solver.lock import LOCK_FILE, read_lock
from cogpack.solver.lock_options import LockOptions, read_options
from cogpack.solver.policy import POLICIES
from cogpack.stacks.locking import (
    Locked,
    Relock,
    fingerprint,
    load_as_locked,
    load_to_lock,
    lock_project,
    resolution_to_build,
)
from cogpack.stacks.said import Said
from support.index_server import Dist, IndexServer
from support.locked_project import cogpack, environment, index, write_project

WORLD = {"app": [Dist("1.0"), Dist("2.0")]}

_texts = st.text("abc0.", max_size=3)
_options = st.builds(
    LockOptions,
    base_image=_texts,
    gpu=_texts,
    driver=_texts,
    prefer=st.sampled_from(sorted(POLICIES)),
    overrides=st.booleans(),
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = write_project(tmp_path / "project", "app")
    config = folder / "cog.yaml"
    config.write_text(config.read_text().replace("build:\n", "build:\n  gpu: true\n"))
    return folder


def lock(project: Path, server: IndexServer, said: Said | None = None) -> Locked:
    outcome = lock_project(
        load_to_lock(project, said or Said()), Relock(), environment(server, project.parent)
    )
    assert isinstance(outcome, Locked)
    return outcome


def refusal(project: Path, said: Said) -> tuple[str, str]:
    with pytest.raises(UserError) as caught:
        resolution_to_build(load_as_locked(project, said), locked=True)
    [fault] = caught.value.faults
    return fault.message, fault.hint


@given(_options)
def test_options_are_read_back_as_they_were_written(options: LockOptions) -> None:
    assert read_options(options.data) == options
    assert not list(options.differences(options))


@given(_options, _options)
def test_each_difference_is_told_once(one: LockOptions, other: LockOptions) -> None:
    told = list(one.differences(other))
    assert len(told) == sum(getattr(one, key) != getattr(other, key) for key in asdict(one))
    assert [(b, a) for a, b in told] == list(other.differences(one))


def test_what_is_no_option_is_refused() -> None:
    for data in ({"gpus": "h100"}, {"gpu": 1}, {"overrides": "no"}):
        with pytest.raises(ValueError, match="is no option of a lock"):
            read_options(data)


def test_a_lock_remembers_what_it_was_made_with(project: Path) -> None:
    said = Said(gpu="h100", driver="535", prefer="smallest", overrides=False)
    with index(WORLD) as server:
        made = lock(project, server, said).lock
        assert made.options == LockOptions("", "h100", "535", "smallest", overrides=False)
        table = tomllib.loads((project / LOCK_FILE).read_text())["tool"]["cogpack"]["options"]
        assert table == {"gpu": "h100", "driver": "535", "prefer": "smallest", "overrides": False}
        assert read_lock(project) == made
        # Who says nothing gets the lock's, in a build and in the next lock.
        composition = load_as_locked(project, Said())
        assert resolution_to_build(composition, locked=True).lock == made
        assert lock(project, server).lock == made


def test_options_reach_the_answer(project: Path) -> None:
    with index(WORLD) as server:
        assert "driver" not in lock(project, server).lock.resolution
        assert lock(project, server, Said(driver="535")).lock.resolution["driver"].version == "535"


def test_the_option_that_differs_is_named(project: Path) -> None:
    with index(WORLD) as server:
        lock(project, server, Said(gpu="h100"))
    resolution_to_build(load_as_locked(project, Said(gpu="h100")), locked=True)
    message, hint = refusal(project, Said(gpu="a100", driver="535"))
    assert message == (
        "the lock is stale: it was made with --gpu h100, and --gpu a100 is asked for; "
        "it was made with no --driver, and --driver 535 is asked for"
    )
    assert hint == "run cogpack resolve --lock --gpu a100 --driver 535"
    message, hint = refusal(project, Said(gpu=""))
    assert message == ("the lock is stale: it was made with --gpu h100, and no --gpu is asked for")
    assert hint == "run cogpack resolve --lock --gpu="


def test_the_platform_and_the_base_are_told_like_the_others(project: Path) -> None:
    with index(WORLD) as server:
        base = "docker.io/library/python:3.12-slim-bookworm"
        lock(project, server, Said(base_image=base))
    composition = load_as_locked(project, Said())
    assert composition.project.base_image is not None
    assert resolution_to_build(composition, locked=True).base_images.runtime.ref == base
    message, _ = refusal(project, Said(base_image="python:3.12-bookworm"))
    assert f"made with --base-image {base}, and --base-image python:3.12-bookworm" in message
    message, hint = refusal(project, Said(platform="linux/arm64"))
    assert "it is for --platform linux/amd64, and linux/arm64 is asked for" in message
    assert hint == "run cogpack resolve --lock --platform linux/arm64"


def test_a_lock_of_another_platform_is_built_for_that_one(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "app")
    with index(WORLD) as server:
        lock(project, server, Said(platform="linux/arm64"))
    composition = load_as_locked(project, Said())
    assert composition.platform == "linux/arm64"
    assert resolution_to_build(composition, locked=True).lock is not None


def test_options_changed_by_hand_make_the_lock_stale(project: Path) -> None:
    with index(WORLD) as server:
        lock(project, server, Said(gpu="h100"))
    path = project / LOCK_FILE
    path.write_text(path.read_text().replace('gpu = "h100"', 'gpu = "a100"'))
    message, _ = refusal(project, Said())
    assert "asks for something else than when it was locked" in message


def test_a_stale_lock_still_says_what_is_wanted(project: Path) -> None:
    with index(WORLD) as server:
        lock(project, server, Said(driver="535"))
    (project / "requirements.txt").write_text("app<2\n")
    told: list[str] = []
    resolution = resolution_to_build(load_as_locked(project, Said()), told=told.append)
    assert len(told) == 1
    assert resolution.lock is None
    assert resolution["driver"].version == "535"


def test_the_fingerprint_knows_the_options(project: Path) -> None:
    composition = load_as_locked(project, Said())
    other = replace(composition, options=LockOptions(gpu="h100"))
    assert fingerprint(composition) != fingerprint(other)


def test_the_command_line_keeps_and_takes_back_options(project: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return cogpack(project, server, *arguments)

    def said(done: subprocess.CompletedProcess[str]) -> list[str]:
        return [one for one in done.stderr.splitlines() if not one.startswith("warning: gpu is ")]

    with index(WORLD) as server:
        made = run("resolve", "--lock", "--gpu", "h100", "--no-overrides")
        assert said(made) == [f"{LOCK_FILE}: 3 packages --gpu h100 --no-overrides"]
        assert run("resolve", "--locked").returncode == 0
        assert run("plan", "--locked").returncode == 0
        other = run("resolve", "--locked", "--gpu", "a100")
        assert other.returncode == 1
        assert "made with --gpu h100, and --gpu a100 is asked for" in other.stderr
        back = run("resolve", "--locked", "--known-overrides")
        assert back.returncode == 1
        assert "made with --no-overrides" in back.stderr
        kept = run("resolve", "--upgrade", "app")
        assert said(kept) == [f"{LOCK_FILE}: 3 packages --gpu h100 --no-overrides"]
        taken = run("resolve", "--lock", "--gpu=", "--known-overrides")
        assert said(taken) == [f"{LOCK_FILE}: 3 packages"]
        # Without --lock the lock is not looked at.
        assert run("resolve", "--gpu", "a100").returncode == 0


def test_a_platform_that_none_is_is_told(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project")
    for platform in ("amd64", "linux", "linux/", "windows/amd64"):
        with pytest.raises(UserError, match="no base image is known for"):
            Said(platform=platform).composition(project, None)
