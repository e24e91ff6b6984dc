"""The remote weights of a composition: found before it is planned, and the token for the build."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from msgspec import structs

from ..errors import Fault
from ..plan.model import Plan
from ..plan.walk import download_tokens
from .compose import Composition

__all__ = ["hub_secret", "with_weights"]

_NOTHING: Mapping[str, bytes] = {}


def with_weights(
    composition: Composition,
    environ: Mapping[str, str],
    *,
    told: Callable[[Fault], object],
    locked: bool = False,
    offline: bool = False,
    secrets: Mapping[str, bytes] = _NOTHING,
) -> Composition:
    """The composition with the files of the project's remote weights.

    environ: HF_ENDPOINT, HF_TOKEN and their kin. told: takes a warning for each source that no
    lock has. locked, offline: such a source is an error. secrets: of the build; HF_TOKEN among
    them counts before that of the environment.

    Raises UserError with every source that cannot be had, RetryableError when the network fails.
    """
    from ..project.weight_places import remote_sources

    project = composition.project
    if not remote_sources(project.config):
        return composition
    from ..weights.find import find_files
    from ..weights.hub import TOKEN

    given = secrets.get(TOKEN)
    found = find_files(
        project.config,
        project.root,
        environ,
        told=told,
        locked=locked,
        offline=offline,
        token=None if given is None else given.decode("utf-8", "replace"),
    )
    return structs.replace(composition, project=replace(project, remote_weights=found))


def hub_secret(plan: Plan, environ: Mapping[str, str]) -> dict[str, bytes]:
    """The user's token for the hub as a secret of the build, when the plan has a use for it."""
    tokens = download_tokens(plan)
    if not tokens:
        return {}
    from ..weights.hub import TOKEN, find_token

    token = find_token(environ)
    return {TOKEN: token.encode()} if token and TOKEN in tokens else {}
