"""The API that the image offers, in a file for the server and in a label for everyone else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..errors import Fault, UserError
from ..origin import Origin
from ..plan import parts
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .layout import FIXED_TIME, SOURCE

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["OpenApi"]

# Where the server looks, in the working directory (coglet's BUNDLED_SCHEMA_PATH).
_FOLDER = f"{SOURCE}/.cog"

_VARIABLE = "COG_OPENAPI_SCHEMA"


class OpenApi(Block):
    """Reads the signatures of predictor and trainer, and writes down what they accept and return.

    Nothing is run for it, so the API is known when the plan is; see `project.openapi`. The server
    checks requests against the file. A file in syntax that is newer than the Python that runs
    cogpack cannot be read: such an image serves without an API, and the project has a warning.

    The variable COG_OPENAPI_SCHEMA of whoever builds names a file with the document instead, as
    for Cog: for a signature that the text alone does not tell.
    """

    name: ClassVar[str] = "openapi"

    @classmethod
    def detect(cls, project: Project) -> bool:
        served = project.predictor is not None or project.trainer is not None
        return served or bool(os.environ.get(_VARIABLE))

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        document = _document(project, resolution["cog"].version)
        if document is None:
            return
        import json

        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        if any("\ud800" <= character <= "\udfff" for character in text):
            # Half a character, as in a default of "\ud800": no file can hold it but as an escape.
            text = json.dumps(document, separators=(",", ":"))
        targets = (project.predictor, project.trainer)
        because = [target.origin for target in targets if target is not None]
        file = composer.side_stage(
            "app-source",
            "openapi-file",
            "write down the API",
            parts.ScratchInput(),
            [parts.MkFile(path="/openapi_schema.json", content=text)],
            because=because,
        )
        # A copy sets the time of the folder too; a file made in it would leave the clock's there.
        stage = composer.side_stage(
            "app-source",
            "openapi",
            "add the API",
            parts.ScratchInput(),
            [parts.Copy(source=file, dest=_FOLDER, time=FIXED_TIME)],
            because=because,
        )
        composer.export("app", stage)
        composer.configure(parts.ExportConfig(labels={"run.cog.openapi_schema": text}))


def _document(project: Project, version: str) -> dict[str, object] | None:
    if given := os.environ.get(_VARIABLE):
        return _given(Path(given))
    from ..project.openapi import openapi_document

    return openapi_document(project.root, project.predictor, project.trainer, version)


def _given(path: Path) -> dict[str, object]:
    import json

    origin = Origin(asker=f"${_VARIABLE}")
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        message = f"{_VARIABLE} names {path}, which cannot be read: {error.strerror}"
        raise UserError(Fault(message, origin, "correct or unset it")) from None
    except ValueError as error:
        message = f"{_VARIABLE} names {path}, which is not JSON: {error}"
        raise UserError(Fault(message, origin, "correct the file, or unset it")) from None
    if not (isinstance(document, dict) and {"openapi", "components"} <= document.keys()):
        message = f"{_VARIABLE} names {path}, which is no OpenAPI document"
        raise UserError(Fault(message, origin, "it must have `openapi` and `components`"))
    return document
