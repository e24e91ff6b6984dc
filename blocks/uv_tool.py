"""uv itself: in a stage beside the chain, mounted where packages are installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..compat.tables import Tables
from ..plan import parts
from ..project import Project
from ..solver.requirement import Requirement
from ..solver.resolution import BaseImage, Resolution
from .base import Block
from .layout import UV_STAGE, pip_cache, quoted, script

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["UvTool", "tool_hashes", "tool_image"]

_LIST = "/tmp/uv.txt"  # noqa: S108  # a path in the image


class UvTool(Block):
    """Fetches uv with pip, of the base or else of a small Python image; no layer holds it."""

    name: ClassVar[str] = "uv-tool"

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return True

    def requirements(self, project: Project) -> tuple[Requirement, ...]:
        return (Requirement("uv", "", self.origin),)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        version = resolution["uv"].version
        image = resolution.base_images.tools or tool_image(resolution)
        composer.side_stage(
            "runtime",
            UV_STAGE,
            f"fetch uv {version}",
            parts.ImageInput(ref=image.pinned_ref) if image else composer.environment_base,
            [
                parts.Exec(
                    command=_install(version, _hashes(resolution)),
                    mounts=(
                        pip_cache(),
                        parts.TmpfsMount(target="/tmp"),  # noqa: S108  # a path in the image
                    ),
                )
            ],
            because=resolution["uv"].because,
        )


def tool_image(resolution: Resolution) -> BaseImage | None:
    """The smallest image of the tables with a Python; None where the base is known to have one.

    The user's own base may have a Python without pip. uv is one static program: it runs on the base
    wherever it was fetched.
    """
    base = resolution.base_images.build
    if base.is_known and "python" in base.provides:
        return None
    minor = resolution["python"].version.rpartition(".")[0]
    rows = [row for row in Tables.load().base_images if row.python]
    fitting = [row for row in rows if row.python.startswith(f"{minor}.")] or rows
    return BaseImage(min(fitting, key=lambda row: (row.rank, row.ref)).ref)


def tool_hashes(resolution: Resolution) -> dict[str, tuple[str, ...]]:
    """The SHA-256 of the wheels of each tool that a build uses, by its name, as the tables have it.

    A tool whose hashes no table knows is not among them.
    """
    chosen = ((row, resolution.get(row.tool)) for row in Tables.load().tools)
    return {
        row.tool: row.sha256
        for row, choice in chosen
        if row.sha256 and choice and choice.version == str(row.version)
    }


def _hashes(resolution: Resolution) -> tuple[str, ...]:
    """Those of the lock, which a later cogpack with other tables installs as well."""
    locked = resolution.lock.tools if resolution.lock else {}
    return locked.get("uv") or tool_hashes(resolution).get("uv", ())


def _install(version: str, hashes: tuple[str, ...]) -> str:
    wanted = f"uv=={version}" + "".join(f" --hash=sha256:{digest}" for digest in hashes)
    install = (
        "python3 -m pip install --disable-pip-version-check --no-deps --only-binary :all: "
        f"--root-user-action ignore --target /opt/uv --requirement {_LIST}"
    )
    # pip takes hashes from a file only.
    return script(f"echo {quoted([wanted])} > {_LIST}", install)
