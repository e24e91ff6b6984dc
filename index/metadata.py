"""Core metadata of one release: the few fields that a resolver needs, and where they were read.

Parsing forgives what real packages do wrong and says so in `warnings`; fetching is elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from .page import is_endless, mend_specifier, python_specifier

__all__ = [
    "Metadata",
    "MetadataError",
    "NoMetadata",
    "parse_metadata",
    "requirement_of",
    "stated_metadata",
    "unreadable",
    "with_extra",
]

_EXTRA = re.compile(r"""extra == ["']([^"']+)["']""")

# Core metadata fields whose value must be static before an sdist's PKG-INFO may be believed.
_NEEDED_STATIC = ("requires-dist", "requires-python", "provides-extra")

# Since this version an sdist says which of its fields a build may change (PEP 643).
_STATIC_SDIST_VERSION = Version("2.2")


class MetadataError(ValueError):
    """Metadata that cannot be used: malformed, of another project, or not static."""


class UnservedError(MetadataError):
    """A file that the server does not hand out, this time."""


@dataclass(frozen=True)
class Metadata:
    """What a release says of itself.

    name: normalised. requirement_texts: the `Requires-Dist` lines that can be read, mended.
    requires_python_text: as written; empty when it restricts nothing.
    provides_extra: normalised names, sorted.
    source: where it was read: `the metadata file`, `the wheel`, `another wheel`, `the sdist`.
    warnings: what was wrong and how it was taken.
    """

    name: str
    version: Version
    requirement_texts: tuple[str, ...] = ()
    requires_python_text: str = ""
    provides_extra: tuple[str, ...] = ()
    source: str = field(default="", compare=False)
    warnings: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def requires_dist(self) -> tuple[Requirement, ...]:
        """The dependencies, in the order of the metadata."""
        return tuple(requirement_of(text) for text in self.requirement_texts)

    @cached_property
    def requires_python(self) -> SpecifierSet | None:
        """The Pythons it admits, upper bounds included; None for all."""
        return python_specifier(self.requires_python_text)


@dataclass(frozen=True)
class NoMetadata:
    """A release whose metadata cannot be had: an ordinary answer, the release is then unusable.

    reasons: for each source that was tried, why it gave nothing.
    is_final: whether every file was read, so that asking again is of no use.
    """

    name: str
    version: Version
    reasons: tuple[str, ...]
    is_final: bool = field(default=True, compare=False)

    def __str__(self) -> str:
        return f"{self.name} {self.version}: {'; '.join(self.reasons)}"


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    name: str
    version: str
    requirements: tuple[str, ...]
    requires_python: str
    extras: tuple[str, ...]
    source: str
    warnings: tuple[str, ...]


class _PackedFailure(msgspec.Struct, frozen=True, array_like=True):
    name: str
    version: str
    reasons: tuple[str, ...]
    is_final: bool


_decode = msgspec.msgpack.Decoder(_Packed).decode
_decode_failure = msgspec.msgpack.Decoder(_PackedFailure).decode


def parse_metadata(body: bytes, *, source: str = "", sdist: bool = False) -> Metadata:
    """Read a METADATA or PKG-INFO file.

    source: where it was found, kept in the result.
    sdist: it is an sdist's, so the fields must be static (metadata 2.2 or later).

    Raises MetadataError when name or version are missing or malformed, or the fields not static.
    """
    from packaging.metadata import parse_email

    try:
        raw, unparsed = parse_email(body)
    except RecursionError as error:
        # Messages in messages: only who means ill writes them there.
        raise MetadataError("it is nested too deep") from error
    name = canonicalize_name(raw.get("name") or "")
    if not name:
        raise MetadataError("it has no Name field")
    version = _version(raw.get("version") or "", "Version")
    if sdist:
        _require_static(raw.get("metadata_version") or "", raw.get("dynamic") or [])
    python_text = (raw.get("requires_python") or "").strip()
    warnings: list[str] = []
    if python_text and python_specifier(python_text) is None:
        warnings.append(f"Requires-Python {python_text!r} cannot be read: ignored")
        python_text = ""
    requirements = _mend_all(raw.get("requires_dist") or [], warnings)
    if "requires-dist" in {key.lower() for key in unparsed}:
        warnings.append("some Requires-Dist lines are not valid UTF-8: ignored")
    extras = {canonicalize_name(extra) for extra in raw.get("provides_extra") or []}
    return Metadata(
        name=name,
        version=version,
        requirement_texts=requirements,
        requires_python_text=python_text,
        provides_extra=tuple(sorted(extras)),
        source=source,
        warnings=tuple(warnings),
    )


def stated_metadata(
    name: str, version: Version, lines: Iterable[str], requires_python: str = "", *, source: str
) -> Metadata:
    """Metadata out of requirements that stand elsewhere than in a METADATA file.

    name: normalised. lines: PEP 508, those of extras with a marker on `extra`.

    Raises MetadataError when a line or the Python cannot be read: nobody has to mend what is not
    a published file.
    """
    if requires_python and python_specifier(requires_python) is None:
        raise MetadataError(f"Requires-Python {requires_python!r} cannot be read")
    extras = set()
    texts = []
    for line in lines:
        try:
            read = requirement_of(" ".join(line.split()))
        except InvalidRequirement as error:
            raise unreadable(line, error) from error
        extras |= set(_EXTRA.findall(str(read.marker))) if read.marker is not None else set()
        texts.append(str(read))
    return Metadata(
        name=name,
        version=version,
        requirement_texts=tuple(texts),
        requires_python_text=requires_python,
        provides_extra=tuple(sorted(canonicalize_name(extra) for extra in extras)),
        source=source,
    )


def unreadable(text: str, error: ValueError) -> MetadataError:
    """The fault of a requirement or a marker, in one line: the parser's own points at a column."""
    reason = str(error).partition("\n")[0]
    return MetadataError(f"{text!r} cannot be read ({reason})")


