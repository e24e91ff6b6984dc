#!/usr/bin/env python3
"""What a push sends after each kind of change: `make bench-layers`.

One project is made into an image by cogpack with a lock, from a Dockerfile in Cog's layout, and
from one that somebody split by hand; on one builder that is started for it, so that the first build
finds empty caches. Of each push only the blobs count that the pushes before it had not. Then
another builder with empty caches makes the same image, and another project with the same framework.

It prints the tables of docs/layers.md. The last line is for machines.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import statistics
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from layers_columns import (
    CogLayout,
    Cogpack,
    Column,
    Image,
    Machine,
    Split,
    buildx,
    read_image,
)
from layers_project import Project, overlay, torch_index

from devdaemon import builder
from devdaemon.builder import Builder
from devdaemon.layout import SetupError, say

_PYTHON = "docker.io/library/python:3.11-slim-bookworm"
_LOOPBACK = "127.0.0.1"
_READY_SECONDS = 120.0
_STARTS = 7


@dataclass(frozen=True)
class Push:
    """What one push sent.

    sent: bytes of blobs that were new. seconds: of build and push together. changed: the layers
    among them, in words. digests: of all layers over the base, in words.
    """

    sent: int
    seconds: float
    changed: tuple[str, ...]
    image: Image
    digests: dict[str, str]


@dataclass(frozen=True)
class First:
    """The first build, by its parts in seconds; start to READY, the median; bytes over the base."""

    build: float
    store: float
    push: float
    ready: float
    size: int


@dataclass(frozen=True)
class Told:
    """What the first builder showed. kept: the image that other builders are to make again.

    project: as it was then. ours, cog: bytes that a push sends for one dependency more.
    """

    project: Project
    kept: Push
    ours: int
    cog: int


def main() -> int:
    """Build, change, build again; print the tables and the last line; return the exit code."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with torch_index(folder / "index", _LOOPBACK) as index:
            try:
                # One after the other: each holds some 20 GB at its end.
                with builder.second(_PYTHON) as found:
                    told = _report(_machine(found, folder / "here", index), folder, index)
                with builder.second(_PYTHON) as found:
                    _elsewhere(_machine(found, folder / "there", index), folder, told)
            except SetupError as fault:
                say(str(fault))
                return 3
    print(f"\n{told.cog / max(told.ours, 1):.0f} times fewer bytes for one dependency more")
    print(f"add-a-dependency: {told.ours} bytes, {told.cog} bytes")
    return 0


def _machine(found: Builder, compat: Path, index: str) -> Machine:
    if found.own is None or found.docker is None:
        raise SetupError("this bench needs the builder that it starts")
    env = {**os.environ, **found.environment()}
    tables = overlay(compat, _base(found.own.registry), _PYTHON, index)
    return Machine(env, found.own.registry, found.docker, tables)


def _base(registry: str) -> str:
    return f"{registry}/bench/base:3.11"


def _report(machine: Machine, folder: Path, index: str) -> Told:
    project = Project(folder / "project", index, _set_base(folder, machine, 1))
    project.write()
    columns: tuple[Column, ...] = (
        Cogpack(project, machine),
        CogLayout(project, machine),
        Split(project, machine),
    )
    known: list[set[str]] = [set() for _ in columns]
    firsts: list[First] = []
    pushes: list[Push] = []
    say(f"the first builds, of {project.framework}")
    for column, sent in zip(columns, known, strict=True):
        first, push = _first(column, machine, sent)
        firsts.append(first)
        pushes.append(push)
    _print_firsts(columns, firsts)
    heads = "".join(f" {column.title}: bytes sent | seconds |" for column in columns)
    print(f"\n| change |{heads}")
    print(f"|---|{'---|---|' * len(columns)}")
    _print_row("first build", pushes)
    figures: dict[str, list[Push]] = {"first build": pushes}
    for name, change in _changes(project, machine):
        change()
        figures[name] = [
            _push(column, machine, sent, f"{name.replace(' ', '-').replace(',', '')}")
            for column, sent in zip(columns, known, strict=True)
        ]
        _print_row(name, figures[name])
    _print_changed(columns, figures)
    ours, cog, _ = figures["add a dependency"]
    return Told(project, _push(columns[0], machine, set(), "kept"), ours.sent, cog.sent)


def _changes(project: Project, machine: Machine) -> list[tuple[str, Callable[[], object]]]:
    return [
        ("nothing", lambda: None),
        ("edit the source", project.edit),
        ("add a dependency", project.add_dependency),
        ("add a system package", project.add_system_package),
        ("add weights", lambda: project.set_weights(1)),
        ("change the weights", lambda: project.set_weights(2)),
        ("edit the source, with weights", project.edit),
        ("change the base", lambda: _set_base(project.folder.parent, machine, 2)),
    ]


def _set_base(folder: Path, machine: Machine, release: int) -> str:
    """Give the project's base one file or another, as its updates do; returns its name."""
    context = folder / "base"
    context.mkdir(exist_ok=True)
    (context / "release").write_text(f"{release}\n")
    (context / "Dockerfile").write_text(f"FROM {_PYTHON}\nCOPY release /etc/bench-release\n")
    name = _base(machine.registry)
    machine.run([buildx(), "build", "--provenance=false", "--tag", name, "--push", context])
    return name


