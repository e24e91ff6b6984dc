"""Python files of the project as syntax trees, and where the names in them come from."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...files import read_file
from ..paths import LeavesProjectError, project_path

__all__ = ["Function", "Import", "Module", "Modules", "dotted"]

Function = ast.FunctionDef | ast.AsyncFunctionDef

# Packages whose names mean what Cog and pydantic say, whatever files the project has.
_KNOWN = frozenset({"builtins", "cog", "collections", "pydantic", "typing", "typing_extensions"})


@dataclass(frozen=True)
class Import:
    """What a local name stands for: `name` of `module`, or the module itself when it is empty."""

    module: str
    name: str = ""


@dataclass(frozen=True, eq=False)
class Module:
    """The top level of one file; of two bindings of one name the last counts.

    file: relative to the project, with `/`.
    """

    file: str
    imports: Mapping[str, Import] = field(default_factory=dict)
    values: Mapping[str, ast.expr] = field(default_factory=dict)
    classes: Mapping[str, ast.ClassDef] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)

    def origin(self, name: str) -> Import:
        """Where a name, dotted or not, comes from; the module is empty for one of this file."""
        parts = name.split(".")
        for end in range(len(parts), 0, -1):
            found = self.imports.get(".".join(parts[:end]))
            if found is None:
                continue
            rest = ".".join(parts[end:])
            if not rest:
                return found
            return Import(_join(found.module, found.name) if found.name else found.module, rest)
        return Import("", name)

    def is_from(self, name: str, packages: tuple[str, ...], wanted: str) -> bool:
        """Whether a name stands for `wanted` of one of the packages."""
        found = self.origin(name)
        return found.name == wanted and found.module in packages


class Modules:
    """The files of a project, each read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[str, Module | None] = {}

    def file(self, path: str) -> Module | None:
        """The file at a path relative to the project; None when it is not there or no Python."""
        if path not in self._read:
            self._read[path] = self._parse(path)
        return self._read[path]

    def find(self, name: str, importer: Module) -> Module | None:
        """The file of a module, as `importer` names it; None for one that is not the project's."""
        level = len(name) - len(name.lstrip("."))
        parts = [part for part in name.split(".") if part]
        if not parts or (not level and parts[0] in _KNOWN):
            return None
        folders = importer.file.split("/")[:-level] if level else []
        stem = "/".join([*folders, *parts])
        return self.file(f"{stem}.py") or self.file(f"{stem}/__init__.py")

    def find_class(
        self, name: str, module: Module, seen: tuple[str, ...] = ()
    ) -> tuple[Module, ast.ClassDef] | None:
        """The class of the project that a name stands for, and the file that defines it."""
        if name in module.classes:
            return module, module.classes[name]
        found = module.origin(name)
        key = f"{module.file}:{name}"
        if not found.module or not found.name or key in seen:
            return None
        other = self.find(found.module, module)
        return self.find_class(found.name, other, (*seen, key)) if other else None

    def find_value(
        self, name: str, module: Module, seen: tuple[str, ...] = ()
    ) -> tuple[Module, ast.expr] | None:
        """The expression that a name of a module's top level was last bound to."""
        if name in module.values:
            return module, module.values[name]
        found = module.origin(name)
        key = f"{module.file}:{name}"
        if not found.module or not found.name or key in seen:
            return None
        other = self.find(found.module, module)
        return self.find_value(found.name, other, (*seen, key)) if other else None

    def _parse(self, path: str) -> Module | None:
        try:
            source = read_file(self._root / project_path(self._root, path))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # doubtful escapes in the user's strings
                tree = ast.parse(source, filename=path)
        except (OSError, LeavesProjectError, SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return _module(path, tree)


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a name or an attribute; empty for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        above = dotted(node.value)
        return f"{above}.{node.attr}" if above else ""
    return ""


def _join(module: str, name: str) -> str:
    return f"{module}{name}" if module.endswith(".") else f"{module}.{name}"


def _module(file: str, tree: ast.Module) -> Module:
    imports: dict[str, Import] = {}
    values: dict[str, ast.expr] = {}
    classes: dict[str, ast.ClassDef] = {}
    functions: dict[str, Function] = {}
    for statement in _statements(tree.body):
        match statement:
            case ast.Import():
                for alias in statement.names:
                    imports[alias.asname or alias.name] = Import(alias.name)
            case ast.ImportFrom():
                source = "." * statement.level + (statement.module or "")
                for alias in statement.names:
                    imports[alias.asname or alias.name] = Import(source, alias.name)
            case ast.ClassDef():
                classes[statement.name] = statement
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                functions[statement.name] = statement
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                values[name] = value
            case _:
                pass
    return Module(file, imports, values, classes, functions)


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module, those in `if` and `try` too; functions are not entered."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            for block in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, block, None) or [])
            for handler in getattr(statement, "handlers", ()):
                yield from _statements(handler.body)
