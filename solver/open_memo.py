"""Candidates as resolvelib goes through them: again and again, read as far as needed, some dead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from packaging.version import Version

from .open_catalog import Offer, View

__all__ = ["Dead", "Memo", "Node", "read_ahead"]

# Releases of a package that are looked at one by one, and most that are read side by side after.
_ALONE = 4
_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Node:
    """A candidate: an offer, or an extra of it."""

    key: str
    name: str
    extra: str
    offer: Offer

    @property
    def version(self) -> Version:
        """The version of the offer."""
        return self.offer.version


class Dead:
    """Candidates that are ruled out for good; with a base its extras go."""

    def __init__(self) -> None:
        self._nodes: set[Node] = set()
        self._offers: set[Offer] = set()

    def add(self, node: Node) -> None:
        self._nodes.add(node)
        if not node.extra:
            self._offers.add(node.offer)

    def __contains__(self, node: Node) -> bool:
        return node.offer in self._offers or node in self._nodes


class Memo:
    """An iterator that can be gone through again and again, read once and as far as needed.

    What has died meanwhile is passed over.
    """

    def __init__(self, source: Iterator[Node], dead: Dead) -> None:
        self._source = source
        self._dead = dead
        self._read: list[Node] = []

    def __call__(self) -> Iterator[Node]:
        position = 0
        while True:
            while position < len(self._read):
                node = self._read[position]
                position += 1
                if node not in self._dead:
                    yield node
            try:
                self._read.append(next(self._source))
            except StopIteration:
                return


def read_ahead(offers: Iterator[Offer], view: View) -> Iterator[Offer]:
    """The offers of a package, once some were not good enough read side by side.

    One by one, hundreds of releases take a minute from an index that has no metadata files.
    """
    yield from islice(offers, _ALONE)
    size = 2 * _ALONE
    while batch := list(islice(offers, size)):
        view.prefetch(batch)
        yield from batch
        size = min(2 * size, _AT_ONCE)
