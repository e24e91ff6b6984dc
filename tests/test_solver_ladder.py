"""Order variables that are made when they are needed, and obligations that candidates share."""

from __future__ import annotations

from itertools import count, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from cogpack.solver.ladder import Ladder
from cogpack.solver.sat import Engine
from cogpack.solver.sharing import sharing
from cogpack.solver.universe import Candidate, Fact, Package, Term, Universe, requires
from support.universes import candidate, requirement

COUNT = 7


def package(sizes: tuple[int, ...] = (0,) * COUNT) -> Package:
    return Universe.of(
        Candidate("p", f"{n}.0", Version(f"{n}.0"), size=size) for n, size in enumerate(sizes)
    )["p"]


class Steps:
    """A ladder whose clauses are kept."""

    def __init__(self, package: Package) -> None:
        numbers = count(1)
        self.clauses: list[list[int]] = []
        self.ladder = Ladder(
            package, next(numbers), lambda: next(numbers), self.clauses.append, lambda _: None
        )

    def models(self, size: int) -> list[list[int]]:
        """The assignments of the variables that meet all clauses."""
        signs = product((False, True), repeat=size)
        models = [[n if one else -n for n, one in enumerate(signs_, 1)] for signs_ in signs]
        return [
            model
            for model in models
            if all(any(literal in model for literal in clause) for clause in self.clauses)
        ]


@given(st.lists(st.integers(1, COUNT - 1), max_size=5))
def test_every_model_is_one_rung_whatever_the_order_of_the_questions(asked: list[int]) -> None:
    steps = Steps(package())
    literals = {position: steps.ladder.at_least(position) for position in asked}
    models = steps.models(1 + len(literals))
    rungs = [0, *sorted(literals)]
    chosen = sorted(steps.ladder.chosen(model) for model in models)
    # Absent, or the newest of one of the rungs.
    assert chosen == [-1, *(position - 1 for position in [*rungs[1:], COUNT])]
    for model in models:
        position = steps.ladder.chosen(model)
        for bound, literal in literals.items():
            assert (literal in model) == (position >= bound)


def test_the_same_position_is_the_same_literal() -> None:
    steps = Steps(package())
    assert steps.ladder.at_least(3) == steps.ladder.at_least(3)
    assert steps.ladder.at_least(0) == steps.ladder.presence


@pytest.mark.parametrize(
    ("sizes", "guess"), [((0,) * COUNT, 6), ((9, 1, 1, 5, 9, 9, 9), 2), ((1, 0, 3, 4, 5, 6, 7), 1)]
)
def test_the_guess_is_the_newest_of_the_smallest(sizes: tuple[int, ...], guess: int) -> None:
    assert Steps(package(sizes)).ladder.guess == guess


def test_of_candidates_that_are_alike_the_nearest_to_the_guess_is_taken() -> None:
    steps = Steps(package((9, 9, 9, 1, 9, 9, 9)))
    low, high = steps.ladder.at_least(2), steps.ladder.at_least(5)
    assert steps.ladder.chosen([1, -low, -high]) == 1
    assert steps.ladder.chosen([1, low, -high]) == 3
    assert steps.ladder.chosen([1, low, high]) == 5


def test_what_candidates_share_is_one_obligation() -> None:
    facts = [Fact("compat/test.csv", row, "a row", f"fact {row}") for row in range(4)]
    same = requires(facts[0], Term("q", ">=1"))
    world = Universe.of(
        [
            candidate("p", "1.0", same),
            candidate("p", "2.0", same, requires(facts[1], Term("q", ">=1"))),
            candidate("p", "3.0"),
            candidate("p", "4.0", requires(facts[2], Term("q", "<9"))),
            candidate("p", "5.0", requires(facts[3], Term("q", ">=1"))),
        ]
    )
    shared = sharing(world["p"], by_fact=False)
    assert [one.held_by for one in shared.obligations] == [((0, 1), (4, 4)), ((3, 3),)]
    assert list(map(list, shared.of)) == [[0], [0], [], [1], [0]]
    told = sharing(world["p"], by_fact=True)
    assert [one.held_by for one in told.obligations] == [
        ((0, 1),), ((1, 1),), ((3, 3),), ((4, 4),),
    ]  # fmt: skip


def test_a_longer_table_is_no_longer_formula() -> None:
    """Rows that say the same as their neighbours cost nothing."""

    def clauses(rows: int) -> int:
        need = requires(Fact("compat/test.csv", 1, "a row", "a fact"), Term("q", "<5"))
        world = Universe.of(
            [
                *(candidate("p", f"{n}.0", need) for n in range(rows)),
                *(candidate("q", f"{n}.0") for n in range(rows)),
            ]
        )
        with Engine(world, [requirement("p"), requirement("q", ">=3")]) as engine:
            kept: list[list[int]] = []
            emit = engine.encoding._emit

            def counted(clause: list[int]) -> None:
                kept.append(clause)
                emit(clause)

            engine.encoding._emit = counted
            assert engine.solve(engine.selectors)
            return len(kept)

    assert clauses(1000) == clauses(10)


def test_a_closed_engine_refuses_to_be_asked() -> None:
    world = Universe.of([candidate("p", "1.0")])
    with Engine(world, [requirement("p")]) as engine:
        pass
    with pytest.raises(AttributeError):
        engine.selector(requirement("p", "==1.0"))
