"""One requirement: a name with versions, a URL, a repository, or a path of the project.

PEP 508 is packaging's business; this module adds what pip understands beside it. A text is never
expanded: a variable may stand in a URL, where it stays as written.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace
from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from ..errors import Fault, UserError
from ..origin import Origin
from .paths import LeavesProjectError, project_path
from .redact import Url, quote_text, variables
from .requirement_model import Entry

__all__ = ["ARCHIVES", "Place", "parse_editable", "parse_entry"]

ARCHIVES = (
    ".whl",
    ".zip",
    ".tar.gz",
    ".tgz",
    ".tar",
    ".tar.bz2",
    ".tbz",
    ".tar.xz",
    ".txz",
    ".tlz",
    ".tar.lz",
    ".tar.lzma",
)
"""Endings of the archives that pip installs."""

_VERSION_CONTROL = ("bzr", "git", "hg", "svn")
_WEB = ("http", "https", "ftp")

# Python reads no longer number from a text, so that no version with one can be compared.
_MAX_DIGITS = sys.int_info.default_max_str_digits
_TOO_LONG_NUMBER = re.compile(rf"[0-9]{{{_MAX_DIGITS + 1}}}")


class Place(Struct, frozen=True):
    """Where relative paths of a requirement are looked for.

    root: the project folder. base: the folder of the requirements file, relative to it.
    """

    root: Path
    base: str = ""


def parse_entry(text: str, origin: Origin, place: Place) -> Entry:
    """Read one requirement, without options.

    Raises UserError with the fault and, where a small change would make it right, the change.
    """
    if _TOO_LONG_NUMBER.search(text):
        message = f"{_shown(text)} has a number of more than {_MAX_DIGITS} digits"
        raise UserError(Fault(message, origin, "correct the version"))
    body, marker = _split_marker(text, origin)
    if _is_url(body):
        entry = _from_url(body, origin, place)
    elif (path := _as_path(body, origin, place)) is not None:
        entry = path
    else:
        entry = _from_requirement(body, text, origin, place)
    return replace(entry, marker=marker) if marker else entry


def parse_editable(text: str, origin: Origin, place: Place) -> Entry:
    """Read the value of `-e`: a folder of the project or a repository.

    Raises UserError for anything else.
    """
    text = text.strip()
    body, marker = _split_marker(text, origin)
    scheme, colon, _ = body.partition(":")
    if colon and scheme.lower() in _VERSION_CONTROL:
        body = f"{scheme.lower()}+{body}"
    before, at, _ = body.partition("@")
    if _is_url(body):
        entry = _from_url(body, origin, place)
    elif at and not _looks_like_path(before):
        entry = _from_requirement(body, text, origin, place)
    else:
        entry = _from_path(body, origin, place)
    if entry.kind not in ("folder", "vcs"):
        message = f"-e {_shown(text)} is neither a folder of the project nor a repository"
        raise UserError(Fault(message, origin, "remove -e"))
    if entry.kind == "vcs" and not entry.name:
        message = f"-e {_shown(text)} does not say which package the repository holds"
        raise UserError(Fault(message, origin, "write -e 'NAME @ URL'"))
    return replace(entry, editable=True, marker=marker or entry.marker)


def _shown(text: str) -> str:
    return f'"{quote_text(text)}"'


# Classification, as pip does it


def _is_url(text: str) -> bool:
    scheme, colon, _ = text.partition(":")
    scheme = scheme.lower()
    control, plus, transport = scheme.partition("+")
    if plus and colon:
        return control in _VERSION_CONTROL and transport.replace("-", "").isalpha()
    return bool(colon) and scheme in (*_WEB, "file")


def _looks_like_path(text: str) -> bool:
    return "/" in text or text.startswith(".")


def _is_archive(text: str) -> bool:
    return text.lower().endswith(ARCHIVES)


def _split_marker(text: str, origin: Origin) -> tuple[str, str]:
    separator = "; " if _is_url(text) else ";"
    body, found, marker = text.partition(separator)
    if not found or not marker.strip():
        return body.strip(), ""
    if variables(marker):
        raise UserError(_variable_fault(marker, origin))
    try:
        return body.strip(), str(Marker(marker.strip()))
    except RecursionError:
        message = f"the marker {_shown(marker)} is nested too deeply"
        raise UserError(
            Fault(message, origin, "leave out brackets that it does not need")
        ) from None
    except (InvalidMarker, InvalidSpecifier) as error:
        message = f"the marker {_shown(marker)} is not valid: {_first_line(error)}"
        hint = 'write it as: ; python_version < "3.12"'
        raise UserError(Fault(message, origin, hint)) from None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(":") if lines else type(error).__name__


def _variable_fault(text: str, origin: Origin) -> Fault:
    names = ", ".join(f"${{{name}}}" for name in variables(text))
    message = f"{names} stands where the text itself is needed; only URLs may hold variables"
    return Fault(message, origin, "write the value")


# URLs


def _from_url(text: str, origin: Origin, place: Place) -> Entry:
    scheme = text.partition(":")[0].lower()
    if scheme == "file":
        return _from_path(text, origin, place)
    body, extras = _split_extras(text) if scheme not in _WEB else (text, ())
    if any(character.isspace() for character in body):
        message = f"the URL {_shown(body)} contains a blank"
        raise UserError(Fault(message, origin, "write %20, or put the marker behind ' ; '"))
    try:
        parts = urlsplit(body)
    except ValueError as error:
        message = f"{_shown(body)} is not a URL: {error}"
        raise UserError(Fault(message, origin)) from None
    if not parts.netloc and scheme.partition("+")[2] != "file":
        message = f"the URL {_shown(body)} names no host"
        raise UserError(Fault(message, origin))
    kind: Literal["url", "vcs"] = "vcs" if "+" in scheme else "url"
    name, egg_extras = _egg(parts.fragment, origin)
    entry = Entry(origin, kind, name, extras or egg_extras, url=Url(body))
    if kind == "url" and not name:
        return _named_by_file(entry, unquote(parts.path.rpartition("/")[2]))
    return entry


def _egg(fragment: str, origin: Origin) -> tuple[str, tuple[str, ...]]:
    """Name and extras of `#egg=NAME[extra]`."""
    for part in fragment.split("&"):
        key, _, value = part.partition("=")
        if key == "egg" and value:
            name, extras = _split_extras(unquote(value))
            return _checked_name(name, origin), extras
    return "", ()


def _checked_name(name: str, origin: Origin) -> str:
    try:
        return canonicalize_name(Requirement(name).name)
    except InvalidRequirement:
        raise UserError(Fault(f"{_shown(name)} is not a package name", origin)) from None


def _split_extras(text: str) -> tuple[str, tuple[str, ...]]:
    """A path or URL and the extras in brackets at its end."""
    if not text.endswith("]") or "[" not in text[1:]:
        return text, ()
    body, _, inner = text[:-1].rpartition("[")
    names = [name.strip() for name in inner.split(",")]
    if not body or not all(name and _is_name(name) for name in names):
        return text, ()
    return body, tuple(sorted({canonicalize_name(name) for name in names}))


def _is_name(text: str) -> bool:
    ends = text[0].isalnum() and text[-1].isalnum()
    return text.isascii() and ends and all(c.isalnum() or c in "._-" for c in text)


def _named_by_file(entry: Entry, file_name: str) -> Entry:
    """Name and version by the file name of a wheel or sdist.

    Raises UserError when a wheel has no wheel's name: it could never be installed.
    """
    if file_name.lower().endswith(".whl"):
        try:
            name, version, _, _ = parse_wheel_filename(file_name)
        except InvalidWheelFilename:
            message = f"{_shown(file_name)} is not the file name of a wheel"
            hint = "a wheel is named NAME-VERSION-PYTHON-ABI-PLATFORM.whl; keep the name it had"
            raise UserError(Fault(message, entry.origin, hint)) from None
        return replace(entry, name=entry.name or name, version=str(version))
    try:
        name, version = parse_sdist_filename(file_name)
    except InvalidSdistFilename:
        return entry
    if not _is_name(name):
        # A file may be called anything; only a build tells what is in this one.
        return entry
    return replace(entry, name=entry.name or name, version=str(version))


# Paths


def _as_path(text: str, origin: Origin, place: Place) -> Entry | None:
    """The entry of a path; None when the text is a requirement by name."""
    before, at, _ = text.partition("@")
    if at and not _looks_like_path(before):
        return None
    body, _ = _split_extras(text)
    if _looks_like_path(body) or _is_archive(body):
        return _from_path(text, origin, place)
    return None


def _from_path(text: str, origin: Origin, place: Place) -> Entry:
    if variables(text):
        raise UserError(_variable_fault(text, origin))
    written, fragment = _file_url(text, origin) if text.lower().startswith("file:") else (text, "")
    body, extras = _split_extras(written)
    path = _existing(body, text, origin, place)
    name, egg_extras = _egg(fragment, origin)
    kept = "&".join(part for part in fragment.split("&") if not part.startswith("egg="))
    entry = Entry(origin, "sdist", name, extras or egg_extras, path=path, fragment=kept)
    target = place.root / path
    if target.is_dir():
        if not any((target / name).is_file() for name in ("pyproject.toml", "setup.py")):
            message = f"the folder {_shown(body)} is no Python project"
            hint = "it needs a pyproject.toml or a setup.py"
            raise UserError(Fault(message, origin, hint))
        return replace(entry, kind="folder")
    if not _is_archive(path):
        message = f"{_shown(body)} is neither a wheel nor a source archive"
        hint = "use -r for a requirements file" if path.endswith((".txt", ".in")) else ""
        raise UserError(Fault(message, origin, hint))
    is_wheel = path.lower().endswith(".whl")
    return _named_by_file(replace(entry, kind="wheel") if is_wheel else entry, Path(path).name)


def _file_url(text: str, origin: Origin) -> tuple[str, str]:
    """Path and fragment of a `file:` URL, absolute or relative."""
    rest, _, fragment = text[len("file:") :].partition("#")
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host not in ("", "localhost"):
            message = f"{_shown(text)} names the host {_shown(host)}"
            raise UserError(Fault(message, origin, "write file:PATH for a path of the project"))
        rest = slash + path
    return unquote(rest), fragment


def _existing(body: str, text: str, origin: Origin, place: Place) -> str:
    """The path in the project: beside the requirements file, else from the project folder."""
    outside = False
    for base in dict.fromkeys((place.base, "")):
        try:
            path = project_path(place.root, body, base)
        except LeavesProjectError:
            outside = True
            continue
        if _exists(place.root / path):
            return path
    if outside:
        message = f"the path {_shown(text)} leaves the project"
        hint = "copy it into the project: only the project's files reach the builder"
        raise UserError(Fault(message, origin, hint))
    message = f"there is no file or folder {_shown(body)} in the project"
    raise UserError(Fault(message, origin, "correct the path, or remove the line"))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


# Requirements by name


def _from_requirement(body: str, text: str, origin: Origin, place: Place) -> Entry:
    try:
        requirement = Requirement(body)
    except InvalidRequirement as error:
        raise UserError(_invalid(body, text, error, origin)) from None
    name = canonicalize_name(requirement.name)
    extras = tuple(sorted({canonicalize_name(extra) for extra in requirement.extras}))
    if requirement.url is None:
        return Entry(origin, "index", name, extras, str(requirement.specifier))
    if _is_url(requirement.url):
        entry = _from_url(requirement.url, origin, place)
    elif _is_version(requirement.url):
        hint = f'did you mean "{requirement.name}=={requirement.url}"?'
        raise UserError(Fault(f"{_shown(text)} is not a requirement", origin, hint))
    else:
        entry = _from_path(requirement.url, origin, place)
    if entry.version and entry.is_local and entry.kind == "wheel":
        own = parse_wheel_filename(Path(entry.path).name)[0]
        if own != name:
            message = f'{_shown(text)} asks for "{name}", but the wheel holds "{own}"'
            raise UserError(Fault(message, origin, f'write "{own} @ …"'))
    return replace(entry, name=name, extras=extras or entry.extras)


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def _invalid(body: str, text: str, error: Exception, origin: Origin) -> Fault:
    if variables(body):
        return _variable_fault(body, origin)
    if body.startswith(("git+git@", "git@")):
        path = body.removeprefix("git+").replace(":", "/", 1)
        hint = f'write "git+ssh://{path}"'
        return Fault(f"{_shown(body)} is not a URL", origin, hint)
    meant = _suggestion(body)
    if meant:
        return Fault(f"{_shown(text)} is not a requirement", origin, f'did you mean "{meant}"?')
    message = f"{_shown(text)} is not a requirement: {_first_line(error)}"
    return Fault(message, origin, "write NAME, NAME==VERSION or NAME @ URL")


def _suggestion(body: str) -> str:
    """A requirement that the user may have meant; it differs by one slip and is valid."""
    slips: tuple[Callable[[str], str], ...] = (
        lambda s: s.replace("=", "==") if "==" not in s else s,
        lambda s: s.replace("=>", ">=").replace("=<", "<=").replace("=~", "~=").replace("=!", "!="),
        lambda s: "==".join(s.split()) if len(s.split()) == 2 else s,
        lambda s: s.replace(":", "=="),
        lambda s: s.replace(".*", ""),
        lambda s: s.strip("\"'"),
    )
    for slip in slips:
        candidate = slip(body).strip()
        if candidate == body:
            continue
        try:
            requirement = Requirement(candidate)
        except InvalidRequirement:
            continue
        if requirement.url is None:
            return candidate
    return ""
