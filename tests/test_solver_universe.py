"""Universes refuse contradictory candidates and keep theirs in order."""

from __future__ import annotations

import pytest
from packaging.version import Version

from cogpack.solver.universe import Candidate, Universe
from support.universes import candidate


def test_candidates_are_sorted_oldest_first() -> None:
    universe = Universe.of(candidate("a", label) for label in ("2.10", "2.9", "2.9+cpu", "2.9rc1"))
    assert [one.label for one in universe["a"].candidates] == ["2.9rc1", "2.9", "2.9+cpu", "2.10"]


def test_opaque_candidates_are_sorted_by_their_order() -> None:
    universe = Universe.of([Candidate("image", "a", order=2), Candidate("image", "b", order=1)])
    assert [one.label for one in universe["image"].candidates] == ["b", "a"]


def test_a_label_stands_once() -> None:
    with pytest.raises(ValueError, match="stands twice"):
        Universe.of([candidate("a", "1.0"), candidate("a", "1.0")])


def test_versions_and_opaque_labels_do_not_mix() -> None:
    with pytest.raises(ValueError, match="some candidates have a version"):
        Universe.of([candidate("a", "1.0"), Candidate("a", "one")])


def test_extended_replaces_a_known_label() -> None:
    universe = Universe.of([candidate("a", "1.0"), candidate("b", "1.0")])
    other = Candidate("a", "1.0", Version("1.0"), index="elsewhere")
    extended = universe.extended([other, candidate("a", "2.0")])
    assert [one.index for one in extended["a"].candidates] == ["elsewhere", ""]
    assert universe["a"].candidates[0].index == ""
