"""Recorded answers of package indexes and other servers, played without any network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cogpack.compat.updater.world import World
from cogpack.index import CachePolicy, Fetcher, IndexClient, parse_location
from cogpack.index.http import Answer
from cogpack.index.pagecache import PageCache
from cogpack.index.store import Store

__all__ = ["Recording", "recorded_world"]

DATA = Path(__file__).resolve().parent.parent / "data"

MIRRORS = {
    "pytorch": "https://pytorch.invalid/whl",
    "pytorch-notes": "https://notes.invalid",
    "docker.io": "https://docker.invalid",
    "python-cycle": "https://peps.invalid",
    "python-releases": "https://python.invalid",
}


class Recording(Fetcher):
    """A fetcher whose world is a file of answers; what is not in it answers 404.

    asked: the URLs that were asked for, in order.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        lines = path.read_text(encoding="utf-8").splitlines()
        self._answers = {answer["url"]: answer for answer in map(json.loads, lines)}
        self.asked: list[str] = []

    def get(self, url: str, *, headers: Mapping[str, str] | None = None, **_: Any) -> Answer:
        self.asked.append(url)
        answer = self._answers.get(url)
        if answer is None:
            return Answer(url, 404, {}, b"")
        kind = {"content-type": answer["type"]}
        return Answer(url, answer["status"], kind, answer["body"].encode())


@contextmanager
def recorded_world(name: str, folder: Path, **options: Any) -> Iterator[World]:
    """The world of a recording in tests/data/compat_recorded.

    folder: for caches. options: further fields of `World`.
    """
    recording = Recording(DATA / "compat_recorded" / f"{name}.jsonl")
    index = parse_location("https://index.invalid/simple/")
    cache = PageCache(Store(folder), 0)
    with IndexClient(None, CachePolicy(refresh=True), recording, workers=2) as client:
        yield World(client, index, recording, cache, MIRRORS, **options)
