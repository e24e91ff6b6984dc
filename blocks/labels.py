"""What an image says about itself to Cog's tools and to registries.

Other blocks add the labels of their own subject: the base image, the API, the init, the server.
`run.cog.pip_freeze` is there when the project is locked: nothing else tells the exact versions of
all packages before the build. And nothing names cogpack's own version: the same project must give
the same image under another release of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import ClassVar

from ..plan.composer import Composer
from ..plan.model import ExportConfig
from ..project import CogConfig, Project
from ..project.cogyaml import RunItem, Weights
from ..project.revision import read_revision
from ..solver.resolution import Resolution
from .base import Block
from .serving import max_concurrency

__all__ = ["Labels"]


class Labels(Block):
    """Cog's label with the project's configuration, and the commit that it was built from."""

    name: ClassVar[str] = "labels"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return project.config is not None

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        if project.config is None:
            return
        config = dict(_config(project, project.config, resolution))
        labels = {
            "run.cog.config": json.dumps(config, ensure_ascii=False, separators=(",", ":")),
            "run.cog.version": resolution["cog"].version,
        }
        if resolution.lock is not None:
            labels["run.cog.pip_freeze"] = "\n".join(
                f"{one.name}=={one.version}" for one in resolution.lock.packages if one.version
            )
        if revision := read_revision(project.root):
            labels["org.opencontainers.image.revision"] = revision
        composer.configure(ExportConfig(labels=labels))


def _config(
    project: Project, config: CogConfig, resolution: Resolution
) -> Iterator[tuple[str, object]]:
    """The configuration in the words and the order of Cog's own label, with what was decided."""
    yield "build", dict(_build(config, resolution))
    shown = config.model_dump(mode="json")
    for name, value in (
        ("image", shown["image"]),
        ("model", shown["model"]),
        ("predict", config.predictor),
        ("train", shown["train"]),
    ):
        if value:
            yield name, value
    if maximum := max_concurrency(project):
        yield "concurrency", {"max": maximum}
    if config.environment:
        yield "environment", shown["environment"]
    if config.weights:
        yield "weights", [_weights(entry) for entry in config.weights]
    options = config.cogpack.model_dump(mode="json", exclude_unset=True)
    if options:
        yield "cogpack", options


def _build(config: CogConfig, resolution: Resolution) -> Iterator[tuple[str, object]]:
    build = config.build.model_dump(mode="json")
    if build["gpu"]:
        yield "gpu", True
        for name in ("cuda", "cudnn"):
            choice = resolution.get(name)
            build[name] = build[name] or (choice.version if choice else None)
    build["python_version"] = build["python_version"] or resolution["python"].version
    build["run"] = [_command(item) for item in config.build.run]
    build["pre_install"] = [item.command for item in config.build.pre_install]
    for name in (
        "python_version",
        "python_requirements",
        "python_packages",
        "run",
        "system_packages",
        "pre_install",
        "cuda",
        "cudnn",
        "sdk_version",
    ):
        if build[name]:
            yield name, build[name]


def _command(item: RunItem) -> dict[str, object]:
    found = item.model_dump(mode="json", exclude_none=True)
    return {name: value for name, value in found.items() if value}


def _weights(entry: Weights) -> dict[str, object]:
    """Cog writes a single source as it is, and several as a list."""
    sources = [
        {name: value for name, value in source.model_dump(mode="json").items() if value}
        for source in entry.source
    ]
    return {
        "name": entry.name,
        "target": entry.target,
        "source": sources[0] if len(sources) == 1 else sources,
    }
