"""From an agreement to a lock: each package with its file, hash and index."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
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

__all__ = ["lock_of"]

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
        try:
            packages.append(_package(one, question, catalog))
        except OversizedError:
            message = f"no hash is known of {one.offer.file.filename}, which is too large to fetch"
            origin = one.offer.ask.origin if one.offer.ask else None
            hint = "take it from an index that announces hashes, or write #sha256=… behind its URL"
            faults.append(Fault(message, origin, hint))
    if faults:
        raise UserError(faults)
    return Lock(
        packages=tuple(sorted(packages)),
        resolution=agreement.resolution,
        fingerprint=fingerprint,
        platform=question.platform,
        machine=question.machine,
        corrections=tuple(one.text for one in agreement.corrections),
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
    hashes = _hashes(file, one.offer, catalog)
    if ask is None:
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
        url=display(file.url) if ask.kind == "url" else "",
        path=ask.path,
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


def _hashes(file: File, offer: Offer, catalog: Catalog) -> tuple[tuple[str, str], ...]:
    known = tuple(one for one in file.hashes if one[0] in _STRONG)
    if known:
        return known
    location = catalog.location_of(offer.ask) if offer.ask is not None else None
    return (("sha256", catalog.client.sha256(file, location, limit=_HASHED_BYTES)),)
