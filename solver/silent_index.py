"""Facts of releases that no table has, read from the package index: a `MetadataSource`.

It is for a command that somebody waits for: what needs the network is asked for side by side, once,
and whatever has not come within a few seconds counts as not known. What a release's metadata mean
is `silent_rows`' subject.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

from msgspec import structs
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from ..compat.rows import CompanionBuild
from ..compat.tables import Tables
from ..compat.updater.metadata import VARIANT
from ..compat.updater.wheels import Build, builds
from ..errors import Failure
from ..index.indexset import IndexSet
from ..index.metadata import NoMetadata
from ..index.page import File, Page
from ..origin import Origin
from .matrix import architecture_of, build_universe
from .requirement import Requirement
from .silent import Found, Unread
from .silent_model import COMPANIONS, Release, Rows, table_of
from .silent_pages import absent, chosen, local_of, metadata_of, pages_of, table_index
from .silent_rows import Writer
from .silent_wait import Awaited
from .universe import Candidate, Universe

__all__ = ["IndexMetadata"]

# A release asks for another one, and that for a third: torchvision, torch, triton.
_ROUNDS = 4

_INDEX = re.compile(r"^package index \S+: ")

_FROM_INDEX = "its facts were read from its metadata on the index"
_REFRESH = "refresh the tables with cogpack compat update"


@dataclass(frozen=True)
class _Read:
    """What came of one requirement: rows of releases, or why there are none.

    notes: of releases, by package and public version, what their authors say.
    """

    rows: tuple[Rows, ...] = ()
    releases: tuple[tuple[str, str], ...] = ()
    reason: str = ""
    notes: Mapping[tuple[str, str], str] = field(default_factory=dict)


class IndexMetadata:
    """Reads what the tables do not know from the indexes of a project.

    opened: opens the indexes; nothing is opened before something is unknown.
    patience: seconds for all that one call of `find` reads.
    """

    def __init__(
        self,
        tables: Tables,
        platform: str,
        opened: Callable[[], AbstractContextManager[IndexSet]],
        *,
        patience: float,
    ) -> None:
        self._tables = tables
        self._platform = platform
        self._architecture = architecture_of(tables, platform)
        self._writer = Writer(tables, self._architecture)
        self._opened = opened
        self._patience = patience
        self._read: dict[tuple[str, str], _Read] = {}
        self._found: dict[tuple[object, ...], tuple[Candidate, ...]] = {}

    def find(
        self, unknown: Sequence[Requirement], asked: Sequence[Requirement], universe: Universe
    ) -> Found:
        """See `MetadataSource`."""
        readable = [one for one in unknown if table_of(self._tables, one.package)]
        if not readable:
            return Found(unread=tuple(map(Unread, unknown)))
        wishes = self._gather(readable, asked, universe)
        unread = [Unread(one) for one in unknown if one not in readable]
        unread += [
            Unread(one, read.reason)
            for one in wishes
            if (read := self._read[_key(one)]).reason and one.package in universe
        ]
        keys = sorted({_key(one) for one in wishes if self._read[_key(one)].rows})
        named = frozenset(_key(one) for one in readable)
        question = (tuple(keys), named, frozenset(universe.packages))
        if question not in self._found:
            self._found[question] = tuple(self._candidates(keys, named, universe))
        return Found(self._found[question], tuple(unread))

    # Reading

    def _gather(
        self, readable: Sequence[Requirement], asked: Sequence[Requirement], universe: Universe
    ) -> list[Requirement]:
        """Read what is unknown and what that needs in turn; everything that was asked for."""
        deadline = time.monotonic() + self._patience
        wishes: dict[tuple[str, str], Requirement] = {}
        fresh = list(readable)
        for _ in range(_ROUNDS):
            fresh = [one for one in fresh if _key(one) not in wishes]
            if not fresh:
                break
            wishes |= {_key(one): one for one in fresh}
            self._read_all([one for one in fresh if _key(one) not in self._read], deadline)
            rows = {key: self._read[key].rows for key in wishes}
            fresh = list(self._needs(rows, set(map(_key, readable)), asked, universe))
        return list(wishes.values())

    def _read_all(self, wishes: Sequence[Requirement], deadline: float) -> None:
        """Read side by side, on threads that a network without an answer cannot hold up."""
        if not wishes:
            return
        answers: list[Awaited[_Read]] = []

        def run() -> None:
            with self._opened() as index:
                answers.extend(
                    Awaited(partial(self._release_of, wish, index, deadline)) for wish in wishes
                )
                for one in answers:
                    one.wait(deadline)

        whole = Awaited(run)
        whole.wait(deadline)
        late = f"the index did not answer within {self._patience:g} s"
        for number, wish in enumerate(wishes):
            answer = answers[number] if number < len(answers) else None
            if answer is not None:
                answer.wait(deadline)
            read = answer.value if answer is not None else None
            failure = answer.failure if answer is not None else whole.failure
            reason = _unreached(failure) if failure is not None else late
            self._read[_key(wish)] = read or _Read(reason=reason)

    def _release_of(self, wish: Requirement, index: IndexSet, deadline: float) -> _Read:
        package, specifier = wish.package, SpecifierSet(wish.specifier)
        local = local_of(specifier)
        is_built_by_variant = package in {"torch", *COMPANIONS}
        url = self._writer.index_of(local) if local and is_built_by_variant else ""
        root = self._writer.root_index
        variants: Awaited[Page | None] | None = None
        if is_built_by_variant and root and not local:
            variants = Awaited(lambda: index.page_at(table_index(root), package))
        pages = [page for page in pages_of(package, url, index) if page is not None]
        versions, page = chosen(pages, specifier)
        if page is None:
            return _Read(reason=absent(wish, pages))
        offered = None
        if variants is not None:
            variants.wait(deadline)
            offered = variants.value
        return self._releases(wish, page, versions, index, offered)

    def _releases(
        self,
        wish: Requirement,
        page: Page,
        versions: Sequence[Version],
        index: IndexSet,
        offered: Page | None,
    ) -> _Read:
        package = wish.package
        rows: list[Rows] = []
        releases, notes, reasons = [], {}, []
        for version in versions:
            files = page.releases[version]
            usable = tuple(replace(file, yanked=False) for file in files)
            build = self._writer.build_of(package, usable)
            if build is None:
                reasons.append(
                    f"the index has no wheel of {package} {version} for {self._platform}"
                )
                continue
            metadata = None
            if self._writer.needs_metadata(package, version):
                metadata = metadata_of(index, page, package, build.files)
            variants = self._variants(version, offered)
            release = Release(package, version, build, usable, metadata, variants)
            try:
                written = self._writer.rows(release)
            except ValueError as error:
                # Anything can stand in metadata; what a row cannot hold is as good as not told.
                reasons.append(f"the metadata of {package} {version} make no sense ({error})")
                continue
            if written is None:
                why = metadata.reasons[0] if isinstance(metadata, NoMetadata) else "too little"
                reasons.append(f"the metadata of {package} {version} do not tell ({why})")
                continue
            rows.append(written)
            releases.append((package, version.public))
            if clauses := _clauses(files, version, page, offered):
                notes[package, version.public] = "; ".join(clauses)
        return _Read(tuple(rows), tuple(releases), "" if rows else reasons[0], notes)

    def _variants(self, version: Version, offered: Page | None) -> Mapping[str, Build] | None:
        """The builds of a release on the index of all variants; None when that is not known."""
        if offered is None or version.local:
            return None
        found: dict[str, Build] = {}
        for one in offered.versions:
            variant = one.local or ""
            if VARIANT.fullmatch(variant) and one.public == version.public:
                build = builds(offered.releases[one]).get(self._architecture)
                found |= {variant: build} if build is not None else {}
        return found

    def _needs(
        self,
        read: Mapping[tuple[str, str], tuple[Rows, ...]],
        named: Collection[tuple[str, str]],
        asked: Sequence[Requirement],
        universe: Universe,
    ) -> Iterator[Requirement]:
        """What was read asks for, and neither tables nor rows have. named: by the project."""
        rows = [row for found in read.values() for row in found]
        torches = [one.version.public for each in rows for one in each.rows.get("torch", ())]  # type: ignore[attr-defined]
        with_gpu = all((one.package, one.specifier) != ("accelerator", "==cpu") for one in asked)
        for key, written in ((key, row) for key, found in read.items() for row in found):
            own = next(iter(written.rows.values()))[0]
            name = own.file.removeprefix("index metadata of ")
            for package, specifier in written.needs:
                wanted = package in universe and (with_gpu or not package.startswith("jax-"))
                # A companion that was read for a torch goes with that one or with none.
                wanted = wanted and (package != "torch" or key in named)
                if wanted and not self._has(package, specifier, rows):
                    yield Requirement(package, specifier, Origin(asker=name))
        if torches:
            yield from self._companions(torches, asked, rows)

    def _companions(
        self, torches: Sequence[str], asked: Sequence[Requirement], rows: Sequence[Rows]
    ) -> Iterator[Requirement]:
        """What is built against one release of torch has a new one for a new torch."""
        for one in asked:
            if one.package not in COMPANIONS or one.specifier.startswith("=="):
                continue
            known = self._writer.known(one.package)
            read = [row for each in rows for row in each.rows.get(one.package, ())]
            # One that was read in an earlier round may be for another torch: the wish is the same.
            allowed = [SpecifierSet(cast("CompanionBuild", row).torch) for row in (*known, *read)]
            if known and not any(each.contains(torch) for each in allowed for torch in torches):
                newest = max(row.version for row in known)  # type: ignore[attr-defined]
                above = ",".join(filter(None, [one.specifier, f">{newest}"]))
                yield Requirement(one.package, above, one.origin)

    def _has(self, package: str, specifier: str, rows: Iterable[Rows]) -> bool:
        wanted = SpecifierSet(specifier)
        known = [*self._writer.known(package)]
        table = table_of(self._tables, package)
        known += [row for each in rows for row in each.rows.get(table, ())]
        return any(
            wanted.contains(row.version, prereleases=True)  # type: ignore[attr-defined]
            for row in known
            if getattr(row, "package", package) == package
        )

    # Candidates

    def _candidates(
        self,
        keys: Sequence[tuple[str, str]],
        named: frozenset[tuple[str, str]],
        universe: Universe,
    ) -> Iterator[Candidate]:
        """What the rows add to the universe, with notes that say where it comes from."""
        reads = [self._read[key] for key in keys]
        extra: dict[str, list[object]] = {}
        assumed: dict[tuple[str, str], tuple[str, ...]] = {}
        for written in (one for read in reads for one in read.rows):
            assumed |= written.assumed
            for table, rows in written.rows.items():
                extra.setdefault(table, []).extend(rows)
        doubtful = {label for read in reads for one in read.rows for label in one.doubtful}
        told = {one for key in keys if key in named for one in self._read[key].releases}
        yanked = {key: note for read in reads for key, note in read.notes.items()}
        roots = universe.packages.keys()
        before = build_universe(self._tables, platform=self._platform, roots=roots)
        tables = self._tables.extended(extra)  # type: ignore[arg-type]
        after = build_universe(tables, platform=self._platform, roots=roots)
        for candidate in after:
            package = candidate.package
            known = before.packages.get(package)
            position = known.position.get(candidate.label) if known is not None else None
            if known is not None and position is not None:
                if known.candidates[position] != candidate:
                    yield candidate
                continue
            if (package, candidate.label) in doubtful and _is_default(candidate, after):
                # What the index has is better than what is merely assumed to be elsewhere.
                continue
            note = _note(candidate, told, assumed, yanked)
            notes = (*candidate.notes, note) if note else candidate.notes
            yield structs.replace(candidate, notes=notes, facts="index metadata")


def _clauses(
    files: Sequence[File], version: Version, page: Page, offered: Page | None
) -> Sequence[str]:
    """What the indexes say of a release: taken back, marked, or with files that have no date."""

    def is_of_release(other: Version) -> bool:
        return other.public == version.public

    found = []
    if all(file.yanked for file in files):
        told = next((f" ({one.yanked_reason})" for one in files if one.yanked_reason), "")
        found.append(f"its author has taken it back{told}")
    found += [page.marked, page.undated(is_of_release)]
    found += [offered.undated(is_of_release)] if offered is not None and offered != page else []
    return list(filter(None, found))


def _is_default(candidate: Candidate, universe: Universe) -> bool:
    """Whether the default build of the same release is in the same variant."""
    version, package = candidate.version, universe[candidate.package]
    if version is None or not version.local or version.public not in package.position:
        return False
    return package.candidates[package.position[version.public]].variant == candidate.variant


def _note(
    candidate: Candidate,
    told: set[tuple[str, str]],
    assumed: Mapping[tuple[str, str], tuple[str, ...]],
    yanked: Mapping[tuple[str, str], str],
) -> str:
    """Where a candidate's facts come from; empty for what came along with another one."""
    package, label = candidate.package, candidate.label
    release = (package, candidate.version.public if candidate.version else label)
    clauses = assumed.get((package, label), assumed.get(release, ()))
    if release not in told and package not in {"torch", *COMPANIONS}:
        return "; ".join(clauses)
    clauses = (*clauses, *([yanked[release]] if release in yanked else ()))
    head = f"{package} {release[1]} is not in the tables: {_FROM_INDEX}"
    return "; ".join((head, *clauses, _REFRESH))


def _unreached(error: Failure) -> str:
    message = error.faults[0].message
    # It begins with the index, whose URL the page's repeats.
    return f"the index cannot be read ({_INDEX.sub('', message)})"


def _key(wish: Requirement) -> tuple[str, str]:
    return wish.package, wish.specifier
