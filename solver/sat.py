"""The SAT engine: satisfiability, cores and the exact lexicographic optimum over a universe.

It answers in positions and literals; `solve` and `explain` turn those into choices and sentences.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self

import pysolvers  # type: ignore[import-not-found]  # a C extension without stubs
from msgspec import Struct

from .encoding import Encoding
from .policy import Policy, Step, complete, ranking
from .requirement import Requirement
from .selection import intervals_of
from .universe import PYTHON, Candidate, Fact, Package, Universe

__all__ = ["Decision", "Engine", "Optimum"]


class Decision(Struct, frozen=True):
    """What one step of the policy settled.

    literal: when true, forces a solution to do as well as the best one in this step; None when
        the step left nothing out.
    """

    step: Step
    literal: int | None


class Optimum(Struct, frozen=True):
    """The best solution: the chosen candidate of each package that is present, by name."""

    chosen: Mapping[str, Candidate]
    decisions: tuple[Decision, ...]


class Engine:
    """One SAT solver loaded with a universe and requirements; close it, or use it in a `with`.

    The requirements are assumptions, so any subset of them can be asked for. With `explain` the
    facts are assumptions as well.
    selectors: the literals of the requirements, in their order.
    python-sat's C extension is used as it is: `pysat.solvers`, its Python face, takes longer to
    import than all of this takes to solve.
    """

    def __init__(
        self, universe: Universe, requirements: Sequence[Requirement], *, explain: bool = False
    ) -> None:
        self._handle = pysolvers.minisat22_new()
        self.requirements = tuple(requirements)
        self.encoding = Encoding(universe, self._emit, self._phases, with_facts=explain)
        self._selectors: dict[Requirement, int] = {}
        self.selectors = tuple(self.selector(one) for one in self.requirements)
        self._found: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the solver's memory; whoever asks the engine after that gets an AttributeError."""
        # The C extension crashes on a handle that is none, so there is none left to give it.
        handle = self.__dict__.pop("_handle", None)
        if handle is not None:
            pysolvers.minisat22_del(handle)

    def __del__(self) -> None:
        self.close()

    # No `partial` with the handle: that would outlive `close` and reach freed memory.
    def _emit(self, clause: list[int]) -> None:
        pysolvers.minisat22_add_cl(self._handle, clause)

    def _phases(self, literals: list[int]) -> None:
        pysolvers.minisat22_setphases(self._handle, literals)

    def selector(self, requirement: Requirement) -> int:
        """The literal of a requirement, one of the engine's or another; it holds when assumed."""
        literal = self._selectors.get(requirement)
        if literal is None:
            literal = self._selectors[requirement] = self.encoding.selector(requirement)
        return literal

    @property
    def facts(self) -> Mapping[Fact, int]:
        """The literals of the facts that came up so far; empty without `explain`."""
        return self.encoding.facts

    def solve(self, assumptions: Sequence[int]) -> bool:
        """Whether a solution exists in which the assumptions and all facts hold.

        Candidates are encoded as they are chosen, until a solution uses none that is not.
        """
        while self.check([*assumptions, *self.encoding.facts.values()]):
            found = self.encoding.chosen(pysolvers.minisat22_model(self._handle) or ())
            packages = self.encoding.packages
            fresh = [self.encoding.ensure(packages[name], found[name]) for name in found]
            if not any(fresh):
                self._found = found
                return True
        return False

    def check(self, assumptions: Sequence[int]) -> bool:
        """Whether a solution exists in which the assumptions and no other facts hold.

        Meant for facts that came up already: what was not encoded yet is not taken into account.
        """
        return bool(pysolvers.minisat22_solve(self._handle, list(assumptions), 0))

    def core(self) -> frozenset[int]:
        """After a no: assumptions (and facts) that cannot hold together, not yet minimal."""
        return frozenset(pysolvers.minisat22_core(self._handle) or ())

    def chosen(self) -> dict[str, Candidate]:
        """The candidate of each package that is present, in the last solution that `solve` had."""
        packages = self.encoding.packages
        return {name: packages[name].candidates[found] for name, found in self._found.items()}

    def among(self, package: Package, positions: Iterable[int], *, absent_ok: bool = False) -> int:
        """A literal that forces the choice to one of the positions."""
        return self.encoding.within(package, intervals_of(positions), absent_ok=absent_ok)

    def nearest(
        self, package: Package, groups: Sequence[Sequence[int]], assumptions: Sequence[int]
    ) -> int | None:
        """The least k such that a solution picks from `groups[k]`; None when there is no such k."""
        everything = self.among(package, (position for group in groups for position in group))
        if not self.solve([*assumptions, everything]):
            return None
        return self._best(package, groups, assumptions, absent_ok=False)[0]

    def optimum(
        self, policy: Policy, only: Container[str] | None = None, *, settle: bool = False
    ) -> Optimum | None:
        """The best solution that satisfies all requirements; None when there is none.

        only: the packages that are settled in the policy's order; of the others any will do.
        settle: make what is decided a part of the formula, which is faster; once it has found an
            optimum the engine cannot be asked for anything else.
        """
        assumptions = list(self.selectors)
        if not self.solve(assumptions):
            return None
        if settle:
            assumptions = self._settled(assumptions)
        decisions = []
        needed = {one.package for one in self.requirements if one.is_certain}
        wishes = self._conditional()
        first = (Step(name, "present") for name in wishes)
        for step in (*first, *complete(policy, self.encoding.universe).steps):
            name = step.package
            if name not in self.encoding.universe or (only is not None and name not in only):
                continue
            literal: int | None
            if step.prefer == "present":
                literal = wishes[name]
                if not self.solve([*assumptions, literal]):
                    continue
                needed.add(name)
            elif name in self._found:
                package = self.encoding.packages[name]
                groups = ranking(package, step.prefer)
                absent_ok = name not in needed
                literal = self._best(package, groups, assumptions, absent_ok=absent_ok)[1]
                if name in self._found:
                    # It could not be left out, and what is settled later only adds to that.
                    needed.add(name)
            else:
                # No candidate is better than none, and the last solution does without.
                literal = -self.encoding.presence(name)
            decisions.append(Decision(step, literal))
            if literal is not None:
                assumptions.append(literal)
            if settle:
                assumptions = self._settled(assumptions)
        return Optimum(self.chosen(), tuple(decisions))

    def _conditional(self) -> Mapping[str, int]:
        """For each package that lines bring in on some Pythons only, that one of them does.

        It is the first wish: else the best Python would be one to which no such line applies.
        """
        found: dict[str, list[str]] = {}
        for one in self.requirements:
            if one.brings and one.pythons and PYTHON in self.encoding.universe:
                found.setdefault(one.package, []).append(one.pythons)
        return {
            name: self.encoding.python_in(specifiers) for name, specifiers in sorted(found.items())
        }

    def _settled(self, literals: Sequence[int]) -> list[int]:
        """Make the literals true for good; what is left to assume: nothing."""
        for literal in literals:
            self._emit([literal])
        return []

    def _best(
        self,
        package: Package,
        groups: Sequence[Sequence[int]],
        assumptions: Sequence[int],
        *,
        absent_ok: bool,
    ) -> tuple[int, int | None]:
        """The least k such that a solution picks from `groups[:k + 1]`, by bisection.

        The last solution picks from the groups; afterwards the last solution is one of the best.
        absent_ok: absence counts as better than all groups (then k may be -1).
        Returns k and the literal that keeps solutions that good, None when it leaves nothing out.
        """
        ranks = {position: k for k, group in enumerate(groups) for position in group}

        def literal(k: int) -> int:
            members = (position for group in groups[: k + 1] for position in group)
            return self.among(package, members, absent_ok=absent_ok)

        def rank() -> int:
            return ranks[self._found[package.name]] if package.name in self._found else -1

        low, high = (-1 if absent_ok else 0), rank()
        probe = low  # the best one is possible more often than not
        while low < high:
            if self.solve([*assumptions, literal(probe)]):
                high = rank()
            else:
                low = probe + 1
            probe = (low + high) // 2
        full = high == len(groups) - 1
        return high, None if full else literal(high)
