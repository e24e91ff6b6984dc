"""Versions that the tables do not know: a warning and the nearest facts, or an honest refusal."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from packaging.version import Version

from cogpack.origin import Origin
from cogpack.solver.conflict import Conflict
from cogpack.solver.requirement import Requirement
from cogpack.solver.resolution import Resolution
from cogpack.solver.silent import Found, Unread, fill_in
from cogpack.solver.solve import resolve
from cogpack.solver.universe import Candidate, Fact, Term, Universe, requires
from support.toy import gpu, line, python, toy
from support.universes import candidate


def labels(universe: Universe, *requirements: Requirement) -> list[str]:
    """What `fill_in` adds."""
    known = {(one.package, one.label) for one in universe}
    filled = fill_in(universe, requirements)
    return [one.label for one in filled if (one.package, one.label) not in known]


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("torch==2.8.0", "2.8.0"),
        ("torch===2.8.0", "2.8.0"),
        ("torch~=2.8.0", "2.8.0"),
        ("torch>=2.8", "2.8"),
        ("torch==3.*", "3"),
        ("torch==2.5.3", "2.5.3"),
    ],
)
def test_newer_than_the_tables_is_taken_for_real(text: str, release: str) -> None:
    found = labels(toy(), line(text, 1))
    assert [label.partition("+")[0] for label in found] == [release] * len(found)
    assert {label.partition("+")[2] for label in found} >= {"cpu", "cu118"}


@pytest.mark.parametrize("text", ["torch==2.4.0", "torch==1.0", "torch==2.6.0", "torch>9", "torch"])
def test_what_the_tables_skip_is_not(text: str) -> None:
    assert labels(toy(), line(text, 1)) == []


def test_an_unknown_variant_of_an_unknown_release_keeps_what_all_variants_share() -> None:
    filled = fill_in(toy(), [line("torch==2.8.0+cu140", 1)])
    guess = filled["torch"].candidates[-1]
    assert (guess.label, guess.variant) == ("2.8.0+cu140", "cu140")
    assert guess.index.endswith("/cu140")
    assert [relation.fact.text for relation in guess.relations] == [
        "torch 2.7.1 has wheels for Python 3.9 to 3.13"
    ]


def test_an_unknown_variant_of_a_known_release_is_refused() -> None:
    assert labels(toy(), line("torch==2.7.1+cu140", 1)) == []


def test_a_build_of_a_release_whose_builds_are_not_known_has_the_facts_of_its_variant() -> None:
    """A torch of today: the default build is in the tables, those of torch's own index are not."""
    newer = [Candidate("torch", one, Version(one), variant="cu130") for one in ("2.8.0", "2.9.0")]
    universe = toy().extended(newer)
    for release in ("2.8.0", "2.9.1"):
        filled = fill_in(universe, [line(f"torch=={release}+cu118", 1)])["torch"]
        guess = filled.candidates[filled.position[f"{release}+cu118"]]
        known = filled.candidates[filled.position["2.7.1+cu118"]]
        assert (guess.index, guess.variant) == (known.index, "cu118")
        assert guess.relations == known.relations
        (note,) = guess.notes
        assert note == (
            f"torch {release}+cu118 is not in the tables; "
            "the facts of torch 2.7.1, the nearest known release, are assumed"
        )


def test_an_older_release_has_no_builds_but_those_that_are_known() -> None:
    universe = toy().extended([Candidate("torch", "2.6.1", Version("2.6.1"), variant="cu124")])
    assert labels(universe, line("torch==2.6.1+cu118", 1)) == []


def test_the_nearest_facts_still_hold() -> None:
    outcome = resolve([python("3.14"), line("torch==2.8.0", 1)], toy())
    assert isinstance(outcome, Conflict)


def test_packages_that_come_together_are_guessed_together() -> None:
    lines = [python("3.13"), gpu(), line("torch==2.8.0", 1), line("torchvision==0.23.0", 2)]
    outcome = resolve(lines, toy())
    assert isinstance(outcome, Resolution)
    assert outcome["torch"].version == "2.8.0+cu128"
    assert outcome["torchvision"].version == "0.23.0"
    assert outcome.warnings == tuple(
        f"{unknown} is not in the tables; "
        f"the facts of {known}, the nearest known release, are assumed"
        for unknown, known in (
            ("torch 2.8.0", "torch 2.7.1"),
            ("torchvision 0.23.0", "torchvision 0.22.1"),
        )
    )


