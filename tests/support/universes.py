"""Small universes for tests: drawn at random, and searched by brute force as the reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, product

from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from cogpack.origin import Origin
from cogpack.solver.policy import Policy, complete, ranking
from cogpack.solver.requirement import Requirement
from cogpack.solver.universe import Candidate, Fact, Relation, Term, Universe

VERSIONS = ("1.0", "1.1", "2.0rc1", "2.0", "2.0+cpu", "2.0+cu121", "2.1", "3.0")
SPECIFIERS = ("", "==2.0", "==2.0+cpu", ">=1.1", "<2.0", "!=2.0", "~=2.0", "===2.0", ">=1.0,<2.1")
NAMES = ("a", "b", "c", "python")

Assignment = Mapping[str, Candidate]


def candidate(name: str, label: str, *relations: Relation) -> Candidate:
    """A versioned candidate whose variant is the local part of its label."""
    version = Version(label)
    return Candidate(name, label, version, variant=version.local or "", relations=relations)


def requirement(
    name: str, specifier: str = "", line: int = 1, *, brings: bool = True, pythons: str = ""
) -> Requirement:
    """A requirement as if a requirements.txt line had asked for it."""
    origin = Origin("requirements.txt", line, f"{name}{specifier}")
    return Requirement(name, specifier, origin, brings, pythons)


# Now and then on a package that does not exist, or restricted to some variants.
_terms = st.builds(
    Term,
    package=st.sampled_from((*NAMES, "nowhere")),
    specifier=st.sampled_from(SPECIFIERS),
    variants=st.sampled_from((None, None, None, frozenset({"", "cpu"}))),
    absent_ok=st.booleans(),
)
_obligations = st.lists(st.lists(_terms, min_size=1, max_size=2).map(tuple), max_size=2)
_candidates = st.dictionaries(st.sampled_from(VERSIONS), _obligations, min_size=1, max_size=4)
_packages = st.dictionaries(st.sampled_from(NAMES), _candidates, min_size=1)
# Now and then a line of a constraints file, or one with a marker.
_wishes = st.lists(
    st.tuples(
        st.integers(0, len(NAMES) - 1),
        st.sampled_from(SPECIFIERS),
        st.sampled_from((True, True, True, False)),
        st.sampled_from(("", "", "", "<2.0", "!=2.0,!=1.1")),
    ),
    min_size=1,
    max_size=4,
)

Wish = tuple[int, str, bool, str]


def _universe(packages: Mapping[str, Mapping[str, Sequence[tuple[Term, ...]]]]) -> Universe:
    rows = count(1)
    return Universe.of(
        candidate(
            name,
            label,
            *(
                Relation(Fact("compat/test.csv", row, f"{name} {label}", f"fact {row}"), any_of)
                for any_of, row in zip(obligations, rows)  # noqa: B905  # rows never ends
            ),
        )
        for name, labels in packages.items()
        for label, obligations in labels.items()
    )


def _problem(
    drawn: tuple[Mapping[str, Mapping[str, Sequence[tuple[Term, ...]]]], list[Wish]],
) -> tuple[Universe, tuple[Requirement, ...]]:
    packages, wishes = drawn
    return _universe(packages), _lines(packages, wishes)


def _lines(packages: Iterable[str], wishes: Iterable[Wish]) -> tuple[Requirement, ...]:
    names = sorted(packages)
    return tuple(
        requirement(names[number % len(names)], specifier, line, brings=brings, pythons=pythons)
        for line, (number, specifier, brings, pythons) in enumerate(wishes, 1)
    )


_small = st.tuples(_packages, _wishes).map(_problem)

# As tables have it: candidates side by side that say the same, by one fact or each by its own.
_rows = st.dictionaries(
    st.sampled_from(VERSIONS), st.sets(st.integers(0, 3), max_size=2), min_size=2, max_size=6
)
_alike = st.tuples(
    st.dictionaries(st.sampled_from(NAMES[:3]), _rows, min_size=1, max_size=3),
    st.lists(st.lists(_terms, min_size=1, max_size=2).map(tuple), min_size=4, max_size=4),
    st.booleans(),
    _wishes,
)


def _tables(
    drawn: tuple[
        Mapping[str, Mapping[str, set[int]]],
        Sequence[tuple[Term, ...]],
        bool,
        list[Wish],
    ],
) -> tuple[Universe, tuple[Requirement, ...]]:
    packages, said, one_fact, wishes = drawn
    rows = count(1)

    def relation(number: int) -> Relation:
        row = number + 1 if one_fact else next(rows)
        return Relation(Fact("compat/test.csv", row, "a row", f"fact {row}"), said[number])

    universe = Universe.of(
        candidate(name, label, *map(relation, sorted(numbers)))
        for name, labels in packages.items()
        for label, numbers in labels.items()
    )
    return universe, _lines(packages, wishes)


problems = st.one_of(_small, _alike.map(_tables))
"""Up to four packages of up to six candidates with relations, and up to four requirements."""


def admits(term: Term, chosen: Candidate | None) -> bool:
    """Whether a term holds, straight from its definition."""
    if chosen is None:
        return term.absent_ok
    assert chosen.version is not None
    return (
        SpecifierSet(term.specifier).contains(chosen.version, prereleases=True)
        and (term.variants is None or chosen.variant in term.variants)
        and (term.labels is None or chosen.label in term.labels)
    )


def valid(
    assignment: Assignment,
    requirements: Sequence[Requirement],
    facts: frozenset[Fact] | None = None,
) -> bool:
    """Whether an assignment satisfies the requirements and all relations (or those of `facts`)."""
    return all(_met(one, assignment) for one in requirements) and all(
        any(admits(term, assignment.get(term.package)) for term in relation.any_of)
        for chosen in assignment.values()
        for relation in chosen.relations
        if facts is None or relation.fact in facts
    )


def _met(one: Requirement, assignment: Assignment) -> bool:
    term = Term(one.package, one.specifier, absent_ok=not one.brings)
    return not _applies(one, assignment) or admits(term, assignment.get(one.package))


def _applies(one: Requirement, assignment: Assignment) -> bool:
    python = assignment.get("python")
    return not one.pythons or admits(Term("python", one.pythons), python)


def assignments(universe: Universe) -> Iterator[Assignment]:
    """Every choice of at most one candidate a package."""
    names = sorted(universe.packages)
    for chosen in product(*((None, *universe[name].candidates) for name in names)):
        yield {name: one for name, one in zip(names, chosen, strict=True) if one is not None}


def best(
    universe: Universe,
    policy: Policy,
    solutions: Sequence[Assignment],
    requirements: Sequence[Requirement] = (),
) -> Assignment:
    """The best of all solutions by trying each, step for step.

    requirements: that one of those with a marker applies, for each package, matters most.
    """
    conditional = [one for one in requirements if one.brings and one.pythons]
    wished = {
        name: [one for one in conditional if one.package == name]
        for name in sorted({one.package for one in conditional})
    }
    steps = [one for one in complete(policy, universe).steps if one.package in universe]
    ranks = [
        {
            universe[step.package].candidates[position].label: rank
            for rank, group in enumerate(ranking(universe[step.package], step.prefer))
            for position in group
        }
        for step in steps
    ]

    def quality(assignment: Assignment) -> tuple[int, ...]:
        missing = [not any(_applies(one, assignment) for one in lines) for lines in wished.values()]
        return *missing, *(
            rank[assignment[step.package].label] if step.package in assignment else -1
            for step, rank in zip(steps, ranks, strict=True)
        )

    return min(solutions, key=quality)
