"""A plan for a daemon that cannot put what was made in one image upon another."""

from __future__ import annotations

from dataclasses import replace

from ..references import BASE_DIGEST, BASE_NAME, split_digest
from .model import BaseRefs, ImageInput, Input, Plan

__all__ = ["on_build_base"]


def on_build_base(plan: Plan) -> Plan:
    """The plan with the image that it is built in for the one that it runs on; labels say so."""
    built, runs = ImageInput(ref=plan.base.build), ImageInput(ref=plan.base.runtime)

    def moved(source: Input) -> Input:
        return built if source == runs else source

    phases = tuple(
        replace(
            phase,
            stages=tuple(replace(stage, source=moved(stage.source)) for stage in phase.stages),
            result=moved(phase.result),
        )
        for phase in plan.export_phases
    )
    name, digest = split_digest(plan.base.build)
    told = {BASE_NAME: name, BASE_DIGEST: digest}
    labels = {key: told.get(key, value) for key, value in plan.config.labels.items()}
    return replace(
        plan,
        base=BaseRefs(build=plan.base.build, runtime=plan.base.build),
        export_phases=phases,
        config=replace(plan.config, labels=labels),
    )
