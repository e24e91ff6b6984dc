"""What the project says about serving, where more than one block asks."""

from __future__ import annotations

from ..project import Project

__all__ = ["max_concurrency"]


def max_concurrency(project: Project) -> int | None:
    """How many predictions may run at a time: cog.yaml's word, else the decorator's, else None."""
    if project.config is not None and project.config.concurrency is not None:
        return project.config.concurrency.max
    return project.predictor.concurrent_max if project.predictor else None
