"""Reads what setup.py and setup.cfg list as dependencies; nothing is run.

Of a setup.py only a `setup()` call whose arguments are written out counts: lists, strings, and
names that stand for them. Whatever is computed is refused.
"""

from __future__ import annotations

import ast
import configparser
import threading
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .metadata import MetadataError

__all__ = ["Declared", "read_setup_files", "setup_requirements"]

_KEYWORDS = ("install_requires", "extras_require", "python_requires")
_BUILD_KEYWORD = "setup_requires"

# Keywords of setup() that make it take the dependencies from elsewhere.
_ELSEWHERE = frozenset({"pbr", "d2to1", "distclass", "use_pyscaffold"})

# Expressions and characters that are read of one setup.py. A list that is added to itself a few
# dozen times would otherwise fill the memory.
_MOST_READ = 1_000_000

# The list of warning filters is one for all threads.
_parsing = threading.Lock()


@dataclass(frozen=True)
class Declared:
    """The dependencies that the files list.

    extras: setuptools' keys (`name`, `name:marker` or `:marker`) and their requirements.
    source: the files, for messages.
    """

    requires: tuple[str, ...]
    extras: tuple[tuple[str, tuple[str, ...]], ...]
    requires_python: str
    source: str


def read_setup_files(files: Mapping[str, bytes]) -> Declared:
    """What setup.py and setup.cfg of an sdist list.

    Raises MetadataError when something is computed, or there is neither file.
    """
    present = [name for name in ("setup.py", "setup.cfg") if name in files]
    if not present:
        raise MetadataError("it has neither setup.py nor setup.cfg")
    script = _of_script(files["setup.py"]) if "setup.py" in files else {}
    config = _of_config(files["setup.cfg"]) if "setup.cfg" in files else {}
    # setuptools takes a key of setup.cfg only where the call has left it empty.
    found = {key: script.get(key) or config.get(key) for key in _KEYWORDS}
    extras = found["extras_require"] or {}
    if not isinstance(extras, dict) or not all(isinstance(key, str) for key in extras):
        raise MetadataError("its extras_require is no table")
    python = found["python_requires"] or ""
    if not isinstance(python, str):
        raise MetadataError("its python_requires is no text")
    return Declared(
        requires=_lines(found["install_requires"] or ()),
        extras=tuple(sorted((key, _lines(value)) for key, value in extras.items())),
        requires_python=python,
        source=" and ".join(present),
    )


def setup_requirements(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """What setup.py or setup.cfg ask for so that they can run; nothing where it is computed."""
    try:
        found: Any = ()
        if "setup.py" in files:
            script = _of_script(files["setup.py"], (_BUILD_KEYWORD,), elsewhere=frozenset())
            found = script.get(_BUILD_KEYWORD)
        if not found and "setup.cfg" in files:
            found = _listed(_options(_parsed(files["setup.cfg"])).get(_BUILD_KEYWORD, ""))
        return _lines(found or ())
    except MetadataError:
        return ()


def _lines(value: Any) -> tuple[str, ...]:
    """Requirements out of a list, or of a text with one a line."""
    items = value.split("\n") if isinstance(value, str) else value
    if not isinstance(items, list | tuple | set) or not all(isinstance(one, str) for one in items):
        raise MetadataError("its requirements are no list of texts")
    found = [one.partition(" #")[0].strip() for one in items]
    return tuple(one for one in found if one and not one.startswith("#"))


# setup.py


def _of_script(
    body: bytes,
    wanted: tuple[str, ...] = _KEYWORDS,
    elsewhere: frozenset[str] = _ELSEWHERE,
) -> dict[str, Any]:
    try:
        # Old files have escapes that Python warns of; that is not the user's business.
        with _parsing, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise MetadataError("its setup.py cannot be read") from error
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_setup(node)]
    if len(calls) != 1:
        raise MetadataError(f"its setup.py has {len(calls)} calls of setup")
    (call,) = calls
    keywords = {one.arg: one.value for one in call.keywords}
    if call.args or None in keywords or elsewhere.intersection(filter(None, keywords)):
        raise MetadataError("its setup.py computes the arguments of setup")
    names = _constants(tree, call)
    found = {}
    for key in wanted:
        if key in keywords:
            try:
                found[key] = _Reader(names).value(keywords[key])
            except (MetadataError, RecursionError):
                raise MetadataError(f"its setup.py computes {key}") from None
    return found


