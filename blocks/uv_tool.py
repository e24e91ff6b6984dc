"""uv itself: in a stage beside the chain, mounted where packages are installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ..compat.tables import Tables
from ..plan import parts
from ..project import Project
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from .base import Block
from .layout import UV_STAGE, pip_cache

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["UvTool"]


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
        composer.side_stage(
            "runtime",
            UV_STAGE,
            f"fetch uv {version}",
            _image_with_pip(resolution, composer),
            [
                parts.Exec(
                    command="python3 -m pip install --disable-pip-version-check --no-deps "
                    "--only-binary :all: --root-user-action ignore --target /opt/uv "
                    f"uv=={version}",
                    mounts=(pip_cache(),),
                )
            ],
            because=resolution["uv"].because,
        )


def _image_with_pip(resolution: Resolution, composer: Composer) -> parts.Input:
    """The base, when it is known to have a Python; else the smallest image of the tables with one.

    The user's own base may have a Python without pip. uv is one static program: it runs on the base
    wherever it was fetched.
    """
    base = resolution.base_images.build
    if base.is_known and "python" in base.provides:
        return composer.environment_base
    minor = resolution["python"].version.rpartition(".")[0]
    rows = [row for row in Tables.load().base_images if row.python]
    fitting = [row for row in rows if row.python.startswith(f"{minor}.")] or rows
    return parts.ImageInput(ref=min(fitting, key=lambda row: (row.rank, row.ref)).ref)
