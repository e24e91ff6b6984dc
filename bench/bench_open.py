"""How long locking real projects takes, against uv and pip in the same run.

Run: `python bench/bench_open.py [--project NAME] [--pip]`. Each time is that of a process, imports
included. cogpack locks the whole project (`cogpack resolve --lock`, matrix and server included), uv
and pip get the same lines and the server's packages. Cold is with an empty cache, warm with a
filled one, offline without the network. `--pip` adds pip, which takes minutes. Base images are
asked of a registry on this machine, for the others ask none.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.real_projects import PROJECTS, RealProject, default_builds, write  # noqa: E402
from support.registry import serve  # noqa: E402

BIN = Path(sys.executable).parent
RUNTIME = ("cog", "coglet")
COLUMNS = ("cold", "warm", "offline", "uv cold", "uv warm", "uv offline", "pip")
# Seconds after which a tool is given up.
LIMIT = 600


def timed(command: Sequence[str], **environ: str) -> float:
    """Seconds that a command takes, however it ends; negative when it failed."""
    env = {**os.environ, **environ}
    started = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, check=False, timeout=LIMIT)
    taken = time.perf_counter() - started
    return taken if done.returncode == 0 else -taken


def cogpack(folder: Path, cache: Path, overlay: Path, *options: str) -> float:
    """Lock from nothing."""
    (folder / "pylock.cogpack.toml").unlink(missing_ok=True)
    command = [str(BIN / "cogpack"), "resolve", "--lock", "--compat", str(overlay), *options]
    return timed([*command, str(folder)], COGPACK_CACHE=str(cache))


def uv(project: RealProject, folder: Path, cache: Path, *options: str) -> float:
    """The same lines, and the server's."""
    return timed(
        [
            str(BIN / "uv"), "pip", "compile", "--quiet", "--no-annotate", "--cache-dir",
            str(cache), "--python-version", project.python, "--python-platform",
            "x86_64-manylinux_2_36", *options, str(folder / "all.txt"),
        ]
    )  # fmt: skip


def pip(project: RealProject, folder: Path) -> float:
    """pip with its own shortcut to metadata, for the same target."""
    platforms = [f"--platform=manylinux_2_{minor}_x86_64" for minor in range(36, 16, -1)]
    return timed(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-cache-dir",
            "--ignore-installed", "--use-feature=fast-deps", "--only-binary=:all:",
            "--target", str(folder / "none"), "--python-version", project.python, *platforms,
            "--platform=manylinux1_x86_64", "--requirement", str(folder / "all.txt"),
        ]
    )  # fmt: skip


def measure(project: RealProject, work: Path, overlay: Path, with_pip: bool) -> dict[str, float]:
    """All times of one project."""
    folder = write(project, work / "project")
    text = (folder / "requirements.txt").read_text() + "".join(f"{name}\n" for name in RUNTIME)
    (folder / "all.txt").write_text(text)
    mine, theirs = work / "cache", work / "uv"
    times = {
        "cold": cogpack(folder, mine, overlay),
        "warm": cogpack(folder, mine, overlay),
        "offline": cogpack(folder, mine, overlay, "--offline"),
        "uv cold": uv(project, folder, theirs),
        "uv warm": uv(project, folder, theirs),
        "uv offline": uv(project, folder, theirs, "--offline"),
    }
    if with_pip:
        times["pip"] = pip(project, folder)
    return times


def main() -> None:
    """Measure and print a table, and the medians of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", action="append", help="only this one; may be repeated")
    parser.add_argument("--pip", action="store_true")
    options = parser.parse_args()
    chosen = [one for one in PROJECTS if not options.project or one.name in options.project]
    rows = []
    print(f"{'seconds':22}" + "".join(f"{name:>11}" for name in COLUMNS))
    for project in chosen:
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            with serve() as images:
                images.invents = True
                os.environ["COGPACK_REGISTRY_MIRRORS"] = f"docker.io=http://{images.address}"
                times = measure(project, work, default_builds(work / "overlay"), options.pip)
        rows.append(times)
        cells = (f"{times[name]:11.2f}" if name in times else f"{'-':>11}" for name in COLUMNS)
        print(f"{project.name:22}" + "".join(cells), flush=True)
    print("negative: it found no solution, or failed, after that time")
    for ours, theirs in (("cold", "uv cold"), ("warm", "uv warm"), ("offline", "uv offline")):
        ratios = [one[ours] / one[theirs] for one in rows if one[ours] > 0 and one[theirs] > 0]
        if ratios:
            print(
                f"{ours} / {theirs}: median {statistics.median(ratios):.2f}, most {max(ratios):.2f}"
            )
    ratios = [one["pip"] / one["cold"] for one in rows if one.get("pip", 0) > 0 and one["cold"] > 0]
    if ratios:
        print(f"pip / cold: median {statistics.median(ratios):.1f}, least {min(ratios):.1f}")


if __name__ == "__main__":
    main()
