"""What is read of a release that no table has is what its row says, on recorded answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from packaging.version import Version

from cogpack.compat.cells import Sheet, sheets_of, write_sheet
from cogpack.compat.rows import TorchBuild
from cogpack.compat.tables import Tables
from cogpack.index import CachePolicy, IndexClient, IndexSet, Sources, parse_location
from cogpack.solver.matrix import build_universe
from cogpack.solver.silent_index import IndexMetadata
from cogpack.solver.universe import Candidate
from support.matrices import tables
from support.new_releases import lines
from support.recorded import DATA, MIRRORS, Recording

NEWEST_KNOWN = (2, 8)
OWN = "https://download.pytorch.org/whl"


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The tables without what is newer, torch's own index being the recorded one."""
    folder = tmp_path_factory.mktemp("cut")
    for name, sheet in sheets_of(tables()).items():
        rows = list(sheet.rows)
        if name == "torch":
            rows = [
                {**row, "index_url": row["index_url"].replace(OWN, MIRRORS["pytorch"])}
                for row in rows
                if Version(row["version"]).release[:2] <= NEWEST_KNOWN
            ]
        write_sheet(folder, Sheet.of(name, rows))
    return Tables.load(folder)


@cache
def newer(architecture: str) -> tuple[TorchBuild, ...]:
    return tuple(
        row
        for row in tables().torch
        if row.version.release[:2] > NEWEST_KNOWN and row.architecture == architecture
    )


def versions() -> list[tuple[str, str]]:
    """A default build and a build of each variant of every newer series."""
    found: dict[tuple[object, ...], tuple[str, str]] = {}
    for architecture in ("amd64", "arm64"):
        for row in newer(architecture):
            if row.cuda and not row.cudnn:
                continue  # its metadata cannot be had: the table has it from the default build
            key = (architecture, row.version.release[:2], row.variant, row.version.local)
            found[key] = (architecture, str(row.version))
    return list(found.values())


@contextmanager
def recorded() -> Iterator[IndexSet]:
    recording = Recording(DATA / "compat_recorded" / "torch.jsonl")
    with IndexClient(None, CachePolicy(), recording, workers=2) as client:
        yield IndexSet(client, Sources(parse_location("https://index.invalid/simple/")))


def said(candidate: Candidate) -> set[str]:
    """The facts of a build; metadata know nothing of kernels."""
    texts = {relation.fact.text for relation in candidate.relations}
    return {text for text in texts if "capabilit" not in text}


@pytest.mark.parametrize(("architecture", "version"), versions())
def test_a_build_is_read_as_the_tables_have_it(
    architecture: str, version: str, cut: Tables
) -> None:
    platform = f"linux/{architecture}"
    known = build_universe(tables(), platform=platform, roots=["torch"])["torch"]
    real = known.candidates[known.position[version]]
    source = IndexMetadata(cut, platform, recorded, patience=60.0)
    universe = build_universe(cut, platform=platform, roots=["torch"])
    wanted = lines(f"torch=={version}")
    found = source.find(wanted, wanted, universe)
    assert not [one for one in found.unread if one.requirement.package == "torch"]
    (read,) = [one for one in found.candidates if (one.package, one.label) == ("torch", version)]
    assert read.variant == real.variant
    assert read.index == real.index.replace(OWN, MIRRORS["pytorch"])
    assert said(read) == said(real)
    assert Path(real.relations[0].fact.table).name == "torch.csv"
    assert {one.fact.table for one in read.relations} == {f"index metadata of torch {version}"}
