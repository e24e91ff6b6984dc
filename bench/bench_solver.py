"""How long the solver takes: over the matrix, over larger ones, with a conflict, as a process.

Run: `python bench/bench_solver.py [--rounds N]`. Times are medians and, in brackets, minima: on a
busy machine the minimum says more. A target that is missed is said to be missed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from msgspec.structs import replace
from packaging.version import Version

from cogpack.compat.tables import Tables
from cogpack.origin import Origin
from cogpack.solver.conflict import Conflict
from cogpack.solver.matrix import build_universe
from cogpack.solver.requirement import Requirement
from cogpack.solver.solve import resolve
from cogpack.solver.universe import Candidate, Universe

SOLVE_MS = 20
CONFLICT_MS = 100
PROCESS_RATIO = 3
FACTORS = (1, 10, 100)

COG_YAML = """\
build:
  gpu: true
  python_version: "3.12"
  python_requirements: requirements.txt
run: predict.py:Predictor
"""
# What `cogpack resolve` loads before it reads the project.
LOAD = (
    "import cogpack.cli.resolve, cogpack.stacks.python, cogpack.stacks.solve, cogpack.stacks.said"
)
# What it cannot do without, whatever of ours is cut: the command line, YAML, PEP 440 and 508, SAT.
FLOOR = (
    "import click, yaml, packaging.requirements, packaging.specifiers, packaging.version, pysolvers"
)
PREDICT = "class Predictor:\n    def run(self, text: str) -> str:\n        return text\n"


def main() -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=15, help="repetitions of each measurement")
    rounds = parser.parse_args().rounds
    tables = Tables.load()
    universe = build_universe(tables)
    rows = sum(1 for _ in universe)
    print(f"the whole matrix: {rows} candidates in {len(universe.packages)} packages\n")
    print("| what | median (minimum) | target |\n|---|---|---|")
    _report("read the tables", _timed(lambda: Tables.load().read_all(), rounds))
    _report("build the whole universe", _timed(partial(build_universe, tables), rounds))
    _solves(universe, rounds)
    _curve(universe, rounds)
    _conflicts(universe, rounds)
    _process(rounds)
    return 0


def _solves(universe: Universe, rounds: int) -> None:
    for name, lines in {
        "torch pinned, GPU": ("accelerator==cuda", "python==3.12.*", "torch==2.7.1"),
        "torch and torchvision free, GPU": ("accelerator==cuda", "torch", "torchvision"),
        "torch free, CPU": ("accelerator==cpu", "torch"),
        "torch, tensorflow and jax free, GPU": ("accelerator==cuda", "torch", "tensorflow", "jax"),
    }.items():
        wanted = _requirements(*lines)
        _report(f"solve: {name}", _timed(partial(resolve, wanted, universe), rounds), SOLVE_MS)
        # What is worked out about a package is remembered with it; here nothing is known yet.
        fresh = iter([Universe.of(universe) for _ in range(rounds)])
        _report(
            f"{name}, a universe never asked before",
            _timed(partial(_next_solved, wanted, fresh), rounds),
            SOLVE_MS,
        )


def _next_solved(wanted: tuple[Requirement, ...], universes: Iterator[Universe]) -> None:
    resolve(wanted, next(universes))


def _curve(universe: Universe, rounds: int) -> None:
    """The same question over ever more rows; the target is to grow no faster than they do."""
    wanted = _requirements("accelerator==cuda", "torch", "torchvision")
    base = 0.0
    for factor in FACTORS:
        larger = Universe.of(_copies(universe, factor))
        times = _timed(partial(resolve, wanted, larger), max(3, rounds // factor))
        base = base or min(times)
        grown = min(times) / base
        verdict = "met" if grown <= factor else "MISSED"
        print(f"| rows x{factor} | {_shown(times)} | x{grown:.1f}, at most x{factor}: {verdict} |")


def _copies(universe: Universe, factor: int) -> Iterator[Candidate]:
    """Each candidate `factor` times, as post-releases (or more labels) with the same relations."""
    for candidate in universe:
        yield candidate
        for number in range(1, factor):
            if candidate.version is None:
                yield replace(candidate, label=f"{candidate.label}-{number}")
                continue
            public, _, local = str(candidate.version).partition("+")
            release, _, post = public.partition(".post")
            later = f"{release}.post{1000 * (int(post) + 2 if post else 1) + number}"
            label = f"{later}+{local}" if local else later
            yield replace(candidate, label=label, version=Version(label))


def _conflicts(universe: Universe, rounds: int) -> None:
    for name, lines in {
        "a Python too new": ("accelerator==cuda", "python==3.13.*", "torch==2.4.1"),
        "any torch, no Python": ("accelerator==cuda", "python==3.8.*", "torch>=2.5"),
        "two at once": ("python==3.13.*", "torch==2.4.1", "jax==0.4.30", "jaxlib==0.4.20"),
    }.items():
        wanted = _requirements(*lines)

        def explain(wanted: tuple[Requirement, ...] = wanted) -> None:
            if not isinstance(resolve(wanted, universe), Conflict):
                raise SystemExit(f"{wanted} is no conflict")

        _report(f"conflict with fixes: {name}", _timed(explain, rounds), CONFLICT_MS)


def _process(rounds: int) -> None:
    """As users have it: a wheel, not the editable install here, which slows any Python's start."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "cog.yaml").write_text(COG_YAML, encoding="utf-8")
        Path(folder, "requirements.txt").write_text("torch==2.7.1\n", encoding="utf-8")
        Path(folder, "predict.py").write_text(PREDICT, encoding="utf-8")
        programs = _installed(Path(folder, "venv"))
        python, command = str(programs / "python"), str(programs / "cogpack")
        bare = _timed(lambda: _run(python, "-c", "pass"), rounds)
        floor = _timed(lambda: _run(python, "-c", FLOOR), rounds)
        version = _timed(lambda: _run(command, "--version"), rounds)
        loaded = _timed(lambda: _run(python, "-c", LOAD), rounds)
        times = _timed(lambda: _run(command, "resolve", folder), rounds)
    print(f"| `python -c pass` | {_shown(bare)} | |")
    print(
        "| interpreter with click, PyYAML, packaging and pysolvers alone "
        f"| {_shown(floor)} | {min(floor) / min(bare):.1f} times `python -c pass` |"
    )
    print(f"| `cogpack --version` | {_shown(version)} | |")
    print(f"| interpreter and imports of `cogpack resolve` | {_shown(loaded)} | |")
    parts = min(bare), min(loaded) - min(bare), min(times) - min(loaded)
    print("| of `cogpack resolve`: interpreter, imports, answer | ", end="")
    print(" + ".join(f"{part:.1f}" for part in parts), "ms | |")
    ratio = min(times) / min(bare)
    verdict = "met" if ratio <= PROCESS_RATIO else "MISSED"
    print(f"| `cogpack resolve` | {_shown(times)} | x{ratio:.1f}, at most x3: {verdict} |")


