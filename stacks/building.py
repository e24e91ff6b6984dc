"""What a lock's sdists and folders are built with, from one locking to the next and to a build."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import is_file
from .asks import EVERYTHING

if TYPE_CHECKING:
    from ..solver.lock import Lock
    from ..solver.loop import Agreement, Question
    from ..solver.open_build import Builds
    from ..solver.open_catalog import Catalog

__all__ = ["build_changes", "out_of_step", "relocked_builds", "unknown_builds"]


def relocked_builds(
    agreement: Agreement,
    question: Question,
    catalog: Catalog,
    old: Lock | None,
    moved: frozenset[str],
) -> Builds:
    """What builds the packages of an agreement, in the versions of the old lock where they do.

    moved: names that are to be as new as they can, or EVERYTHING.

    Raises what `locked_builds` raises.
    """
    from ..solver.open_build import locked_builds

    kept = old.builds if old is not None and EVERYTHING not in moved else ()
    return locked_builds(agreement, question, catalog, kept, moved)


def unknown_builds(lock: Lock) -> Iterator[str]:
    """What to tell of packages of which the lock does not say with what they are built.

    It is an older one, or they do not say it themselves.
    """
    known = {name for build in lock.builds for name in build.names}
    for one in lock.packages:
        if one.is_built and one.name not in known:
            yield (
                f"pylock.cogpack.toml does not say what {one.name} is built with: the build takes "
                "the newest that the index has (run cogpack resolve --lock)"
            )


def out_of_step(lock: Lock, root: Path, known: Container[str]) -> str:
    """Why a lock is stale though the project asks for the same; empty when it is not.

    root: the project's. known: paths that the project itself names: the fingerprint has these.
    """
    if otherwise := sorted(_rebuilt_otherwise(lock, root)):
        return f"{', '.join(otherwise)} is built with something else than when it was locked"
    if changed := sorted(_changed_files(lock, root, known)):
        return f"{', '.join(changed)} is not the file that was locked"
    return ""


def _rebuilt_otherwise(lock: Lock, root: Path) -> Iterator[str]:
    """Folders of the project that ask for other build requirements than the lock has noted.

    What comes as a file has a hash, and cannot have changed.
    """
    for build in lock.builds:
        for name, requires in build.requires:
            package = lock.by_name.get(name)
            if package is not None and package.kind == "directory":
                from ..index.buildsystem import build_system_of
                from ..index.metadata import MetadataError

                try:
                    now = build_system_of(root / package.path).noted
                except MetadataError:
                    now = ()
                if now != requires:
                    yield name


def _changed_files(lock: Lock, root: Path, known: Container[str]) -> Iterator[str]:
    """Files of the project, found in a folder of find-links, that are not what was locked."""
    pins = (pin for build in lock.builds for pin in build.packages)
    for one in (*lock.packages, *pins):
        if one.path and one.kind == "archive" and one.path not in known:
            algorithm, expected = one.hashes[0] if one.hashes else ("", "")
            if _digest(root / one.path, algorithm) != expected:
                yield one.path


def _digest(path: Path, algorithm: str) -> str:
    """The digest of a file; empty where there is none."""
    if not is_file(path):
        return ""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    except (OSError, ValueError):
        return ""


def build_changes(old: Lock | None, new: Lock) -> Iterator[tuple[str, str, str]]:
    """What packages are built with and its versions, before and after, where these differ."""
    before, after = _versions(old), _versions(new)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"{name} (builds)", before.get(name, ""), after.get(name, "")


def _versions(lock: Lock | None) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for build in lock.builds if lock is not None else ():
        for pin in build.packages:
            found.setdefault(pin.name, set()).add(pin.version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}
