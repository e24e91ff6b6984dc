"""torchvision.csv and torchaudio.csv: what is built against torch, variant by variant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from ...index import NoMetadata
from ..cells import Cells, Sheet
from .finding import Finding, Found, Missed
from .metadata import companion
from .releases import (
    DEFAULT_SOURCE,
    History,
    Release,
    admitted,
    history,
    left_out,
    newest_pythons,
    read_metadata,
)
from .sources import UnreachedError
from .torch import VARIANT_SOURCE
from .wheels import Build
from .world import World

__all__ = ["find", "pages"]


def pages(sheet: Sheet, torch: Sheet) -> Iterator[tuple[str, str]]:
    """The pages that `find` asks for."""
    for url in sorted({row["index_url"] for row in torch.rows}):
        yield url, sheet.name


def find(sheet: Sheet, world: World, sheets: Mapping[str, Sheet]) -> Finding:
    """What the indexes have of one companion; sheets: torch as it now is, and python."""
    try:
        past = history(world, sheet.name, sheet.rows)
        pythons = newest_pythons(sheets["python"])
        rows, notes = _read_releases(past, world, pythons)
    except UnreachedError as error:
        return Finding(missed=(Missed(str(error), sheet.name),))
    variants = _read_variants(sheet, world, sheets["torch"])
    told = tuple(_with_variants(found, sheet, sheets["torch"], variants) for found in rows)
    return Finding(told, past.absent(sheet.name, world.since), notes, variants.missed)


def _read_releases(
    past: History, world: World, pythons: tuple[Version, ...]
) -> tuple[list[Found], tuple[str, ...]]:
    notes: list[str] = []
    found: list[Found] = []
    asked: list[tuple[Release, Build]] = []
    for release in past.releases:
        for build in release.builds.values():
            if world.recheck or not past.is_known(release.version, build.architecture):
                asked.append((release, build))
            else:
                found.append(Found(_cells(release, build), {"": DEFAULT_SOURCE}))
    answers = read_metadata(world, past, [(release, build.files) for release, build in asked])
    for (release, build), (_, _, metadata) in zip(asked, answers, strict=True):
        cells = _cells(release, build)
        is_known = past.is_known(release.version, build.architecture)
        if isinstance(metadata, NoMetadata):
            if not is_known:
                notes.append(left_out(metadata))
                continue
            found.append(Found(cells, {"": DEFAULT_SOURCE}))
        else:
            told = companion(metadata, build, admitted(pythons, build.python))
            found.append(_found(past, cells, told, build))
    return found, tuple(notes)


def _cells(release: Release, build: Build) -> Cells:
    return {
        "version": str(release.version),
        "architecture": build.architecture,
        "python": build.python,
        "glibc": build.glibc,
    }


def _found(past: History, cells: Cells, torch: str, build: Build) -> Found:
    if torch:
        return Found({**cells, "torch": torch}, {"": DEFAULT_SOURCE})
    # A release that names no torch is built for its stable ABI, as the last one was.
    before = [row for row in past.rows if row["architecture"] == build.architecture]
    if not before:
        return Found(cells, {"": DEFAULT_SOURCE})
    last = before[-1]
    source = f"as {past.package} {last['version']} has it, for it names none"
    return Found(cells, {"": DEFAULT_SOURCE, "torch": source}, {"torch": last["torch"]})


@dataclass(frozen=True)
class _Variants:
    """offered: (release, architecture) -> variants; reached: the variants whose index answered."""

    offered: Mapping[tuple[Version, str], frozenset[str]]
    reached: frozenset[str]
    missed: tuple[Missed, ...]


def _read_variants(sheet: Sheet, world: World, torch: Sheet) -> _Variants:
    urls = {row["index_url"]: row["variant"] for row in torch.rows if row["index_url"]}
    offered: dict[tuple[Version, str], set[str]] = {}
    reached, missed = set(), []
    oldest = min(Version(row["version"]) for row in sheet.rows)
    for url, variant in sorted(urls.items()):
        rows = [
            {"version": f"{row['version']}+{variant}"}
            for row in sheet.rows
            if variant in row["variants"].split()
        ]
        try:
            past = history(
                world,
                sheet.name,
                rows,
                url,
                oldest=oldest,
                counts=_of_variant(variant),
            )
        except UnreachedError as error:
            missed.append(Missed(str(error), f"the variants of {sheet.name}", variant))
            continue
        reached.add(variant)
        for release in past.releases:
            for architecture in release.builds:
                key = (Version(release.version.public), architecture)
                offered.setdefault(key, set()).add(variant)
    frozen = {key: frozenset(variants) for key, variants in offered.items()}
    return _Variants(frozen, frozenset(reached), tuple(missed))


def _of_variant(variant: str) -> Callable[[Version], bool]:
    return lambda version: version.local == variant


def _with_variants(found: Found, sheet: Sheet, torch: Sheet, variants: _Variants) -> Found:
    version, architecture = Version(found.cells["version"]), found.cells["architecture"]
    old = sheet.by_key.get((version, architecture), {})
    kept = set(old.get("variants", "").split()) - variants.reached
    offered = variants.offered.get((version, architecture), frozenset())
    specifier = found.cells.get("torch") or old.get("torch") or found.defaults.get("torch", "")
    known = {
        row["variant"]
        for row in torch.rows
        if row["architecture"] == architecture
        and row["index_url"]
        and SpecifierSet(specifier).contains(Version(row["version"]).public)
    }
    told = " ".join(sorted(kept | (offered & known)))
    source = {**found.source, **({"variants": VARIANT_SOURCE} if told else {})}
    return Found({**found.cells, "variants": told}, source, found.defaults)
