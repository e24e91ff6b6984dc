"""The loop's answers and messages, on small worlds made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from packaging.version import Version

from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.solver.conflict import Conflict
from cogpack.solver.loop import Agreement, Question, agree
from cogpack.solver.open_model import Ask, OpenOptions
from cogpack.solver.requirement import Requirement
from cogpack.solver.text import conflict_text
from cogpack.solver.universe import Candidate, Term, Universe
from support.open_world import asks, override
from support.two_worlds import Release, World, matrix_of

Index = Mapping[str, Mapping[str, Release]]

MATRIX: Mapping[str, tuple[tuple[Term, ...], ...]] = {"1": (), "2": (), "3": ()}


def world(index: Index, *lines: str, python: str = "", constraints: tuple[str, ...] = ()) -> World:
    """A matrix of m and n in three versions each; both are on the index without needs."""
    plain = {version: Release(()) for version in MATRIX}
    universe = matrix_of({"m": MATRIX, "n": MATRIX})
    full = {"m": plain, "n": plain, **index}
    return World(universe, full, asks(*lines, constraints=constraints), python)


def agreed(given: World, **changes: object) -> Agreement:
    question = replace(given.question, **changes)  # type: ignore[arg-type]
    outcome = agree(question, given.catalog())
    assert isinstance(outcome, Agreement), conflict_text(outcome)
    return outcome


def versions(outcome: Agreement) -> dict[str, str]:
    return {one.name: str(one.version) for one in outcome.solution.packages}


def refused(given: World) -> str:
    outcome = agree(given.question, given.catalog())
    assert isinstance(outcome, Conflict)
    return conflict_text(outcome)


def test_a_library_that_pins_another_build_is_told_with_both_lines() -> None:
    index = {"a": {"1": Release(("m==1",)), "2": Release(("m==2",))}}
    told = refused(world(index, "a==1", "m>=2"))
    assert told == (
        "These do not go together:\n"
        "  a==1 (requirements.txt:1)\n"
        "  m>=2 (requirements.txt:2)\n"
        "because\n"
        "  a 1 needs m==1 [package index]\n"
        "\n"
        "To mend it, one of:\n"
        "  change a==1 to a==2, requirements.txt:1\n"
        "  change m>=2 to m>=1, requirements.txt:2\n"
        "  remove a==1, requirements.txt:1\n"
        "  remove m>=2, requirements.txt:2\n"
    )


def test_a_chain_through_the_indexes_is_told_link_by_link() -> None:
    index = {"a": {"1": Release(("b",))}, "b": {"1": Release(("m<2",))}}
    told = refused(world(index, "a", "m==3"))
    assert "a 1 needs b [package index]" in told
    assert "b 1 needs m<2 [package index]" in told


def test_a_constraint_is_told_as_a_line() -> None:
    index = {"a": {"1": Release(("b>=2",))}, "b": {"2": Release(())}}
    told = refused(world(index, "a", constraints=("b<2",)))
    assert "b<2 (constraints.txt:1)" in told
    assert "remove b<2, constraints.txt:1" in told


def test_a_constraint_that_is_asked_of_the_matrix_too_is_told_once() -> None:
    index = {"a": {"1": Release(("b>=2",))}, "b": {"1": Release(()), "2": Release(())}}
    given = world(index, "a", constraints=("b<2",))
    limit = Requirement("b", "<2", given.asks[-1].origin, brings=False)
    question = replace(given.question, requirements=(*given.question.requirements, limit))
    outcome = agree(question, given.catalog())
    assert isinstance(outcome, Conflict)
    (clash,) = outcome.clashes
    assert limit in clash.requirements


def test_the_matrix_moves_when_the_indexes_want_it() -> None:
    index = {"a": {"1": Release(("m==1",))}}
    outcome = agreed(world(index, "a", "m"))
    assert outcome.resolution["m"].version == "1"
    assert versions(outcome) == {"a": "1", "m": "1"}
    assert outcome.turns > 1


def test_a_matrix_package_that_nobody_named_is_chosen_because_a_library_needs_it() -> None:
    index = {"a": {"1": Release(("m>=2",))}}
    outcome = agreed(world(index, "a"))
    assert outcome.resolution["m"].version == "3"
    assert [one.asker for one in outcome.resolution["m"].because] == ["a 1"]
    assert "n" not in outcome.resolution


def test_what_only_an_older_release_needed_is_not_chosen() -> None:
    index = {
        "a": {"1": Release(()), "2": Release(("m>=2", "b"))},
        "b": {"1": Release(("c==9",))},
        "c": {"1": Release(())},
    }
    outcome = agreed(world(index, "a"))
    assert versions(outcome) == {"a": "1"}
    assert "m" not in outcome.resolution


def test_a_python_without_fitting_releases_is_left_unless_it_was_asked_for() -> None:
    index = {"a": {"1": Release(()), "2": Release((), "<3.12")}}
    free = agreed(world(index, "a"))
    assert (free.resolution["python"].version, versions(free)) == ("3.11.4", {"a": "2"})
    asked = agreed(world(index, "a", python="==3.12.*"))
    assert (asked.resolution["python"].version, versions(asked)) == ("3.12.2", {"a": "1"})


def test_no_release_for_the_python_is_told_with_the_line_that_asks_for_it() -> None:
    told = refused(world({"a": {"1": Release((), "<3.12")}}, "a", python="==3.12.*"))
    assert "python: ==3.12.* (cog.yaml:2)" in told
    assert "a 1 has files for Python 3.11" in told


def test_a_package_of_the_matrix_that_no_index_has_is_told_and_nothing_else() -> None:
    told = refused(world({"n": {}, "a": {"1": Release(("n",)), "2": Release(("n",))}}, "a"))
    assert told == (
        "This cannot be had:\n"
        "  a (requirements.txt:1)\n"
        "because\n"
        "  a 1 needs n [package index]\n"
        "  a 2 needs n [package index]\n"
        "  no index has n [package index]\n"
        "\n"
        "To mend it:\n"
        "  remove a, requirements.txt:1\n"
    )


def test_a_release_that_needs_no_package_which_the_index_lacks_is_taken() -> None:
    outcome = agreed(world({"n": {}, "a": {"1": Release(()), "2": Release(("n",))}}, "a"))
    assert versions(outcome) == {"a": "1"}
    assert "n" not in outcome.resolution
    assert outcome.turns < 5


def test_a_hash_that_no_file_has_is_told_with_its_line() -> None:
    line = f"a==1 --hash=sha256:{'f' * 64}"
    told = refused(world({"a": {"1": Release(())}}, line))
    assert "because\n  no file of a 1 has a hash that is asked for [package index]\n" in told
    assert told.endswith(f"To mend it:\n  remove {line}, requirements.txt:1\n")


def test_a_line_that_names_a_file_is_told_with_what_needs_another_version() -> None:
    given = world({"a": {"1": Release(("b<2",))}, "b": {"1": Release(()), "2": Release(())}}, "a")
    (line,) = asks("b @ https://h.invalid/b-2-py3-none-any.whl")
    line = replace(line, origin=Origin("requirements.txt", 2, line.text))
    told = refused(replace(given, asks=(*given.asks, line)))
    assert told == (
        "These do not go together:\n"
        "  a (requirements.txt:1)\n"
        f"  {line.origin.text} (requirements.txt:2)\n"
        "because\n"
        "  no b below 2 is known; 2 is\n"
        "  a 1 needs b<2 [package index]\n"
        "\n"
        "To mend it, one of:\n"
        "  remove a, requirements.txt:1\n"
        f"  remove {line.origin.text}, requirements.txt:2\n"
    )


@pytest.mark.parametrize(
    ("python", "options", "reason"),
    [
        (
            "",
            OpenOptions(no_binary=frozenset({"a"})),
            "a 1 has no sdist that fits, and --no-binary",
        ),
        ("<3", OpenOptions(only_binary=frozenset({":all:"})), "a 1 has no wheel that fits, and --"),
        ("<3", OpenOptions(), "a 1 has no file that fits"),
    ],
)
def test_options_that_leave_no_file_are_told(
    python: str, options: OpenOptions, reason: str
) -> None:
    given = world({"a": {"1": Release((), python)}}, "a")
    outcome = agree(replace(given.question, options=options), given.catalog())
    assert isinstance(outcome, Conflict)
    assert f"because\n  {reason}" in conflict_text(outcome)


def test_a_dependency_by_url_is_told() -> None:
    index = {"a": {"1": Release(("b @ https://me:pw@h.invalid/b-1.whl",))}, "b": {"1": Release(())}}
    told = refused(world(index, "a"))
    needs = "a 1 needs b @ https://h.invalid/b-1.whl: name that in the requirements too"
    assert f"because\n  {needs}, as it stands [package index]\n" in told
    assert "me:pw" not in told


def test_lines_that_are_all_pinned_with_hashes_are_taken_as_they_are() -> None:
    index = {
        "a": {"1": Release(("b>=2", "c")), "2": Release(())},
        "b": {"1": Release(()), "2": Release(())},
        "c": {"1": Release(("b>=2",))},
    }
    right = f"--hash=sha256:{'0' * 64}"
    outcome = agreed(world({**index, "c": {"1": Release(())}}, f"a==1 {right}", f"b==1 {right}"))
    assert versions(outcome) == {"a": "1", "b": "1", "c": "1"}
    assert outcome.solution["a"].requires == ("b", "c")
    assert outcome.resolution.warnings == (
        "a 1 needs b>=2, and b 1 is pinned with its hash: taken as it is",
    )
    assert "a 1 needs b>=2" in refused(world(index, f"a==1 {right}", "b==1"))
    # What the lines lack was decided by nobody.
    assert "c 1 needs b>=2" in refused(world(index, f"a==1 {right}", f"b==1 {right}"))


def test_a_name_that_no_index_has_is_a_fault_of_its_line() -> None:
    given = world({}, "nowhere")
    with pytest.raises(UserError) as caught:
        agree(given.question, given.catalog())
    (fault,) = caught.value.faults
    assert fault.origin == Origin("requirements.txt", 1, "nowhere")
    assert "nowhere" in fault.message
    assert fault.hint.startswith("check the spelling; looked at: ")


def test_a_name_that_a_block_asks_for_is_not_taken_for_a_slip() -> None:
    given = replace(world({}), asks=(Ask(Origin(asker="block x"), "nowhere"),))
    with pytest.raises(UserError) as caught:
        agree(given.question, given.catalog())
    assert caught.value.faults[0].hint.startswith("name an index that has it as well; looked at: ")


LIBRARIES = {
    "a": {"1": Release(("b",))},
    "b": {"1": Release(()), "2": Release(())},
}


def test_a_known_override_limits_what_metadata_admits() -> None:
    rows = (override("a", "<2", "b<2"), override("a", ">=2", "b<1"), override("c", "", "b<1"))
    outcome = agreed(world(LIBRARIES, "a"), overrides=rows)
    assert versions(outcome) == {"a": "1", "b": "1"}
    assert [one.text for one in outcome.corrections] == ["b<2: a breaks (compat/overrides)"]
    assert agreed(world(LIBRARIES, "a")).corrections == ()


def test_a_known_override_yields_to_what_was_asked_for() -> None:
    outcome = agreed(world(LIBRARIES, "a", "b==2"), overrides=(override("a", "<2", "b<2"),))
    assert versions(outcome) == {"a": "1", "b": "2"}
    assert outcome.resolution.warnings == (
        "known override could not be kept: b<2: a breaks (compat/overrides)",
    )


def test_a_known_override_brings_nothing_in() -> None:
    outcome = agreed(world({"a": {"1": Release(())}}, "a"), overrides=(override("a", "", "b<2"),))
    assert versions(outcome) == {"a": "1"}
    assert outcome.corrections == ()


def test_the_matrix_of_an_old_lock_is_kept_where_it_can_be() -> None:
    given = world({}, "m", "n")
    kept = agreed(given, keep=(("m", "==1"), ("n", "==2")))
    assert versions(kept) == {"m": "1", "n": "2"}
    upgraded = agreed(given, keep=(("n", "==2"),), upgrade=frozenset({"m"}))
    assert versions(upgraded) == {"m": "3", "n": "2"}
    forced = agreed(world({}, "m", "n>=3"), keep=(("m", "==1"), ("n", "==2")))
    assert versions(forced) == {"m": "1", "n": "3"}


def test_the_extra_that_brings_cuda_is_the_one_that_the_matrix_chose() -> None:
    index = {"jax": {"1": Release((), more=("plugin",))}, "plugin": {"1": Release(())}}
    jax = world(index, "jax")
    universe = Universe.of(
        [
            *(one for one in jax.universe if one.package in {"python", "glibc"}),
            Candidate("jax", "1", Version("1")),
            Candidate("jax-cuda", "x", order=1),
        ]
    ).completed({"jax"})
    line = Origin("requirements.txt", 1, "jax")
    question = Question(
        (
            Requirement("python", "", line),
            Requirement("jax", "", line),
            Requirement("jax-cuda", "==x", line),
        ),
        lambda _: universe,
        (Ask(line, "jax"),),
        frozenset({"jax"}),
    )
    outcome = agree(question, jax.catalog())
    assert isinstance(outcome, Agreement)
    assert versions(outcome) == {"jax": "1", "plugin": "1"}
    assert outcome.solution["jax"].extras == ("x",)


def test_a_package_with_the_name_of_a_tool_is_not_the_tool() -> None:
    """The uv that the image is made with stays, whatever uv the project has among its packages."""
    given = world({"uv": {"1": Release(())}}, "uv==1")
    universe = Universe.of(
        [
            *(one for one in given.universe if one.package in {"python", "glibc"}),
            Candidate("uv", "9", Version("9")),
        ]
    )
    line = Origin("requirements.txt", 1, "uv==1")
    question = Question(
        (Requirement("python", "", line), Requirement("uv", "", Origin(asker="a block"))),
        lambda _: universe,
        (Ask(line, "uv", "==1"),),
        frozenset(),
        own=frozenset({"uv"}),
    )
    outcome = agree(question, given.catalog())
    assert isinstance(outcome, Agreement)
    assert outcome.resolution["uv"].version == "9"
    assert str(outcome.solution["uv"].version) == "1"
