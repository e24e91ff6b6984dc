"""The names of `model`, for those that make parts of a plan: it is loaded at the first one used.

`cogpack resolve` loads the blocks to ask what they need of the solver, and makes no plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model import *  # noqa: F403  # whatever is a part of a plan
else:

    def __getattr__(name: str) -> Any:
        from . import model

        if name not in model.__all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(model, name)
        return found
