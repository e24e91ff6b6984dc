"""What the loop wants beside what is asked: known overrides, an old lock, a Python that fits.

Wishes and bars as data for the SAT engine; when they are taken up is the loop's decision.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, Specifier

from ..compat.rows import Override
from ..origin import Origin
from .open_catalog import View
from .open_fits import INDEX
from .open_model import Range, range_of
from .open_resolve import OpenFailure, OpenSolution, Settled
from .policy import Policy, Step
from .problem import Problem
from .requirement import Requirement
from .universe import Candidate, Fact, Package, Relation, Term, Universe

__all__ = ["Correction", "barred", "corrections", "is_behind", "keeping", "wishful"]


@dataclass(frozen=True, order=True)
class Correction:
    """An override that took part: what it limits, and whether it could be kept."""

    package: str
    specifier: str
    because: str
    kept: bool = True

    @property
    def text(self) -> str:
        """`numpy<2: tensorflow before 2.18 was built against numpy 1 (compat/overrides)`."""
        told = f"{self.package}{self.specifier}: {self.because} (compat/overrides)"
        return told if self.kept else f"could not be kept: {told}"


def corrections(overrides: Iterable[Override], solution: OpenSolution) -> list[Correction]:
    """The corrections that a solution does not keep."""
    from packaging.requirements import Requirement as Dependency
    from packaging.utils import canonicalize_name

    versions = {one.name: one.version for one in solution.packages}
    found = []
    for row in overrides:
        holder = versions.get(row.package)
        if holder is None or not range_of(row.versions).admits(holder):
            continue
        wanted = Dependency(row.requires)
        name = canonicalize_name(wanted.name)
        version = versions.get(name)
        if version is not None and not range_of(str(wanted.specifier)).admits(version):
            found.append(Correction(name, str(wanted.specifier), row.evidence))
    return found


def is_behind(one: Settled, limits: Iterable[Range], view: View) -> bool:
    """Whether a newer final release exists that suits the lines but not the target."""
    for version in view.versions(one.name):
        if version <= one.version:
            return False
        if version.is_prerelease or not all(limit.admits(version) for limit in limits):
            continue
        if view.offer(one.name, version) is None:
            return True
    return False


def wishful(
    policy: Policy,
    asked: Iterable[str],
    upgrade: Iterable[str],
    keep: Iterable[tuple[str, str]],
) -> tuple[Policy, frozenset[str]]:
    """The policy with the wishes in it, and the packages that stand for them.

    What is to be upgraded comes before what is to be kept, and both after the policy's own
    compromises: a lock is no reason to make one. What the user named comes before Python, else one
    that few have wheels for yet would be kept at the price of old releases.
    """
    own = list(policy.steps)
    start = next((i for i, step in enumerate(own) if step.prefer != "absent"), len(own))
    # Python before the rest of the lock: with another one everything moves.
    kept = sorted(keep, key=lambda one: (one[0] != "python", one))
    moved = [_moved(name) for name, _ in kept]
    first = [Step(name) for name in upgrade] + [Step(name, "absent") for name in moved]
    known = {step.package for step in own}
    python = next((i for i, step in enumerate(own) if step.package == "python"), len(own))
    named = [Step(name) for name in asked if name not in known]
    steps = (*own[:start], *first, *own[start:python], *named, *own[python:])
    return Policy(steps), frozenset(moved)


def _moved(name: str) -> str:
    return f"moved {name}"


def keeping(
    keep: Iterable[tuple[str, str]], matrix: Universe
) -> tuple[list[Requirement], list[Candidate]]:
    """Wishes as requirements: each is met, or its `moved` package is there.

    A policy that wants those packages absent keeps what it can, and trades nothing that was asked.
    """
    requirements, candidates = [], []
    for name, specifier in keep:
        if name not in matrix or not _is_readable(specifier, matrix[name]):
            continue
        key = f"keep {name}"
        fact = Fact(INDEX, 0, key, f"the lock has {name}{specifier}")
        terms = (Term(name, specifier, absent_ok=True), Term(_moved(name)))
        candidates += [
            Candidate(key, "lock", relations=(Relation(fact, terms),)),
            Candidate(_moved(name), "moved"),
        ]
        requirements.append(Requirement(key, "", Origin(asker="the lock")))
    return requirements, candidates


def _is_readable(specifier: str, package: Package) -> bool:
    """Whether it can be a wish at all; in a lock that somebody edited it may say anything."""
    try:
        return package.opaque or bool(Specifier(specifier))
    except InvalidSpecifier:
        return False


def barred(
    chosen: Mapping[str, Candidate], failure: OpenFailure, problem: Problem | None
) -> Relation:
    """The clause that bars what the indexes saw of an assignment."""
    assert problem is not None  # noqa: S101  # the assignment came out of it
    terms = []
    told = []
    for name in ("python", "glibc", *sorted(failure.fixed)):
        candidate = chosen.get(name)
        if name not in problem.universe:
            continue
        if candidate is None:
            terms.append(Term(name))
            continue
        whole_minor = name == "python" and failure.by_minor
        alike = candidate.version.release[:2] if whole_minor and candidate.version else None
        others = frozenset(
            one.label
            for one in problem.universe[name].candidates
            if one.label != candidate.label
            and (alike is None or one.version is None or one.version.release[:2] != alike)
        )
        terms.append(Term(name, labels=others, absent_ok=name in failure.fixed))
        told.append(f"{name} {'.'.join(map(str, alike)) if alike else candidate.label}")
    text = f"no set of packages goes with {', '.join(told)}"
    return Relation(Fact(INDEX, 0, " ".join(told), text), tuple(terms))
