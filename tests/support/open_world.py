"""Resolving against a local index: what cogpack, uv and pip make of the same packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement as Dependency
from packaging.utils import canonicalize_name
from packaging.version import Version

from cogpack.compat.rows import Override
from cogpack.index import (
    CachePolicy,
    CredentialBook,
    Fetcher,
    HttpSettings,
    IndexClient,
    Sources,
    parse_location,
)
from cogpack.origin import Origin
from cogpack.solver.open_catalog import Catalog
from cogpack.solver.open_model import Ask, OpenOptions
from cogpack.solver.open_resolve import (
    OpenSolution,
    Outcome,
    resolve_open,
)
from cogpack.solver.open_target import Target
from support.index_server import IndexServer

__all__ = ["asks", "catalog", "pip_report", "resolved", "target", "uv_compile", "versions"]

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@cache
def target() -> Target:
    """The Python that runs the tests, on a Linux of today: pip can only resolve for itself."""
    full = ".".join(str(part) for part in sys.version_info[:3])
    return Target(Version(full), (2, 28), "x86_64")


def asks(
    *lines: str, constraints: Sequence[str] = (), file: str = "requirements.txt"
) -> tuple[Ask, ...]:
    """Lines of a requirements file, and of a constraints file."""
    return (
        *(_ask(line, Origin(file, number, line)) for number, line in enumerate(lines, 1)),
        *(
            _ask(line, Origin("constraints.txt", number, line), constraint=True)
            for number, line in enumerate(constraints, 1)
        ),
    )


def _ask(line: str, origin: Origin, *, constraint: bool = False) -> Ask:
    text, *hashes = line.split(" --hash=")
    read = Dependency(text)
    extras = tuple(sorted(canonicalize_name(extra) for extra in read.extras))
    return Ask(
        origin,
        canonicalize_name(read.name),
        str(read.specifier),
        extras,
        str(read.marker or ""),
        kind="url" if read.url else "index",
        url=read.url or "",
        hashes=tuple(one.strip() for one in hashes),
        constraint=constraint,
    )


@contextmanager
def catalog(
    server: IndexServer, wanted: Iterable[Ask] = (), cache_folder: Path | None = None, **policy: Any
) -> Iterator[Catalog]:
    """A catalog over a local index alone."""
    fetcher = Fetcher(HttpSettings(attempts=1), CredentialBook(use_keyring=False))
    with IndexClient(cache_folder, CachePolicy(**policy), fetcher) as client:
        yield Catalog(client, Sources(parse_location(server.url)), tuple(wanted))


def resolved(
    server: IndexServer,
    *lines: str,
    constraints: Sequence[str] = (),
    options: OpenOptions | None = None,
    fixed: Mapping[str, Version | None] | None = None,
    gaps: Sequence[str] | None = None,
) -> Outcome:
    """What cogpack makes of these lines, for the Python that runs the tests."""
    wanted = asks(*lines, constraints=constraints)
    with catalog(server, wanted) as found:
        view = found.view(target(), options or OpenOptions(compile=True))
        return resolve_open(view, wanted, fixed or {}, gaps=gaps)


def versions(outcome: Outcome) -> dict[str, str] | None:
    """Name -> version of a solution, None when there is none."""
    if not isinstance(outcome, OpenSolution):
        return None
    return {one.name: str(one.version) for one in outcome.packages}


def uv_compile(
    server: IndexServer, folder: Path, *lines: str, constraints: Sequence[str] = ()
) -> dict[str, str] | None:
    """What `uv pip compile` makes of them; None when it finds no solution."""
    command = [
        str(Path(sys.executable).with_name("uv")), "pip", "compile", "--no-config", "--quiet",
        "--no-annotate", "--no-header", "--no-build", "--cache-dir", str(folder / "uv"),
        "--default-index", server.url, "--python-version", PYTHON,
        "--python-platform", "x86_64-manylinux_2_28", *_files(folder, lines, constraints),
    ]  # fmt: skip
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    pairs = (line.split("==") for line in done.stdout.splitlines() if "==" in line)
    return {canonicalize_name(name): version.split()[0] for name, version in pairs}


def pip_report(
    server: IndexServer, folder: Path, *lines: str, constraints: Sequence[str] = ()
) -> dict[str, str] | None:
    """What `pip install --dry-run` makes of them; None when it finds no solution."""
    command = [
        sys.executable, "-m", "pip", "install", "--isolated", "--quiet", "--dry-run",
        "--no-cache-dir", "--ignore-installed", "--disable-pip-version-check",
        "--only-binary", ":all:", "--index-url", server.url, "--report", "-",
        *_files(folder, lines, constraints, requirement="--requirement"),
    ]  # fmt: skip
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    report = json.loads(done.stdout)
    found = (item["metadata"] for item in report["install"])
    return {canonicalize_name(one["name"]): one["version"] for one in found}


def _files(
    folder: Path, lines: Sequence[str], constraints: Sequence[str], requirement: str = ""
) -> list[str]:
    wanted, limits = folder / "requirements.txt", folder / "constraints.txt"
    wanted.write_text("".join(f"{line}\n" for line in lines))
    limits.write_text("".join(f"{line}\n" for line in constraints))
    return [*([requirement] if requirement else []), str(wanted), "--constraint", str(limits)]


def _environment() -> dict[str, str]:
    """Nothing of this machine's configuration: the local index alone counts."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "NO_PROXY": "127.0.0.1,localhost"}


def override(package: str, versions_: str, requires: str) -> Override:
    """A row of the table of known overrides."""
    return Override(package, versions_, requires, f"{package} breaks", "test", "2026-11-22", "", 1)