def _installed(folder: Path) -> Path:
    """Install this cogpack into a new virtual environment; return the folder of its programs."""
    uv = str(Path(sys.executable).with_name("uv"))
    root = Path(__file__).resolve().parent.parent
    programs = folder / "bin"
    _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
    target = ("--python", str(programs / "python"), "--compile-bytecode")
    _run(uv, "pip", "install", "--quiet", *target, str(root))
    return programs


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _requirements(*lines: str) -> tuple[Requirement, ...]:
    found = []
    for number, text in enumerate(lines, 1):
        cut = next((i for i, letter in enumerate(text) if letter in "=<>"), len(text))
        found.append(Requirement(text[:cut], text[cut:], Origin("requirements.txt", number, text)))
    return tuple(found)


def _timed(job: Callable[[], object], rounds: int) -> list[float]:
    """Times in ms."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        job()
        times.append((time.perf_counter() - start) * 1000)
    return times


def _shown(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} ms ({min(times):.1f})"


def _report(name: str, times: list[float], target: float = 0) -> None:
    """target: 0 for none."""
    verdict = "met" if statistics.median(times) <= target else "MISSED"
    print(f"| {name} | {_shown(times)} | {f'{target} ms: {verdict}' if target else ''} |")


if __name__ == "__main__":
    sys.exit(main())
