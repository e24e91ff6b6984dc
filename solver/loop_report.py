"""What the loop between the worlds tells beside its answer, and how it treats the interpreter."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ..errors import Fault, UserError
from ..index.metadata import Metadata
from .open_catalog import Catalog, View
from .open_model import Ask
from .open_resolve import OpenSolution

__all__ = ["oddities", "rare_collections", "report_unknown"]

# Objects that are made between two collections of garbage; some 100 MB.
_ALLOCATIONS = 500_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect garbage rarely meanwhile: nearly all that a search makes lives until its end.

    With Python's own thresholds a tenth of the time went into looking at it again and again.
    """
    before = gc.get_threshold()
    gc.set_threshold(_ALLOCATIONS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def oddities(solution: OpenSolution, view: View) -> Iterator[str]:
    """What is unusual of the metadata that the solution stands on: mended, or not the index's."""
    for one in solution.packages:
        found = view.metadata(one.offer)
        for warning in found.warnings if isinstance(found, Metadata) else ():
            yield f"{one.name} {one.version}: {warning}"


def report_unknown(asks: Iterable[Ask], catalog: Catalog) -> None:
    """Raises UserError for names that no index has: they are a fault by themselves."""
    places = ", ".join(one.display for one in catalog.sources.all) or "no index"
    faults = [
        Fault(
            f"no package index has a package named {ask.name}",
            ask.origin,
            f"check the spelling; looked at: {places}",
        )
        for ask in asks
        if ask.name in catalog.missing and not ask.is_direct and not ask.constraint
    ]
    if faults:
        raise UserError(faults)
