"""Requirements files: every entry, option and constraint, each with the line it stands on.

Files are read, never fetched, and nothing is resolved. Lines are `requirement_lines`' business,
single requirements `requirement_entry`'s.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from msgspec.structs import replace
from packaging.utils import canonicalize_name

from ..errors import Fault, UserError
from ..files import read_file
from ..origin import Origin
from .paths import LeavesProjectError, project_path
from .redact import Url, printable_faults, quote_text, variables
from .requirement_entry import Place, parse_editable, parse_entry
from .requirement_lines import MAX_BYTES, Line, decode, logical_lines, parse_line
from .requirement_model import Entry, FindLinks, IndexUrl, Options, RequirementsFile

__all__ = [
    "Entry",
    "FindLinks",
    "IndexUrl",
    "Options",
    "RequirementsFile",
    "parse_packages",
    "read_requirements",
]

_HASH_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
"""Digits of the hash algorithms that pip accepts."""


def read_requirements(root: Path, path: str, asked_by: Origin | None = None) -> RequirementsFile:
    """Read a requirements file and the files that it includes.

    root: the project folder. path: the file, relative to it. asked_by: the line that names it.
    Raises UserError with every fault of all these files.
    """
    reader = _Reader(root)
    reader.include(path, asked_by or Origin(path), "", constraint=False)
    return reader.result()


def parse_packages(root: Path, packages: Iterable[tuple[str, Origin]]) -> RequirementsFile:
    """Read requirements that stand in a list of another file, each with its origin.

    root: the project folder. Raises UserError with every fault.
    """
    reader = _Reader(root)
    for text, origin in packages:
        shown = replace(origin, text=quote_text(text))
        for _, line in logical_lines(text):
            reader.line(line, shown, "", constraint=False)
    return reader.result()


class _Reader:
    """Collects what the lines say, and the faults, while it follows `-r` and `-c`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._entries: list[Entry] = []
        self._constraints: list[Entry] = []
        self._options = Options()
        self._faults: list[Fault] = []
        self._warnings: list[Fault] = []
        self._files: dict[str, None] = {}
        self._seen: set[tuple[str, bool]] = set()
        self._open: list[str] = []

    def result(self) -> RequirementsFile:
        self._check_hashes()
        if self._faults:
            raise UserError(printable_faults(self._faults))
        return RequirementsFile(
            tuple(self._entries),
            tuple(self._constraints),
            self._options,
            tuple(self._files),
            printable_faults(self._warnings),
        )

    def include(self, written: str, origin: Origin, base: str, *, constraint: bool) -> None:
        """Read a file that a line names; what is wrong with it is a fault of that line."""
        path = self._included_path(written, origin, base)
        if path in self._open:
            chain = " -> ".join([*self._open[self._open.index(path) :], path])
            self._fault(f"{path} includes itself: {chain}", origin, "remove this line")
            return
        if not path or (path, constraint) in self._seen:
            return
        if len(self._open) >= _MAX_DEPTH:
            message = f"{_shown(path)} is included more than {_MAX_DEPTH} files deep"
            self._fault(message, origin, "include it from the first file")
            return
        self._seen.add((path, constraint))
        try:
            data = read_file(self._root / path, MAX_BYTES)
            text = decode(data, path, origin)
        except FileNotFoundError:
            hint = "create it, or correct the path"
            self._fault(f"there is no file {_shown(path)} in the project", origin, hint)
            return
        except OSError as error:
            self._fault(f"{path} cannot be read: {error.strerror}", origin)
            return
        except UserError as error:
            self._faults += error.faults
            return
        self._files[path] = None
        self._open.append(path)
        for number, line in logical_lines(text):
            where = Origin(path, number, quote_text(" ".join(line.split())))
            self.line(line, where, posixpath.dirname(path), constraint=constraint)
        self._open.pop()

    def line(self, text: str, origin: Origin, base: str, *, constraint: bool) -> None:
        """Read one logical line."""
        try:
            line = parse_line(text, origin)
            if line.requirement:
                self._requirement(line, base, constraint=constraint)
            else:
                self._option_line(line, base, constraint=constraint)
        except UserError as error:
            self._faults += error.faults

    def _fault(self, message: str, origin: Origin, hint: str = "") -> None:
        self._faults.append(Fault(message, origin, hint))

    def _warn(self, message: str, origin: Origin, hint: str = "") -> None:
        self._warnings.append(Fault(message, origin, hint))

    def _included_path(self, written: str, origin: Origin, base: str) -> str:
        if variables(written):
            hint = "write the path itself"
            self._fault(f"{_shown(written)} names a file by a variable", origin, hint)
            return ""
        if "://" in written:
            hint = "save it in the project and include it from there"
            self._fault(f"{_shown(written)} is not in the project", origin, hint)
            return ""
        try:
            return project_path(self._root, written, base)
        except LeavesProjectError:
            hint = "copy the file into the project"
            self._fault(f"the path {_shown(written)} leaves the project", origin, hint)
            return ""

    def _requirement(self, line: Line, base: str, *, constraint: bool) -> None:
        words = quote_text(" ".join(line.requirement.split()))
        line = replace(line, origin=replace(line.origin, text=words))
        entry = parse_entry(line.requirement, line.origin, Place(self._root, base))
        options = dict(line.options)
        hashes = tuple(options.pop("hash", ()))
        entry = replace(entry, hashes=hashes, settings=options.pop("config-settings", ()))
        for value in hashes:
            self._check_hash(value, line.origin)
        for name in ("requirement", "constraint", "editable"):
            if name in options:
                self._fault(f"--{name} stands behind a requirement", line.origin, _OWN_LINE)
                options.pop(name)
        if options:
            names = ", ".join(f"--{name}" for name in options)
            self._warn(f"{names} holds for all requirements, not only this", line.origin, _OWN_LINE)
            self._apply(replace(line, requirement="", options=options), base)
        self._add(entry, constraint=constraint)

    def _option_line(self, line: Line, base: str, *, constraint: bool) -> None:
        options = dict(line.options)
        if "hash" in options:
            hint = "put a backslash at the end of the line before"
            self._fault("--hash stands without a requirement", line.origin, hint)
        files = [*options.get("requirement", ()), *options.get("constraint", ())]
        editables = options.get("editable", ())
        if len(files) + len(editables) > 1:
            self._fault("this line includes more than one thing", line.origin, _OWN_LINE)
            return
        for text in editables:
            entry = parse_editable(text, line.origin, Place(self._root, base))
            self._add(
                replace(entry, settings=options.get("config-settings", ())), constraint=constraint
            )
        for written in options.get("requirement", ()):
            self.include(written, line.origin, base, constraint=False)
        for written in options.get("constraint", ()):
            self.include(written, line.origin, base, constraint=True)
        self._apply(line, base)

    def _add(self, entry: Entry, *, constraint: bool) -> None:
        if not constraint:
            self._entries.append(entry)
            return
        fault = ""
        if entry.editable:
            fault = "a constraint cannot be editable"
        elif not entry.name:
            fault = "a constraint needs the name of a package"
        elif entry.extras:
            fault = "a constraint cannot have extras"
        if fault:
            self._fault(fault, entry.origin, "move the line into the requirements")
        self._constraints.append(entry)

    def _check_hash(self, value: str, origin: Origin) -> None:
        algorithm, _, digits = value.partition(":")
        if algorithm not in _HASH_DIGITS:
            known = ", ".join(_HASH_DIGITS)
            message = f"--hash={_shown(value)} is not of the form ALGORITHM:DIGITS"
            self._fault(message, origin, f"the algorithms are {known}")
        elif len(digits) != _HASH_DIGITS[algorithm] or not _HEX.issuperset(digits):
            wanted = _HASH_DIGITS[algorithm]
            message = f"a {algorithm} hash has {wanted} hexadecimal digits, unlike {_shown(digits)}"
            self._fault(message, origin, "copy the hash again")

    def _check_hashes(self) -> None:
        if not self._options.require_hashes:
            return
        constrained = {entry.name for entry in self._constraints if entry.hashes}
        for entry in self._entries:
            in_url = entry.url is not None and "#sha256=" in entry.url.raw
            if not (entry.hashes or in_url or entry.name in constrained):
                message = f"{_shown(entry.origin.text)} has no --hash, but --require-hashes is set"
                self._fault(message, entry.origin, "add its hashes")

    def _apply(self, line: Line, base: str) -> None:
        """Take the options that hold for all requirements."""
        given, options = line.options, self._options
        index = [self._index(value, line.origin) for value in given.get("index-url", ())]
        extra = [self._index(value, line.origin) for value in given.get("extra-index-url", ())]
        if index and options.index_url and options.index_url.url != index[-1].url:
            where = options.index_url.origin.where
            self._warn(f"this index replaces the one of {where}", line.origin, "keep one of them")
        links = [self._links(value, line.origin, base) for value in given.get("find-links", ())]
        no_binary, only_binary = options.no_binary, options.only_binary
        for value in given.get("no-binary", ()):
            no_binary, only_binary = _with_names(value, no_binary, only_binary)
        for value in given.get("only-binary", ()):
            only_binary, no_binary = _with_names(value, only_binary, no_binary)
        releases, final = options.all_releases, options.only_final
        for value in given.get("all-releases", ()):
            releases, final = _with_names(value, releases, final)
        for value in given.get("only-final", ()):
            final, releases = _with_names(value, final, releases)
        require = options.require_hashes or "require-hashes" in given
        self._options = Options(
            index_url=index[-1] if index else options.index_url,
            extra_index_urls=_joined(options.extra_index_urls, extra),
            no_index=options.no_index or "no-index" in given,
            find_links=_joined(options.find_links, [link for link in links if link]),
            no_binary=no_binary,
            only_binary=only_binary,
            all_releases=releases,
            only_final=final,
            prefer_binary=options.prefer_binary or "prefer-binary" in given,
            pre=options.pre or "pre" in given,
            require_hashes=require and "no-require-hashes" not in given,
            trusted_hosts=_joined(options.trusted_hosts, given.get("trusted-host", ())),
            use_features=_joined(options.use_features, given.get("use-feature", ())),
        )

    def _index(self, value: str, origin: Origin) -> IndexUrl:
        if not value.lower().startswith(("https://", "http://", "file:", "${")):
            hint = "write it with https://"
            self._fault(f"the index {_shown(value)} is not a URL", origin, hint)
        return IndexUrl(Url(value), origin)

    def _links(self, value: str, origin: Origin, base: str) -> FindLinks | None:
        if value.lower().startswith(("https://", "http://", "${")):
            return FindLinks(origin, Url(value))
        written = value.removeprefix("file://").removeprefix("file:")
        for folder in dict.fromkeys((base, "")):
            path = self._included_path(written, origin, folder)
            if not path:
                return None
            if (self._root / path).exists():
                return FindLinks(origin, path=path)
        hint = "create it, or correct the path"
        self._fault(f"there is no folder {_shown(value)} in the project", origin, hint)
        return None


_T = TypeVar("_T")

_OWN_LINE = "give it a line of its own"

# Of files that include one another; each is a few calls on the stack.
_MAX_DEPTH = 50
_HEX = frozenset("0123456789abcdef")


def _shown(text: str) -> str:
    return f'"{quote_text(text)}"'


def _joined(old: tuple[_T, ...], new: Iterable[_T]) -> tuple[_T, ...]:
    return tuple(dict.fromkeys((*old, *new)))


def _with_names(
    value: str, names: tuple[str, ...], opposite: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """`names` with those of an option's value; each leaves the list of the opposite option."""
    kept, other = set(names), set(opposite)
    for name in filter(None, (part.strip() for part in value.split(","))):
        if name == ":all:":
            kept, other = {name}, set()
        elif name == ":none:":
            kept = set()
        elif ":all:" not in kept:
            kept.add(canonicalize_name(name))
        other.discard(canonicalize_name(name))
    return tuple(sorted(kept)), tuple(sorted(other))
