"""What to ask about versions that no table knows: the package indexes of the project.

It costs nothing until there is such a version: neither index client nor HTTP is loaded before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from ..compat.tables import Tables
from .compose import Composition

if TYPE_CHECKING:
    from ..index.indexset import IndexSet
    from ..solver.requirement import Requirement
    from ..solver.silent import Found, MetadataSource
    from ..solver.universe import Universe

__all__ = ["ProjectIndexes"]


class ProjectIndexes:
    """A `MetadataSource` over the indexes that a project and its user's settings name.

    environ: settings of pip, uv and the cache. offline: answer from the cache alone. refresh: ask
    for pages again that are in it. exclude_newer: files uploaded at or after it do not exist.
    """

    def __init__(
        self,
        composition: Composition,
        environ: Mapping[str, str],
        *,
        offline: bool = False,
        refresh: bool = False,
        exclude_newer: datetime | None = None,
    ) -> None:
        self._composition = composition
        self._environ = environ
        self._offline = offline
        self._refresh = refresh
        self._exclude_newer = exclude_newer
        self._tables = Tables.load()

    def find(
        self, unknown: Sequence[Requirement], asked: Sequence[Requirement], universe: Universe
    ) -> Found:
        """See `MetadataSource`."""
        return self._source.find(unknown, asked, universe)

    @cached_property
    def _source(self) -> MetadataSource:
        from ..index.settings import patience
        from ..solver.silent_index import IndexMetadata

        return IndexMetadata(
            self._tables,
            self._composition.platform,
            self._opened,
            patience=patience(self._environ),
        )

    @contextmanager
    def _opened(self) -> Iterator[IndexSet]:
        from ..index.indexset import IndexSet
        from ..index.settings import find_sources, open_client, patience
        from .asks import index_options

        options = index_options(self._composition)
        sources = find_sources(self._environ, options)
        with open_client(
            self._environ,
            sources,
            offline=self._offline,
            refresh=self._refresh,
            options=options,
            patience=patience(self._environ),
        ) as client:
            yield IndexSet(client, sources, exclude_newer=self._exclude_newer)
