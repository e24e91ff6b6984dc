"""Small projects written by a test, and what becomes of them."""

from __future__ import annotations

from pathlib import Path

from cogpack.plan import model
from cogpack.stacks.compose import load, make_plan
from cogpack.stacks.solve import solved

__all__ = ["PREDICTOR", "planned", "stage_of", "write_project"]

PREDICTOR = """\
from cog import BaseRunner


class Predictor(BaseRunner):
    def run(self, text: str) -> str:
        return text
"""


def write_project(folder: Path, settings: str = "", files: dict[str, str] | None = None) -> Path:
    """A project for Python 3.11 in a folder, with a predictor unless `files` brings one.

    settings: further lines of cog.yaml; those of `build:` may come indented and first.
    """
    head = 'build:\n  python_version: "3.11"\n'
    (folder / "cog.yaml").write_text(f'{head}{settings}\nrun: "predict.py:Predictor"\n')
    for name, content in ({"predict.py": PREDICTOR} | (files or {})).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


def planned(folder: Path) -> model.Plan:
    """The plan of a project for linux/amd64."""
    composition = load(folder)
    return make_plan(composition, solved(composition))


def stage_of(plan: model.Plan, name: str) -> model.Stage:
    """A stage of the build or of the image, by its id."""
    phases = (*plan.build_phases, *plan.export_phases)
    return next(stage for phase in phases for stage in phase.stages if stage.id == name)
