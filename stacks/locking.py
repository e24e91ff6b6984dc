"""A project and its lock: what goes into it, whether it is current, and making it anew.

`cogpack resolve` answers from the tables alone, without a network. `--lock` asks the package
indexes too and writes the lock; whatever builds then goes by the lock as long as it is current.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from ..compat.tables import Tables
from ..errors import Fault, UserError
from ..origin import Origin
from ..project.redact import redact
from ..solver.conflict import Conflict
from ..solver.policy import POLICIES, Policy
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from ..solver.universe import Universe
from .compose import Composition
from .solve import solved, universe_of

if TYPE_CHECKING:
    from ..index.settings import IndexOptions
    from ..project import Entry
    from ..project.requirement_model import Options
    from ..solver.lock import Lock
    from ..solver.loop import Question
    from ..solver.open_catalog import Catalog
    from ..solver.open_model import Ask, Declared, OpenOptions

__all__ = [
    "EVERYTHING",
    "Locked",
    "Relock",
    "fingerprint",
    "lock_project",
    "resolution_to_build",
]

EVERYTHING = ":all:"
"""In place of a package's name: all of them."""

# Packages that blocks install beside what the project asks for.
_RUNTIME = frozenset({"cog", "coglet"})

_RELOCK = "run cogpack resolve --lock"


@dataclass(frozen=True)
class Relock:
    """How a lock is made.

    upgrade: packages that are to move, or EVERYTHING; the others keep the version of the old lock
        where they can. exclude_newer: a day or a moment, ISO 8601; files uploaded at or after it do
        not exist. overrides: apply the table of known overrides. offline, refresh: of the cache.
    """

    upgrade: tuple[str, ...] = ()
    exclude_newer: str = ""
    overrides: bool = True
    offline: bool = False
    refresh: bool = False


@dataclass(frozen=True)
class Locked:
    """A lock that was made. changed: packages with another version than before, with both."""

    lock: Lock
    changed: tuple[tuple[str, str, str], ...]


def resolution_to_build(
    composition: Composition, *, locked: bool = False, told: Callable[[str], object] = print
) -> Resolution:
    """The versions to build with: those of the lock, when it is there and current.

    locked: a lock that is missing or stale is an error. told: takes a warning.

    Raises UserError when the lock cannot be read, and what `solved` raises.
    """
    from ..solver.lock import LOCK_FILE, read_lock

    lock = read_lock(composition.project.root)
    if lock is None:
        if locked:
            message = f"--locked needs {LOCK_FILE}, which is not there"
            raise UserError(Fault(message, Origin(LOCK_FILE), _RELOCK))
        return solved(composition)
    if lock.fingerprint == fingerprint(composition):
        return replace(lock.resolution, lock=lock)
    message = "the lock is stale: the project asks for something else than when it was locked"
    if locked:
        raise UserError(Fault(message, Origin(LOCK_FILE), _RELOCK))
    told(f"{LOCK_FILE}: {message}; building without it ({_RELOCK})")
    return solved(composition)


def lock_project(
    composition: Composition,
    relock: Relock,
    environ: Mapping[str, str],
    *,
    requirements: Iterable[Requirement] | None = None,
    universe: Callable[[frozenset[str]], Universe] | None = None,
    policy: Policy | None = None,
) -> Locked | Conflict:
    """Resolve the project in both worlds and write its lock.

    requirements, universe, policy: in place of the project's own, for what options add to it.

    Raises UserError, RetryableError or BuilderError when the project, the network or the disk is
    at fault.
    """
    from ..solver.lock import read_lock, write_lock
    from ..solver.loop import agree
    from ..solver.open_lock import lock_of

    moment = _moment(relock.exclude_newer)
    try:
        old = read_lock(composition.project.root)
    except UserError:
        old = None  # one that cannot be read is written anew
    wanted = tuple(composition.requirements if requirements is None else requirements)
    question = _question(
        composition,
        wanted,
        universe or (lambda roots: universe_of(composition, roots)),
        policy or POLICIES["newest"],
        relock,
        old,
    )
    with _catalog(composition, question.asks, relock, moment, environ) as catalog:
        outcome = agree(question, catalog)
        if isinstance(outcome, Conflict):
            return outcome
        warnings = [*outcome.resolution.warnings, *_compiled(outcome.compiled)]
        resolution = replace(outcome.resolution, warnings=tuple(warnings))
        lock = lock_of(
            replace(outcome, resolution=resolution),
            question,
            catalog,
            fingerprint(composition),
            exclude_newer=relock.exclude_newer,
        )
    write_lock(composition.project.root, lock)
    return Locked(lock, tuple(_changes(old, lock)))


