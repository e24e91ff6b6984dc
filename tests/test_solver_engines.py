"""The engines agree with brute force on random universes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cogpack.solver.edits import applied
from cogpack.solver.explain import clashes
from cogpack.solver.policy import POLICIES, Policy, Preference, Step
from cogpack.solver.problem import prepare
from cogpack.solver.requirement import Requirement
from cogpack.solver.resolution import Resolution
from cogpack.solver.resolvelib_engine import search
from cogpack.solver.sat import Engine
from cogpack.solver.solve import resolve
from cogpack.solver.universe import Universe
from support.universes import NAMES, assignments, brute_force, problems, valid

PREFERENCES: tuple[Preference, ...] = (
    "newest", "newest-release", "oldest", "oldest-release", "smallest", "absent",
)  # fmt: skip
Problem = tuple[Universe, tuple[Requirement, ...]]

policies = st.builds(
    Policy,
    st.lists(st.builds(Step, st.sampled_from(NAMES), st.sampled_from(PREFERENCES)), max_size=5).map(
        tuple
    ),
)


@given(problems(), policies)
def test_sat_finds_the_optimum_of_brute_force(problem: Problem, policy: Policy) -> None:
    universe, requirements = problem
    expected = brute_force(universe, requirements, policy)
    with Engine(universe, requirements) as engine:
        optimum = engine.optimum(policy)
    assert (optimum is None) == (expected is None)
    if optimum is not None and expected is not None:
        assert dict(optimum.chosen) == dict(expected)


@given(problems())
def test_every_clash_is_minimal(problem: Problem) -> None:
    universe, requirements = problem
    found = clashes(universe, requirements)
    everything = list(assignments(universe))
    assert bool(found) == (not any(valid(one, requirements) for one in everything))
    for clash in found:
        facts = frozenset(clash.facts)
        assert not any(valid(one, clash.requirements, facts) for one in everything)
        for left_out in clash.requirements:
            rest = [one for one in clash.requirements if one != left_out]
            assert any(valid(one, rest) for one in everything)
        for fact in clash.facts:
            assert any(valid(one, clash.requirements, facts - {fact}) for one in everything)


@given(problems())
def test_every_fix_solves_the_project(problem: Problem) -> None:
    universe, requirements = problem
    outcome = resolve(requirements, universe)
    if isinstance(outcome, Resolution):
        return
    groups = {clash.fixes for clash in outcome.clashes}
    for fixes in groups:
        others = [one[0].changes for one in groups if one != fixes and one]
        for fix in fixes:
            changes = [*fix.changes, *(change for found in others for change in found)]
            edited = applied(requirements, changes)
            world = prepare(edited, universe).universe
            assert brute_force(world, edited, POLICIES["newest"]) is not None
            assert isinstance(resolve(edited, universe), Resolution)


@given(problems())
def test_one_line_that_mends_all_is_found(problem: Problem) -> None:
    universe, requirements = problem
    outcome = resolve(requirements, universe)
    if isinstance(outcome, Resolution):
        return
    for left_out in requirements:
        rest = [one for one in requirements if one.origin != left_out.origin]
        if isinstance(resolve(rest, universe), Resolution):
            assert all(clash.fixes for clash in outcome.clashes)
            assert all(len(fix.changes) == 1 for clash in outcome.clashes for fix in clash.fixes)


@given(problems())
def test_resolvelib_agrees_on_satisfiability(problem: Problem) -> None:
    universe, requirements = problem
    expected = brute_force(universe, requirements, POLICIES["newest"])
    found = search(universe, requirements, POLICIES["newest"])
    assert (found is None) == (expected is None)
    if found is not None:
        assert valid(found, requirements)