def _is_setup(call: ast.Call) -> bool:
    name = call.func
    if isinstance(name, ast.Attribute):
        return name.attr == "setup" and isinstance(name.value, ast.Name | ast.Attribute)
    return isinstance(name, ast.Name) and name.id == "setup"


def _constants(tree: ast.Module, call: ast.Call) -> dict[str, ast.expr]:
    """Names of the module that are assigned once and used for nothing but setup().

    One that is used elsewhere might be changed there (`requires.append(...)`).
    """
    assigned: dict[str, ast.expr] = {}
    inside = {id(node) for node in ast.walk(call)}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            target = statement.targets[0]
            if isinstance(target, ast.Name):
                assigned[target.id] = statement.value
                inside |= {id(target), *(id(node) for node in ast.walk(statement.value))}
    outside: set[str] = set()
    stored: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Store):
                stored.append(node.id)
            if id(node) not in inside:
                outside.add(node.id)
    return {
        name: value
        for name, value in assigned.items()
        if name not in outside and stored.count(name) == 1
    }


class _Reader:
    """What expressions of literals and known names stand for. names: with what each stands for."""

    def __init__(self, names: Mapping[str, ast.expr]) -> None:
        self._names = names
        self._open: set[str] = set()
        self._left = _MOST_READ

    def value(self, node: ast.expr) -> Any:
        """Raises MetadataError for anything that is computed."""
        text = getattr(node, "value", None)
        self._left -= 1 + (len(text) if isinstance(text, str) else 0)
        if self._left < 0:
            raise MetadataError("it is too long")
        if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, str)):
            return node.value
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return [self.value(one) for one in node.elts]
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            return {self._key(key): self.value(value) for key, value in pairs}
        if isinstance(node, ast.Name):
            return self._named(node.id)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self.value(node.left), self.value(node.right)
            if type(left) is type(right) and isinstance(left, str | list):
                return left + right
        raise MetadataError("it is computed")

    def _named(self, name: str) -> Any:
        if name not in self._names or name in self._open:
            raise MetadataError("it is computed")
        self._open.add(name)
        found = self.value(self._names[name])
        self._open.remove(name)
        return found

    def _key(self, node: ast.expr | None) -> str:
        found = self.value(node) if node is not None else None
        if not isinstance(found, str):
            raise MetadataError("it is computed")
        return found


# setup.cfg


def _parsed(body: bytes) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as setuptools has it
    try:
        parser.read_string(body.decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error) as error:
        raise MetadataError("its setup.cfg cannot be read") from error
    return parser


def _options(parser: configparser.RawConfigParser) -> dict[str, str]:
    """setuptools takes `install-requires` and `Install_Requires` too."""
    items = parser.items("options") if parser.has_section("options") else ()
    return {key.replace("-", "_").lower(): value for key, value in items}


def _of_config(body: bytes) -> dict[str, Any]:
    parser = _parsed(body)
    found: dict[str, Any] = {}
    if parser.has_section("options"):
        options = _options(parser)
        found["install_requires"] = _listed(options.get("install_requires", ""))
        found["python_requires"] = options.get("python_requires", "").strip()
    if parser.has_section("options.extras_require"):
        items = parser.items("options.extras_require")
        found["extras_require"] = {key: _listed(value) for key, value in items}
    if parser.has_section("backwards_compat") or parser.has_section("pbr"):
        raise MetadataError("its setup.cfg is that of pbr")
    return found


def _listed(text: str) -> Iterable[str]:
    """A list as setup.cfg writes it: one a line, or separated by semicolons."""
    if text.strip().startswith("file:"):
        raise MetadataError("its setup.cfg takes the requirements from a file")
    return text.split("\n") if "\n" in text else text.split(";")
