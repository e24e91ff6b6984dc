"""What the blocks of torch, tensorflow and jax share: a framework is a layer of its own.

Frameworks are large and change seldom. Each is installed before the project's other packages, so
that a change of those neither installs nor sends it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from ..plan import parts
from ..project import Entry, Project
from ..solver.resolution import Choice, Resolution
from .base import Block
from .bytecode import uv_env
from .index_settings import uv_index_env
from .layout import PYTHON, SOURCE, UV, quoted, script, settle_environment, uv_mounts
from .requirement_files import INDEXES, requirement_mounts

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["Framework"]


# In memory, as all of /tmp there.
_HASHED = "/tmp/hashed.txt"  # noqa: S108  # a path in the image


class Framework(Block):
    """Installs a family of packages in the versions that the solver chose.

    family: names of the packages, the framework itself first. extras: the package of the matrix
    whose label is the extra that brings CUDA (see `solver.matrix`), by the package it belongs to.
    """

    family: ClassVar[tuple[str, ...]]
    extras: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def detect(cls, project: Project) -> bool:
        """Whether one of the family stands in the project's requirements."""
        return any(entry.name in cls.family for entry in project.requirements.entries)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        chosen = [choice for name in self.family if (choice := resolution.get(name)) is not None]
        if not chosen or resolution.lock is not None:
            return
        read = project.requirements
        own = [entry for entry in read.entries if entry.name in self.family]
        given = {entry.name: entry for entry in own if entry.kind != "index"}
        command = self._command(given, resolution, chosen)
        if read.options.require_hashes:
            command = self._checked({entry.name: entry for entry in own}, resolution, chosen)
        titles = " ".join(f"{choice.package}=={choice.version}" for choice in chosen)
        stage = composer.stage(
            "framework-deps",
            self.name,
            f"install {titles}",
            [
                parts.Workdir(path=SOURCE),
                parts.Exec(
                    command=command,
                    mounts=(*uv_mounts(), *requirement_mounts(project, (INDEXES,), given.values())),
                    env=uv_env(project) | uv_index_env(project),
                ),
            ],
            because=sorted({origin for choice in chosen for origin in choice.because}),
        )
        composer.export("app", stage)

    def _command(
        self, given: Mapping[str, Entry], resolution: Resolution, chosen: Iterable[Choice]
    ) -> str:
        """From each index what it alone serves, without dependencies; then these from elsewhere.

        An index of one framework also holds old copies of other packages. Asking it for nothing
        but its own keeps them out. A build that the user gave as a file or URL is taken as it is.
        """
        by_index: dict[str, list[str]] = {}
        every = []
        for choice in chosen:
            if choice.package in given:
                every.append(given[choice.package].render(SOURCE))
                continue
            wanted = self._requirement(choice, resolution)
            every.append(wanted)
            by_index.setdefault(choice.index, []).append(wanted)
        install = f"{UV} pip install --python {PYTHON}"
        commands = [
            f"{install} --no-deps --index-url {quoted([index])} {quoted(wanted)}"
            for index, wanted in sorted(by_index.items())
            if index
        ]
        dependencies = f"{install} --requirement {INDEXES} {quoted(every)}"
        return script(*commands, dependencies, settle_environment())

    def _checked(
        self, asked: Mapping[str, Entry], resolution: Resolution, chosen: Iterable[Choice]
    ) -> str:
        """From each index its packages, by their hashes alone.

        What they need has hashes too, and comes with the project's other packages.
        """
        lines: dict[str, list[str]] = {}
        for choice in chosen:
            entry = asked.get(choice.package)
            if entry is None:
                continue
            if entry.kind != "index":
                lines.setdefault("", []).append(entry.render(SOURCE))
                continue
            hashes = "".join(f" --hash={value}" for value in entry.hashes)
            wanted = f"{self._requirement(choice, resolution)}{hashes}"
            lines.setdefault(choice.index, []).append(wanted)
        install = f"{UV} pip install --python {PYTHON} --no-deps --require-hashes"
        commands = []
        for index, from_it in sorted(lines.items()):
            where = f"--index-url {quoted([index])}" if index else f"--requirement {INDEXES}"
            commands.append(f"printf '%s\\n' {quoted(from_it)} > {_HASHED}")
            commands.append(f"{install} {where} --requirement {_HASHED}")
        return script(*commands, settle_environment())

    def _requirement(self, choice: Choice, resolution: Resolution) -> str:
        source = resolution.get(self.extras.get(choice.package, ""))
        extra = f"[{source.version}]" if source and source.version not in ("", "system") else ""
        return f"{choice.package}{extra}=={choice.version}"
