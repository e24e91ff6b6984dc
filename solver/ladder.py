"""The order variables of one package: "a candidate at this position or above is chosen".

Candidates are sorted, so such variables make a range cost two literals however long it is, and at
most one candidate is chosen by construction. A variable is made when a clause first needs its
position: what stands between two of them no clause has told apart yet, so it is one rung, and a
table may be as long as it likes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from .universe import Package

__all__ = ["Ladder"]


class Ladder:
    """Literals of a package, lowest position first; the one of position 0 says that it is present.

    presence: that literal. guess: the position at which a solver had better start.
    """

    def __init__(
        self,
        package: Package,
        presence: int,
        new: Callable[[], int],
        emit: Callable[[list[int]], object],
        phases: Callable[[list[int]], object],
    ) -> None:
        self.package = package
        self.presence = presence
        self.guess = _guess(package)
        self._new, self._emit, self._phases = new, emit, phases
        self._positions = [0]
        self._literals = [presence]
        self._known = {0: presence}
        # A package that nothing needs is best left out, and whatever is true of it puts it in.
        self._needed = False
        phases([-presence])

    def at_least(self, position: int) -> int:
        """The literal "a candidate at this position or above is chosen"; not past the last one."""
        known = self._known.get(position)
        if known is not None:
            return known
        place = bisect_left(self._positions, position)
        literal = self._known[position] = self._new()
        self._emit([-literal, self._literals[place - 1]])
        if place < len(self._positions):
            self._emit([-self._literals[place], literal])
        self._positions.insert(place, position)
        self._literals.insert(place, literal)
        self._phases([literal if self._needed and position <= self.guess else -literal])
        return literal

    def need(self) -> None:
        """The package is in a solution: from now on solutions had better have it near the guess."""
        if not self._needed:
            self._needed = True
            wanted = bisect_right(self._positions, self.guess)
            self._phases(self._literals[1:wanted])

    def chosen(self, model: Sequence[int]) -> int:
        """The position chosen in a model, -1 for absent.

        The model says which rung; of its candidates, all alike so far, the one nearest to the
        guess is taken.
        """
        low, high = 0, len(self._literals)
        while low < high:
            middle = (low + high) // 2
            variable = self._literals[middle]
            if variable <= len(model) and model[variable - 1] > 0:
                low = middle + 1
            else:
                high = middle
        if not low:
            return -1
        first = self._positions[low - 1]
        above = self._positions[low] if low < len(self._positions) else self._count
        return max(first, min(self.guess, above - 1))

    @property
    def _count(self) -> int:
        return len(self.package.candidates)


def _guess(package: Package) -> int:
    """The newest of the smallest, as most policies have it."""
    return package.once(("guess",), lambda: _newest_of_smallest(package))


def _newest_of_smallest(package: Package) -> int:
    sizes = [candidate.size for candidate in package.candidates]
    return len(sizes) - 1 - sizes[::-1].index(min(sizes))
