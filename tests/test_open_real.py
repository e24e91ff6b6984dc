"""Real projects on the public index: the set is sound, or the conflict is the right one.

What is on the index changes, so versions are not looked at: a set is judged by its own metadata,
in code of its own. A few projects in each run, all of them with the soak profile, where uv judges
too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import settings
from packaging.markers import Marker
from packaging.requirements import Requirement as Dependency
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from cogpack.compat.tables import overlaid
from cogpack.index import File, IndexSet, Metadata, find_sources, open_client
from cogpack.solver.conflict import Conflict
from cogpack.solver.lock import Lock
from cogpack.solver.open_target import Target
from cogpack.solver.text import conflict_text
from cogpack.stacks.compose import load
from cogpack.stacks.locking import Locked, Relock, lock_project
from support.real_projects import PROJECTS, RealProject, default_builds, write

SOAK = settings.get_current_profile_name() == "soak"
QUICK = {"configuration", "markers", "constraints", "hashes", "conflict"}
CHOSEN = [one for one in PROJECTS if SOAK or one.name in QUICK]


@pytest.fixture(scope="module")
def overlay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return default_builds(tmp_path_factory.mktemp("overlay"))


@pytest.mark.parametrize("project", CHOSEN, ids=lambda one: one.name)
def test_a_real_project_is_locked_or_refused(
    project: RealProject, overlay: Path, tmp_path: Path
) -> None:
    folder = write(project, tmp_path / "project")
    # Beside the user's own cache, that the next run finds filled.
    with overlaid((overlay,)):
        outcome = lock_project(load(folder), Relock(), os.environ)
    if project.conflict:
        assert isinstance(outcome, Conflict)
        text = conflict_text(outcome)
        assert all(words in text for words in project.conflict), text
        return
    assert isinstance(outcome, Locked), outcome
    lock = outcome.lock
    assert list(faults(lock, project)) == []
    if SOAK:
        assert_uv_agrees(lock, project, tmp_path)


def faults(lock: Lock, project: RealProject) -> Iterator[str]:
    """What is wrong with a lock, by the metadata of what is in it."""
    target = Target(Version(lock.resolution["python"].version), (2, 36), lock.machine)
    versions = {one.name: Version(one.version) for one in lock.packages}
    for line in project.lines:
        yield from unmet("the project", Dependency(line.split(" --hash")[0]), versions, target, "")
    for line in project.constraints:
        limit = Dependency(line)
        if not limit.specifier.contains(versions[limit.name], prereleases=True):
            yield f"the constraint {line} does not hold"
    sources = find_sources(os.environ)
    with open_client(os.environ, sources) as client:
        index = IndexSet(client, sources)
        for one in lock.packages:
            kind = "wheel" if one.kind == "wheel" else "sdist"
            file = File(one.filename, one.url, kind, versions[one.name], one.hashes)  # type: ignore[arg-type]
            if kind == "wheel" and not fits(parse_wheel_filename(one.filename)[3], target):
                yield f"{one.filename} does not fit"
            found = index.metadata_of(one.name, [file])
            if not isinstance(found, Metadata):
                yield str(found)
                continue
            if found.requires_python is not None and not found.requires_python.contains(
                target.python
            ):
                yield f"{one.name} needs Python {found.requires_python}"
            for need in found.requires_dist:
                for extra in ("", *one.extras):
                    yield from unmet(one.name, need, versions, target, extra)


def fits(tags: frozenset[Tag], target: Target) -> bool:
    return any(tag in target.ranks for tag in tags)


def unmet(
    asker: str, need: Dependency, versions: Mapping[str, Version], target: Target, extra: str
) -> Iterator[str]:
    marker: Marker | None = need.marker
    if not target.applies(marker, extra):
        return
    version = versions.get(canonicalize_name(need.name))
    if version is None:
        yield f"{asker} needs {need}, which is not there"
    elif not need.specifier.contains(version, prereleases=True):
        yield f"{asker} needs {need}, not {version}"


def assert_uv_agrees(lock: Lock, project: RealProject, folder: Path) -> None:
    """uv resolves the pins to the very same set."""
    pins = folder / "pins.txt"
    lines = [
        f"{one.name}{'[' + ','.join(one.extras) + ']' if one.extras else ''}=={one.version}"
        for one in lock.packages
    ]
    pins.write_text("\n".join(lines) + "\n")
    command = [
        str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--no-annotate",
        "--no-header", "--python-version", project.python, "--prerelease", "allow",
        "--python-platform", "x86_64-manylinux_2_36", str(pins),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pairs = dict(line.split("==") for line in done.stdout.splitlines() if "==" in line)
    assert {canonicalize_name(name.partition("[")[0]) for name in pairs} == {
        one.name for one in lock.packages
    }
