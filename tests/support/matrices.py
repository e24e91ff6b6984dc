"""Solving small projects over the real tables, as a stack asks for them."""

from __future__ import annotations

from functools import cache

from cogpack.compat import Tables
from cogpack.origin import Origin
from cogpack.solver.conflict import Conflict
from cogpack.solver.matrix import build_universe
from cogpack.solver.policy import POLICIES
from cogpack.solver.requirement import Requirement
from cogpack.solver.resolution import Resolution
from cogpack.solver.solve import resolve

CPU = "accelerator==cpu"
GPU = "accelerator==cuda"


@cache
def tables() -> Tables:
    """The tables of the package, read once."""
    return Tables.load()


def requirement(text: str) -> Requirement:
    """`torch==2.7.1` or `cog` as a requirement that quotes itself."""
    end = next((i for i, letter in enumerate(text) if letter in "=<>!~"), len(text))
    return Requirement(text[:end], text[end:], Origin("requirements.txt", 1, text))


def outcome(
    *texts: str, platform: str = "linux/amd64", prefer: str = "newest"
) -> Resolution | Conflict:
    """What the solver says to these requirements and to cog, which every project has."""
    wanted = [requirement(text) for text in (*texts, "cog")]
    roots = [one.package for one in wanted]
    universe = build_universe(tables(), platform=platform, roots=roots)
    return resolve(wanted, universe, POLICIES[prefer])


def solved(*texts: str, platform: str = "linux/amd64", prefer: str = "newest") -> Resolution:
    """The resolution of a project that has one."""
    found = outcome(*texts, platform=platform, prefer=prefer)
    assert isinstance(found, Resolution), found
    return found


def refused(*texts: str, platform: str = "linux/amd64") -> Conflict:
    """The conflict of a project that has one."""
    found = outcome(*texts, platform=platform)
    assert isinstance(found, Conflict), found
    return found


def facts(conflict: Conflict) -> set[str]:
    """The texts of the facts that a conflict names."""
    return {fact.text for clash in conflict.clashes for fact in clash.facts}
