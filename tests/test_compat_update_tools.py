"""tools.csv: the newest release of a tool, with the hashes of the wheels that a build may get."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from packaging.version import Version

from cogpack.compat.cells import Sheet
from cogpack.compat.tables import Tables
from cogpack.compat.updater.simple import tools
from cogpack.index.page import File, Page

SHEET = Sheet.of("tools", [{"tool": "uv", "version": "0.1"}])


def wheel(version: str, tags: str, digest: str) -> File:
    filename = f"uv-{version}-py3-none-{tags}.whl"
    hashes = (("sha256", digest),) if digest else ()
    return File(filename, f"https://x.invalid/{filename}", "wheel", Version(version), hashes)


def found(*files: File) -> dict[str, str]:
    releases: dict[Version, tuple[File, ...]] = {}
    for file in files:
        releases[file.version] = (*releases.get(file.version, ()), file)
    page = Page("uv", "https://x.invalid/simple/", releases)
    world: Any = SimpleNamespace(page=lambda *_: page, since=None)
    [row] = tools(SHEET, world, {}).rows
    return dict(row.cells)


@pytest.mark.parametrize(
    ("arm", "hashes"), [("b" * 64, f"{'a' * 64} {'b' * 64}"), ("", "")], ids=["all", "one-lacks"]
)
def test_the_newest_release_with_the_hash_of_every_build(arm: str, hashes: str) -> None:
    cells = found(
        wheel("0.1", "manylinux_2_17_x86_64", "d" * 64),
        wheel("0.2", "manylinux_2_17_x86_64", "a" * 64),
        wheel("0.2", "manylinux_2_17_aarch64", arm),
        wheel("0.2", "macosx_11_0_arm64", "c" * 64),
    )
    assert cells == {"tool": "uv", "version": "0.2", "sha256": hashes}


def test_every_tool_of_the_tables_has_hashes() -> None:
    assert all(row.sha256 for row in Tables.load().tools)