def test_a_known_version_is_taken_without_a_word() -> None:
    outcome = resolve([line("torch==2.7.1", 1)], toy())
    assert isinstance(outcome, Resolution)
    assert outcome.warnings == ()


class Index:
    """A source that knows one more release."""

    def find(
        self, unknown: Sequence[Requirement], asked: Sequence[Requirement], universe: Universe
    ) -> Found:
        wanted, *others = unknown
        assert wanted == Requirement("a", "==2.0", Origin("requirements.txt", 1, "a==2.0"))
        assert set(unknown) <= set(asked)
        candidate = Candidate("a", "2.0", Version("2.0"), index="asked")
        return Found((candidate,), tuple(Unread(one, "nobody has it") for one in others))


def test_a_source_is_asked_first() -> None:
    universe = Universe.of([candidate("a", "1.0")])
    outcome = resolve([line("a==2.0", 1)], universe, source=Index())
    assert isinstance(outcome, Resolution)
    assert outcome["a"].index == "asked"
    assert outcome.warnings == ()


def test_what_the_source_does_not_know_is_assumed_and_the_reason_told() -> None:
    universe = Universe.of([candidate("a", "1.0"), candidate("b", "1.0")])
    outcome = resolve([line("a==2.0", 1), line("b==3.0", 2)], universe, source=Index())
    assert isinstance(outcome, Resolution)
    assert (outcome["b"].version, outcome["b"].facts) == ("3.0", "as of b 1.0")
    (warning,) = outcome.warnings
    assert warning == (
        "b 3.0 is not in the tables, and nobody has it; "
        "the facts of b 1.0, the nearest known release, are assumed"
    )


def test_a_source_is_not_asked_about_what_is_known() -> None:
    universe = Universe.of([candidate("a", "1.0")])
    outcome = resolve([line("a>=1.0", 1)], universe, source=Index())
    assert isinstance(outcome, Resolution)
    assert outcome["a"].facts == ""


@pytest.mark.parametrize("text", ["a==0.4", "a==1.5", "a~=0.4.0"])
def test_of_what_is_known_in_part_an_older_version_is_no_fault(text: str) -> None:
    """What the nearest one needs says nothing of it: a 1.0 and 2.0 need another b."""
    needs = requires(Fact("compat/a.csv", 2, "a", "a needs b 1.0"), Term("b", "==1.0"))
    known = [
        *(candidate("a", version, needs) for version in ("1.0", "2.0")),
        *(candidate("b", version) for version in ("1.0", "2.0")),
    ]
    universe = replace(Universe.of(known), partial=frozenset({"a"}))
    outcome = resolve([line(text, 1), line("b==2.0", 2)], universe)
    assert isinstance(outcome, Resolution)
    assert outcome["a"].facts == "not known"
    (warning,) = outcome.warnings
    assert warning.endswith(
        "is not in the tables; what it needs of other packages is not known here"
    )


def test_a_range_of_which_nothing_is_known_is_left_to_the_installation() -> None:
    universe = replace(Universe.of([candidate("a", "1.0")]), partial=frozenset({"a"}))
    outcome = resolve([line("a<1", 1)], universe)
    assert isinstance(outcome, Resolution)
    assert "a" not in outcome
    assert isinstance(resolve([line("a<1", 1)], Universe.of([candidate("a", "1.0")])), Conflict)
    more = universe.extended([candidate("a", "2.0")])
    assert isinstance(resolve([line("a>=2,<2", 1)], more), Conflict)


def test_a_mere_limit_asks_nobody() -> None:
    limit = replace(line("a==0.4", 1), brings=False)
    universe = replace(Universe.of([candidate("a", "1.0")]), partial=frozenset({"a"}))
    assert fill_in(universe, [limit], Index()) == universe
