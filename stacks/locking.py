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
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from ..blocks.uv_tool import tool_hashes
from ..compat.tables import Tables
from ..errors import Fault, UserError
from ..origin import Origin
from ..solver.conflict import Conflict
from ..solver.resolution import BaseImages, Resolution
from ..solver.universe import BUILD_IMAGE, RUNTIME_IMAGE
from .asks import (
    EVERYTHING,
    ask_data,
    asks_of,
    index_options,
    open_options,
    option_data,
    stated_by,
    uv_locked,
    with_copies,
)
from .building import build_changes, out_of_step, relocked_builds, unknown_builds
from .compose import Composition
from .pinning import BASE_IMAGE, TOOLS_IMAGE, images_of, pinned_images, unhashed, unpinned
from .said import Said
from .solve import policy_of, requirements_of, solved, universe_of
from .unexpanded import unexpanded
from .unknown import ProjectIndexes
from .uv_sizes import asked_sizes

if TYPE_CHECKING:
    from ..solver.lock import Lock
    from ..solver.loop import Question
    from ..solver.open_catalog import Catalog
    from ..solver.open_model import Ask
    from ..solver.silent import MetadataSource

__all__ = [
    "EVERYTHING",
    "Locked",
    "Relock",
    "fingerprint",
    "load_as_locked",
    "load_to_lock",
    "lock_project",
    "resolution_to_build",
]

_RELOCK = "run cogpack resolve --lock"
_PIN = "run cogpack resolve --upgrade base_image"

# The tables do not know when a Python or an image was released.
_UNDATED = (
    "--exclude-newer is about files of package indexes: Python, CUDA and the base image are as new "
    "as the tables have them"
)


@dataclass(frozen=True)
class Relock:
    """How a lock is made.

    upgrade: packages that are to move, or EVERYTHING; the others keep the version of the old lock
        where they can. BASE_IMAGE and `build-image` stand for digests, see `pinning`.
    exclude_newer: a day or a moment, ISO 8601; files uploaded at or after it do not exist.
    offline, refresh: of the cache.
    """

    upgrade: tuple[str, ...] = ()
    exclude_newer: str = ""
    offline: bool = False
    refresh: bool = False

    @property
    def moved(self) -> frozenset[str]:
        """What is to move, with normalised names."""
        return frozenset(
            name if name == EVERYTHING else canonicalize_name(name) for name in self.upgrade
        )


@dataclass(frozen=True)
class Locked:
    """A lock that was made.

    changed: packages with another version than before, with both; images with another digest.
    warnings: of an old lock that could not be read, of indexes that were left out, of digests that
        could not be had, and such; the lock does not hold these.
    """

    lock: Lock
    changed: tuple[tuple[str, str, str], ...]
    warnings: tuple[str, ...] = ()


def load_as_locked(root: Path, said: Said) -> Composition:
    """The project under what was said, and for the rest under the options of its lock.

    Raises UserError when the lock cannot be read, and what `load` raises.
    """
    from ..solver.lock import read_lock

    return said.composition(root, read_lock(root))


def load_to_lock(root: Path, said: Said) -> Composition:
    """As `load_as_locked`, but a lock that cannot be read counts as none: it is written anew."""
    return said.composition(root, _old_lock(root, []))


def resolution_to_build(
    composition: Composition,
    *,
    locked: bool = False,
    told: Callable[[str], object] = print,
    source: MetadataSource | None = None,
) -> Resolution:
    """The versions to build with: those of the lock, when it is there and current.

    locked: a lock that is missing or stale is an error. told: takes a warning.
    source: see `solve`; it is not asked when the lock is current.

    Raises UserError when the lock cannot be read, and what `solved` raises.
    """
    from ..solver.lock import LOCK_FILE, read_lock

    lock = read_lock(composition.project.root)
    if lock is None:
        if locked:
            message = "--locked needs the lock, which is not there"
            raise UserError(Fault(message, Origin(LOCK_FILE), _RELOCK))
        return solved(composition, source=source)
    reason = _staleness(lock, composition)
    if not reason:
        for ref in unpinned(images_of(lock.resolution)):
            told(
                f"{LOCK_FILE} has no digest of {ref}: the build takes what the tag names now "
                f"({_PIN})"
            )
        for message in unknown_builds(lock):
            told(message)
        return replace(lock.resolution, lock=lock)
    message = f"the lock is stale: {reason}"
    again = " ".join((_RELOCK, *_words(composition, lock)))
    if locked:
        raise UserError(Fault(message, Origin(LOCK_FILE), again))
    told(f"{LOCK_FILE}: {message}; building without it ({again})")
    return solved(composition, source=source)


