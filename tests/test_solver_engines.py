"""On random universes the engines agree with brute force, and explanations are true and minimal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cogpack.solver.conflict import Clash
from cogpack.solver.edits import applied
from cogpack.solver.explain import clashes
from cogpack.solver.fixes import explained
from cogpack.solver.policy import POLICIES, Policy, Preference, Step
from cogpack.solver.problem import Problem, prepare, solvable
from cogpack.solver.requirement import Requirement
from cogpack.solver.resolvelib_engine import search
from cogpack.solver.sat import Engine
from cogpack.solver.universe import Fact, Term, Universe, constrains, requires
from cogpack.solver.why import Refusal, Why, why
from support.universes import (
    NAMES,
    Assignment,
    admits,
    assignments,
    best,
    candidate,
    problems,
    requirement,
    valid,
)

# 2,000 in every test run, 20,000 in each of the rounds of `make soak`.
TIMES_THE_PROFILE = 20
EXAMPLES = TIMES_THE_PROFILE * settings().max_examples

PREFERENCES: tuple[Preference, ...] = (
    "newest", "newest-release", "oldest", "oldest-release", "smallest", "absent",
)  # fmt: skip

policies = st.builds(
    Policy,
    st.lists(st.builds(Step, st.sampled_from(NAMES), st.sampled_from(PREFERENCES)), max_size=5).map(
        tuple
    ),
)


@settings(max_examples=EXAMPLES)
@given(problems, policies)
def test_engines_and_explanations(
    given_problem: tuple[Universe, tuple[Requirement, ...]], policy: Policy
) -> None:
    universe, requirements = given_problem
    everything = list(assignments(universe))
    solutions = [one for one in everything if valid(one, requirements)]
    check_optimum(universe, requirements, policy, solutions)
    check_resolvelib(universe, requirements, policy, solutions)
    if not solutions:
        check_clashes(clashes(universe, requirements), requirements, everything)
        check_fixes(prepare(requirements, universe))


def check_optimum(
    universe: Universe,
    requirements: Sequence[Requirement],
    policy: Policy,
    solutions: Sequence[Assignment],
) -> None:
    """The SAT engine finds the best solution of all, or that there is none."""
    with Engine(universe, requirements) as engine:
        optimum = engine.optimum(policy)
        settled = engine.optimum(policy, settle=True)
    assert (optimum and optimum.chosen) == (settled and settled.chosen)
    assert (optimum is None) == (not solutions)
    if optimum is not None:
        assert dict(optimum.chosen) == dict(best(universe, policy, solutions, requirements))


def check_resolvelib(
    universe: Universe,
    requirements: Sequence[Requirement],
    policy: Policy,
    solutions: Sequence[Assignment],
) -> None:
    """The resolvelib engine finds a solution exactly when there is one."""
    found = search(universe, requirements, policy)
    assert (found is None) == (not solutions)
    assert found is None or valid(found, requirements)


def check_clashes(
    found: Sequence[Clash], requirements: Sequence[Requirement], everything: Sequence[Assignment]
) -> None:
    """Each clash has no solution, and has one as soon as any member is left out.

    Every conflict is told: relaxing one requirement of each clash leaves none.
    """
    assert found
    for clash in found:
        facts = frozenset(clash.facts)
        assert not any(valid(one, clash.requirements, facts) for one in everything)
        for left_out in clash.requirements:
            rest = [one for one in clash.requirements if one != left_out]
            assert any(valid(one, rest) for one in everything)
        for fact in clash.facts:
            assert any(valid(one, clash.requirements, facts - {fact}) for one in everything)
    relaxed = {clash.requirements[0] for clash in found}
    rest = [one for one in requirements if one not in relaxed]
    assert any(valid(one, rest) for one in everything)


def check_fixes(problem: Problem) -> None:
    """Every fix solves; a single line that mends everything is always among them."""
    if solvable(problem):
        return
    with Engine(problem.universe, problem.requirements) as engine:
        found = explained(problem, engine)
    groups = {clash.fixes for clash in found}
    for fixes in groups:
        others = [one[0].changes for one in groups if one != fixes and one]
        for fix in fixes:
            changes = [*fix.changes, *(change for found in others for change in found)]
            mended = prepare(applied(problem.requirements, changes), problem.given)
            assert any(valid(one, mended.requirements) for one in assignments(mended.universe))
    for left_out in problem.requirements:
        rest = [one for one in problem.requirements if one.origin != left_out.origin]
        if solvable(prepare(rest, problem.given)):
            assert all(clash.fixes for clash in found)
            assert all(len(fix.changes) == 1 for clash in found for fix in clash.fixes)


@settings(max_examples=EXAMPLES // 10)
@given(problems, st.sampled_from(NAMES))
def test_refusals_are_true(
    given_problem: tuple[Universe, tuple[Requirement, ...]], package: str
) -> None:
    universe, requirements = given_problem
    outcome = why(package, requirements, universe)
    if not isinstance(outcome, Why):
        return
    world = prepare(requirements, universe).universe
    solutions = [one for one in assignments(world) if valid(one, requirements)]
    optimum = best(world, POLICIES["newest"], solutions, requirements) if solutions else {}
    chosen = optimum.get(package)
    assert chosen == outcome.chosen
    everything = list(assignments(world))
    for refusal in outcome.refusals:
        for number, label in enumerate(refusal.labels):
            having = [one for one in everything if package in one and one[package].label == label]
            check_refusal(refusal, having, first=number == 0)


def check_refusal(refusal: Refusal, having: Sequence[Assignment], *, first: bool) -> None:
    """Nothing with the candidate meets what is named, unless other wishes mattered more.

    first: the reason was found for this candidate, so it is minimal for it.
    """
    facts = frozenset(refusal.facts)
    if refusal.preferred:
        return
    assert not any(valid(one, refusal.requirements, facts) for one in having)
    if first:
        for fact in facts:
            assert any(valid(one, refusal.requirements, facts - {fact}) for one in having)


def test_a_soak_is_100_000_examples_and_new_ones_each_time() -> None:
    """In a CI as well, where hypothesis would rather repeat itself."""
    root = Path(__file__).parent.parent
    program = (
        "import conftest; from hypothesis import settings\n"
        "soak = settings.get_profile('soak'); print(soak.derandomize, soak.max_examples)"
    )
    said = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "CI": "true", "PYTHONPATH": f"{root / 'tests'}:{root / 'dev'}"},
        capture_output=True,
        text=True,
        check=True,
    )
    repeats, examples = said.stdout.split()
    rounds = re.search(r"^SOAK_ROUNDS \?= (\d+)$", (root / "Makefile").read_text(), re.MULTILINE)
    assert rounds is not None
    assert repeats == "False"
    assert int(rounds[1]) * TIMES_THE_PROFILE * int(examples) >= 100_000


def test_a_cycle_that_nothing_needs_any_more_is_no_trouble() -> None:
    """b 2.0 brings in c and d, which need each other; then z takes b 2.0 away."""
    fact = Fact("compat/test.csv", 1, "a row", "a fact")
    universe = Universe.of(
        [
            candidate("b", "1.0"),
            candidate("b", "2.0", requires(fact, Term("c"))),
            candidate("c", "1.0", requires(fact, Term("d"))),
            candidate("d", "1.0", requires(fact, Term("c"))),
            candidate("z", "1.0", constrains(fact, "b", "<2")),
        ]
    )
    found = search(universe, [requirement("b"), requirement("z")], POLICIES["newest"])
    assert found is not None
    assert {name: one.label for name, one in found.items()} == {"b": "1.0", "z": "1.0"}


def test_a_line_with_a_marker_rules_out_what_its_python_does() -> None:
    """a 1.1 wants another Python than the one on which the second line of b applies."""
    fact = Fact("compat/test.csv", 1, "a row", "a fact")
    universe = Universe.of(
        [
            candidate("a", "1.0"),
            candidate("a", "1.1", constrains(fact, "python", "==2.0")),
            candidate("b", "1.0"),
            candidate("python", "1.0"),
        ]
    )
    lines = [requirement("a"), requirement("b"), requirement("b", line=2, pythons="<2.0")]
    outcome = why("a", lines, universe)
    assert isinstance(outcome, Why)
    (refusal,) = outcome.refusals
    assert (refusal.labels, refusal.facts) == (("1.1",), (fact,))
    (preferred,) = refusal.preferred
    assert (preferred.step.package, preferred.step.prefer) == ("b", "present")


def test_the_reference_knows_what_a_term_admits() -> None:
    assert admits(Term("a", absent_ok=True), None)
    assert not admits(Term("a"), None)
