"""On random matrices with random indexes the loop agrees with brute force over both."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from cogpack.errors import UserError
from cogpack.solver.conflict import Conflict
from cogpack.solver.loop import Agreement, agree
from cogpack.solver.text import fix_text
from cogpack.solver.universe import Term
from support.two_worlds import MATRIX, Release, World, has_answer, is_answer, world_of, worlds

SOAK = settings.get_current_profile_name() == "soak"
EXAMPLES = 50_000 if SOAK else 2_000


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
@given(worlds)
def test_the_loop_finds_an_answer_exactly_when_there_is_one(world: World) -> None:
    check_agreement(world)


def check_agreement(world: World) -> None:
    outcome = _agreed(world)
    assert (outcome is not None) == has_answer(world)
    if outcome is not None:
        assignment = {one.package: one.version for one in outcome.resolution}
        assignment["glibc"] = "2.36"
        installed = {one.name: str(one.version) for one in outcome.solution.packages}
        # What nobody installs in the end is no part of the answer; a matrix row may still need it.
        for name in MATRIX:
            assert name not in installed or assignment[name] == installed[name]
        assert is_answer(world, assignment, installed)


def _agreed(world: World) -> Agreement | None:
    try:
        outcome = agree(world.question, world.catalog(), explain=False)
    except UserError:
        # A name that no index has is told apart from versions that do not go together.
        return None
    return outcome if isinstance(outcome, Agreement) else None


@pytest.mark.parametrize(
    ("requires_python", "releases_of_n"), [("", {}), ("<3.12", {"2": Release()})]
)
def test_a_row_may_need_what_nobody_installs(
    requires_python: str, releases_of_n: dict[str, Release]
) -> None:
    """m is there without n, whatever the tables say; n was looked at for a's newest release."""
    world = world_of(
        {"m": {"2": [(Term("n"),)]}, "n": {"1": []}},
        {
            "a": {"1": Release(("m",), requires_python), "2": Release(("n",))},
            "m": {"2": Release()},
            "n": releases_of_n,
        },
        ["a"],
    )
    assert has_answer(world)
    check_agreement(world)


@pytest.mark.parametrize("lacking", ["c==2", "m"])
def test_what_resolvelib_jumps_over_the_solver_finds(lacking: str) -> None:
    """c 3 is at fault, for it wants a 1; the clash that shows is of a 1 with b."""
    world = world_of(
        {"m": {"1": []}, "n": {"1": []}},
        {
            "a": {"1": Release(("b==1",)), "2": Release()},
            "b": {"1": Release((lacking,)), "2": Release(("c",))},
            "c": {"3": Release(("a==1",)), "1": Release()},
        },
        ["a", "b"],
    )
    assert has_answer(world)
    check_agreement(world)


@settings(max_examples=EXAMPLES // 20, suppress_health_check=[HealthCheck.too_slow])
@given(worlds)
def test_every_fix_of_a_conflict_solves(world: World) -> None:
    try:
        outcome = agree(world.question, world.catalog())
    except UserError:
        return
    if not isinstance(outcome, Conflict):
        return
    assert outcome.clashes
    groups = {clash.fixes for clash in outcome.clashes if clash.fixes}
    if len(groups) != 1:
        return
    for fix in next(iter(groups)):
        assert has_answer(world.changed(fix.changes)), fix


def test_a_fix_that_only_the_tables_admit_spoils_none_of_another_clash() -> None:
    # m is told to be 2, which the tables know and no index has: then n's fix is tried without m.
    world = world_of(
        {"m": {"2": []}, "n": {"1": [(Term("m", "==1"),)]}},
        {"a": {"1": Release()}},
        ["a", "m==1", "n"],
    )
    outcome = agree(world.question, world.catalog())
    assert isinstance(outcome, Conflict)
    texts = [[fix_text(fix) for fix in clash.fixes] for clash in outcome.clashes]
    assert texts == [
        ["remove m==1, requirements.txt:2"],
        ["remove n, requirements.txt:3"],
    ]
