"""What a project without cog.yaml runs: an application object, or a script.

Files are parsed, never executed. Which server serves an application is the stack's decision.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..files import read_file
from ..origin import Origin

__all__ = ["APP_FILES", "App", "Script", "find_app", "find_script"]

APP_FILES = ("main.py", "app.py", "asgi.py", "wsgi.py", "app/main.py")
"""Where an application is looked for, the first first: the names of the frameworks' own guides."""

SCRIPT_FILES = ("main.py", "app.py")
MAX_BYTES = 1 << 20

# The classes whose instances are applications, with the protocol that they speak.
_CLASSES: dict[str, Literal["asgi", "wsgi"]] = {
    "fastapi.FastAPI": "asgi",
    "fastapi.applications.FastAPI": "asgi",
    "flask.Flask": "wsgi",
    "flask.app.Flask": "wsgi",
    "litestar.Litestar": "asgi",
    "quart.Quart": "asgi",
    "starlette.applications.Starlette": "asgi",
}


@dataclass(frozen=True)
class App:
    """An application object at the top of a module.

    protocol: which kind of server calls it. reference: `main:app`, as servers take it. framework:
    the name of its class. origin: the line that makes it.
    """

    protocol: Literal["asgi", "wsgi"]
    reference: str
    framework: str
    origin: Origin


@dataclass(frozen=True)
class Script:
    """A file to run. is_guarded: whether it has a part that runs only as a script."""

    path: str
    is_guarded: bool
    origin: Origin


def find_app(root: Path) -> App | None:
    """The first application that a file of APP_FILES makes at its top level.

    Of several in one file the one named `app` counts, else the first.
    """
    for path in APP_FILES:
        tree = _tree(root, path)
        found = list(_apps(path, tree)) if tree is not None else []
        if found:
            named = (one for one in found if one.reference.endswith((":app", ":application")))
            return next(named, found[0])
    return None


def find_script(root: Path) -> Script | None:
    """The first of SCRIPT_FILES that is there."""
    for path in SCRIPT_FILES:
        if (root / path).is_file():
            tree = _tree(root, path)
            guarded = tree is not None and any(map(_is_guard, tree.body))
            return Script(path, guarded, Origin(path))
    return None


def _tree(root: Path, path: str) -> ast.Module | None:
    """The file's syntax; None without a file, and for one that only a newer Python may read."""
    try:
        source = read_file(root / path, MAX_BYTES)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # doubtful escapes in the user's strings
            return ast.parse(source, filename=path)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _apps(path: str, tree: ast.Module) -> Iterator[App]:
    names = dict(_imports(tree))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    module = path.removesuffix(".py").replace("/", ".")
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        made = _made(node.value, names, functions)
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if made in _CLASSES and isinstance(target, ast.Name):
                origin = Origin(path, node.lineno, f"{target.id} = {made}(…)")
                yield App(_CLASSES[made], f"{module}:{target.id}", made.rpartition(".")[2], origin)


def _made(
    value: ast.expr | None, names: dict[str, str], functions: dict[str, ast.FunctionDef]
) -> str:
    """The class of which a call makes an instance, by itself or by a function of the file."""
    if not isinstance(value, ast.Call):
        return ""
    made = _qualified(value.func, names)
    factory = functions.get(value.func.id) if isinstance(value.func, ast.Name) else None
    if made in _CLASSES or factory is None:
        return made
    inside = names | dict(_imports(factory))
    calls = (node for node in ast.walk(factory) if isinstance(node, ast.Call))
    found = (_qualified(call.func, inside) for call in calls)
    return next((one for one in found if one in _CLASSES), "")


def _imports(tree: ast.Module | ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """The names that imports bind at the top level, each with what it stands for."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _qualified(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        before = _qualified(node.value, names)
        return f"{before}.{node.attr}" if before else ""
    return names.get(node.id, "") if isinstance(node, ast.Name) else ""


def _is_guard(node: ast.stmt) -> bool:
    """`if __name__ == "__main__":`."""
    if not isinstance(node, ast.If):
        return False
    names = {one.id for one in ast.walk(node.test) if isinstance(one, ast.Name)}
    texts = {one.value for one in ast.walk(node.test) if isinstance(one, ast.Constant)}
    return "__name__" in names and "__main__" in texts