def _staleness(lock: Lock, composition: Composition) -> str:
    """Why the lock is not for this question; empty when it is."""
    differing = [
        f"it was made with {theirs}, and {own} is asked for"
        for own, theirs in composition.options.differences(lock.options)
    ]
    if composition.platform != lock.platform:
        differing.insert(
            0, f"it is for --platform {lock.platform}, and {composition.platform} is asked for"
        )
    if differing:
        return "; ".join(differing)
    if lock.fingerprint != fingerprint(composition):
        return "the project asks for something else than when it was locked"
    own = {entry.path for entry in composition.project.requirements.entries}
    if otherwise := out_of_step(lock, composition.project.root, own):
        return otherwise
    lacking = sorted(_asked_names(composition) - {*lock.by_name, *_matrix_names(lock)})
    return f"it lacks {', '.join(lacking)}" if lacking else ""


def _asked_names(composition: Composition) -> set[str]:
    """Packages that a lock has whatever else it has, so that one from which lines went is found."""
    asks = asks_of(composition)
    images = {BUILD_IMAGE, RUNTIME_IMAGE}
    found = {
        *(ask.name for ask in asks if ask.name and not ask.constraint and not ask.marker),
        *(one.package for one in composition.requirements if not one.origin.file),
    }
    return found - images


def _matrix_names(lock: Lock) -> set[str]:
    return {one.package for one in lock.resolution}


def _words(composition: Composition, lock: Lock) -> Iterator[str]:
    """Options that a new lock has to be made with, for it to be another one than this."""
    if composition.platform != lock.platform:
        yield f"--platform {composition.platform}"
    for own, _ in composition.options.differences(lock.options):
        yield own if own.startswith("--") else f"{own.removeprefix('no ')}="


def lock_project(
    composition: Composition, relock: Relock, environ: Mapping[str, str]
) -> Locked | Conflict:
    """Resolve the project in both worlds and write its lock.

    Raises UserError, RetryableError or BuilderError when the project, the network or the disk is
    at fault.
    """
    from ..registry.lookup import Registries
    from ..solver.lock import write_lock
    from ..solver.loop import agree
    from ..solver.loop_report import page_notes
    from ..solver.open_lock import lock_of

    moment = _moment(relock.exclude_newer)
    told: list[str] = []
    old = _old_lock(composition.project.root, told)
    source = ProjectIndexes(
        composition,
        environ,
        offline=relock.offline,
        refresh=relock.refresh,
        exclude_newer=moment,
    )
    question = replace(_question(composition, relock, old), source=source)
    with _catalog(composition, question.asks, relock, moment, environ) as catalog:
        told += catalog.sources.notes
        outcome = agree(question, catalog)
        if isinstance(outcome, Conflict):
            return outcome
        told += page_notes((one.name for one in outcome.solution.packages), catalog)
        told += [_UNDATED] if moment is not None else []
        with Registries(environ, offline=relock.offline) as registries:
            pinned = pinned_images(
                images_of(outcome.resolution),
                old.resolution.base_images if old else None,
                relock.moved,
                lambda ref, moving: registries.digest(ref, refresh=moving or relock.refresh),
            )
        resolution = replace(
            outcome.resolution,
            base_images=pinned.images,
            warnings=(*outcome.resolution.warnings, *_compiled(outcome.compiled)),
        )
        lock = lock_of(
            replace(outcome, resolution=resolution),
            question,
            catalog,
            fingerprint(composition),
            exclude_newer=relock.exclude_newer,
            options=composition.options,
        )
        builds = relocked_builds(outcome, question, catalog, old, relock.moved)
        lock = replace(lock, builds=builds.builds)
        told += builds.warnings
        beside = uv_locked(composition)
        if beside is not None:
            lock = lock.without((one.name for one in beside), "uv.lock")
            sizes = asked_sizes(composition, resolution, catalog.client, old.sizes if old else {})
            lock = replace(lock, sizes=sizes)
    lock = replace(lock, tools=tool_hashes(resolution))
    told += unhashed(resolution, lock.tools)
    lock = unexpanded(lock, composition.project.requirements.options, environ)
    write_lock(composition.project.root, lock)
    told += _unmoved(relock, old, lock)
    return Locked(lock, tuple(_changes(old, lock)), (*told, *pinned.warnings))


