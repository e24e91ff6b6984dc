"""A universe in which builds of torch come from the index that the project names, if they can."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from ..origin import Origin
from .matrix_facts import OTHER_INDEX
from .universe import Candidate, Fact, Term, Universe, requires

__all__ = ["with_own_index"]

_TORCH = "torch"


def with_own_index(universe: Universe, named: Mapping[str, Origin]) -> Universe:
    """The universe in which a build of torch from an index that is not named is a compromise.

    `--extra-index-url https://…/whl/cu118` is how people ask for the builds for CUDA 11.8.

    named: index URL without a slash at its end -> the line that names it. Those that no build of
    torch comes from count for nothing.
    """
    builds = universe[_TORCH].candidates if _TORCH in universe else ()
    known = {one.index.rstrip("/") for one in builds}
    wished = {url: origin for url, origin in sorted(named.items()) if url in known}
    if not wished:
        return universe
    asked = ", ".join(f"{url} ({origin.where})" for url, origin in wished.items())
    note = f"torch comes from another index than {asked}: no build there goes with the rest"
    changed = [Candidate(OTHER_INDEX, "accepted", notes=(note,))]
    for one in builds:
        if one.index.rstrip("/") in wished:
            continue
        row = one.relations[0].fact if one.relations else Fact("", 0, one.label, "")
        where = one.index or "the default index"
        fact = replace(row, text=f"torch {one.label} comes from {where}")
        changed.append(replace(one, relations=(*one.relations, requires(fact, Term(OTHER_INDEX)))))
    return universe.extended(changed)
