"""What comes out of the solver when no consistent set of versions exists."""

from __future__ import annotations

from msgspec import Struct

from .requirement import Requirement
from .universe import Fact

__all__ = ["Change", "Clash", "Conflict", "Fix"]


class Change(Struct, frozen=True, order=True):
    """An edit of one thing that the user wrote.

    requirement: what stands there now.
    before: the piece of the user's text that changes: `2.4.1`, `>=2.0,<2.1`.
    after: what to write in its place; None to take the whole line (or option) away.
    specifier: the requirement's specifier after the edit; None when it is gone.
    """

    requirement: Requirement
    before: str
    after: str | None
    specifier: str | None


class Fix(Struct, frozen=True, order=True):
    """Changes that, made together, end the clash; each fix was tried by solving.

    Where there are several independent clashes, one fix of each makes the whole project solvable.
    """

    changes: tuple[Change, ...]


class Clash(Struct, frozen=True, order=True):
    """Requirements that cannot hold together, the facts that forbid it, and ways out.

    Without any one of the requirements or facts the rest could hold. requirements, facts: sorted.
    fixes: least invasive first.
    notes: what no table row says: that a version is unknown, that two ranges have none in common.
    """

    requirements: tuple[Requirement, ...]
    facts: tuple[Fact, ...]
    fixes: tuple[Fix, ...] = ()
    notes: tuple[str, ...] = ()


class Conflict(Struct, frozen=True):
    """All clashes of a project, none left out because another was found first."""

    clashes: tuple[Clash, ...]
