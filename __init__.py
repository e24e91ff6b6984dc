"""cogpack: container images of machine-learning projects, with solved versions.

The way of a build, as a library user walks it:

    composition = cogpack.load(Path("project"))
    composition = cogpack.with_weights(composition, os.environ, told=print)  # if it has remote ones
    resolution = cogpack.solved(composition)
    plan = cogpack.make_plan(composition, resolution)
    with Client(find_daemon(None, os.environ)) as client:  # from cogpack.llb.client
        cogpack.build_plan(plan, cogpack.Request(Path("project"), exports), client)

`solved` uses no network. With `source=cogpack.ProjectIndexes(composition, os.environ)` it reads the
metadata of versions that the tables do not know.

Every failure that is foreseen is a `cogpack.Failure`. Names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import BuilderError, CogpackError, Failure, Fault, RetryableError, UserError
    from .pipeline import Request, build_plan
    from .plan.model import Plan
    from .stacks.compose import Composition, load, make_plan
    from .stacks.solve import ConflictError, solve, solved
    from .stacks.unknown import ProjectIndexes
    from .stacks.weights import with_weights

__version__ = "0.1.0"

__all__ = [
    "BuilderError",
    "CogpackError",
    "Composition",
    "ConflictError",
    "Failure",
    "Fault",
    "Plan",
    "ProjectIndexes",
    "Request",
    "RetryableError",
    "UserError",
    "__version__",
    "build_plan",
    "load",
    "make_plan",
    "solve",
    "solved",
    "with_weights",
]

_HOMES = {
    "errors": ("BuilderError", "CogpackError", "Failure", "Fault", "RetryableError", "UserError"),
    "pipeline": ("Request", "build_plan"),
    "plan.model": ("Plan",),
    "stacks.compose": ("Composition", "load", "make_plan"),
    "stacks.solve": ("ConflictError", "solve", "solved"),
    "stacks.unknown": ("ProjectIndexes",),
    "stacks.weights": ("with_weights",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
