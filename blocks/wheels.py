"""The locked wheels: each large one a layer of its own, whatever project it is in.

Every group is installed over the same empty environment, beside the others and without
dependencies, so that its layer depends on its wheels alone: two projects with the same torch have
the same layer, and a new small package changes one small layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from ..origin import Origin
from ..plan.composer import Composer
from ..plan.model import BindMount, Exec, Layer, MkFile, ScratchInput, StageInput
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .layout import (
    BARE_ENVIRONMENT,
    PYTHON,
    UV,
    UV_ENV,
    VENV,
    quoted,
    script,
    settle_times,
    uv_mounts,
)
from .wheel_groups import MOST_LAYERS, Wheel, WheelGroup, group_wheels, lines

__all__ = ["Wheels"]

_LISTS = StageInput(id="wheel-lists")
_FOLDER = "/run/cogpack/wheels"

# Layers that are not wheels: apt, the environment, local packages, the server, the source. What a
# project's own commands and weights add comes on top of that.
_OTHER_LAYERS = 5


class Wheels(Block):
    """Installs wheels with their hashes, in groups.

    wheels: the whole locked set. origin_of: by name, the lines that brought a wheel in.
    most_layers: of the image, all told.
    """

    name: ClassVar[str] = "wheels"

    def __init__(self, wheels: Sequence[Wheel], most_layers: int = MOST_LAYERS) -> None:
        self._wheels = tuple(sorted(wheels))
        self._most_layers = most_layers

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        others = _OTHER_LAYERS + len(project.run) + len(project.pre_install)
        groups = group_wheels(self._wheels, max(1, self._most_layers - others))
        if not groups:
            return
        contents = {
            f"/{group.name}-{number}.txt": lines(wheels)
            for group in groups
            for number, (_, wheels) in enumerate(_by_index(group.wheels))
        }
        composer.side_stage(
            "framework-deps",
            _LISTS.id,
            "write down the locked wheels",
            ScratchInput(),
            [MkFile(path=path, content=contents[path]) for path in sorted(contents)],
        )
        because = {origin for choice in resolution for origin in choice.because if origin.file}
        for group in groups:
            self._install(group, composer, sorted(because))

    def _install(self, group: WheelGroup, composer: Composer, because: Iterable[Origin]) -> None:
        alone = len(group.wheels) == 1
        phase = "framework-deps" if alone else "app-deps"
        title = (
            f"install {group.wheels[0].name}=={group.wheels[0].version}"
            if alone
            else f"install {len(group.wheels)} packages"
        )
        indexes = _by_index(group.wheels)
        lists = [f"{group.name}-{number}.txt" for number in range(len(indexes))]
        commands = [
            f"{UV} pip install --python {PYTHON} --no-deps --require-hashes"
            + (f" --index-url {quoted([index])}" if index else "")
            + f" --requirement {_FOLDER}/{file}"
            for file, (index, _) in zip(lists, indexes, strict=True)
        ]
        mounts = [
            BindMount(source=_LISTS, source_path=f"/{file}", target=f"{_FOLDER}/{file}")
            for file in lists
        ]
        installed = composer.side_stage(
            phase,
            f"wheels:{group.name}",
            title,
            BARE_ENVIRONMENT,
            [
                Exec(
                    command=script(*commands, settle_times(VENV)),
                    mounts=(*uv_mounts(), *mounts),
                    env=UV_ENV,
                )
            ],
            because=because if not alone else (),
        )
        composer.stage(phase, group.name, title, [Layer(stage=installed.id)])
        composer.export("app", installed)


def _by_index(wheels: Iterable[Wheel]) -> list[tuple[str, tuple[Wheel, ...]]]:
    """The wheels of each index, by its URL; the default one first."""
    found: dict[str, list[Wheel]] = {}
    for wheel in wheels:
        found.setdefault(wheel.index, []).append(wheel)
    return [(index, tuple(found[index])) for index in sorted(found)]
