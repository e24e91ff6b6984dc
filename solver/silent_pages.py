"""Which releases of an index's pages a requirement is about, and where they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

from ..index.indexset import IndexSet
from ..index.location import Location, parse_location
from ..index.metadata import Metadata, NoMetadata
from ..index.page import File, Page
from .requirement import Requirement

__all__ = ["absent", "chosen", "local_of", "metadata_of", "pages_of", "table_index"]

# Of a range (`>=2.16`) the newest release of so many series is read: more would cost a request
# each, and seldom be chosen.
_SERIES = 3


def local_of(specifier: SpecifierSet) -> str:
    """The local part of a version that a specifier names, `cu130`; empty when it names none."""
    versions = (_version(clause.version) for clause in specifier)
    return next((one.local for one in versions if one is not None and one.local), "")


def pages_of(package: str, url: str, index: IndexSet) -> Iterator[Page | None]:
    """The pages that may have a release: that of its variant's index, else the project's own."""
    if not url:
        yield index.page(package)
        return
    found = index.page_at(table_index(url), package)
    yield found if found is not None else index.page(package)


def chosen(
    pages: Iterable[Page], specifier: SpecifierSet
) -> tuple[tuple[Version, ...], Page | None]:
    """The newest releases of a page that a specifier admits, one of each series."""
    has_local = bool(local_of(specifier))
    is_pinned = any(clause.operator in {"==", "==="} for clause in specifier)
    for page in pages:
        # PEP 592: whoever pins a release gets it, yanked or not.
        offered = page.versions if is_pinned else _not_yanked(page)
        versions = [one for one in offered if has_local or not one.local]
        admitted = sorted(specifier.filter(versions), reverse=True)
        if not admitted:
            # A default build under a name of the index's own, `2.16.0+cpu`, is better than none.
            admitted = sorted(specifier.filter(offered), reverse=True)[:1]
        newest: dict[tuple[int, ...], Version] = {}
        for version in admitted:
            newest.setdefault(version.release[:2], version)
        if newest:
            return tuple(newest.values())[:_SERIES], page
    return (), None


def metadata_of(
    index: IndexSet, page: Page, package: str, files: Sequence[File]
) -> Metadata | NoMetadata:
    """The metadata of a release of a page, of which these files count."""
    location = next((one for one in index.sources.all if one.url == page.index), None)
    if location is None:
        location = table_index(page.index)
    return index.client.metadata(package, files, location)


def absent(wish: Requirement, pages: Sequence[Page]) -> str:
    """A clause that says that no page has what is wished for, and why if that is known."""
    what = f"{wish.package}{wish.specifier}"
    allowed = SpecifierSet(wish.specifier)
    if gaps := [gap for page in pages if (gap := page.gap(_admitting(allowed)))]:
        return f"there is no {what} to read: {'; '.join(gaps)}"
    finals = [one for page in pages for one in _not_yanked(page) if not one.is_prerelease]
    if not finals:
        return f"the index has no {what if pages else f'{wish.package} at all'}"
    return f"the index has no {what}, its newest is {max(finals).public}"


def _admitting(allowed: SpecifierSet) -> Callable[[Version], bool]:
    return lambda version: allowed.contains(version, prereleases=True)


def _not_yanked(page: Page) -> list[Version]:
    return [one for one in page.versions if not all(file.yanked for file in page.releases[one])]


def table_index(url: str) -> Location:
    """An index that the tables name."""
    return parse_location(url, origin="the tables")


def _version(text: str) -> Version | None:
    try:
        return Version(text.removesuffix(".*"))
    except InvalidVersion:
        return None
