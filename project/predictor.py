"""What a reference such as `predict.py:Predictor` points at, read from the syntax tree.

The user's code is parsed, never imported or run. What the tree cannot tell (a name from another
module) stays unknown and is no fault.
"""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from ..errors import Fault, UserError
from ..files import read_file
from ..origin import Origin
from .paths import LeavesProjectError, project_path
from .redact import quote_text

__all__ = ["Target", "read_target"]

Kind = Literal["class", "function", "unknown"]


class Target(Struct, frozen=True):
    """The class or function that serves predictions or trains.

    ref: as written. file: relative to the project. name: of the class or function.
    kind: `unknown` when the name comes from another module.
    method: `run`, `predict` or `train`; empty for a function or when unknown.
    is_async: None when the tree does not tell. concurrent_max: of `@cog.concurrent`, None without.
    origin: the line of cog.yaml. definition: the line of the class or function.
    """

    ref: str
    file: str
    name: str
    kind: Kind
    method: str
    is_async: bool | None
    concurrent_max: int | None
    origin: Origin
    definition: Origin


class _Request(Struct, frozen=True):
    root: Path
    key: str
    ref: str
    origin: Origin
    python: tuple[int, ...]
    methods: tuple[str, ...]


def read_target(
    root: Path, key: str, ref: str, origin: Origin, python: str | None = None
) -> tuple[Target | None, tuple[Fault, ...]]:
    """Find what a reference points at.

    root: the project folder. key: `run`, `predict` or `train`. ref: its value, at `origin`.
    python: the project's version of Python, None when it leaves the choice to the solver.
    Returns the target and warnings; no target when the file has syntax that only a newer Python
    than the one running here could judge.
    Raises UserError when the reference leads nowhere.
    """
    version = tuple(int(part) for part in (python or "").split(".")[:2] if part.isdigit())
    methods = ("train",) if key == "train" else ("run", "predict")
    request = _Request(root, key, ref, origin, version, methods)
    file, name = _split_reference(request)
    try:
        tree = _parse(request, file)
    except _NewerSyntaxError as error:
        return None, (error.fault,)
    return _target(request, file, name, tree), ()


def _split_reference(request: _Request) -> tuple[str, str]:
    ref, key = request.ref.strip(), request.key
    example = {"train": "train.py:train", "predict": "predict.py:Predictor"}.get(
        key, "run.py:Runner"
    )
    hint = f'write it as "{example}"'
    written, colon, name = ref.rpartition(":")
    if not colon or not written.endswith(".py") or not name.isidentifier():
        message = f'{key} is "{quote_text(ref)}", not a file and a name in it'
        raise UserError(Fault(message, request.origin, hint))
    try:
        file = project_path(request.root, written)
    except LeavesProjectError:
        message = f'{key} is "{quote_text(ref)}", a path that leaves the project'
        raise UserError(Fault(message, request.origin, "use a file of the project")) from None
    return file, name


