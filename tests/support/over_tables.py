"""Requirements as the blocks make them of a project, solved over the real tables."""

from __future__ import annotations

from functools import cache

from cogpack.compat.tables import Tables
from cogpack.origin import Origin
from cogpack.solver.conflict import Conflict
from cogpack.solver.matrix import build_universe
from cogpack.solver.policy import POLICIES
from cogpack.solver.requirement import Requirement
from cogpack.solver.resolution import Resolution
from cogpack.solver.solve import resolve
from cogpack.solver.universe import Universe

from .toy import user

RUNTIME = tuple(
    Requirement(name, "", Origin(asker=f"block {block}"))
    for name, block in (("cog", "cog-runtime"), ("coglet", "cog-runtime"), ("uv", "uv-tool"))
)


def gpu(on: bool = True) -> Requirement:
    """`gpu:` of cog.yaml."""
    text = f"gpu: {str(on).lower()}"
    return user("accelerator", "==cuda" if on else "==cpu", "cog.yaml", 2, text)


def cuda(version: str) -> tuple[Requirement, ...]:
    """`cuda:` of cog.yaml: this CUDA, and in the image."""
    text = f'cuda: "{version}"'
    specifier = f"=={version}" if version.count(".") > 1 else f"=={version}.*"
    return (
        user("cuda", specifier, "cog.yaml", 4, text),
        user("system-cuda", specifier, "cog.yaml", 4, text),
    )


@cache
def tables() -> Tables:
    """The tables of the package."""
    return Tables.load()


def universe(*requirements: Requirement, platform: str = "linux/amd64") -> Universe:
    """The part of the matrix that the requirements can reach."""
    roots = {requirement.package for requirement in requirements}
    return build_universe(tables(), platform=platform, roots=roots)


def outcome(
    *requirements: Requirement, prefer: str = "newest", platform: str = "linux/amd64"
) -> Resolution | Conflict:
    """The answer for a project with these requirements and the runtime's own."""
    wanted = (*requirements, *RUNTIME)
    return resolve(wanted, universe(*wanted, platform=platform), POLICIES[prefer])


def resolved(
    *requirements: Requirement, prefer: str = "newest", platform: str = "linux/amd64"
) -> Resolution:
    """As `outcome`, which must be a resolution."""
    found = outcome(*requirements, prefer=prefer, platform=platform)
    assert isinstance(found, Resolution), found
    return found


def refused(*requirements: Requirement, platform: str = "linux/amd64") -> Conflict:
    """As `outcome`, which must be a conflict."""
    found = outcome(*requirements, platform=platform)
    assert isinstance(found, Conflict), found
    return found
