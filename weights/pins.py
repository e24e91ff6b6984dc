"""The locks of weights: our own, which `cogpack weights lock` writes, and Cog's, which is read.

A pin belongs to what was written (URI and patterns), not to an entry's name or target: those may
change without asking a server again. It holds no address of a server: a mirror has the same files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Fault, UserError
from ..files import read_file, write_atomically
from ..origin import Origin
from ..project.redact import redact
from ..project.weight_places import WrittenSource
from ..project.weight_sources import (
    HttpUri,
    HubUri,
    SourceUriError,
    is_inner_path,
    parse_uri,
)

__all__ = ["COG_LOCK", "LOCK", "Pin", "PinnedFile", "Pins", "pin_key", "read_pins", "write_pins"]

LOCK = "cogpack-weights.lock"

COG_LOCK = "weights.lock"
"""What `cog weights import` writes (pkg/weights/lockfile of Cog 0.23)."""

_VERSION = 1
_COG_VERSION = 1
_AGAIN = "run cogpack weights lock"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True)
class PinnedFile:
    """A file. path: relative to the source. size: in bytes. digest: `sha256:…`."""

    path: str
    size: int
    digest: str


@dataclass(frozen=True)
class Pin:
    """What a source was found to hold. commit: of a model of the hub, else empty."""

    uri: str
    commit: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    files: tuple[PinnedFile, ...]


class Pins:
    """The pins of a project.

    own: of our lock. cogs: of Cog's, by the name of the entry; of entries with one source only, as
    it does not say which file is from which source.
    """

    def __init__(self, own: Iterable[Pin] = (), cogs: Mapping[str, Pin] | None = None) -> None:
        self._own = {pin_key(pin.uri, pin.include, pin.exclude): pin for pin in own}
        self._cogs = dict(cogs or {})

    @property
    def own(self) -> tuple[Pin, ...]:
        """The pins of our lock."""
        return tuple(self._own.values())

    def of(self, source: WrittenSource, uri: HubUri | HttpUri) -> Pin | None:
        """The pin of a source, None when no lock has it as it is written now."""
        key = pin_key(uri.text, source.include, source.exclude)
        cogs = self._cogs.get(source.entry)
        if cogs and pin_key(cogs.uri, cogs.include, cogs.exclude) != key:
            cogs = None
        pin = self._own.get(key) or cogs
        # What is written beside the URL has the last word over a lock that somebody has edited.
        fixed = uri.digest if isinstance(uri, HttpUri) else ""
        return pin if pin and (not fixed or pin.files[0].digest == fixed) else None


def read_pins(root: Path) -> Pins:
    """The pins of the project in a folder; there may be none.

    Raises UserError when our lock cannot be read. Cog's is passed over then: it is not ours.
    """
    data = _json(root / LOCK)
    own = _own_pins(data) if data is not None else ()
    try:
        cogs = _cog_pins(_json(root / COG_LOCK))
    except (UserError, _MalformedError):
        cogs = {}
    return Pins(own, cogs)


def write_pins(root: Path, pins: Iterable[Pin]) -> None:
    """Write our lock: same pins, same bytes. Raises BuilderError when the disk refuses."""
    ordered = sorted(pins, key=lambda pin: pin_key(pin.uri, pin.include, pin.exclude))
    data = {"version": _VERSION, "sources": [_pin_data(pin) for pin in ordered]}
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    write_atomically(root / LOCK, text.encode())


class _MalformedError(Exception):
    """A lock that does not hold what it should."""


def pin_key(
    uri: str, include: Iterable[str], exclude: Iterable[str]
) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """What a pin is known by; the order of patterns means nothing."""
    return uri, tuple(sorted(include)), tuple(sorted(exclude))


def _pin_data(pin: Pin) -> dict[str, Any]:
    files = sorted(pin.files, key=lambda file: file.path)
    return {
        "uri": pin.uri,
        **({"commit": pin.commit} if pin.commit else {}),
        "include": sorted(pin.include),
        "exclude": sorted(pin.exclude),
        "files": [{"path": one.path, "size": one.size, "digest": one.digest} for one in files],
    }


def _json(path: Path) -> Any:
    """The content of a lock; None when there is none."""
    try:
        return json.loads(read_file(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        message = f"the lock of weights cannot be read: {error.strerror}"
        raise UserError(Fault(message, Origin(path.name))) from None
    except (ValueError, RecursionError):
        message = "the lock of weights is no JSON"
        raise UserError(Fault(message, Origin(path.name), _AGAIN)) from None


def _own_pins(data: Any) -> tuple[Pin, ...]:
    try:
        if not isinstance(data, dict) or data.get("version") != _VERSION:
            raise _MalformedError(f"its version is not {_VERSION}")
        return tuple(_own_pin(item) for item in _list(data, "sources"))
    except _MalformedError as error:
        message = f"the lock of weights cannot be used: {error}"
        raise UserError(Fault(message, Origin(LOCK), _AGAIN)) from None


def _own_pin(item: Any) -> Pin:
    pin = Pin(
        uri=_text(item, "uri"),
        commit=_text(item, "commit") if "commit" in item else "",
        include=_texts(item, "include"),
        exclude=_texts(item, "exclude"),
        files=_files(item),
    )
    uri = _parsed(pin.uri)
    if uri is None or uri.text != pin.uri:
        raise _MalformedError(f"{redact(pin.uri)} is no source of weights")
    if isinstance(uri, HubUri) and not _is_hex(pin.commit, 40):
        raise _MalformedError(f"{pin.uri} has no commit")
    if isinstance(uri, HttpUri) and [file.path for file in pin.files] != [uri.name]:
        raise _MalformedError(f"{uri.shown} is one file, and is not what stands there")
    return pin


def _cog_pins(data: Any) -> dict[str, Pin]:
    if not isinstance(data, dict) or data.get("version") != _COG_VERSION:
        return {}
    pins = {}
    for item in _list(data, "weights"):
        sources = _list(item, "sources")
        uri = _parsed(_text(sources[0], "uri")) if len(sources) == 1 else None
        if uri is None:
            continue
        commit = _text(sources[0], "fingerprint").removeprefix("commit:")
        if isinstance(uri, HubUri) and not _is_hex(commit, 40):
            continue
        pins[_text(item, "name")] = Pin(
            uri=uri.text,
            commit=commit if isinstance(uri, HubUri) else "",
            include=_texts(sources[0], "include"),
            exclude=_texts(sources[0], "exclude"),
            files=_files(item),
        )
    return pins


def _parsed(text: str) -> HubUri | HttpUri | None:
    try:
        uri = parse_uri(text)
    except SourceUriError:
        return None
    return uri if isinstance(uri, HubUri | HttpUri) else None


def _files(item: Any) -> tuple[PinnedFile, ...]:
    files = tuple(_file(one) for one in _list(item, "files"))
    if not files or len({file.path for file in files}) < len(files):
        raise _MalformedError("it has a source without files, or a file twice")
    return files


def _file(item: Any) -> PinnedFile:
    path, digest = _text(item, "path"), _text(item, "digest")
    size = item.get("size")
    if not is_inner_path(path):
        raise _MalformedError(f"{path!r} is no path of a file")
    if not _is_hex(digest.removeprefix("sha256:"), 64) or not digest.startswith("sha256:"):
        raise _MalformedError(f"the digest of {path} is none")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise _MalformedError(f"the size of {path} is none")
    return PinnedFile(path, size, digest)


def _list(item: Any, key: str) -> list[Any]:
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, list):
        raise _MalformedError(f"it has no list `{key}` where one must be")
    return value


def _text(item: Any, key: str) -> str:
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, str) or not value:
        raise _MalformedError(f"it has no text `{key}` where one must be")
    return value


def _texts(item: Any, key: str) -> tuple[str, ...]:
    values = _list(item, key)
    if not all(isinstance(value, str) for value in values):
        raise _MalformedError(f"`{key}` holds something else than texts")
    return tuple(values)


def _is_hex(text: str, length: int) -> bool:
    return len(text) == length and _HEX.issuperset(text)
