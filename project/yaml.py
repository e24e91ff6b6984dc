"""YAML with positions: a tree of nodes that know file, line and the user's words.

PyYAML scans, parses and composes; no object is ever constructed, so a scalar keeps its raw text
(`3.10` stays `3.10`). What the keys of cog.yaml mean is the business of `cogyaml`.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace
from yaml.composer import Composer
from yaml.error import MarkedYAMLError, YAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import Resolver
from yaml.scanner import Scanner

from ..errors import Fault, UserError
from ..origin import Origin
from .redact import quote_text

__all__ = ["ListNode", "MapEntry", "MapNode", "Scalar", "YamlNode", "read_yaml"]

MAX_BYTES = 1 << 20
MAX_DEPTH = 50
MAX_NODES = 10_000

_TAGS = "tag:yaml.org,2002:"
_KINDS = ("bool", "float", "int", "null")
_PLAIN_TAGS = frozenset(_TAGS + name for name in (*_KINDS, "merge", "str", "timestamp", "value"))


class Scalar(Struct, frozen=True):
    """A single value. kind: how YAML reads it: `str`, `int`, `float`, `bool` or `null`."""

    text: str
    kind: str
    origin: Origin


class ListNode(Struct, frozen=True):
    """A list of values."""

    items: tuple[YamlNode, ...]
    origin: Origin


class MapEntry(Struct, frozen=True):
    """A key of a mapping; `origin` is the key's own place."""

    key: str
    value: YamlNode
    origin: Origin


class MapNode(Struct, frozen=True):
    """A mapping, in the order of the file, each key once."""

    entries: tuple[MapEntry, ...]
    origin: Origin

    def get(self, key: str) -> YamlNode | None:
        """The value of a key, or None."""
        return next((entry.value for entry in self.entries if entry.key == key), None)


YamlNode = Scalar | ListNode | MapNode


def read_yaml(data: bytes, file: str) -> MapNode:
    """Read a YAML file whose top level is a mapping; an empty file is an empty mapping.

    data: the file's bytes, UTF-8 with or without a byte order mark.
    file: its path relative to the project, for origins.
    Raises UserError with every fault: a syntax error is alone, since nothing after it can be read.
    """
    text = _decode(data, file)
    try:
        root = _TreeComposer(text).get_single_node()
    except (YAMLError, ValueError, OverflowError, IndexError) as error:
        raise UserError(_syntax_fault(error, text, file)) from None
    if root is None:
        return MapNode((), Origin(file))
    converter = _Converter(text, file)
    tree = converter.node(root, "")
    if not converter.faults and isinstance(tree, Scalar) and tree.kind == "null":
        return MapNode((), Origin(file))
    if not converter.faults and not isinstance(tree, MapNode):
        converter.fault(root, f"{file} must hold keys and values, not {_described(tree)}")
    if converter.faults or not isinstance(tree, MapNode):
        raise UserError(converter.faults)
    return tree


def _described(node: YamlNode) -> str:
    if isinstance(node, Scalar):
        return f"the text {quote_text(node.text)!r}"
    return "a list" if isinstance(node, ListNode) else "a mapping"


