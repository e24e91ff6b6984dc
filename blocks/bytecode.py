"""Whether installed modules are compiled when the image is built: `cogpack.bytecode` of cog.yaml.

Compiled modules make the server start faster, the image is smaller without. They are checked by the
hash of their source: all times in a layer are alike, and a patched source must not be shadowed.
"""

from __future__ import annotations

from ..project import Project
from .layout import FIXED_TIME, PYTHON, STEADY_PYTHON, UV_ENV, VENV

__all__ = ["command_env", "compile_library", "compile_modules", "uv_env"]

# What no server has a use for.
_LEFT_OUT = "site-packages|dist-packages|tests?|idlelib|lib2to3|ensurepip|tkinter|turtledemo"


def uv_env(project: Project) -> dict[str, str]:
    """The variables under which uv installs for this project."""
    if not _compiles(project):
        return dict(UV_ENV)
    return UV_ENV | {"PYC_INVALIDATION_MODE": "CHECKED_HASH", "UV_COMPILE_BYTECODE": "1"}


def command_env(project: Project) -> dict[str, str]:
    """The variables under which the project's own commands run Python and pip.

    What they import is compiled by what installed it, or is not to be.
    """
    return dict(STEADY_PYTHON) if _compiles(project) else STEADY_PYTHON | {"PIP_COMPILE": "0"}


def compile_modules(project: Project) -> tuple[str, ...]:
    """The command, if any, that compiles what pip installed, as uv does it by itself.

    Only what this layer wrote is newer than the fixed time; the rest is compiled in its own. A
    package may ship a module that this Python cannot compile; pip lets that pass, too.
    """
    if not _compiles(project):
        return ()
    modules = f"find {VENV}/lib -name '*.py' -newermt @{FIXED_TIME}"
    compile_them = f"{PYTHON} -m compileall -q --invalidation-mode checked-hash -i -"
    return (f"{{ {modules} | {compile_them} || true; }}",)


def compile_library(project: Project, before: str) -> tuple[str, ...]:
    """The commands, if any, that compile the library of the base's own interpreter.

    Docker's images of Python leave its byte code out: every process would compile what it imports.
    Of byte code whose source a later base has changed nothing is used: the hash differs.

    before: a file that is older than what the commands write, and newer than the library.
    """
    if not _compiles(project):
        return ()
    place = "import os, sysconfig; print(os.path.realpath(sysconfig.get_path('stdlib')))"
    compile_it = (
        "python3 -m compileall -q --invalidation-mode checked-hash "
        f'-x "^$library/(.*/)?({_LEFT_OUT})/" "$library" || true'
    )
    settle = f'find "$library" -newer {before} -exec touch -h -d @{FIXED_TIME} {{}} +'
    is_bare = 'test -f "$library/os.py" && ! test -d "$library/__pycache__"'
    return (
        f'library="$(python3 -c "{place}")"',
        f"if {is_bare}; then\n  {{ {compile_it}; }} &&\n  {settle}\nfi",
    )


def _compiles(project: Project) -> bool:
    return project.config is None or project.config.cogpack.bytecode == "hash"
