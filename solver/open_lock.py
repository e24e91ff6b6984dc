"""From an agreement to a lock: each package with its file, hash and index."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from hashlib import file_digest
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import Fault, UserError
from ..index.http import OversizedError
from ..index.location import display
from ..index.page import File
from .lock import Lock, LockedPackage
from .lock_options import LockOptions
from .loop import Agreement, Question
from .open_catalog import Catalog, Offer
from .open_resolve import Settled

__all__ = ["hash_fault", "hashes_of", "lock_of", "outside_fault", "path_in_project"]

# Hash algorithms that installers accept for a lock.
_STRONG = frozenset({"sha256", "sha384", "sha512"})

# Bytes of a file that is fetched because its index announces no hash.
_HASHED_BYTES = 1 << 30


def lock_of(
    agreement: Agreement,
    question: Question,
    catalog: Catalog,
    fingerprint: str,
    *,
    exclude_newer: str = "",
    options: LockOptions | None = None,
) -> Lock:
    """The lock of what both worlds agreed on.

    A file whose index announces no hash is fetched to find it; of one whose index announces no
    size the server is asked, for layers are planned by it.
    options: what was asked for beside the project.

    Raises UserError with each file whose hash cannot be had, and what the index client raises.
    """
    _ask_sizes(agreement.solution.packages, catalog)
    packages = []
    faults = []
    for one in agreement.solution.packages:
        if fault := outside_fault(one.offer, catalog):
            faults.append(fault)
            continue
        try:
            packages.append(_package(one, question, catalog))
        except OversizedError:
            faults.append(hash_fault(one.offer))
    if faults:
        raise UserError(faults)
    return Lock(
        packages=tuple(sorted(packages)),
        resolution=agreement.resolution,
        fingerprint=fingerprint,
        platform=question.platform,
        machine=question.machine,
        corrections=tuple(one.text for one in agreement.corrections if one.kept),
        exclude_newer=exclude_newer,
        options=options or LockOptions(),
    )


def _package(one: Settled, question: Question, catalog: Catalog) -> LockedPackage:
    ask = one.offer.ask
    is_matrix = one.name in question.settled
    if ask is not None and ask.kind == "folder":
        return LockedPackage(
            one.name,
            ask.declared.version if ask.declared else "",
            "directory",
            path=ask.path,
            requires=one.requires,
            extras=one.extras,
            editable=ask.editable,
        )
    file = one.offer.file
    hashes = hashes_of(one.offer, catalog)
    path = ask.path if ask is not None else path_in_project(file, catalog)
    if ask is None and not path:
        return LockedPackage(
            one.name,
            str(one.version),
            file.kind,
            filename=file.filename,
            url=file.url,
            hashes=hashes,
            size=_size(one.offer, catalog),
            index=one.offer.index,
            requires=one.requires,
            extras=one.extras,
            is_matrix=is_matrix,
        )
    return LockedPackage(
        one.name,
        str(one.version),
        "archive",
        filename=unquote(urlsplit(file.url).path.rpartition("/")[2]),
        url="" if path else display(file.url),
        path=path or "",
        hashes=hashes,
        size=_size(one.offer, catalog),
        requires=one.requires,
        extras=one.extras,
        is_matrix=is_matrix,
    )


def _ask_sizes(packages: Iterable[Settled], catalog: Catalog) -> None:
    """Ask for all at once what `_size` then asks one by one."""
    asked = [one.offer for one in packages if one.offer.ask is None or one.offer.ask.kind == "url"]
    catalog.client.start(partial(_size, offer, catalog) for offer in asked)


def _size(offer: Offer, catalog: Catalog) -> int | None:
    if offer.file.size is not None:
        return offer.file.size
    location = catalog.location_of(offer.ask) if offer.ask is not None else None
    return catalog.client.size(offer.file, location)


def hashes_of(offer: Offer, catalog: Catalog) -> tuple[tuple[str, str], ...]:
    """The hashes of an offer's file that installers accept, as (algorithm, hex digest).

    Raises OversizedError when there are none and the file is too large to fetch, and what the
    index client raises.
    """
    file = offer.file
    known = tuple(one for one in file.hashes if one[0] in _STRONG)
    if known:
        return known
    if file.url.startswith("file:"):
        with _local(file).open("rb") as opened:
            return (("sha256", file_digest(opened, "sha256").hexdigest()),)
    location = catalog.location_of(offer.ask) if offer.ask is not None else None
    return (("sha256", catalog.client.sha256(file, location, limit=_HASHED_BYTES)),)


def path_in_project(file: File, catalog: Catalog) -> str | None:
    """Where in the project a file of this machine is, as one of a `find-links` folder.

    None when it is outside; empty for a file of a server.
    """
    if not file.url.startswith("file:"):
        return ""
    root = catalog.root.resolve()
    path = _local(file).resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else None


def outside_fault(offer: Offer, catalog: Catalog) -> Fault | None:
    """The fault of a file that no image can have; None when there is none."""
    if not offer.files or path_in_project(offer.file, catalog) is not None:
        return None
    message = f"{offer.file.filename} is outside the project, and the image cannot have it"
    return Fault(message, hint="copy it into the project, in the place of a link to it")


def _local(file: File) -> Path:
    return Path(unquote(urlsplit(file.url).path))


def hash_fault(offer: Offer) -> Fault:
    """The fault of a file for which `hashes_of` raises OversizedError."""
    message = f"no hash is known of {offer.file.filename}, which is too large to fetch"
    origin = offer.ask.origin if offer.ask else None
    hint = "take it from an index that announces hashes, or write #sha256=… behind its URL"
    return Fault(message, origin, hint)
