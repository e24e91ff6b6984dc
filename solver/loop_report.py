"""What the loop between the worlds tells beside its answer, and how it treats the interpreter."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from msgspec import structs

from ..errors import Fault, UserError
from ..index.metadata import Metadata
from .conflict import Clash, Conflict
from .open_catalog import Catalog, View
from .open_model import Ask, range_of
from .open_provider import depends
from .open_resolve import OpenSolution

__all__ = ["oddities", "page_notes", "rare_collections", "report_unknown", "with_gaps"]

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
    """What is unusual of the solution: yanked releases, metadata that were mended or stated."""
    for one in solution.packages:
        if one.offer.yanked:
            reason = one.offer.file.yanked_reason
            why = f" ({reason})" if reason else ""
            yield f"{one.name} {one.version}: its author has taken it back{why}"
        found = view.metadata(one.offer)
        for warning in found.warnings if isinstance(found, Metadata) else ():
            yield f"{one.name} {one.version}: {warning}"
    yield from _unmet(solution, view)


def _unmet(solution: OpenSolution, view: View) -> Iterator[str]:
    """What packages that were taken as they are need of one another, and have not."""
    versions = {one.name: one.version for one in solution.packages if one.name in view.as_they_are}
    for one in solution.packages:
        found = view.metadata(one.offer) if one.name in versions else None
        if not isinstance(found, Metadata):
            continue
        for extra in ("", *one.extras):
            for need in depends(found, extra, view.applies):
                version = versions.get(need.name)
                if version is not None and not need.range.admits(version):
                    yield (
                        f"{one.name} {one.version} needs {need.name}{need.range.text}, and "
                        f"{need.name} {version} is pinned with its hash: taken as it is"
                    )


def page_notes(names: Iterable[str], catalog: Catalog) -> Iterator[str]:
    """What the indexes say of the projects of these packages, and what of them has no date."""
    wanted = set(names)
    for (name, _), page in sorted(catalog.pages.items()):
        if name in wanted:
            yield from page.notes


def report_unknown(asks: Iterable[Ask], catalog: Catalog) -> None:
    """Raises UserError for names of which no index has any file: a fault by itself."""
    places = ", ".join(one.display for one in catalog.sources.all) or "no index"
    # Of a package with builds on several indexes one of them may lack it.
    missing = {name for name, _ in catalog.missing} - {name for name, _ in catalog.pages}
    faults = []
    for ask in asks:
        if ask.is_direct or ask.constraint:
            continue
        if ask.name in missing:
            message = f"no package index has a package named {ask.name}"
            # What a block installs is spelt right; an index of one's own may still lack it.
            hint = "check the spelling" if ask.origin.file else "name an index that has it as well"
            hint = f"{hint}; looked at: {places}"
            faults.append(Fault(message, ask.origin, hint))
        else:
            faults += [
                Fault(f"there is no file of {ask.name} to install: {gap}", ask.origin)
                for gap in _emptied(ask.name, catalog)
            ]
    if faults:
        raise UserError(faults)


def _emptied(name: str, catalog: Catalog) -> Iterator[str]:
    """Why there is nothing of a package that an index has, if there is nothing."""
    pages = [page for (owner, _), page in sorted(catalog.pages.items()) if owner == name]
    if pages and not any(page.releases for page in pages):
        yield "; ".join(filter(None, (page.gap() for page in pages)))


def with_gaps(conflict: Conflict, catalog: Catalog) -> Conflict:
    """The conflict, its clashes with notes on what the indexes have and hold back of its lines."""
    return Conflict(
        tuple(
            structs.replace(clash, notes=(*clash.notes, *_gaps(clash, catalog)))
            for clash in conflict.clashes
        )
    )


def _gaps(clash: Clash, catalog: Catalog) -> list[str]:
    found = []
    for (name, _), page in sorted(catalog.pages.items()):
        asked = [one for one in clash.requirements if one.package == name]
        for one in asked:
            gap = page.gap(range_of(one.specifier).admits)
            found += [gap] if gap and gap not in found else []
    return found
