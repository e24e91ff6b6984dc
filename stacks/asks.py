"""The project's requirements as the open world takes them, and as a fingerprint sees them."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

from ..blocks.uv_lock import LockedPackages
from ..compat.framework_indexes import is_framework_index
from ..errors import Fault, UserError
from ..project.redact import redact
from .compose import Composition

if TYPE_CHECKING:
    from ..index.indexset import Sources
    from ..index.settings import IndexOptions
    from ..project import Entry
    from ..project.requirement_model import Options
    from ..project.stated import Stated
    from ..project.uv_lock import LockedPackage
    from ..solver.open_model import Ask, Declared, OpenOptions

__all__ = [
    "EVERYTHING",
    "ask_data",
    "asks_of",
    "index_options",
    "open_options",
    "option_data",
    "stated_by",
    "uv_locked",
    "with_copies",
]

EVERYTHING = ":all:"
"""In place of a package's name: all of them."""

# Packages that blocks install beside what the project asks for.
_RUNTIME = frozenset({"cog", "coglet"})


def asks_of(composition: Composition) -> Iterator[Ask]:
    """The lines of the project, its constraints, and what blocks install beside them.

    What uv.lock has is locked already: it only limits what is installed beside it.
    """
    from ..solver.open_model import Ask

    read = composition.project.requirements
    locked = uv_locked(composition)
    if locked is None:
        for entry in read.entries:
            yield _ask(entry, composition, constraint=False)
        for entry in read.constraints:
            yield _ask(entry, composition, constraint=True)
    for package in locked or ():
        if package.registry:
            yield Ask(package.origin, package.name, f"=={package.version}", constraint=True)
    for one in composition.requirements:
        if one.package in _RUNTIME and not one.origin.file.endswith(".txt"):
            yield Ask(one.origin, one.package, one.specifier)


def uv_locked(composition: Composition) -> tuple[LockedPackage, ...] | None:
    """What the image gets from uv.lock; None when the project is not installed from one."""
    for block in composition.blocks:
        if isinstance(block, LockedPackages):
            return block.selected(composition.project)
    return None


def _ask(entry: Entry, composition: Composition, *, constraint: bool) -> Ask:
    from ..solver.open_model import Ask

    declared = _declared(entry, composition) if entry.kind == "folder" else None
    specifier = entry.specifier
    if constraint and entry.version:
        specifier = f"=={entry.version}"
    return Ask(
        origin=entry.origin,
        name=entry.name or (declared[0] if declared else ""),
        specifier=specifier,
        extras=entry.extras,
        marker=entry.marker,
        kind=entry.kind,
        url=entry.url.raw if entry.url is not None else "",
        path=entry.path,
        hashes=entry.hashes,
        editable=entry.editable,
        constraint=constraint,
        declared=declared[1] if declared else None,
    )


def _declared(entry: Entry, composition: Composition) -> tuple[str, Declared] | None:
    """The name of a folder's package and what it lists; None when only a build would tell."""
    from ..project.pyproject import FILE, read_pyproject
    from ..solver.open_model import Declared

    folder = composition.project.root / entry.path
    found = read_pyproject(folder)
    if found is None or not found.name or "dependencies" in found.dynamic:
        return None
    version = tomllib.loads((folder / FILE).read_text(encoding="utf-8"))["project"].get("version")
    return found.name, Declared(
        version=version if isinstance(version, str) and _is_version(version) else "",
        requires=tuple(one.render() for one in found.dependencies),
        requires_python=found.requires_python,
        extras=tuple(
            (group.name, tuple(one.render() for one in group.entries)) for group in found.optional
        ),
    )


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def open_options(options: Options, prefer: tuple[tuple[str, str], ...]) -> OpenOptions:
    """The options of the requirements files. prefer: see `OpenOptions`."""
    from ..solver.open_model import OpenOptions

    every = {EVERYTHING} if options.pre else set()
    return OpenOptions(
        no_binary=frozenset(options.no_binary),
        only_binary=frozenset(options.only_binary),
        all_releases=frozenset(options.all_releases) | every,
        only_final=frozenset(options.only_final),
        prefer=prefer,
    )


def index_options(composition: Composition) -> IndexOptions:
    """What the requirements files say about indexes."""
    from ..index.pipconf import Setting
    from ..index.settings import IndexOptions

    options = composition.project.requirements.options
    index = options.index_url
    return IndexOptions(
        index_url=Setting(index.url.raw, index.origin.where) if index is not None else None,
        extra_index_urls=tuple(
            Setting(one.url.raw, one.origin.where) for one in options.extra_index_urls
        ),
        find_links=tuple(
            Setting(one.url.raw if one.url else one.path, one.origin.where)
            for one in options.find_links
        ),
        no_index=options.no_index,
        base=composition.project.root,
        trusted_hosts=options.trusted_hosts,
    )


def with_copies(sources: Sources) -> Sources:
    """The indexes, with what is known of those that a framework has for itself.

    They hold old copies of much that the framework needs.
    """
    copies = frozenset(one for one in sources.extra if is_framework_index(one.url))
    return replace(sources, copies=copies) if copies else sources


def stated_by(composition: Composition) -> tuple[Stated, ...]:
    """What the project's pyproject.toml says of releases, in place of their own metadata."""
    pyproject = composition.project.pyproject
    return pyproject.stated if pyproject is not None else ()


def ask_data(ask: Ask, composition: Composition) -> list[Any]:
    """What of a line a lock depends on.

    Raises UserError for a local file that cannot be read.
    """
    content = ""
    if ask.kind in ("wheel", "sdist"):
        try:
            body = (composition.project.root / ask.path).read_bytes()
        except OSError as error:
            message = f"{ask.path} cannot be read: {error.strerror}"
            raise UserError(Fault(message, ask.origin)) from None
        content = hashlib.sha256(body).hexdigest()
    declared = ask.declared
    return [
        ask.name,
        ask.specifier,
        list(ask.extras),
        ask.marker,
        ask.kind,
        # Without the credentials: another token asks for the same.
        redact(ask.url),
        ask.path,
        sorted(ask.hashes),
        ask.constraint,
        ask.editable,
        [list(declared.requires), declared.requires_python, repr(declared.extras)]
        if declared
        else [],
        content,
    ]


def option_data(options: Options) -> list[Any]:
    """What of the options a lock depends on."""
    links = [one.url.display if one.url else one.path for one in options.find_links]
    return [
        options.index_url.url.display if options.index_url else "",
        [one.url.display for one in options.extra_index_urls],
        options.no_index,
        links,
        list(options.no_binary),
        list(options.only_binary),
        list(options.all_releases),
        list(options.only_final),
        options.pre,
    ]
