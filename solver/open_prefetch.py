"""Fetching ahead: pages and metadata that the resolver will want, while it waits for others.

A scout walks the dependency graph greedily, the newest release that suits each demand, on the
client's threads. It decides nothing; what it fetched and nobody wants has cost only time.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Mapping
from functools import partial

from packaging.version import Version

from ..errors import Failure
from ..index.indexset import IndexSet
from ..index.metadata import Metadata
from .open_catalog import Catalog, View, fitting
from .open_model import Ask, Range
from .open_provider import Demand, depends

__all__ = ["Scout", "ask_ahead"]


def ask_ahead(catalog: Catalog, asks: Iterable[Ask], settled: frozenset[str]) -> None:
    """Begin to fetch the pages that will be wanted whatever the matrix chooses."""
    if not catalog.client.policy.offline:
        # A constraint may be about a package that is never installed, and private.
        wanted = (ask for ask in asks if not ask.is_direct and not ask.constraint)
        names = {ask.name for ask in wanted} - settled
        IndexSet(catalog.client, catalog.sources).prefetch(sorted(names))


class Scout:
    """Walks ahead of a resolver; `stop` makes it take no further steps."""

    def __init__(self, view: View, fixed: Mapping[str, Version | None]) -> None:
        self._view = view
        self._fixed = fixed
        self._seen: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()
        # Without a network there is nothing to wait for.
        self._stopped = view.catalog.client.policy.offline

    def start(self, demands: Iterable[Demand]) -> None:
        """Begin with the user's own demands."""
        for demand in demands:
            if demand.direct is None:
                self._send(demand.name, demand.extra, demand.range)

    def stop(self) -> None:
        """Take no further steps; what is under way ends by itself."""
        self._stopped = True

    def _send(self, name: str, extra: str, wanted: Range) -> None:
        key = (name, extra, wanted.text)
        with self._lock:
            if self._stopped or key in self._seen:
                return
            self._seen.add(key)
        with contextlib.suppress(RuntimeError):  # the pool was closed meanwhile
            self._view.catalog.client.start([partial(self._step, name, extra, wanted)])

    def _step(self, name: str, extra: str, wanted: Range) -> None:
        if self._stopped:
            return
        # A fault shows when the resolver itself asks.
        with contextlib.suppress(Failure):
            page = self._view.index.page(name)
            if page is None:
                return
            versions: Iterable[Version] = page.versions
            if name in self._fixed:
                settled = self._fixed[name]
                versions = (settled,) if settled is not None else ()
            for version in versions:
                if not wanted.admits(version) or version.is_prerelease:
                    continue
                files = page.releases.get(version, ())
                chosen = fitting(files, self._view.target, self._view.options, name)
                if not chosen or chosen[0].yanked:
                    continue
                found = self._view.index.metadata_of(name, chosen)
                if isinstance(found, Metadata):
                    needs = depends(found, extra, self._view.target.applies)
                    for one in (need for need in needs if not need.url):
                        self._send(one.name, "", one.range)
                        for further in one.extras:
                            self._send(one.name, further, one.range)
                return
