"""The lock: valid, the same for the same, stale when the project changes, never half a file."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from packaging.markers import Environment
from packaging.pylock import Pylock
from packaging.version import Version

from cogpack.errors import UserError
from cogpack.plan.model import dump
from cogpack.solver.conflict import Conflict
from cogpack.solver.lock import (
    LOCK_FILE,
    Lock,
    dump_lock,
    load_lock,
    read_lock,
)
from cogpack.solver.open_target import Target
from cogpack.stacks.compose import load, make_plan
from cogpack.stacks.locking import (
    EVERYTHING,
    Locked,
    Relock,
    fingerprint,
    lock_project,
    resolution_to_build,
)
from support.index_server import Dist, IndexServer
from support.locked_project import environment, index, write_project

WORLD = {
    "app": [Dist("1.0", ("lib>=1", "tool[fast]"), upload_time="2024-01-01T00:00:00Z")],
    "lib": [
        Dist("1.0", upload_time="2024-01-01T00:00:00Z"),
        Dist("2.0", tag="cp312-cp312-manylinux_2_17_x86_64", upload_time="2025-01-01T00:00:00Z"),
    ],
    "tool": [Dist("1.0", ("quick; extra == 'fast'",), extras=("fast",))],
    "quick": [Dist("0.1"), Dist("0.2", yanked="wrong")],
}


def made(project: Path, server: IndexServer, relock: Relock | None = None) -> Locked:
    composition = load(project)
    environ = environment(server, project.parent)
    outcome = lock_project(composition, relock or Relock(), environ)
    assert not isinstance(outcome, Conflict)
    return outcome


def versions(lock: Lock | None) -> dict[str, str]:
    assert lock is not None
    return {one.name: one.version for one in lock.packages if one.name not in {"cog", "coglet"}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path / "project", "app", "lib<3")


def test_the_lock_names_every_file_with_its_hash_and_index(project: Path) -> None:
    with index(WORLD) as server:
        lock = made(project, server).lock
        assert versions(lock) == {"app": "1.0", "lib": "2.0", "quick": "0.1", "tool": "1.0"}
        for one in lock.packages:
            assert (one.kind, one.index) == ("wheel", server.url)
            assert one.url == f"{server.root}/files/{one.name}/{one.filename}"
            assert len(one.sha256) == 64
            assert one.size
    assert lock.by_name["app"].requires == ("lib", "tool")
    assert lock.by_name["tool"].extras == ("fast",)
    assert lock.by_name["cog"].is_matrix
    assert not lock.by_name["app"].is_matrix
    assert [one.name for one in lock.closure(["tool"])] == ["quick", "tool"]


def test_the_file_is_a_pylock_that_selects_what_was_locked(project: Path) -> None:
    with index(WORLD) as server:
        lock = made(project, server).lock
    text = (project / LOCK_FILE).read_text()
    pylock = Pylock.from_dict(tomllib.loads(text))
    target = Target(Version(lock.resolution["python"].version), (2, 36), "x86_64")
    environment: Environment = target.environment
    tags = sorted(target.ranks, key=target.ranks.__getitem__)
    selected = {str(one.name) for one, _ in pylock.select(environment=environment, tags=tags)}
    assert selected == {one.name for one in lock.packages}
    assert str(pylock.requires_python) == "==3.12.*"
    assert pylock.tool is not None
    assert pylock.tool["cogpack"]["matrix"]["python"]["version"].startswith("3.12.")


def test_reading_gives_back_what_was_written(project: Path) -> None:
    with index(WORLD) as server:
        lock = made(project, server).lock
    assert read_lock(project) == lock
    assert load_lock(dump_lock(lock)) == lock


def test_the_same_inputs_give_the_same_bytes(project: Path, tmp_path: Path) -> None:
    with index(WORLD) as server:
        made(project, server)
        first = (project / LOCK_FILE).read_bytes()
        (project / LOCK_FILE).unlink()
        made(project, server, Relock(offline=True))
        offline = (project / LOCK_FILE).read_bytes()
        (project / LOCK_FILE).unlink()
        (project / "requirements.txt").write_text("lib<3\n# a comment\napp\n")
        made(project, server, Relock(refresh=True))
        reordered = load_lock((project / LOCK_FILE).read_text())
    assert first == offline
    assert reordered.packages == load_lock(first.decode()).packages
    assert reordered.fingerprint == load_lock(first.decode()).fingerprint


def test_requirements_for_the_installer_have_hashes(project: Path) -> None:
    with index(WORLD) as server:
        lock = made(project, server).lock
    lib = lock.by_name["lib"]
    assert lib.line("/src") == f"lib==2.0 --hash=sha256:{lib.sha256}"
    own = replace(lib, kind="archive", path="vendor/lib.whl", url="")
    assert own.line("/src") == f"lib @ file:///src/vendor/lib.whl --hash=sha256:{lib.sha256}"


def test_a_current_lock_is_what_is_built(project: Path) -> None:
    with index(WORLD) as server:
        lock = made(project, server).lock
    told: list[str] = []
    composition = load(project)
    resolution = resolution_to_build(composition, locked=True, told=told.append)
    assert resolution.lock == lock
    assert resolution == lock.resolution
    assert told == []
    plan = make_plan(composition, resolution)
    assert plan.packages["python"].version == resolution["python"].version


@pytest.mark.parametrize(
    ("lines", "stale"),
    [
        ("app\nlib<3\n", False),
        ("# why\n\nlib < 3\napp  # that\n", False),
        ("app\nlib<2\n", True),
        ("app\nlib<3\nquick\n", True),
        ("app\n", True),
        ("app\nlib<3; python_version > '3'\n", True),
        ("--no-binary lib\napp\nlib<3\n", True),
    ],
)
def test_a_lock_is_stale_when_the_project_asks_for_something_else(
    project: Path, lines: str, stale: bool
) -> None:
    with index(WORLD) as server:
        made(project, server)
    (project / "requirements.txt").write_text(lines)
    told: list[str] = []
    resolution = resolution_to_build(load(project), told=told.append)
    assert bool(told) is stale
    assert (resolution.lock is None) is stale
    if stale:
        with pytest.raises(UserError, match="the lock is stale"):
            resolution_to_build(load(project), locked=True)


def test_a_local_file_that_changed_makes_the_lock_stale(tmp_path: Path) -> None:
    from support.distributions import file_bytes

    folder = tmp_path / "project"
    write_project(folder)
    wheel = folder / "own-1.0-py3-none-any.whl"
    wheel.write_bytes(file_bytes("own", Dist("1.0", ("lib",))))
    (folder / "requirements.txt").write_text("./own-1.0-py3-none-any.whl\n")
    with index(WORLD) as server:
        lock = made(folder, server).lock
    own = lock.by_name["own"]
    assert (own.kind, own.path, own.url) == ("archive", "own-1.0-py3-none-any.whl", "")
    assert versions(lock) == {"own": "1.0", "lib": "2.0"}
    wheel.write_bytes(file_bytes("own", Dist("1.0", ("quick",))))
    with pytest.raises(UserError, match="stale"):
        resolution_to_build(load(folder), locked=True)


def test_a_folder_with_listed_dependencies_is_locked_as_a_folder(tmp_path: Path) -> None:
    folder = write_project(tmp_path / "project", "-e ./pkg", "lib")
    (folder / "pkg").mkdir()
    (folder / "pkg" / "pyproject.toml").write_text(
        "[project]\nname = 'pkg'\nversion = '3'\ndependencies = ['lib<2']\n"
    )
    with index({**WORLD, "setuptools": [Dist("80.9.0")]}) as server:
        lock = made(folder, server).lock
    assert versions(lock)["lib"] == "1.0"
    one = lock.by_name["pkg"]
    assert (one.kind, one.path, one.editable, one.hashes) == ("directory", "pkg", True, ())


def test_without_a_lock_locked_is_an_error(project: Path) -> None:
    with pytest.raises(UserError, match="which is not there"):
        resolution_to_build(load(project), locked=True)


def test_another_lock_keeps_versions_unless_they_are_to_move(project: Path) -> None:
    old = {**WORLD, "lib": WORLD["lib"][:1]}
    with index(old) as server:
        assert versions(made(project, server).lock)["lib"] == "1.0"
    newer = {**WORLD, "quick": [*WORLD["quick"], Dist("0.3")]}
    refresh = Relock(refresh=True)
    with index(newer) as server:
        assert made(project, server, refresh).changed == ()
        one = made(project, server, replace(refresh, upgrade=("LIB",)))
        assert one.changed == (("lib", "1.0", "2.0"),)
        every = made(project, server, replace(refresh, upgrade=(EVERYTHING,)))
    assert every.changed == (("quick", "0.1", "0.3"),)


def test_a_date_makes_later_files_unknown(project: Path) -> None:
    with index(WORLD) as server:
        made(project, server, Relock(exclude_newer="2024-06-01"))
        lock = read_lock(project)
    assert versions(lock)["lib"] == "1.0"
    assert lock is not None
    assert lock.exclude_newer == "2024-06-01"


def test_a_date_that_is_none_is_told(project: Path) -> None:
    with index(WORLD) as server, pytest.raises(UserError, match="'yesterday' is no date"):
        made(project, server, Relock(exclude_newer="yesterday"))


def test_hashes_are_found_where_the_index_gives_none(project: Path) -> None:
    import hashlib

    from support.distributions import file_bytes

    with index(WORLD, hashes=False) as server:
        lock = made(project, server).lock
    expected = hashlib.sha256(file_bytes("app", WORLD["app"][0])).hexdigest()
    assert lock.by_name["app"].sha256 == expected


def test_a_credential_is_never_written(project: Path) -> None:
    with index(WORLD, auth=("me", "s3cret")) as server:
        environ = environment(server, project.parent, server.with_credential("me", "s3cret"))
        outcome = lock_project(load(project), Relock(), environ)
    assert isinstance(outcome, Locked)
    assert "s3cret" not in (project / LOCK_FILE).read_text()


def test_a_pinned_and_hashed_file_is_taken_as_it_is(tmp_path: Path) -> None:
    with index(WORLD) as server:
        first = made(write_project(tmp_path / "one", "app", "lib<3"), server).lock
        lines = [first.by_name[name].line("") for name in versions(first)]
        second = made(write_project(tmp_path / "two", *lines), server).lock
        assert [replace(one, extras=()) for one in second.packages] == [
            replace(one, extras=()) for one in first.packages
        ]


def test_of_pinned_and_hashed_lines_nothing_is_chosen_again(tmp_path: Path) -> None:
    """Old versions stay, and of the indexes no more is asked than where the named files are."""
    with index(WORLD) as server:
        old = made(write_project(tmp_path / "one", "app", "lib<2"), server).lock
        lines = [old.by_name[name].line("") for name in versions(old)]
        shutil.rmtree(tmp_path / "cache")
        server.forget()
        new = made(write_project(tmp_path / "two", *lines), server).lock
        assert versions(new) == versions(old) == {**versions(old), "lib": "1.0", "app": "1.0"}
        assert {one.name: one.hashes for one in new.packages} == {
            one.name: one.hashes for one in old.packages
        }
        paths = [request.path for request in server.requests]
        pages = {path.split("/")[2] for path in paths if path.startswith("/simple/")}
        assert pages == {one.name for one in new.packages}
        files = {path.rpartition("/")[2] for path in paths if path.startswith("/files/")}
        assert all(name.endswith(".metadata") for name in files)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not toml", "not valid TOML"),
        ("lock-version = '1.0'\n", "no valid lock"),
        ("lock-version = '1.0'\ncreated-by = 'me'\npackages = []\n", "no lock of cogpack"),
        (
            "lock-version = '1.0'\ncreated-by = 'me'\npackages = []\n[tool.cogpack]\nformat = 99\n",
            "its format is 99",
        ),
    ],
)
def test_a_lock_that_cannot_be_read_is_told_and_written_anew(
    project: Path, text: str, message: str
) -> None:
    (project / LOCK_FILE).write_text(text)
    with pytest.raises(UserError) as caught:
        resolution_to_build(load(project))
    (fault,) = caught.value.faults
    assert message in fault.message
    assert fault.origin is not None
    assert (fault.origin.file, fault.hint) == (LOCK_FILE, "run cogpack resolve --lock")
    with index(WORLD) as server:
        made(project, server)
    assert read_lock(project) is not None


def test_the_fingerprint_knows_the_platform(project: Path) -> None:
    assert fingerprint(load(project)) != fingerprint(load(project, "linux/arm64"))


_KILLED = """\
import os, signal, sys

