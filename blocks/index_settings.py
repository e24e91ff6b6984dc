"""What requirements files say of indexes and uv or pip reads from its environment alone.

uv passes over such options in a file; pip is told in the same way, so that a file means the same to
both.
"""

from __future__ import annotations

from ..compat.framework_indexes import is_framework_index
from ..project import Project

__all__ = ["pip_index_env", "uv_index_env", "uv_trust"]


def uv_index_env(project: Project) -> dict[str, str]:
    """The variables under which uv chooses among what the project's indexes have.

    A framework's index that the project names has old copies of many packages. The first index that
    has a package is the only one for uv, so these copies would be all that there is. Where every
    further index is such a one, nobody can slip in a package, and the best of all is taken.
    """
    options = project.requirements.options
    found = uv_trust(project)
    if options.pre:
        found["UV_PRERELEASE"] = "allow"
    extras = [one.url.raw for one in options.extra_index_urls]
    if extras and all(map(is_framework_index, extras)):
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return found


def uv_trust(project: Project) -> dict[str, str]:
    """The variable, if any, that names the hosts whose certificate uv does not check."""
    hosts = project.requirements.options.trusted_hosts
    return {"UV_INSECURE_HOST": " ".join(hosts)} if hosts else {}


def pip_index_env(project: Project) -> dict[str, str]:
    """The variables under which pip installs from the project's indexes."""
    options = project.requirements.options
    found = {"PIP_TRUSTED_HOST": " ".join(options.trusted_hosts)} if options.trusted_hosts else {}
    if options.pre:
        found["PIP_PRE"] = "1"
    if options.prefer_binary:
        found["PIP_PREFER_BINARY"] = "1"
    return found
