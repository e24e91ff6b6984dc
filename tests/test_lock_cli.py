"""`cogpack resolve --lock` and its options, as a user calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from cogpack.solver.lock import LOCK_FILE, read_lock
from support.index_server import Dist, IndexServer
from support.locked_project import environment, index, write_project

WORLD = {
    "app": [Dist("1.0", ("lib",))],
    "lib": [Dist("1.0"), Dist("2.0", upload_time="2025-01-01T00:00:00Z")],
}


def run(
    project: Path, server: IndexServer, *options: str, verb: str = "resolve"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cogpack", verb, *options, str(project)],
        env=environment(server, project.parent),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_lock_is_made_checked_and_upgraded(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "app")
    with index(WORLD) as server:
        first = run(project, server, "--exclude-newer", "2024-06-01")
        assert first.returncode == 0, first.stderr
        assert first.stderr.startswith("warning: --exclude-newer is about files of package indexes")
        assert first.stderr.endswith(f"\n{LOCK_FILE}: 4 packages\n")
        assert "python_version" in first.stdout
        same = run(project, server, "--lock")
        assert same.stderr == f"{LOCK_FILE}: 4 packages\n"
        moved = run(project, server, "--upgrade", "lib")
        assert moved.stderr == f"changed lib 1.0 to 2.0\n{LOCK_FILE}: 4 packages\n"
        checked = run(project, server, "--locked")
        assert (checked.returncode, checked.stderr) == (0, "")
        (project / "requirements.txt").write_text("lib<2\n")
        stale = run(project, server, "--locked")
        assert stale.returncode == 1
        assert f"error: {LOCK_FILE}: the lock is stale" in stale.stderr
        assert "hint: run cogpack resolve --lock" in stale.stderr
        plan = run(project, server, verb="plan")
        assert plan.returncode == 0
        assert "building without it" in plan.stderr
        assert run(project, server, "--locked", verb="plan").returncode == 1


def test_a_conflict_across_both_worlds_is_told_in_text_and_json(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "app", "lib>=2")
    world = {**WORLD, "app": [Dist("1.0", ("lib<2",))]}
    with index(world) as server:
        text = run(project, server, "--lock")
        data = json.loads(run(project, server, "--lock", "--json").stdout)
    assert text.returncode == 1
    assert "app (requirements.txt:1)" in text.stdout
    assert "lib>=2 (requirements.txt:2)" in text.stdout
    assert "app 1.0 needs lib<2 [package index]" in text.stdout
    assert data["status"] == "conflict"
    assert {"text": "app 1.0 needs lib<2", "table": "package index", "row": 0} in (
        data["conflicts"][0]["facts"]
    )
    assert read_lock(project) is None


def test_options_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "app")
    with index(WORLD) as server:
        assert run(project, server, "--lock", "--why", "lib").returncode == 2
        assert run(project, server, "--locked", "--upgrade", "lib").returncode == 2


def test_without_a_lock_no_index_is_asked(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "app")
    with index(WORLD) as server:
        assert run(project, server).returncode == 0
        assert server.requests == []


def test_resolving_without_a_lock_loads_no_http_library(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "app")
    code = (
        "import sys\n"
        "from cogpack.cli import cli\n"
        f"cli.main(['resolve', {str(project)!r}], standalone_mode=False)\n"
        "loaded = {'httpx', 'hishel', 'grpc', 'resolvelib', 'cogpack.index'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_lock_that_somebody_edited_is_told_or_made_anew(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "app")
    with index(WORLD) as server:
        assert run(project, server, "--lock").returncode == 0
        whole = (project / LOCK_FILE).read_text()
        (project / LOCK_FILE).write_text(whole.replace("[tool.cogpack.matrix.cog]", "[tool.x]"))
        told = run(project, server, verb="plan")
        assert told.returncode == 1
        assert "the lock" in told.stderr or "it is damaged: its matrix has no cog" in told.stderr
        assert "run cogpack resolve --lock" in told.stderr
        glibc = "[tool.cogpack.matrix.glibc]\nversion = "
        assert glibc in whole
        (project / LOCK_FILE).write_text(whole.replace(glibc, f"{glibc}'-1' # "))
        mended = run(project, server, "--lock")
        assert (mended.returncode, (project / LOCK_FILE).read_text()) == (0, whole)


BROKEN = {
    "faiss-cpu": [Dist("1.8.0", ("numpy",))],
    "numpy": [Dist("1.26.4"), Dist("2.4.6")],
}
KNOWN = "numpy<2: faiss-cpu up to 1.8.0 was built against numpy 1 (compat/overrides)"


def test_known_overrides_are_shown_and_switched_off(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "faiss-cpu")

    def numpy() -> str:
        lock = read_lock(project)
        assert lock is not None
        return lock.by_name["numpy"].version

    with index(BROKEN) as server:
        told = run(project, server, "--lock")
        assert told.stderr == f"known override {KNOWN}\n{LOCK_FILE}: 4 packages\n"
        assert numpy() == "1.26.4"
        assert KNOWN in (project / LOCK_FILE).read_text()
        off = run(project, server, "--upgrade", ":all:", "--no-overrides")
        assert "known override" not in off.stderr
        assert numpy() == "2.4.6"


def test_an_override_that_cannot_be_kept_is_told_once(tmp_path: Path) -> None:
    project = write_project(tmp_path / "project", "faiss-cpu", "numpy>=2")
    with index(BROKEN) as server:
        told = run(project, server, "--lock").stderr
    assert told == (
        f"warning: known override could not be kept: {KNOWN}\n{LOCK_FILE}: 4 packages\n"
    )
