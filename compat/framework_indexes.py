"""Which package indexes are those of a framework: they serve it, and old copies of much else."""

from __future__ import annotations

from .tables import Tables

__all__ = ["is_framework_index"]


def is_framework_index(url: str, tables: Tables | None = None) -> bool:
    """Whether an index is one from which the tables take builds of torch, or stands beside these.

    Beside them are the indexes of variants that the tables do not have, and of nightly builds.

    tables: the package's own, with their overlays, when there are none.
    """
    known = {row.index_url for row in (tables or Tables.load()).torch if row.index_url}
    above = {one.rpartition("/")[0] for one in known if one.rpartition("/")[0].count("/") > 2}
    asked = url.rstrip("/")
    return asked in known | above or any(asked.startswith(f"{one}/") for one in above)
