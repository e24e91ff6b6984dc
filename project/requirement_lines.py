"""The lines of a requirements file: decoding, continuation, comments, options.

The rules are pip's, so that a file means here what it means to pip. What a requirement itself says
is read by `requirement_entry`.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from msgspec import Struct, field

from ..errors import Fault, UserError
from ..origin import Origin
from .redact import quote_text, redact

if TYPE_CHECKING:
    from optparse import OptionParser

__all__ = ["Line", "decode", "logical_lines", "parse_line"]

MAX_BYTES = 16 << 20

# Of a line with quotes: shlex takes a time that grows with the square of a word's length.
MAX_QUOTED = 1 << 16

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_VALUE_OPTIONS = (
    ("-r", "--requirement"),
    ("-c", "--constraint"),
    ("-e", "--editable"),
    ("-i", "--index-url", "--pypi-url"),
    ("--extra-index-url",),
    ("-f", "--find-links"),
    ("--no-binary",),
    ("--only-binary",),
    ("--all-releases",),
    ("--only-final",),
    ("--trusted-host",),
    ("--use-feature",),
    ("--hash",),
    ("-C", "--config-settings", "--config-setting"),
)
_FLAGS = (
    "--no-index",
    "--prefer-binary",
    "--pre",
    "--require-hashes",
    "--no-require-hashes",
)


class Line(Struct, frozen=True):
    """A logical line, without comment: a requirement, or options, or both.

    requirement: what stands in front of the options. options: their values by long name without
    dashes (`index-url`), in order; a flag has one empty value.
    """

    origin: Origin
    requirement: str = ""
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)


def decode(data: bytes, file: str, origin: Origin) -> str:
    """The text of a requirements file: by its byte order mark, its coding comment, or UTF-8.

    file: its path relative to the project. origin: what asked for the file.
    Raises UserError when the bytes are no such text.
    """
    if len(data) > MAX_BYTES:
        message = f"{file} is {len(data)} bytes long; the limit is {MAX_BYTES}"
        raise UserError(Fault(message, origin, "check that this is a requirements file"))
    encoding = "utf-8"
    for mark, name in _MARKS:
        if data.startswith(mark):
            data, encoding = data[len(mark) :], name
            break
    else:
        encoding = _declared_encoding(data) or encoding
    try:
        text = data.decode(encoding)
    except LookupError:
        message = f'{file} declares the encoding "{quote_text(encoding)}", which is unknown'
        raise UserError(Fault(message, Origin(file, 1), "save the file as UTF-8")) from None
    except (UnicodeError, ValueError) as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        where = Origin(file, data.count(b"\n", 0, start) + 1)
        hint = "save it as UTF-8, or name its encoding on the first line: # -*- coding: latin-1 -*-"
        raise UserError(Fault(f"{file} is not {encoding} text", where, hint)) from None
    return text


def _declared_encoding(data: bytes) -> str:
    """The encoding of a PEP 263 comment on one of the first two lines; empty when there is none."""
    for line in data.split(b"\n", 2)[:2]:
        _, found, after = line.partition(b"coding")
        if not line.startswith(b"#") or not found or after[:1] not in (b":", b"="):
            continue
        words = after[1:].split()
        name = words[0].decode("ascii", "replace") if words else ""
        return "".join(c for c in name if c.isascii() and (c.isalnum() or c in "-_."))
    return ""


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Number (of the first physical line) and text of each logical line that is not empty.

    A backslash at the end joins the next line, unless the line is a comment; a `#` starts a comment
    at the beginning of a line and behind white space only.
    """
    pending: list[str] = []
    first = 0
    for number, line in enumerate(text.splitlines(), start=1):
        is_comment = line.lstrip().startswith("#")
        first = first if pending else number
        if line.endswith("\\") and not is_comment:
            pending.append(line.strip("\\"))
            continue
        # The blank makes a comment that ends a joined line a comment there, too.
        joined = "".join([*pending, " " + line if is_comment else line])
        pending = []
        yield from _without_comment(first, joined)
    if pending:
        yield from _without_comment(first, "".join(pending))


def _without_comment(number: int, line: str) -> Iterator[tuple[int, str]]:
    start = line.find("#")
    while start > 0 and not line[start - 1].isspace():
        start = line.find("#", start + 1)
    kept = (line if start < 0 else line[:start]).strip()
    if kept:
        yield number, kept


def parse_line(text: str, origin: Origin) -> Line:
    """Split a logical line into the requirement and its options.

    Raises UserError when an option is unknown or lacks its value.
    """
    requirement, options = _split(text)
    if not options:
        return Line(origin, requirement)
    words = _shell_words(options, origin)
    parser = _parser()
    try:
        values, rest = parser.parse_args(words)
    except _OptionError as error:
        raise UserError(_option_fault(error, words, origin)) from None
    if rest:
        message = f'"{quote_text(" ".join(rest))}" stands behind the options of this line'
        hint = "put a requirement first; put a path or a requirement with spaces in quotes"
        raise UserError(Fault(message, origin, hint))
    found = {
        str(option.dest): tuple(getattr(values, str(option.dest)))
        for option in parser.option_list
        if getattr(values, str(option.dest), None)
    }
    return Line(origin, requirement, found)


def _split(text: str) -> tuple[str, str]:
    """Requirement and options; the first word that starts with a dash begins the options."""
    start = 0
    while start < len(text):
        if text[start] == "-" and (start == 0 or text[start - 1].isspace()):
            return text[:start].strip(), text[start:]
        start += 1
    return text, ""


def _shell_words(text: str, origin: Origin) -> list[str]:
    if not any(mark in text for mark in "'\"\\"):
        return text.split()
    if len(text) > MAX_QUOTED:
        message = f"this line has quotes and {len(text)} characters; the limit is {MAX_QUOTED}"
        raise UserError(Fault(message, origin, "check that no quote is left open"))
    import shlex

    try:
        return shlex.split(text)
    except ValueError:
        message = "a quote on this line is not closed"
        raise UserError(Fault(message, origin, "close it, or remove it")) from None


class _OptionError(Exception):
    """What optparse has to say about an option."""


@lru_cache(maxsize=1)
def _parser() -> OptionParser:
    from optparse import OptionParser

    class Parser(OptionParser):
        def error(self, msg: str) -> NoReturn:
            raise _OptionError(msg)

    parser = Parser(add_help_option=False, usage="")
    for names in _VALUE_OPTIONS:
        long = next(name for name in names if name.startswith("--"))
        parser.add_option(*names, dest=long[2:], action="append")
    for name in _FLAGS:
        parser.add_option(name, dest=name[2:], action="append_const", const="")
    return parser


def _option_fault(error: _OptionError, words: list[str], origin: Origin) -> Fault:
    import difflib

    known = [name for names in _VALUE_OPTIONS for name in names] + list(_FLAGS)
    long_names = [option for option in known if option.startswith("--")]
    for word in words:
        name = word.partition("=")[0]
        if name.startswith("--") and not any(option.startswith(name) for option in long_names):
            near = difflib.get_close_matches(name, long_names, n=1)
            hint = f"did you mean {near[0]}?" if near else ""
            message = f"{quote_text(name)} is no option of a requirements file"
            return Fault(message, origin, hint)
    is_bare = "requires" in str(error)
    hint = "write the value behind it" if is_bare else f"the options are {', '.join(long_names)}"
    return Fault(f"cannot read the options of this line: {redact(str(error))}", origin, hint)
