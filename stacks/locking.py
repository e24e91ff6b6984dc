"""A project and its lock: what goes into it, whether it is current, and making it anew.

`cogpack resolve` answers from the tables alone, without a network. `--lock` asks the package
indexes too and writes the lock; whatever builds then goes by the lock as long as it is current.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from ..compat.tables import Tables
from ..errors import Fault, UserError
from ..origin import Origin
from ..solver.conflict import Conflict
from ..solver.policy import POLICIES, Policy
from ..solver.requirement import Requirement
from ..solver.resolution import Resolution
from ..solver.universe import Universe
from .asks import (
    EVERYTHING,
    ask_data,
    asks_of,
    index_options,
    open_options,
    option_data,
)
from .compose import Composition
from .solve import solved, universe_of

if TYPE_CHECKING:
    from ..solver.lock import Lock
    from ..solver.loop import Question
    from ..solver.open_catalog import Catalog
    from ..solver.open_model import Ask

__all__ = [
    "EVERYTHING",
    "Locked",
    "Relock",
    "fingerprint",
    "lock_project",
    "resolution_to_build",
]

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
    asks = sorted(ask_data(ask, composition) for ask in asks_of(composition))
    data = {
        "platform": composition.platform,
        "requirements": sorted({(one.package, one.specifier) for one in composition.requirements}),
        "asks": asks,
        "options": option_data(project.requirements.options),
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
        asks=tuple(asks_of(composition)),
        settled=settled,
        platform=composition.platform,
        policy=policy,
        options=open_options(composition.project.requirements.options, prefer),
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

    options = index_options(composition)
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