def _first(column: Column, machine: Machine, known: set[str]) -> tuple[First, Push]:
    """Build, store, push and start, one after the other."""
    name = _name(column, "first")
    column.prepare()
    build = _seconds(column.build)
    store = _seconds(lambda: column.store(f"{machine.registry}/{name}"))
    push = _push(column, machine, known, "first")
    starts = [_ready(f"{machine.registry}/{name}", machine) for _ in range(_STARTS)]
    over = push.image.layers[-len(push.digests) :]
    size = sum(push.image.sizes[digest] for digest in over)
    first = First(build, store, push.seconds, statistics.median(starts), size)
    return first, replace(push, seconds=build + store + push.seconds)


def _push(column: Column, machine: Machine, known: set[str], tag: str) -> Push:
    """Build and push, and see which blobs were not in `known`, which learns of them."""
    column.prepare()
    name = _name(column, tag)
    seconds = _seconds(lambda: column.push(f"{machine.registry}/{name}"))
    image = read_image(machine.registry, name)
    words = column.layers()
    below = [f"base {number}" for number in range(1, len(image.layers) - len(words) + 1)]
    named = dict(zip([*below, *words], image.layers, strict=True))
    fresh = image.sizes.keys() - known
    known.update(image.sizes)
    return Push(
        sum(image.sizes[digest] for digest in fresh),
        seconds,
        tuple(word for word, digest in named.items() if digest in fresh),
        image,
        {word: named[word] for word in words},
    )


def _name(column: Column, tag: str) -> str:
    return f"bench/{type(column).__name__.lower()}:{tag}"


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _ready(image: str, machine: Machine) -> float:
    """Seconds from `docker run` until the server says READY."""
    with socket.socket() as probing:
        probing.bind((_LOOPBACK, 0))
        port = probing.getsockname()[1]
    start = time.perf_counter()
    run = ("run", "--detach", "--network", "host", "--env", f"PORT={port}", image)
    container = machine.run([machine.docker, *run]).strip()
    try:
        while _health(port) != "READY":
            if time.perf_counter() - start > _READY_SECONDS:
                raise SystemExit(machine.run([machine.docker, "logs", container]))
            time.sleep(0.02)
        return time.perf_counter() - start
    finally:
        machine.run([machine.docker, "rm", "--force", container])


def _health(port: int) -> str:
    with (
        suppress(urllib.error.URLError, http.client.HTTPException, OSError, ValueError),
        urllib.request.urlopen(f"http://{_LOOPBACK}:{port}/health-check", timeout=5) as answer,
    ):
        return str(json.load(answer)["status"])
    return ""


def _elsewhere(machine: Machine, folder: Path, told: Told) -> None:
    """The same project and another one, by a builder that shares nothing with the first."""
    base = _set_base(folder, machine, 2)
    twin = Project(folder / "twin", told.project.index, base)
    shutil.copytree(told.project.folder, twin.folder)
    other = Project(folder / "other", told.project.index, base)
    other.write()
    other.add_system_package()
    other.add_dependency("humanize==4.13.0")
    print("\n| on another builder | layers | of them the same | bytes | of them the same |")
    print("|---|---|---|---|---|")
    for title, made in (("the same project", twin), ("another project", other)):
        push = _push(Cogpack(made, machine), machine, set(), "there")
        _print_shared(title, told.kept, push)


def _print_shared(title: str, here: Push, there: Push) -> None:
    sizes = there.image.sizes
    same = {word for word, digest in there.digests.items() if digest in here.digests.values()}
    all_bytes = sum(sizes[digest] for digest in there.digests.values())
    same_bytes = sum(sizes[there.digests[word]] for word in same)
    print(f"| {title} | {len(there.digests)} | {len(same)} | {all_bytes:,} | {same_bytes:,} |")
    others = ", ".join(word for word in there.digests if word not in same) or "none"
    print(f"<!-- {title}: other layers: {others} -->", flush=True)


def _print_firsts(columns: Sequence[Column], firsts: Sequence[First]) -> None:
    print(f"| |{''.join(f' {column.title} |' for column in columns)}")
    print(f"|---|{'---|' * len(columns)}")
    rows: list[tuple[str, Callable[[First], str]]] = [
        ("build with empty caches, without export, seconds", lambda one: f"{one.build:.1f}"),
        ("first export to the image store, seconds", lambda one: f"{one.store:.1f}"),
        ("first push, seconds", lambda one: f"{one.push:.1f}"),
        ("over the base, compressed bytes", lambda one: f"{one.size:,}"),
        ("start to READY, seconds", lambda one: f"{one.ready:.1f}"),
    ]
    for title, cell in rows:
        print(f"| {title} |{''.join(f' {cell(one)} |' for one in firsts)}", flush=True)


def _print_row(name: str, pushes: Sequence[Push]) -> None:
    cells = "".join(f" {push.sent:,} | {push.seconds:.1f} |" for push in pushes)
    print(f"| {name} |{cells}", flush=True)


def _print_changed(columns: Sequence[Column], figures: dict[str, list[Push]]) -> None:
    print(f"\n| change |{''.join(f' {column.title}: layers sent |' for column in columns)}")
    print(f"|---|{'---|' * len(columns)}")
    for name, pushes in figures.items():
        if name != "first build":
            cells = (", ".join(push.changed) or "none" for push in pushes)
            print(f"| {name} |{''.join(f' {cell} |' for cell in cells)}")


if __name__ == "__main__":
    sys.exit(main())
