"""Releases newer than the small tables, on a local index and on one for torch's variants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from cogpack.compat.cells import Sheet, write_sheet
from cogpack.compat.tables import Tables
from cogpack.index import (
    CachePolicy,
    CredentialBook,
    Fetcher,
    HttpSettings,
    IndexClient,
    IndexSet,
    Sources,
    parse_location,
)
from cogpack.origin import Origin
from cogpack.solver.conflict import Conflict
from cogpack.solver.matrix import build_universe
from cogpack.solver.requirement import Requirement
from cogpack.solver.resolution import Resolution
from cogpack.solver.silent_index import IndexMetadata
from cogpack.solver.solve import resolve
from support.distributions import Dist
from support.small_tables import small_sheets, torch_wheels
from support.upstream import Upstream

__all__ = ["NEW", "Asker", "lines", "moved_tables", "put_variants"]

_MINORS = (10, 11, 12, 13, 14)


def _wheels(version: str, requires: Sequence[str] = (), extras: Sequence[str] = ()) -> list[Dist]:
    return [
        Dist(
            version,
            tuple(requires),
            ">=3.10",
            tuple(extras),
            tag=f"cp3{minor}-cp3{minor}-manylinux_2_28_x86_64",
        )
        for minor in _MINORS
    ]


NEW: Mapping[str, Sequence[Dist]] = {
    "torch": torch_wheels("2.9.0", "12.8.90", "9.10.2.21", "3.5.0", _MINORS),
    "torchvision": _wheels("0.24.0", ["torch==2.9.0", "numpy"]),
    "torchaudio": _wheels("2.9.0", ["torch==2.9.0"]),
    "triton": _wheels("3.5.0"),
    "tensorflow": _wheels(
        "2.20.0",
        [
            "nvidia-cuda-runtime-cu12<13.0,>=12.5.82; extra == 'and-cuda'",
            "nvidia-cudnn-cu12<10.0,>=9.3.0.75; extra == 'and-cuda'",
        ],
        ["and-cuda"],
    ),
    "jax": [
        Dist(
            "0.8.0",
            (
                "jaxlib<=0.8.0,>=0.8.0",
                "jax-cuda12-plugin[with-cuda]<=0.8.0,>=0.8.0; extra == 'cuda12'",
                "jax-cuda13-plugin[with-cuda]<=0.8.0,>=0.8.0; extra == 'cuda13'",
            ),
            ">=3.11",
            ("cuda12", "cuda13"),
        )
    ],
    "jaxlib": _wheels("0.8.0"),
    "jax-cuda12-plugin": _wheels(
        "0.8.0",
        [
            "nvidia-cuda-runtime-cu12>=12.1.105; extra == 'with-cuda'",
            "nvidia-cudnn-cu12<10.0,>=9.8; extra == 'with-cuda'",
        ],
        ["with-cuda"],
    ),
}
"""What the index has and the small tables have not."""


def moved_tables(folder: Path, variants: str, changes: Mapping[str, Sheet] | None = None) -> Path:
    """The small tables, with the indexes of torch's variants at another URL."""
    folder.mkdir(parents=True, exist_ok=True)
    sheets = {**small_sheets(), **(changes or {})}
    rows = [
        {**row, "index_url": f"{variants}/{row['variant']}" if row["index_url"] else ""}
        for row in sheets["torch"].rows
    ]
    sheets["torch"] = Sheet.of("torch", rows)
    for sheet in sheets.values():
        write_sheet(folder, sheet)
    return folder


def put_variants(server: Upstream, name: str, dists: Sequence[Dist]) -> None:
    """Serve these wheels as torch's own index does: all on one page, and variant by variant."""
    server.put_wheels(f"/whl/{name}/", name, dists)
    variants = {dist.version.partition("+")[2] for dist in dists}
    for variant in variants:
        own = [dist for dist in dists if dist.version.endswith(f"+{variant}")]
        server.put_wheels(f"/whl/{variant}/{name}/", name, own)


def lines(*texts: str) -> list[Requirement]:
    """Requirements of a requirements.txt; `python` and `accelerator` are of cog.yaml."""
    found = []
    for number, text in enumerate(texts, 1):
        end = next((i for i, letter in enumerate(text) if letter in "=<>!~"), len(text))
        file = "cog.yaml" if text.startswith(("python", "accelerator")) else "requirements.txt"
        found.append(Requirement(text[:end], text[end:], Origin(file, number, text)))
    return found


class Asker:
    """Solves small projects over tables that are silent, and an index.

    url: of the index; may hold a credential. exclude_newer: see `IndexSet`.
    """

    def __init__(
        self,
        folder: Path,
        tables: Path,
        url: str,
        *,
        patience: float = 60.0,
        exclude_newer: datetime | None = None,
    ) -> None:
        self.tables = Tables.load(tables)
        self._cache = folder / "cache"
        self._url = url
        self._patience = patience
        self._exclude_newer = exclude_newer
        self.opened = 0

    def source(self, *, offline: bool = False) -> IndexMetadata:
        """A source as a new run has it."""

        @contextmanager
        def opened() -> Iterator[IndexSet]:
            self.opened += 1
            location = parse_location(self._url)
            sources = Sources(location)
            settings = HttpSettings(attempts=1)
            fetcher = Fetcher(settings, CredentialBook(sources.all, use_keyring=False))
            policy = CachePolicy(offline=offline)
            with IndexClient(self._cache, policy, fetcher, workers=2) as client:
                yield IndexSet(client, sources, exclude_newer=self._exclude_newer)

        return IndexMetadata(self.tables, "linux/amd64", opened, patience=self._patience)

    def outcome(self, *texts: str, offline: bool = False) -> Resolution | Conflict:
        """The answer to a project of these lines."""
        wanted = lines(*texts)
        roots = {one.package for one in wanted}
        universe = build_universe(self.tables, roots=roots)
        return resolve(wanted, universe, source=self.source(offline=offline))

    def resolved(self, *texts: str, offline: bool = False) -> Resolution:
        """As `outcome`, which must be a resolution."""
        found = self.outcome(*texts, offline=offline)
        assert isinstance(found, Resolution), found
        return found
