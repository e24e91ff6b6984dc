"""How a registry, or another source of facts, fails; none of it ends a run by itself."""

from __future__ import annotations

__all__ = ["RefusedError", "UnreachedError"]


class UnreachedError(Exception):
    """A source was not reached, or what it said cannot be true; the text says which and why."""


class RefusedError(UnreachedError):
    """The registry does not let this user see the repository."""
