"""Specifiers over sorted candidates: the same answer as `packaging` gives one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from cogpack.solver.selection import Selector, complement, intersect, intervals_of
from cogpack.solver.universe import Candidate, Package, Term, Universe
from support.universes import candidate

releases = st.sampled_from(["0.9", "1", "1.0.1", "2", "2.0", "2.1", "2.1.3", "2.10", "3", "1!0.5"])
suffixes = st.sampled_from(["", "", "", "rc1", ".dev3", ".post1", "a2.post1", "+cpu", "+cu121"])
versions = st.builds("{}{}".format, releases, suffixes)
operators = st.sampled_from(["==", "!=", ">=", "<=", ">", "<", "==="])


@st.composite
def clauses(draw: st.DrawFn) -> str:
    operator = draw(st.sampled_from(["==", "!=", ">=", "<=", ">", "<", "===", "~=", "==*", "!=*"]))
    text = draw(versions)
    if operator.endswith("*"):
        return f"{operator[:-1]}{draw(releases)}.*"
    if operator == "~=":
        return f"~={draw(st.sampled_from(['1.0.1', '2.0', '2.1', '2.1.3', '2.1rc1']))}"
    return operator + (text if operator in {"==", "!=", "==="} else text.partition("+")[0])


def package(labels: list[str]) -> Package:
    return Universe.of(candidate("p", label) for label in labels)["p"]


def picked(package: Package, specifier: str) -> set[str]:
    found = Selector().specifier(package, specifier)
    return {package.candidates[i].label for low, high in found for i in range(low, high + 1)}


@given(
    st.lists(versions, min_size=1, max_size=12, unique_by=Version),
    st.lists(clauses(), max_size=3),
)
def test_selection_is_what_packaging_says(labels: list[str], parts: list[str]) -> None:
    specifier = ",".join(parts)
    expected = SpecifierSet(specifier)
    admitted = {label for label in labels if expected.contains(Version(label), prereleases=True)}
    assert picked(package(labels), specifier) == admitted


@pytest.mark.parametrize(
    ("specifier", "expected"),
    [
        ("==2.5.1", {"2.5.1", "2.5.1+cpu", "2.5.1+cu121"}),
        ("==2.5.1+cpu", {"2.5.1+cpu"}),
        ("!=2.5.1", {"2.4.0", "2.5.2rc1"}),
        ("~=2.5.0", {"2.5.1", "2.5.1+cpu", "2.5.1+cu121", "2.5.2rc1"}),
        ("===2.5.1", {"2.5.1"}),
        (">=2.0,<2.5", {"2.4.0"}),
        ("", {"2.4.0", "2.5.1", "2.5.1+cpu", "2.5.1+cu121", "2.5.2rc1"}),
    ],
)
def test_local_versions_are_honoured(specifier: str, expected: set[str]) -> None:
    torch = package(["2.4.0", "2.5.1", "2.5.1+cpu", "2.5.1+cu121", "2.5.2rc1"])
    assert picked(torch, specifier) == expected


def test_a_term_joins_specifier_variants_and_labels() -> None:
    torch = package(["2.4.0+cpu", "2.5.1+cpu", "2.5.1+cu121"])
    select = Selector().term
    assert select(torch, Term("p", variants=frozenset({"cpu"}))) == ((0, 1),)
    assert select(torch, Term("p", ">=2.5", variants=frozenset({"cpu"}))) == ((1, 1),)
    assert select(torch, Term("p", labels=frozenset({"2.5.1+cu121", "9"}))) == ((2, 2),)
    assert select(torch, Term("p", labels=frozenset())) == ()


def test_opaque_labels_know_equal_and_unequal() -> None:
    images = Universe.of(Candidate("image", label, order=i) for i, label in enumerate("abc"))
    chosen = Selector().specifier
    assert chosen(images["image"], "==b") == ((1, 1),)
    assert chosen(images["image"], "!=b") == ((0, 0), (2, 2))
    assert chosen(images["image"], "==x") == ()


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_interval_algebra(left: set[int], right: set[int]) -> None:
    def spread(intervals: tuple[tuple[int, int], ...]) -> set[int]:
        return {i for low, high in intervals for i in range(low, high + 1)}

    assert spread(intervals_of(left)) == left
    assert spread(intersect(intervals_of(left), intervals_of(right))) == left & right
    assert spread(complement(intervals_of(left), 10)) == set(range(10)) - left
