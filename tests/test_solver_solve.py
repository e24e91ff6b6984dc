"""The front door: what `resolve` accepts, and that its answer depends on nothing but its input."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.solver.conflict import Conflict
from cogpack.solver.policy import POLICIES, Policy, Step, complete, ranking
from cogpack.solver.report import conflict_data, dumps, resolution_data, why_data
from cogpack.solver.requirement import Requirement
from cogpack.solver.resolution import Resolution
from cogpack.solver.solve import all_versions, resolve
from cogpack.solver.universe import Candidate, Universe
from cogpack.solver.why import Why, why
from support.toy import gpu, line, python, toy
from support.universes import candidate

LINES = (python("3.12"), gpu(), line("torch>=2.4", 1), line("torchvision", 2))
CLASH = (python("3.13"), gpu(), line("torch==2.4.1", 1), line("torchvision==0.20.0", 2))


def test_requirements_of_the_open_world_are_passed_over() -> None:
    outcome = resolve([*LINES, line("numpy<2", 9)], toy())
    assert isinstance(outcome, Resolution)
    assert "numpy" not in outcome


def test_nothing_asked_is_nothing_but_a_base() -> None:
    outcome = resolve([], toy())
    assert isinstance(outcome, Resolution)
    assert [choice.package for choice in outcome] == ["python"]


def test_every_unreadable_specifier_is_told() -> None:
    bad = [line("torch==2..1", 1), line("python=>3", 2)]
    with pytest.raises(UserError) as raised:
        resolve(bad, toy())
    assert [fault.origin for fault in raised.value.faults if fault.origin] == [
        one.origin for one in sorted(bad)
    ]


def test_a_choice_knows_who_brought_it_in() -> None:
    outcome = resolve(LINES, toy())
    assert isinstance(outcome, Resolution)
    assert outcome["torch"].because == (LINES[2].origin,)
    # cuda was asked for by name; the driver came with it.
    assert outcome["driver"].because == outcome["cuda"].because == (LINES[1].origin,)


def test_pre_releases_only_when_nothing_else_will_do() -> None:
    universe = Universe.of(candidate("a", label) for label in ("1.0", "2.0rc1"))
    chosen = resolve([line("a", 1)], universe)
    forced = resolve([line("a>=2.0rc1", 1)], universe)
    assert isinstance(chosen, Resolution)
    assert isinstance(forced, Resolution)
    assert (chosen["a"].version, forced["a"].version) == ("1.0", "2.0rc1")


def test_all_versions_of_an_unknown_package() -> None:
    assert all_versions("numpy", LINES, toy()) == ()


@pytest.mark.parametrize("lines", [LINES, CLASH])
def test_the_order_of_everything_changes_nothing(lines: tuple[Requirement, ...]) -> None:
    expected = resolve(lines, toy())
    for seed in range(10):
        shuffle = random.Random(seed).shuffle  # noqa: S311  # no secrets here
        wanted, candidates = [*lines, *lines], list(toy())
        shuffle(wanted)
        shuffle(candidates)
        assert resolve(wanted, Universe.of(candidates)) == expected


def test_hash_seeds_change_nothing() -> None:
    here = Path(__file__)
    program = (
        f"import sys; sys.path.insert(0, {str(here.parent)!r})\n"
        f"from importlib.util import module_from_spec, spec_from_file_location\n"
        f"spec = spec_from_file_location('probe', {str(here)!r})\n"
        f"probe = module_from_spec(spec); spec.loader.exec_module(probe)\n"
        f"sys.stdout.write(probe.answers(int(sys.argv[1])))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program, seed],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert found == {answers(7).encode()}


def answers(seed: int) -> str:
    """A resolution, a conflict and reasons as JSON, from requirements and tables in any order."""
    shuffled = random.Random(seed)  # noqa: S311  # no secrets here
    universe = Universe.of(shuffled.sample(list(toy()), sum(1 for _ in toy())))
    good, bad = (shuffled.sample(lines, len(lines)) for lines in (LINES, CLASH))
    resolution, conflict = resolve(good, universe), resolve(bad, universe)
    reasons = why("cuda", good, universe)
    assert isinstance(resolution, Resolution)
    assert isinstance(conflict, Conflict)
    assert isinstance(reasons, Why)
    return "".join(
        map(dumps, (resolution_data(resolution), conflict_data(conflict), why_data(reasons)))
    )


def test_a_complete_policy_ranks_every_package_once_more() -> None:
    policy = complete(Policy((Step("torch", "newest-release"), Step("cuda"))), toy())
    names = [step.package for step in policy.steps]
    assert names[:2] == ["torch", "cuda"]
    assert sorted(names[1:]) == sorted(toy().packages)


def test_ranking_by_size_takes_the_newest_of_equals() -> None:
    images = [Candidate("i", name, order=n, size=s) for n, (name, s) in enumerate(
        [("old", 1), ("new", 1), ("big", 9), ("unknown", 0)])]  # fmt: skip
    assert ranking(Universe.of(images)["i"], "smallest") == ((1, 0), (2,), (3,))


@pytest.mark.parametrize("prefer", sorted(POLICIES))
def test_every_policy_gives_one_answer(prefer: str) -> None:
    outcome = resolve(LINES, toy(), POLICIES[prefer])
    assert isinstance(outcome, Resolution)
    assert outcome == resolve(reversed(LINES), toy(), POLICIES[prefer])


def test_what_if_universe_has_no_images() -> None:
    outcome = resolve([line("a", 1)], Universe.of([candidate("a", "1.0")]))
    assert isinstance(outcome, Resolution)
    assert outcome.base_images.build.ref == ""


def test_a_block_that_asks_cannot_be_edited_away() -> None:
    asked = Requirement("torch", "==2.4.1", Origin(asker="block torch"))
    outcome = resolve([python("3.13"), asked], toy())
    assert isinstance(outcome, Conflict)
    for fix in outcome.clashes[0].fixes:
        assert {change.requirement.package for change in fix.changes} == {"python"}