def fingerprint(composition: Composition) -> str:
    """Of all that a lock depends on in the project; comments and the order of lines do not count.

    Raises UserError for a local file that cannot be read.
    """
    project = composition.project
    asks = sorted(_ask_data(ask, composition) for ask in _asks(composition))
    data = {
        "platform": composition.platform,
        "requirements": sorted({(one.package, one.specifier) for one in composition.requirements}),
        "asks": asks,
        "options": _option_data(project.requirements.options),
        "base": project.base_image.reference if project.base_image else "",
    }
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _question(
    composition: Composition,
    requirements: tuple[Requirement, ...],
    universe: Callable[[frozenset[str]], Universe],
    policy: Policy,
    relock: Relock,
    old: Lock | None,
) -> Question:
    from ..solver.loop import Question, settled_packages

    tables = Tables.load()
    settled = settled_packages(tables)
    upgraded = {canonicalize_name(name) if name != EVERYTHING else name for name in relock.upgrade}
    prefer, keep = _kept(old, upgraded, settled)
    return Question(
        requirements=requirements,
        universe=universe,
        asks=tuple(_asks(composition)),
        settled=settled,
        platform=composition.platform,
        policy=policy,
        options=_open_options(composition.project.requirements.options, prefer),
        overrides=tables.overrides if relock.overrides else (),
        keep=keep,
        upgrade=frozenset(upgraded - {EVERYTHING}),
    )


def _kept(
    old: Lock | None, upgraded: set[str], settled: frozenset[str]
) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Versions of the old lock to try first, and specifiers of the matrix to keep."""
    if old is None or EVERYTHING in upgraded:
        return (), ()
    prefer = tuple(
        (one.name, one.version)
        for one in old.packages
        if one.version and not one.is_direct and one.name not in {*upgraded, *settled}
    )
    images = old.resolution.base_images
    keep = {one.package: f"=={one.version}" for one in old.resolution}
    keep |= {"build-image": f"=={images.build.ref}", "runtime-image": f"=={images.runtime.ref}"}
    return prefer, tuple(sorted(item for item in keep.items() if item[0] not in upgraded))


def _asks(composition: Composition) -> Iterator[Ask]:
    from ..solver.open_model import Ask

    read = composition.project.requirements
    for entry in read.entries:
        yield _ask(entry, composition, constraint=False)
    for entry in read.constraints:
        yield _ask(entry, composition, constraint=True)
    for one in composition.requirements:
        if one.package in _RUNTIME and not one.origin.file.endswith(".txt"):
            yield Ask(one.origin, one.package, one.specifier)


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


def _open_options(options: Options, prefer: tuple[tuple[str, str], ...]) -> OpenOptions:
    from ..solver.open_model import OpenOptions

    every = {EVERYTHING} if options.pre else set()
    return OpenOptions(
        no_binary=frozenset(options.no_binary),
        only_binary=frozenset(options.only_binary),
        all_releases=frozenset(options.all_releases) | every,
        only_final=frozenset(options.only_final),
        prefer=prefer,
    )


def _index_options(composition: Composition) -> IndexOptions:
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


@contextmanager
def _catalog(
    composition: Composition,
    asks: tuple[Ask, ...],
    relock: Relock,
    moment: datetime | None,
    environ: Mapping[str, str],
) -> Iterator[Catalog]:
    from ..index.settings import find_sources, open_client
    from ..solver.open_catalog import Catalog

    options = _index_options(composition)
    sources = find_sources(environ, options)
    with open_client(
        environ, sources, offline=relock.offline, refresh=relock.refresh, options=options
    ) as client:
        yield Catalog(client, sources, asks, composition.project.root, environ, moment)


def _moment(text: str) -> datetime | None:
    """A day, that is its beginning, or a moment; UTC where it names no time zone."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"--exclude-newer {text!r} is no date"
        raise UserError(message, hint="write it as 2026-11-22 or 2026-11-22T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _compiled(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        yield f"{name} has no wheel that fits: it will be built in the image, with what is there"


def _changes(old: Lock | None, new: Lock) -> Iterator[tuple[str, str, str]]:
    before = {one.name: one.version for one in old.packages} if old is not None else {}
    after = {one.name: one.version for one in new.packages}
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield name, before.get(name, ""), after.get(name, "")


def _ask_data(ask: Ask, composition: Composition) -> list[Any]:
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


def _option_data(options: Options) -> list[Any]:
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
