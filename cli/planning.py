"""From a composition to its plan, as `plan`, `llb` and `build` want it: warnings go to the user."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..plan.composer import Network
from ..plan.model import Plan
from ..stacks.compose import Composition, make_plan
from ..stacks.locking import resolution_to_build
from ..stacks.unknown import ProjectIndexes
from ..stacks.weights import with_weights
from .options import show_warning, show_warnings

__all__ = ["plan_of"]

_NOTHING: Mapping[str, bytes] = {}


def plan_of(
    composition: Composition,
    network: Network,
    *,
    locked: bool,
    offline: bool,
    secrets: Mapping[str, bytes] = _NOTHING,
) -> Plan:
    """The plan by the lock, or by the solver where there is none; warnings are printed.

    locked, offline: as the options of these names. secrets: of the build, by id.

    Raises UserError for what the project has wrong, RetryableError when a network fails.
    """
    show_warnings(composition.project.warnings)
    composition = with_weights(
        composition,
        os.environ,
        told=show_warning,
        locked=locked,
        offline=offline,
        secrets=secrets,
    )
    resolution = resolution_to_build(
        composition,
        locked=locked,
        told=show_warning,
        source=ProjectIndexes(composition, os.environ, offline=offline),
    )
    show_warnings(resolution.warnings)
    return make_plan(composition, resolution, network)
