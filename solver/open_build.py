"""Pins what builds the packages that a lock has as no wheel: their build requirements, closed.

Nothing is built to find out. Each package gets what it would get alone, under the target of the
whole; those that do not disagree share one environment. A package's own metadata and what is
installed beside it have no say, but for the matrix: what is built against torch is built against
the torch that is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from ..errors import Fault, UserError
from ..index.buildsystem import BuildSystem, build_system_of, without_credential
from ..index.http import OversizedError
from ..index.location import display
from ..index.metadata import MetadataError
from ..origin import Origin
from .lock_builds import LockedBuild
from .lock_package import LockedPackage
from .loop import Agreement, Question
from .open_catalog import Catalog, View, limitations
from .open_lock import hash_fault, hashes_of, outside_fault, path_in_project
from .open_model import Ask, OpenOptions
from .open_provider import UNUSABLE
from .open_resolve import OpenFailure, OpenSolution, Settled, resolve_open

__all__ = ["Builds", "locked_builds"]

# setuptools asks for wheel while it builds until this release, which has a bdist_wheel of its own.
_WITHOUT_WHEEL = Version("70.1")

# Of get_requires_for_build_editable in hatchling/build.py.
_EDITABLE = {"hatchling.build": ("editables~=0.3",)}

# Reasons why single releases are of no use that a message tells.
_TOLD = 3


@dataclass(frozen=True)
class Builds:
    """What was pinned. warnings: of packages, or requirements, of which it could not be."""

    builds: tuple[LockedBuild, ...] = ()
    warnings: tuple[str, ...] = ()


def locked_builds(
    agreement: Agreement,
    question: Question,
    catalog: Catalog,
    old: Sequence[LockedBuild] = (),
    moved: frozenset[str] = frozenset(),
) -> Builds:
    """What builds the packages of an agreement that come as no wheel.

    old: of the lock before: its versions are tried first. moved: names for which they are not.

    Raises UserError with each package of which no index has what builds it, or not in versions
    that it takes, and what the index client raises.
    """
    built = [one for one in agreement.solution.packages if _is_built(one)]
    pinner = _Pinner(agreement, question, catalog, old, moved)
    pinner.read_ahead(built)
    found = [pinner.build(one) for one in built]
    if pinner.faults:
        raise UserError(pinner.faults)
    return Builds(_shared(filter(None, found)), tuple(pinner.warnings))


def _is_built(one: Settled) -> bool:
    return not one.offer.files or one.offer.is_sdist


def _shared(builds: Iterable[LockedBuild]) -> tuple[LockedBuild, ...]:
    """As few environments as the versions allow, each package in the first that suits it."""
    shared: list[LockedBuild] = []
    for build in builds:
        for number, other in enumerate(shared):
            if _agree(build, other):
                shared[number] = LockedBuild(
                    tuple(sorted({*other.requires, *build.requires})),
                    tuple(sorted({*other.packages, *build.packages})),
                )
                break
        else:
            shared.append(build)
    return tuple(shared)


def _agree(one: LockedBuild, other: LockedBuild) -> bool:
    pins = {pin.name: pin for pin in other.packages}
    return all(pins.get(pin.name, pin) == pin for pin in one.packages)


class _Pinner:
    """Pins one package after another; collects what it cannot."""

    def __init__(
        self,
        agreement: Agreement,
        question: Question,
        catalog: Catalog,
        old: Sequence[LockedBuild],
        moved: frozenset[str],
    ) -> None:
        self.faults: list[Fault] = []
        self.warnings: list[str] = []
        self._agreement = agreement
        self._question = question
        # Hashes in the user's lines are of what is installed.
        self._catalog = replace(catalog, asks=())
        self._old = old
        self._moved = moved
        self._fixed = {
            choice.package: Version(choice.version)
            for choice in agreement.resolution
            if choice.package in question.settled
        }

    def read_ahead(self, built: Iterable[Settled]) -> None:
        """Fetch side by side what `build` then reads one by one."""
        self._catalog.client.start(partial(self._system, one) for one in built if one.offer.files)

    def build(self, one: Settled) -> LockedBuild | None:
        """What builds a package; None when that is not known."""
        try:
            system = self._system(one)
            solution = self._closed(one, system)
        except MetadataError as error:
            self._warn(one, str(error))
            return None
        except InvalidRequirement:
            self._warn(one, "one of its build requirements is malformed")
            return None
        if solution is None:
            return None
        pins = tuple(filter(None, (self._pin(one, pin) for pin in solution.packages)))
        return LockedBuild(((one.name, system.noted),), pins)

    def _warn(self, one: Settled, what: str) -> None:
        self.warnings.append(f"what {_shown(one)} is built with is not locked: {what}")

    def _system(self, one: Settled) -> BuildSystem:
        offer = one.offer
        if not offer.files:
            assert offer.ask is not None  # noqa: S101  # a folder is always the user's own
            return build_system_of(self._catalog.root / offer.ask.path)
        if offer.ask is not None:
            location = self._catalog.location_of(offer.ask)
            return self._catalog.client.build_system(offer.file, location)
        return self._agreement.index.build_system(one.name, offer.file)

    def _closed(self, one: Settled, system: BuildSystem) -> OpenSolution | None:
        """All that a build needs, what builds that where it is built itself included."""
        wanted = list(self._asks(one, system.requires))
        ask = one.offer.ask
        editable = _EDITABLE.get(system.backend, ()) if ask and ask.editable else ()
        asked = list(self._asks(one, (*system.asked, *editable), quiet=True))
        looked_at: set[str] = set()
        while True:
            outcome = self._resolved(one, wanted, asked)
            if isinstance(outcome, OpenFailure):
                self.faults.append(self._fault(one, wanted, outcome))
                return None
            fresh = [
                pin for pin in outcome.packages if _is_built(pin) and pin.name not in looked_at
            ]
            asks_for_wheel = "wheel" not in looked_at and any(
                pin.name == "setuptools" and pin.version < _WITHOUT_WHEEL
                for pin in outcome.packages
            )
            if not fresh and not asks_for_wheel:
                return outcome
            if asks_for_wheel:
                looked_at.add("wheel")
                asked += self._asks(one, ("wheel",), quiet=True)
            for pin in fresh:
                looked_at.add(pin.name)
                inner = self._system(pin)
                wanted += self._asks(pin, inner.requires)
                asked += self._asks(pin, inner.asked, quiet=True)

    def _asks(self, one: Settled, lines: Iterable[str], *, quiet: bool = False) -> Iterator[Ask]:
        """Build requirements as the open world takes them; what it cannot take is told.

        quiet: they are guesses, of which nobody needs to know.
        """
        for line in lines:
            try:
                read = Requirement(line)
            except InvalidRequirement:
                if quiet:
                    continue
                raise
            ask = Ask(
                Origin(asker=_shown(one), text=without_credential(line)),
                canonicalize_name(read.name),
                str(read.specifier),
                tuple(sorted(map(canonicalize_name, read.extras))),
                str(read.marker) if read.marker is not None else "",
                _kind(read.url),
                read.url or "",
            )
            if limitations([ask]) or ask.url.startswith("file:"):
                if not quiet:
                    self._warn(one, f"{ask.text} is no archive that can be fetched")
            else:
                yield ask

    def _resolved(
        self, one: Settled, wanted: Sequence[Ask], asked: Sequence[Ask]
    ) -> OpenSolution | OpenFailure:
        """The versions; without what is merely asked for, or the matrix, where there is no way."""
        failure = None
        for fixed, compiled in ((self._fixed, False), ({}, False), ({}, True)):
            view = self._view(one, compiled=compiled)
            for lines in ((*wanted, *asked), wanted) if asked else (wanted,):
                outcome = resolve_open(view, lines, fixed)
                if isinstance(outcome, OpenSolution):
                    return outcome
                assert isinstance(outcome, OpenFailure)  # noqa: S101  # nothing is fixed as absent
                failure = outcome
        assert failure is not None  # noqa: S101  # the loop has run
        return failure

    def _view(self, one: Settled, *, compiled: bool) -> View:
        options = OpenOptions(prefer=self._preferred(one), compile=compiled)
        return View(self._catalog, self._agreement.index, self._agreement.target, options)

    def _preferred(self, one: Settled) -> tuple[tuple[str, str], ...]:
        """Versions of the old lock: of the package's own environment, else of the others."""
        ordered = sorted(self._old, key=lambda build: one.name in build.names)
        found = {pin.name: pin.version for build in ordered for pin in build.packages}
        return tuple(sorted(item for item in found.items() if item[0] not in self._moved))

    def _pin(self, one: Settled, pin: Settled) -> LockedPackage | None:
        offer = pin.offer
        if fault := outside_fault(offer, self._catalog):
            self.faults.append(fault)
            return None
        path = path_in_project(offer.file, self._catalog)
        try:
            hashes = hashes_of(offer, self._catalog)
        except OversizedError:
            self.faults.append(hash_fault(offer))
            return None
        return LockedPackage(
            pin.name,
            str(pin.version),
            "archive",
            filename=offer.file.filename,
            url="" if path else display(offer.file.url) if offer.ask else offer.file.url,
            path=path or "",
            hashes=hashes,
            index="" if path else offer.index,
        )

    def _fault(self, one: Settled, wanted: Sequence[Ask], failure: OpenFailure) -> Fault:
        names = sorted({*failure.names, *failure.last} - {UNUSABLE})
        missing = [name for name in names if self._agreement.index.page(name) is None]
        if missing:
            why = f"no index has {', '.join(missing)}, with which it is built"
        else:
            why = f"no versions meet what it is built with: {', '.join(ask.text for ask in wanted)}"
            why += "".join(f"; {reason}" for reason in failure.reasons[:_TOLD])
        if self._catalog.exclude_newer is not None:
            why += f" (files of {self._catalog.exclude_newer.isoformat()} or later do not count)"
        lines = (ask for ask in self._question.asks if ask.name == one.name and not ask.constraint)
        origin = next((ask.origin for ask in lines), None)
        hint = "name an index that has it"
        if one.offer.files:
            hint += f", or make a wheel (pip wheel {one.name}=={one.version}), put it into the "
            hint += "project and name it in the requirements"
        return Fault(f"{_shown(one)} is built in the image, and {why}", origin, hint)


def _shown(one: Settled) -> str:
    return f"{one.name} {one.version}" if one.offer.files else one.name


def _kind(url: str | None) -> Literal["index", "url", "vcs"]:
    if not url:
        return "index"
    return "vcs" if "+" in url.partition("://")[0] else "url"
