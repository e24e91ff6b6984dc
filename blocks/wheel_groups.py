"""Which wheels share a layer: a large one has its own, the small ones are spread over a few."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec import Struct

__all__ = [
    "LARGE_BYTES",
    "MOST_LAYERS",
    "Wheel",
    "WheelGroup",
    "group_wheels",
    "guessed_size",
    "lines",
]

# A wheel of this size or more is worth a layer of its own: sending it again takes longer than the
# round trips that a layer costs (some 10 MB a second against 100 ms), bytes.
LARGE_BYTES = 2_000_000

# Over so many layers the small wheels are spread, by name: one more small package then changes a
# fraction of their bytes. Each layer costs the build some 0.3 s, so more would not pay.
BUCKETS = 8

# Layers of an image over its base, without those of weights; overlayfs stacks of some hundred work,
# registries and pulls get slower with each (Docker's own limit is 127).
MOST_LAYERS = 24


class Wheel(Struct, frozen=True, order=True):
    """A wheel as the lock names it.

    name: PEP 503 normalised. line: of a requirements file, with its hash. size: bytes; 0 when it is
    not known. index: the package index that it comes from; empty for a URL or a path.
    path: of a wheel of the project, relative to it.
    """

    name: str
    version: str
    line: str
    size: int
    index: str = ""
    path: str = ""


class WheelGroup(Struct, frozen=True):
    """Wheels that are installed by one command and make one layer."""

    name: str
    wheels: tuple[Wheel, ...]


def guessed_size(name: str, filename: str, frameworks: Collection[str]) -> int:
    """A size for a wheel that nobody knows the size of: one for one platform often is large.

    frameworks: names of packages that surely are.
    """
    if name in frameworks:
        return 100 * LARGE_BYTES
    return 0 if filename.endswith("-any.whl") else LARGE_BYTES


def group_wheels(wheels: Iterable[Wheel], most: int) -> tuple[WheelGroup, ...]:
    """Wheels in groups, the largest first and the small ones last.

    The content of a large wheel's layer depends on that wheel alone, so every project with the
    same wheel has the same layer. In which layer a small one is depends on its name alone.

    most: how many groups there may be, at least 1. When there are more large wheels than have room,
    the smaller ones of them share layers, half of those that small ones have otherwise: a small
    wheel more must not send a large one again.
    """
    buckets = min(BUCKETS, max(1, most // 2))
    ordered = sorted(wheels, key=lambda wheel: (-wheel.size, wheel.name))
    large = [wheel for wheel in ordered if wheel.size >= LARGE_BYTES]
    alone, crowded = large[: most - buckets], large[most - buckets :]
    small = ordered[len(large) :]
    halves = [buckets // 2, buckets - buckets // 2]
    if not crowded or 0 in halves:
        crowded, small, halves = [], [*crowded, *small], [0, buckets]
    return (
        *(WheelGroup(wheel.name, (wheel,)) for wheel in alone),
        *_spread("large-packages", crowded, halves[0]),
        *_spread("packages", small, halves[1]),
    )


def _spread(name: str, wheels: Iterable[Wheel], buckets: int) -> Iterator[WheelGroup]:
    shared: dict[int, list[Wheel]] = {}
    for wheel in sorted(wheels):
        shared.setdefault(_bucket(wheel.name, buckets), []).append(wheel)
    for key in sorted(shared):
        yield WheelGroup(f"{name}-{key + 1}", tuple(shared[key]))


def _bucket(name: str, buckets: int) -> int:
    """A number below `buckets` that is the same for a name on every machine."""
    from hashlib import sha256  # OpenSSL is slow to load, and only plans are cut into layers

    return int.from_bytes(sha256(name.encode()).digest()[:8], "big") % buckets


def lines(wheels: Sequence[Wheel]) -> str:
    """The wheels as a requirements file with hashes, sorted by name."""
    return "".join(f"{wheel.line}\n" for wheel in sorted(wheels))
