"""What an image says about itself to Cog's tools and to registries.

Other blocks add the labels of their own subject: the base image, the API, the init, the server.
`run.cog.pip_freeze` is there when the project is locked: nothing else tells the exact versions of
all packages before the build. And nothing names cogpack's own version: the same project must give
the same image under another release of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from ..plan import parts
from ..project import CogConfig, Project
from ..project.cogyaml import RunItem, Weights
from ..project.revision import read_revision
from ..project.section import Section, as_data, written
from ..solver.resolution import Resolution
from .base import Block
from .serving import max_concurrency

if TYPE_CHECKING:
    from ..plan.composer import Composer

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
        import json

        config = dict(_config(project, project.config, resolution))
        labels = {
            "run.cog.config": json.dumps(config, ensure_ascii=False, separators=(",", ":")),
            "run.cog.version": resolution["cog"].version,
        }
        if resolution.lock is not None and not resolution.lock.beside:
            labels["run.cog.pip_freeze"] = "\n".join(
                f"{one.name}=={one.version}" for one in resolution.lock.packages if one.version
            )
        if revision := read_revision(project.root):
            labels["org.opencontainers.image.revision"] = revision
        composer.configure(parts.ExportConfig(labels=labels))


def _config(
    project: Project, config: CogConfig, resolution: Resolution
) -> Iterator[tuple[str, object]]:
    """The configuration in the words and the order of Cog's own label, with what was decided."""
    yield "build", dict(_build(config, resolution))
    shown = as_data(config)
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
    options = as_data(config.cogpack)
    if given := written(config.cogpack):
        yield "cogpack", {name: value for name, value in options.items() if name in given}


def _build(config: CogConfig, resolution: Resolution) -> Iterator[tuple[str, object]]:
    build = as_data(config.build)
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
    found: dict[str, object] = {"command": as_data(item)["command"]}
    if item.mounts:
        found["mounts"] = [_filled(mount) for mount in item.mounts]
    return found


def _weights(entry: Weights) -> dict[str, object]:
    """Cog writes a single source as it is, and several as a list."""
    sources = [_filled(source) for source in entry.source]
    return {
        "name": entry.name,
        "target": entry.target,
        "source": sources[0] if len(sources) == 1 else sources,
    }


def _filled(section: Section) -> dict[str, object]:
    return {name: value for name, value in as_data(section).items() if value}
