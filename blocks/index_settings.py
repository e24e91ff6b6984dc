"""What requirements files say of indexes and uv or pip reads from its environment alone.

uv passes over such options in a file; pip is told in the same way, so that a file means the same to
both.
"""

from __future__ import annotations

from ..project import Project

__all__ = ["pip_index_env", "uv_index_env", "uv_trust"]


def uv_index_env(project: Project) -> dict[str, str]:
    """The variables under which uv chooses among what the project's indexes have."""
    options = project.requirements.options
    found = uv_trust(project)
    if options.pre:
        found["UV_PRERELEASE"] = "allow"
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
