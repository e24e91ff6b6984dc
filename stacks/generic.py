"""A Python project without cog.yaml: an application, a script of pyproject.toml or a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from msgspec import structs

from ..blocks.app_command import AppCommand
from ..blocks.apt import Apt
from ..blocks.base import Block
from ..blocks.base_image import BaseImage
from ..blocks.ca_certificates import CaCertificates
from ..blocks.cuda import Cuda
from ..blocks.entrypoint import Entrypoint
from ..blocks.jax import Jax
from ..blocks.local_packages import LocalPackages
from ..blocks.pip import Pip
from ..blocks.pip_tool import PipTool
from ..blocks.programs import needed_packages
from ..blocks.python_version import PythonVersion
from ..blocks.requirement_files import RequirementFiles
from ..blocks.source import Source
from ..blocks.tensorflow import Tensorflow
from ..blocks.torch import Torch
from ..blocks.uv import Uv
from ..blocks.uv_lock import LockedLocalPackages, LockedPackages
from ..blocks.uv_tool import UvTool
from ..blocks.weight_files import WeightFiles
from ..blocks.weights import Weights
from ..blocks.wheels import Wheels
from ..errors import Fault, UserError
from ..project import Project
from ..project.app import APP_FILES, App, find_app, find_script
from ..project.requirement_model import Entry
from .base import Stack

__all__ = ["GenericPythonStack"]

HOST, PORT = "0.0.0.0", "8000"  # noqa: S104  # in a container every interface is the way in

# Servers that are taken when the project requires them, best first, and how each is called.
_SERVERS = {
    "asgi": {
        "uvicorn": ("uvicorn", "{app}", "--host", HOST, "--port", PORT),
        "hypercorn": ("hypercorn", "{app}", "--bind", f"{HOST}:{PORT}"),
        "granian": ("granian", "--interface", "asgi", "--host", HOST, "--port", PORT, "{app}"),
    },
    "wsgi": {
        "gunicorn": ("gunicorn", "{app}", "--bind", f"{HOST}:{PORT}"),
        "waitress": ("waitress-serve", f"--listen={HOST}:{PORT}", "{app}"),
        "granian": ("granian", "--interface", "wsgi", "--host", HOST, "--port", PORT, "{app}"),
    },
}

# Extras that bring a server along.
_SERVER_EXTRAS = {
    ("fastapi", "all"): "uvicorn",
    ("fastapi", "standard"): "uvicorn",
    ("litestar", "standard"): "uvicorn",
}

_WRITE = (
    "write an application (app = FastAPI() in main.py, and a server such as uvicorn among the "
    "requirements), one entry of [project.scripts], a main.py that can be run, or a cog.yaml"
)


class GenericPythonStack(Stack):
    """The same blocks as a Cog project, with the project's own command instead of Cog's server."""

    name: ClassVar[str] = "generic-python"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return project.config is None and bool(project.source or project.pyproject)

    def adapted(self, project: Project) -> Project:
        """The project with itself among its requirements, where its command is one of its scripts.

        A script is there only when the project is installed; what uv has locked has it already.
        """
        own = project.pyproject
        if own is None or project.uv_lock is not None or not _is_script(_command(project)):
            return project
        entry = Entry(
            origin=own.scripts[0][2], kind="folder", name=own.name, path=".", editable=True
        )
        read = project.requirements
        return replace(project, requirements=structs.replace(read, entries=(*read.entries, entry)))

    def compose(self, project: Project, platform: str) -> tuple[Block, ...]:
        return tuple(self._blocks(project, platform))

    def _blocks(self, project: Project, platform: str) -> Iterator[Block]:
        command = _command(project)
        yield BaseImage()
        yield Cuda()
        if CaCertificates.detect(project):
            yield CaCertificates()
        yield Apt(extra=(*needed_packages(project), *Entrypoint.packages))
        yield UvTool()
        yield PythonVersion()
        frameworks = (Tensorflow, Jax, Torch)
        yield Wheels(frameworks={name for one in frameworks for name in one.family})
        if LockedPackages.detect(project):
            yield LockedPackages(platform)
            if LockedLocalPackages.detect(project):
                yield LockedLocalPackages()
        elif RequirementFiles.detect(project):
            yield RequirementFiles()
            for framework in frameworks:
                if framework.detect(project):
                    yield framework()
            if PipTool.detect(project):
                yield PipTool()
            yield Pip(platform) if Pip.detect(project) else Uv(platform)
            if LocalPackages.detect(project):
                yield LocalPackages()
        yield Entrypoint()
        yield command
        weights = WeightFiles(project)
        yield Weights(weights)
        yield Source(weights)


def _command(project: Project) -> AppCommand:
    """An application with a server for it, else the one script, else a file that can be run.

    Raises UserError when there is none of them, or no way to tell which is meant.
    """
    app = find_app(project.root)
    if app and (server := _server(project, app)):
        return AppCommand(server, f"{PORT}/tcp")
    scripts = project.pyproject.scripts if project.pyproject else ()
    if len(scripts) == 1:
        _check_installed(project)
        return AppCommand((scripts[0][0],))
    script = find_script(project.root)
    if script and (app is None or script.is_guarded):
        return AppCommand(("python", script.path))
    raise UserError(_fault(project, app))


def _is_script(command: AppCommand) -> bool:
    return len(command.command) == 1


def _server(project: Project, app: App) -> tuple[str, ...]:
    """The command of the first server that the project requires; empty when it requires none."""
    names = {entry.name for entry in project.requirements.entries}
    for entry in project.requirements.entries:
        names |= {_SERVER_EXTRAS.get((entry.name, extra), "") for extra in entry.extras}
    for name, words in _SERVERS[app.protocol].items():
        if name in names:
            return tuple(word.format(app=app.reference) for word in words)
    return ()


def _check_installed(project: Project) -> None:
    lock, own = project.uv_lock, project.pyproject
    if lock is None or lock.root.installed or own is None:
        return
    raise UserError(
        Fault(
            "the script is the image's command, but uv.lock does not install the project",
            own.scripts[0][2],
            "add a [build-system] to pyproject.toml, then: uv lock",
        )
    )


def _fault(project: Project, app: App | None) -> Fault:
    if app is not None:
        servers = " or ".join(_SERVERS[app.protocol])
        return Fault(
            f"{app.reference} is a {app.framework} application, but no server for it is among the "
            "requirements",
            app.origin,
            f"add one to them: {servers}",
        )
    scripts = project.pyproject.scripts if project.pyproject else ()
    if scripts:
        names = ", ".join(name for name, _, _ in scripts)
        return Fault(
            f"[project.scripts] has several entries ({names}), and nothing says which one to run",
            scripts[0][2],
            "leave one of them, or write a main.py that runs what the image is for",
        )
    looked = ", ".join(APP_FILES)
    return Fault(f"nothing says what this project runs: there is no app in {looked}", hint=_WRITE)
