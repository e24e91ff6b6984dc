#!/usr/bin/env python3
"""How long cogpack takes, start of the process included: `make bench`.

Prints a table of medians in seconds. The builds run against the builder that is found or started,
with its base image at hand; the first build of an example is not timed, for what it takes is
mostly other people's servers.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from devdaemon import builder, standins
from devdaemon.layout import SetupError, say

ROOT = Path(__file__).resolve().parent.parent
ROUNDS = 5
EXAMPLE = "hello"


def main() -> int:
    """Time everything and print the table; return the exit code."""
    try:
        found = builder.find()
        standins.provide(found, standins.STANDINS[:1])
    except SetupError as fault:
        say(str(fault))
        return 3
    cogpack = Path(sys.executable).with_name("cogpack")
    env = {**os.environ, **found.environment()}
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch, EXAMPLE)
        shutil.copytree(ROOT / "examples" / EXAMPLE, project)

        def run(*arguments: str | Path) -> Callable[[], None]:
            return lambda: _run([cogpack, *arguments], env)

        build = run("build", project, "-t", "cogpack-bench")
        print(f"| {EXAMPLE}, median of {ROUNDS} | seconds |\n|---|---|")
        _report("cogpack --version", run("--version"))
        _report("cogpack resolve", run("resolve", project))
        _report("cogpack plan --json", run("plan", "--json", project))
        build()
        _report("cogpack build, nothing changed", build)
        _report("cogpack build, source edited", build, before=lambda: _edit(project))
    return 0


def _report(
    name: str, job: Callable[[], None], *, before: Callable[[], None] | None = None
) -> None:
    """Time a job, each time after what comes before it, and print its line of the table."""
    seconds = []
    for _ in range(ROUNDS):
        if before:
            before()
        start = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - start)
    print(f"| {name} | {statistics.median(seconds):.2f} |", flush=True)


def _edit(project: Path) -> None:
    """Change the source so that it differs from every earlier build's."""
    with (project / "predict.py").open("a", encoding="utf-8") as source:
        source.write(f"# {time.time_ns()}\n")


def _run(argv: list[str | Path], env: Mapping[str, str]) -> None:
    """Run a command that must succeed; show what it said when it does not."""
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, argv))} failed:\n{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