moment, folder = int(sys.argv.pop(1)), sys.argv.pop(1)
count = 0


def watch(event, arguments):
    global count
    writes = event == "open" and (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
    if (writes or event == "os.rename") and str(arguments[0]).startswith(folder):
        count += 1
        if count == moment:
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(watch)
from cogpack.cli import main

try:
    main()
finally:
    print(count)
"""


def test_killed_at_any_moment_it_leaves_lock_and_cache_readable(tmp_path: Path) -> None:
    """Whenever a file was just made, or was written and is about to get its name."""
    project = write_project(tmp_path / "project", "app", "lib<3")

    cache = tmp_path / "cache"

    def run(moment: int, folder: Path) -> tuple[int, str]:
        # Each run has something else to write.
        (project / "requirements.txt").write_text(f"app\nlib<{3 + next(numbers)}\n")
        shutil.rmtree(cache, ignore_errors=True)
        arguments = [str(moment), str(folder), "resolve", "--lock", str(project)]
        done = subprocess.run(
            [sys.executable, "-c", _KILLED, *arguments],
            env=environment(server, tmp_path),
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    numbers = count()
    with index(WORLD) as server:
        made(project, server)
        # How many moments there are.
        most = int(run(0, cache)[1].splitlines()[-1])
        assert most >= 8
        last = int(run(0, project)[1].splitlines()[-1])
        moments = [(cache, moment) for moment in range(1, most + 1, max(1, most // 6))]
        moments += [(project, moment) for moment in range(1, last + 1)]
        for folder, moment in moments:
            old = (project / LOCK_FILE).read_bytes()
            code, _ = run(moment, folder)
            assert code == -signal.SIGKILL
            assert (project / LOCK_FILE).read_bytes() == old
            assert read_lock(project) is not None
            # What the killed run left in the cache is whole: the next one can use it.
            made(project, server)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('\nname = "lib"', '\nname = "app"', "Name in 'lib-2.0"),
        ('version = "3.12.', 'versio = "3.12.', "missing required field `version`"),
        ("[tool.cogpack.matrix.python]", "[tool.cogpack.matrix.snake]", "has no python"),
        ('platform = "linux/amd64"', "platform = 5", "Expected `str`, got `int`"),
        ("line = 2", 'line = "2"', "Expected `int`, got `str`"),
        ('extras = [\n    "fast",', "extras = [5,", "Expected `str`, got `int`"),
        ('fingerprint = "', 'fingerprin = "', "missing required field `fingerprint`"),
        ("lock-version", "[" * 2000 + "a", "not valid TOML"),
    ],
)
def test_a_lock_with_values_of_another_kind_is_refused(
    project: Path, old: str, new: str, message: str
) -> None:
    with index(WORLD) as server:
        made(project, server)
    text = (project / LOCK_FILE).read_text()
    assert old in text
    with pytest.raises(UserError) as caught:
        load_lock(text.replace(old, new, 1))
    assert message in caught.value.faults[0].message


def without(text: str, name: str) -> str:
    """The text of a lock without the lines of one package."""
    head, *packages = text.split("[[packages]]\n")
    last, tool = packages[-1].split("[tool.cogpack]\n")
    kept = [one for one in (*packages[:-1], last) if not one.startswith(f'name = "{name}"')]
    return "[[packages]]\n".join([head, *kept]) + f"[tool.cogpack]\n{tool}"


def test_a_lock_that_lost_a_package_is_told(project: Path) -> None:
    with index(WORLD) as server:
        made(project, server)
    text = (project / LOCK_FILE).read_text()
    with pytest.raises(UserError, match="it is damaged: tool needs quick, which is not in it"):
        load_lock(without(text, "quick"))
    (project / LOCK_FILE).write_text(without(text, "app"))
    with pytest.raises(UserError, match="the lock is stale: it lacks app"):
        resolution_to_build(load(project), locked=True)
    matrix = text.replace("[tool.cogpack.matrix.uv]", "[tool.cogpack.matrix.other]")
    (project / LOCK_FILE).write_text(matrix)
    with pytest.raises(UserError, match="the lock is stale: it lacks uv"):
        resolution_to_build(load(project), locked=True)


def test_a_package_that_is_there_twice_is_told(project: Path) -> None:
    with index(WORLD) as server:
        made(project, server)
    text = (project / LOCK_FILE).read_text()
    package = text[text.index("[[packages]]") :].split("[[packages]]\n")[1]
    with pytest.raises(UserError, match="it is damaged: it has app 2 times"):
        load_lock(text.replace("[[packages]]\n", f"[[packages]]\n{package}[[packages]]\n", 1))


def test_an_old_lock_that_cannot_be_read_is_told(project: Path) -> None:
    (project / LOCK_FILE).write_text("<<<<<<< mine\n")
    with index(WORLD) as server:
        [warning] = made(project, server).warnings
    assert warning.startswith(f"{LOCK_FILE}: not valid TOML")
    assert warning.endswith("it is made anew, without its versions and options")


def test_a_name_that_nothing_has_cannot_move(project: Path) -> None:
    with index(WORLD) as server:
        made(project, server)
        names = ("tol", "LIB", "python", "base_image", EVERYTHING)
        outcome = made(project, server, Relock(upgrade=names))
    assert outcome.warnings == (
        "--upgrade tol moved nothing: the lock has no package of that name",
    )


def test_a_token_in_the_path_of_an_index_is_not_written(project: Path) -> None:
    with index(WORLD) as server:
        url = server.url.replace("/simple", "/${TOKEN}")
        (project / "requirements.txt").write_text(f"--index-url {url}\napp\nlib<3\n")
        environ = {**environment(server, project.parent), "TOKEN": "simple"}
        outcome = lock_project(load(project), Relock(), environ)
    assert isinstance(outcome, Locked)
    assert {one.index for one in outcome.lock.packages} == {url}
    assert "/simple" not in (project / LOCK_FILE).read_text()
    plan = make_plan(load(project), resolution_to_build(load(project), locked=True))
    assert f"--index-url {url}\\n" in dump(plan)
    assert '"id": "TOKEN"' in dump(plan)


def test_a_credential_in_a_url_gets_into_no_plan(project: Path) -> None:
    with index(WORLD, auth=("me", "s3cret")) as server:
        url = server.with_credential("me", "s3cret")
        (project / "requirements.txt").write_text(f"--index-url {url}\napp\nlib<3\n")
        made(project, server)
    with pytest.raises(UserError, match=r"requirements.txt:1: a credential stands in the URL"):
        make_plan(load(project), resolution_to_build(load(project), locked=True))


def test_a_file_behind_a_password_is_fetched_with_the_secret(project: Path) -> None:
    with index(WORLD, auth=("me", "s3cret")) as server:
        host = server.root.replace("://", "://me:${TOKEN}@")
        url = f"{host}/files/tool/tool-1.0-py3-none-any.whl"
        (project / "requirements.txt").write_text(f"tool @ {url}\n")
        with_credential = server.with_credential("me", "s3cret")
        environ = {**environment(server, project.parent, with_credential), "TOKEN": "s3cret"}
        outcome = lock_project(load(project), Relock(), environ)
    assert isinstance(outcome, Locked)
    assert "s3cret" not in (project / LOCK_FILE).read_text()
    text = dump(make_plan(load(project), resolution_to_build(load(project), locked=True)))
    assert f"tool @ {url} --hash=sha256:" in text
    assert '"id": "TOKEN"' in text
    assert "s3cret" not in text


def test_a_folder_of_this_machine_that_is_left_out_is_told(project: Path) -> None:
    with index(WORLD) as server:
        environ = {**environment(server, project.parent), "PIP_FIND_LINKS": "/srv/wheels"}
        outcome = lock_project(load(project), Relock(), environ)
    assert isinstance(outcome, Locked)
    [warning] = outcome.warnings
    assert warning.startswith(
        "PIP_FIND_LINKS names /srv/wheels, a folder of this machine: left out"
    )