def with_extra(text: str, key: str) -> str:
    """A requirement as one of an extra; the key may be setuptools' `extra:marker` or `:marker`."""
    extra, _, condition = key.partition(":")
    parts = [f"({condition})"] if condition else []
    body, semicolon, marker = text.partition(";")
    if semicolon:
        parts.insert(0, f"({marker.strip()})")
    if extra:
        parts.append(f'extra == "{canonicalize_name(extra)}"')
    return f"{body.strip()} ; {' and '.join(parts)}" if parts else body.strip()


def dump_metadata(metadata: Metadata) -> bytes:
    """The compact form that the cache keeps."""
    return msgspec.msgpack.encode(
        _Packed(
            metadata.name,
            str(metadata.version),
            metadata.requirement_texts,
            metadata.requires_python_text,
            metadata.provides_extra,
            metadata.source,
            metadata.warnings,
        )
    )


def load_metadata(body: bytes) -> Metadata:
    """The metadata of a compact form.

    Raises MetadataError when the bytes are none.
    """
    try:
        packed = _decode(body)
        version = Version(packed.version)
    except (msgspec.DecodeError, ValueError) as error:
        raise MetadataError(str(error)) from error
    return Metadata(
        packed.name,
        version,
        packed.requirements,
        packed.requires_python,
        packed.extras,
        packed.source,
        packed.warnings,
    )


def dump_failure(failure: NoMetadata) -> bytes:
    """The compact form that the cache keeps."""
    return msgspec.msgpack.encode(
        _PackedFailure(failure.name, str(failure.version), failure.reasons, failure.is_final)
    )


def load_failure(body: bytes) -> NoMetadata:
    """The failure of a compact form.

    Raises MetadataError when the bytes are none.
    """
    try:
        packed = _decode_failure(body)
        return NoMetadata(packed.name, Version(packed.version), packed.reasons, packed.is_final)
    except (msgspec.DecodeError, ValueError) as error:
        raise MetadataError(str(error)) from error


def _require_static(metadata_version: str, dynamic: Iterable[str]) -> None:
    version = _version(metadata_version, "Metadata-Version")
    if version < _STATIC_SDIST_VERSION:
        raise MetadataError(f"its metadata is version {version}")
    changing = {item.lower() for item in dynamic}.intersection(_NEEDED_STATIC)
    if changing:
        names = ", ".join(sorted(item.title() for item in changing))
        raise MetadataError(f"its {names} is dynamic")


def _version(text: str, field_name: str) -> Version:
    if is_endless(text):
        raise MetadataError(f"its {field_name} is malformed")
    try:
        return Version(text)
    except InvalidVersion as error:
        raise MetadataError(f"its {field_name} is malformed ({error})") from error


def _mend_all(lines: Iterable[str], warnings: list[str]) -> tuple[str, ...]:
    kept = []
    for line in lines:
        text = " ".join(line.split())
        mended = _mend(text)
        if mended is None:
            warnings.append(f"Requires-Dist {text!r} cannot be read: ignored")
            continue
        if mended != text:
            warnings.append(f"Requires-Dist {text!r} is malformed: read as {mended!r}")
        kept.append(mended)
    return tuple(kept)


def _mend(text: str) -> str | None:
    """The requirement itself, its mended form, or None when it cannot be read at all."""
    if _is_requirement(text):
        return text
    head, semicolon, marker = text.partition(";")
    body, _, rest = head.partition("(")
    specifiers = rest.partition(")")[0] if rest else ""
    if not rest:
        end = next((i for i, char in enumerate(head) if char in "<>=!~"), len(head))
        body, specifiers = head[:end], head[end:]
    mended = f"{body.strip()}{mend_specifier(specifiers)}"
    mended += f" ; {marker.strip()}" if semicolon else ""
    return mended if _is_requirement(mended) else None


def _is_requirement(text: str) -> bool:
    try:
        requirement_of(text)
    except (InvalidRequirement, RecursionError):
        return False
    return True


@lru_cache(maxsize=8192)
def requirement_of(text: str) -> Requirement:
    """The requirement of a line; the same lines occur in many releases, nobody changes the objects.

    Raises InvalidRequirement.
    """
    if is_endless(text):
        raise InvalidRequirement("a number in it has no end")
    try:
        return Requirement(text)
    except RecursionError:
        raise InvalidRequirement("it is nested too deep") from None