def _decode(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise UserError(
            Fault(
                f"{file} is {len(data)} bytes long; the limit is {MAX_BYTES}",
                Origin(file),
                "check that this is the project file",
            )
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(
            Fault(f"{file} is not UTF-8 text", Origin(file, line), "save it as UTF-8")
        ) from None


class _TooDeepError(ValueError):
    """More levels than any project file needs."""

    def __init__(self, line: int) -> None:
        super().__init__("nested too deeply")
        self.line = line


class _TreeComposer(Reader, Scanner, Parser, Composer, Resolver):
    """PyYAML's composer with a bound on the depth, so that input cannot exhaust the stack."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        Resolver.__init__(self)
        self._depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self._depth >= MAX_DEPTH:
            raise _TooDeepError(self.line + 1)
        self._depth += 1
        try:
            node: Node | None = Composer.compose_node(self, parent, index)
        finally:
            self._depth -= 1
        return node


def _syntax_fault(error: Exception, text: str, file: str) -> Fault:
    if isinstance(error, _TooDeepError):
        message = f"the values are nested more than {MAX_DEPTH} levels deep"
        return Fault(message, Origin(file, error.line))
    if isinstance(error, ReaderError):
        line = text.count("\n", 0, error.position) + 1
        message = f"the character U+{_code(error.character):04X} is not allowed in YAML"
        return Fault(message, Origin(file, line), "remove it")
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        return _marked_fault(error, error.problem_mark.line, text, file)
    return Fault("not valid YAML: an escape in a quoted text names no character", Origin(file))


def _marked_fault(error: MarkedYAMLError, line: int, text: str, file: str) -> Fault:
    lines = text.split("\n")
    problem, context = error.problem or "", error.context or ""
    if "'<stream end>'" in problem or "end of stream" in problem:
        # The end of the file tells less than the place of what was left open.
        last = max((number for number, words in enumerate(lines) if words.strip()), default=0)
        line = min(error.context_mark.line if error.context_mark else last, last)
        problem = problem.replace("found '<stream end>'", "the file ends")
        problem = problem.replace("got '<stream end>'", "the file ends")
    written = lines[line] if line < len(lines) else ""
    origin = Origin(file, line + 1, quote_text(written))
    if "\t" in written[: len(written) - len(written.lstrip())]:
        return Fault("a tab indents this line", origin, "indent with spaces, YAML has no tabs")
    said = f"{context}, {problem}" if problem.startswith("but ") else f"{problem} {context}"
    return Fault(f"not valid YAML: {said.strip()}", origin, _hint(problem))


def _code(character: object) -> int:
    return character if isinstance(character, int) else ord(str(character)[:1] or "\0")


def _hint(problem: str) -> str:
    if "mapping values are not allowed" in problem:
        return "check the indentation; a text that contains ': ' needs quotes"
    if "expected ':'" in problem:
        return "a key ends with a colon and a space"
    if "another document" in problem:
        return "keep one document, without '---' lines in between"
    if "cannot start any token" in problem:
        return "put the value in quotes"
    if "end of stream" in problem:
        return "close the quote"
    if "but" in problem:
        return "check the indentation, the brackets and the quotes up to this line"
    return ""


class _Converter:
    """Turns PyYAML's nodes into ours: aliases expanded, merges applied, faults collected."""

    def __init__(self, text: str, file: str) -> None:
        self.faults: list[Fault] = []
        self._text = text
        self._file = file
        self._open: set[int] = set()
        self._count = 0

    def fault(self, node: Node, message: str, hint: str = "") -> None:
        self.faults.append(Fault(message, self._origin(node), hint))

    def node(self, node: Node, path: str, shown: str = "") -> YamlNode:
        """Convert one node; `shown` is the user's words where they are more than the value."""
        empty = Scalar("", "null", self._origin(node))
        self._count += 1
        if self._count > MAX_NODES:
            message = f"{self._file} has more than {MAX_NODES} values once its aliases are expanded"
            raise UserError(Fault(message, self._origin(node), "use fewer aliases"))
        if id(node) in self._open:
            self.fault(node, f"{path} contains itself through an alias", "write the value out")
            return empty
        if isinstance(node, ScalarNode):
            return self._scalar(node, shown)
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode) and self._tag_is(node, "seq"):
                children = enumerate(node.value)
                items = tuple(self.node(item, f"{path}[{index}]") for index, item in children)
                return ListNode(items, self._origin(node, shown))
            if isinstance(node, MappingNode) and self._tag_is(node, "map"):
                return self._mapping(node, path, shown)
        finally:
            self._open.discard(id(node))
        return empty

    def _tag_is(self, node: Node, name: str) -> bool:
        if node.tag == _TAGS + name:
            return True
        self.fault(node, f"the tag {node.tag!r} is not supported", "remove the tag")
        return False

    def _scalar(self, node: ScalarNode, shown: str) -> Scalar:
        tag, text = str(node.tag), str(node.value)
        if tag not in _PLAIN_TAGS:
            self.fault(node, f"the tag {tag!r} is not supported", "remove the tag")
        if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
            self.fault(node, "an escape in this text names half a character")
            text = ""
        kind = tag.removeprefix(_TAGS)
        return Scalar(text, kind if kind in _KINDS else "str", self._origin(node, shown or text))

    def _mapping(self, node: MappingNode, path: str, shown: str) -> MapNode:
        own: dict[str, MapEntry] = {}
        merged: dict[str, MapEntry] = {}
        for key_node, value_node in node.value:
            if isinstance(key_node, ScalarNode) and key_node.tag == _TAGS + "merge":
                for entry in self._merged(value_node, path):
                    merged.setdefault(entry.key, entry)
                continue
            if not isinstance(key_node, ScalarNode):
                self.fault(key_node, "a key must be a word, not a list or a mapping")
                continue
            key = self._scalar(key_node, "").text
            below = f"{path}.{key}" if path else key
            if key in own:
                first = own[key].origin.line
                message = f"{below} is written twice, first on line {first}"
                self.fault(key_node, message, "keep one of them")
                continue
            words = self._words(key_node, value_node)
            origin = self._origin(key_node, words)
            value = self.node(value_node, below, words)
            if not isinstance(value, Scalar):
                value = replace(value, origin=origin)
            own[key] = MapEntry(key, value, origin)
        entries = [*own.values(), *(merged[key] for key in merged if key not in own)]
        return MapNode(tuple(entries), self._origin(node, shown))

    def _merged(self, node: Node, path: str) -> Iterator[MapEntry]:
        for source in node.value if isinstance(node, SequenceNode) else [node]:
            value = self.node(source, path)
            if isinstance(value, MapNode):
                yield from value.entries
            elif not self.faults:
                self.fault(source, "'<<' merges mappings only", "refer to a mapping")

    def _words(self, key: ScalarNode, value: Node) -> str:
        """`key: value` as it stands in the file, or the key alone when the value is a block."""
        start, end = key.start_mark, value.end_mark
        if isinstance(value, ScalarNode) and start.line <= value.start_mark.line:
            words = self._text[start.index : end.index] if end.index >= start.index else ""
            if start.line == end.line:
                return words
        if isinstance(value, ScalarNode):
            return f"{key.value}: {value.value}"
        return str(key.value)

    def _origin(self, node: Node, text: str = "") -> Origin:
        return Origin(self._file, node.start_mark.line + 1, quote_text(text))
