"""Walking over a plan: its stages, and the images and secrets that they refer to."""

from __future__ import annotations

from collections.abc import Iterator

from .model import (
    BindMount,
    Copy,
    Exec,
    HttpInput,
    ImageInput,
    Input,
    Plan,
    SecretMount,
    Stage,
)

__all__ = ["download_tokens", "image_refs", "secret_mounts", "stages", "stages_of_download"]


def stages(plan: Plan) -> Iterator[Stage]:
    """Every stage, those of the build first, in the order of the plan."""
    for phase in (*plan.build_phases, *plan.export_phases):
        yield from phase.stages


def secret_mounts(plan: Plan) -> Iterator[tuple[Stage, SecretMount]]:
    """Every mount of a secret, with its stage."""
    for stage in stages(plan):
        for op in stage.ops:
            if isinstance(op, Exec):
                yield from ((stage, one) for one in op.mounts if isinstance(one, SecretMount))


def image_refs(plan: Plan) -> tuple[str, ...]:
    """The references of every image that a stage or a phase stands on or reads, sorted."""
    return tuple(sorted({source.ref for source in _inputs(plan) if isinstance(source, ImageInput)}))


def download_tokens(plan: Plan) -> frozenset[str]:
    """The ids of the secrets that downloads would be given."""
    downloads = (source for source in _inputs(plan) if isinstance(source, HttpInput))
    return frozenset(source.token for source in downloads if source.token)


def stages_of_download(plan: Plan, url: str) -> Iterator[Stage]:
    """The stages that read the file at a URL."""
    for stage in stages(plan):
        if any(isinstance(one, HttpInput) and one.url == url for one in _stage_inputs(stage)):
            yield stage


def _inputs(plan: Plan) -> Iterator[Input]:
    for phase in (*plan.build_phases, *plan.export_phases):
        yield phase.result
        for stage in phase.stages:
            yield from _stage_inputs(stage)


def _stage_inputs(stage: Stage) -> Iterator[Input]:
    yield stage.source
    for op in stage.ops:
        if isinstance(op, Copy):
            yield op.source
        elif isinstance(op, Exec):
            yield from (mount.source for mount in op.mounts if isinstance(mount, BindMount))