class _NewerSyntaxError(Exception):
    """The file does not parse here, but may under the project's newer Python."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


def _parse(request: _Request, file: str) -> ast.Module:
    try:
        source = read_file(request.root / file)
    except FileNotFoundError:
        message = f"{request.key} names {file}, which is not in the project"
        hint = "create it, or correct the path"
        raise UserError(Fault(message, request.origin, hint)) from None
    except OSError as error:
        message = f"{request.key} names {file}, which cannot be read: {error.strerror}"
        raise UserError(Fault(message, request.origin)) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # doubtful escapes in the user's strings
            return ast.parse(source, filename=file)
    except SyntaxError as error:
        where = Origin(file, error.lineno or 0, quote_text(error.text or ""))
        here = sys.version_info[:2]
        if not request.python or request.python > here:
            running = ".".join(str(number) for number in here)
            message = f"cannot be parsed by Python {running}, which runs cogpack: {error.msg}"
            hint = "it is taken for syntax of a newer Python and not checked"
            raise _NewerSyntaxError(Fault(message, where, hint)) from None
        message = f"syntax error, so that {request.key} cannot be loaded: {error.msg}"
        raise UserError(Fault(message, where)) from None
    except (ValueError, RecursionError, MemoryError):
        message = f"{file} is not Python source, so that {request.key} cannot be loaded"
        raise UserError(Fault(message, request.origin)) from None


def _target(request: _Request, file: str, name: str, tree: ast.Module) -> Target:
    names = dict(_bindings(tree.body))
    found = names.get(name)
    if found is None and "*" not in names:
        import difflib

        near = difflib.get_close_matches(name, [key for key in names if key.isidentifier()], n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"define {name} in {file}"
        message = f"{request.key} names '{name}', which {file} does not define"
        raise UserError(Fault(message, request.origin, hint))
    definition = Origin(file, getattr(found, "lineno", 0), name)
    kind: Kind = "unknown"
    function: ast.AST | None = None
    method = ""
    if isinstance(found, ast.ClassDef):
        kind = "class"
        method, function = _method(request, found, names, definition)
    elif isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
        kind, function = "function", found
    is_function = isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    return Target(
        request.ref.strip(),
        file,
        name,
        kind,
        method,
        isinstance(function, ast.AsyncFunctionDef) if is_function else None,
        _concurrent_max(function, names, file),
        request.origin,
        definition,
    )


def _bindings(body: list[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    """The names that statements bind, later ones last; `*` stands for a star import."""
    for statement in body:
        match statement:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield statement.name, statement
            case ast.Import() | ast.ImportFrom():
                for alias in statement.names:
                    yield alias.asname or alias.name.partition(".")[0], statement
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                for node in ast.walk(statement):
                    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                        yield node.id, statement
            case _:
                for block in ("body", "orelse", "finalbody"):
                    yield from _bindings(getattr(statement, block, None) or [])
                for handler in getattr(statement, "handlers", ()):
                    yield from _bindings(handler.body)


def _method(
    request: _Request, cls: ast.ClassDef, names: dict[str, ast.AST], definition: Origin
) -> tuple[str, ast.AST | None]:
    """Name and definition of the method that is served; unknown when a base class may have it."""
    members, complete = _members(cls, names, ())
    found = [name for name in request.methods if name in members]
    if len(found) > 1:
        message = f"{cls.name} defines both run() and predict(), of which Cog accepts one"
        raise UserError(Fault(message, definition, "keep run()"))
    if found:
        return found[0], members[found[0]]
    if complete and request.key != "train":
        message = f"{cls.name} defines neither run() nor predict()"
        raise UserError(Fault(message, definition, "add a method run()"))
    return "", None


def _members(
    cls: ast.ClassDef, names: dict[str, ast.AST], seen: tuple[str, ...]
) -> tuple[dict[str, ast.AST], bool]:
    """Members of a class and its base classes in the file; and whether that is all of them."""
    own = dict(_bindings(cls.body))
    complete = not any(isinstance(keyword.arg, str) for keyword in cls.keywords)
    for base in cls.bases:
        dotted = _dotted(base)
        known = names.get(dotted)
        if isinstance(known, ast.ClassDef) and dotted not in seen:
            inherited, whole = _members(known, names, (*seen, cls.name))
            own = inherited | own
            complete = complete and whole
        elif not (dotted == "object" or _is_cog_name(dotted, names, "BaseRunner", "BasePredictor")):
            complete = False
    return own, complete


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        above = _dotted(node.value)
        return f"{above}.{node.attr}" if above else ""
    return ""


def _is_cog_name(dotted: str, names: dict[str, ast.AST], *wanted: str) -> bool:
    """Whether a name of the file is one of the package `cog`, under whatever alias."""
    first, _, rest = dotted.partition(".")
    statement = names.get(first)
    if isinstance(statement, ast.ImportFrom) and statement.module == "cog" and not rest:
        return any(
            alias.name in wanted and (alias.asname or alias.name) == first
            for alias in statement.names
        )
    if isinstance(statement, ast.Import) and rest in wanted:
        return any(
            alias.name == "cog" and (alias.asname or alias.name) == first
            for alias in statement.names
        )
    return False


def _concurrent_max(function: ast.AST | None, names: dict[str, ast.AST], file: str) -> int | None:
    """The maximum of `@cog.concurrent`; the server learns it from the build, so it must be told."""
    if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    for decorator in function.decorator_list:
        if not isinstance(decorator, ast.Call):
            continue
        if not _is_cog_name(_dotted(decorator.func), names, "concurrent"):
            continue
        given = {keyword.arg: keyword.value for keyword in decorator.keywords}
        if not (decorator.args or given):
            return None
        maximum = _whole_number(given.get("max"), names)
        if decorator.args or given.keys() != {"max"} or maximum is None or maximum < 1:
            written = ast.unparse(decorator)
            message = f"@{quote_text(written)} does not say how many predictions run at a time"
            origin = Origin(file, decorator.lineno, quote_text(written))
            hint = f"write @{ast.unparse(decorator.func)}(max=4), or a name that the file sets"
            raise UserError(Fault(message, origin, hint))
        return maximum
    return None


def _whole_number(node: ast.expr | None, names: dict[str, ast.AST]) -> int | None:
    """The number that an expression is, by itself or by a name of the file."""
    if isinstance(node, ast.Name):
        found = names.get(node.id)
        node = found.value if isinstance(found, ast.Assign | ast.AnnAssign) else None
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
