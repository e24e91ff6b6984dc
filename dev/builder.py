#!/usr/bin/env python3
"""A BuildKit to develop with: one that is already there, or Debian's, started on this machine.

builder.py start     have a builder; says which
builder.py status    says what runs; exit code 1 when nothing does
builder.py env       prints `export DOCKER_HOST=…` for eval "$(dev/builder.py env)"
builder.py base      provides the base images that the examples and tests build on
builder.py docker …  runs the docker command that belongs to the builder
builder.py second …  starts another builder, with empty caches and these base images, prints its
                     addresses, and removes it when its standard input ends
builder.py stop      stops the one that `start` started
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036  # the script runs before any installer has checked
    sys.exit("dev/builder.py needs Python 3.11 or newer")
sys.path.insert(0, str(Path(__file__).resolve().parent))

from devdaemon import builder, daemon, standins
from devdaemon.layout import SetupError, say


def _start(_words: list[str]) -> int:
    print(builder.find().describe())
    return 0


def _status(_words: list[str]) -> int:
    found = builder.existing()
    print(found.describe() if found else "no builder runs")
    return 0 if found else 1


def _env(_words: list[str]) -> int:
    for name, value in builder.find().environment().items():
        print(f"export {name}={value}")
    return 0


def _base(words: list[str]) -> int:
    wanted = _standins(words)
    standins.provide(builder.find(), wanted)
    return 0


def _standins(words: Sequence[str]) -> list[standins.StandIn]:
    """The stand-ins of these names; all of them when none is named."""
    table = {f"{standin.repository}:{standin.tag}": standin for standin in standins.STANDINS}
    names = [word.removeprefix("docker.io/") for word in words]
    if unknown := [name for name in names if name not in table]:
        raise SetupError(f"no stand-in for {', '.join(unknown)}; there are {', '.join(table)}")
    return [table[name] for name in names or table]


def _second(words: list[str]) -> int:
    wanted = _standins(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with daemon.second() as started:
        standins.provide(builder.of(started), wanted)
        print(json.dumps(asdict(started)), flush=True)
        sys.stdin.buffer.read()
    return 0


def _docker(words: list[str]) -> int:
    found = builder.find()
    if not found.docker:
        raise SetupError("no docker command on PATH; unset BUILDKIT_HOST and DOCKER_HOST")
    os.environ.update(found.environment())
    os.execv(found.docker, ["docker", *words])  # noqa: S606  # no shell is what is wanted


def _stop(_words: list[str]) -> int:
    daemon.stop()
    return 0


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "start": _start,
    "status": _status,
    "env": _env,
    "base": _base,
    "docker": _docker,
    "second": _second,
    "stop": _stop,
}


def main() -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("words", nargs=argparse.REMAINDER, help="images, or what docker takes")
    options = parser.parse_args()
    try:
        return _COMMANDS[options.command](options.words)
    except SetupError as fault:
        say(str(fault))
        return 3


if __name__ == "__main__":
    sys.exit(main())
