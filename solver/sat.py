"""The SAT engine: satisfiability, cores and the exact lexicographic optimum over a universe.

It answers in positions and literals; `solve` and `explain` turn those into choices and sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pysolvers  # type: ignore[import-not-found]  # a C extension without stubs

from .encoding import Encoding
from .policy import Policy, Step, complete, ranking
from .requirement import Requirement
from .selection import intervals_of
from .universe import Candidate, Fact, Package, Universe

__all__ = ["Decision", "Engine", "Optimum"]


@dataclass(frozen=True)
class Decision:
    """What one step of the policy settled.

    literal: holds exactly in the solutions that do as well as the best one; None when the step
        left nothing out.
    """

    step: Step
    literal: int | None


@dataclass(frozen=True)
class Optimum:
    """The best solution: the chosen candidate of each package that is present, by name."""

    chosen: Mapping[str, Candidate]
    decisions: tuple[Decision, ...]


class Engine:
    """One SAT solver loaded with a universe and requirements; close it, or use it in a `with`.

    The requirements are assumptions, so any subset of them can be asked for. With `explain` the
    facts are assumptions as well.
    python-sat's C extension is used as it is: `pysat.solvers`, its Python face, takes four times
    as long to import as all of this needs to solve.
    """

    def __init__(
        self, universe: Universe, requirements: Sequence[Requirement], *, explain: bool = False
    ) -> None:
        self._handle = pysolvers.minisat22_new()
        self.requirements = tuple(requirements)
        self.encoding = Encoding(universe, self.requirements, self._emit, with_facts=explain)

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
        """Free the solver's memory; the engine is of no use after that."""
        if self._handle is not None:
            pysolvers.minisat22_del(self._handle)
            self._handle = None

    def __del__(self) -> None:
        self.close()

    def _emit(self, clause: list[int]) -> None:
        pysolvers.minisat22_add_cl(self._handle, clause)

    @property
    def selectors(self) -> tuple[int, ...]:
        """The literal of each requirement, in the order of `requirements`."""
        return tuple(self.encoding.selectors)

    @property
    def facts(self) -> Mapping[Fact, int]:
        """The literal of each fact; empty without `explain`."""
        return self.encoding.facts

    def solve(self, assumptions: Sequence[int]) -> bool:
        """Whether a solution exists in which all the assumptions hold."""
        return bool(pysolvers.minisat22_solve(self._handle, list(assumptions), 0))

    def core(self) -> frozenset[int]:
        """After `solve` said no: assumptions that cannot hold together, not yet minimal."""
        return frozenset(pysolvers.minisat22_core(self._handle) or ())

    def chosen(self) -> dict[str, Candidate]:
        """After `solve` said yes: the candidate of each package that is present."""
        model = self._model()
        found = {}
        for name, package in self.encoding.packages.items():
            position = self._position(package, model)
            if position >= 0:
                found[name] = package.candidates[position]
        return found

    def _model(self) -> Sequence[int]:
        model: list[int] | None = pysolvers.minisat22_model(self._handle)
        return model or []

    def _position(self, package: Package, model: Sequence[int] | None = None) -> int:
        """The position chosen in the model, -1 for absent: order variables are true up to it."""
        model = self._model() if model is None else model
        first = self.encoding.presence(package)
        low, high = 0, min(len(package.candidates), max(0, len(model) - first + 1))
        while low < high:
            middle = (low + high) // 2
            if model[first + middle - 1] > 0:
                low = middle + 1
            else:
                high = middle
        return low - 1

    def among(self, package: Package, positions: Iterable[int], *, absent_ok: bool = False) -> int:
        """A literal that forces the choice to one of the positions."""
        return self.encoding.within(package, intervals_of(positions), absent_ok=absent_ok)

    def best(
        self,
        package: Package,
        groups: Sequence[Sequence[int]],
        assumptions: Sequence[int],
        *,
        absent_ok: bool,
    ) -> tuple[int, int | None] | None:
        """The least k such that a solution picks from `groups[:k + 1]`.

        absent_ok: absence counts as better than all groups (then k may be -1).
        Returns k and the literal that keeps solutions that good (None when nothing is left out),
        or None when the groups hold no solution.
        """
        ranks = {position: k for k, group in enumerate(groups) for position in group}
        full = len(ranks) == len(package.candidates) and absent_ok

        def literal(k: int) -> int:
            members = (position for group in groups[: k + 1] for position in group)
            return self.among(package, members, absent_ok=absent_ok)

        low, worst = (-1 if absent_ok else 0), len(groups) - 1
        if not self.solve(assumptions if full else [*assumptions, literal(worst)]):
            return None
        high = ranks.get(self._position(package), -1)
        probe = low  # the best one is possible more often than not
        while low < high:
            if self.solve([*assumptions, literal(probe)]):
                high = ranks.get(self._position(package), -1)
            else:
                low = probe + 1
            probe = (low + high) // 2
        return high, None if full and high == worst else literal(high)

    def optimum(self, policy: Policy, extra: Sequence[int] = ()) -> Optimum | None:
        """The best solution that satisfies all requirements; None when there is none.

        extra: further literals that must hold.
        """
        assumptions = [*self.selectors, *self.facts.values(), *extra]
        if not self.solve(assumptions):
            return None
        decisions = []
        for step in complete(policy, self.encoding.universe).steps:
            package = self.encoding.packages.get(step.package)
            if package is None:
                continue
            groups = ranking(package, step.prefer)
            found = self.best(package, groups, assumptions, absent_ok=True)
            assert found is not None  # noqa: S101  # the assumptions had a solution before the step
            decisions.append(Decision(step, found[1]))
            if found[1] is not None:
                assumptions.append(found[1])
        self.solve(assumptions)
        return Optimum(self.chosen(), tuple(decisions))