def _old_lock(root: Path, told: list[str]) -> Lock | None:
    """The lock of a folder; None for one that cannot be read, of which `told` gets to know."""
    from ..solver.lock import read_lock

    try:
        return read_lock(root)
    except UserError as error:
        told.append(f"{error.faults[0]}; it is made anew, without its versions and options")
        return None


def _unmoved(relock: Relock, old: Lock | None, new: Lock) -> Iterator[str]:
    """Names that were to move and that nothing has."""
    known = {BASE_IMAGE, BUILD_IMAGE, RUNTIME_IMAGE, EVERYTHING}
    for lock in filter(None, (old, new)):
        known |= {*lock.by_name, *(canonicalize_name(one.package) for one in lock.resolution)}
        known |= {pin.name for build in lock.builds for pin in build.packages}
    for name in sorted(relock.moved - known):
        where = f", or {new.beside} has it and uv moves it" if new.beside else ""
        yield f"--upgrade {name} moved nothing: the lock has no package of that name{where}"


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
        "asked": dict(composition.options.data),
        "stated": sorted(map(repr, stated_by(composition))),
    }
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _question(composition: Composition, relock: Relock, old: Lock | None) -> Question:
    from ..solver.loop import Question, settled_packages
    from ..solver.matrix import own_names

    tables = Tables.load()
    settled = settled_packages(tables)
    upgraded = relock.moved - {BASE_IMAGE, BUILD_IMAGE}
    prefer, keep = _kept(old, upgraded, settled)
    return Question(
        requirements=requirements_of(composition),
        universe=lambda roots: universe_of(composition, roots),
        asks=tuple(asks_of(composition)),
        settled=settled,
        platform=composition.platform,
        policy=policy_of(composition),
        options=open_options(composition.project.requirements.options, prefer),
        overrides=tables.overrides if composition.options.overrides else (),
        keep=keep,
        upgrade=upgraded - {EVERYTHING},
        own=own_names(tables),
    )


def _kept(
    old: Lock | None, upgraded: frozenset[str], settled: frozenset[str]
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
    sources = with_copies(find_sources(environ, options))
    with open_client(
        environ, sources, offline=relock.offline, refresh=relock.refresh, options=options
    ) as client:
        yield Catalog(
            client,
            sources,
            asks,
            composition.project.root,
            environ,
            moment,
            stated=stated_by(composition),
        )


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
    yield from build_changes(old, new)
    if old is not None:
        yield from _moved_images(old.resolution.base_images, new.resolution.base_images)


def _moved_images(old: BaseImages, new: BaseImages) -> Iterator[tuple[str, str, str]]:
    for before, after, name in (
        (old.runtime, new.runtime, BASE_IMAGE),
        (old.build, new.build, BUILD_IMAGE),
        (old.tools, new.tools, TOOLS_IMAGE),
    ):
        if before and after and before.ref == after.ref and before.digest != after.digest:
            yield name, before.digest, after.digest
