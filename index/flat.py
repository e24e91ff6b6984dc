"""Flat indexes: `--find-links` pages and folders, and simple indexes that lie in a local folder.

A flat index has the files of many projects in one place; here they are told apart by name. Remote
pages are fetched elsewhere and come in as links.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.utils import canonicalize_name

from ..errors import UserError
from .links import Link, Listing, PageError, read_html, read_json
from .location import Location

__all__ = ["by_project", "folder_links", "local_page"]

_SDIST_SUFFIXES = (".tar.gz", ".zip")


def by_project(links: Iterable[Link]) -> Mapping[str, tuple[Link, ...]]:
    """The links under every project name that their file name admits.

    `foo-bar-1.0.tar.gz` is under `foo` and `foo-bar`: which it is, the version tells, later.
    """
    found: dict[str, list[Link]] = {}
    for link in links:
        for name in _names(link.filename):
            found.setdefault(name, []).append(link)
    return {name: tuple(items) for name, items in found.items()}


def folder_links(location: Location) -> list[Link]:
    """The files of a local folder, or what a local HTML page links to.

    Raises UserError when there is neither.
    """
    path = location.path
    try:
        if path.is_dir():
            return [
                Link(filename=item.name, url=_url(item), size=item.stat().st_size)
                for item in sorted(path.iterdir())
                if item.is_file()
            ]
        return list(_read_file(path).files)
    except (OSError, PageError) as error:
        where = f"{location.origin}: " if location.origin else ""
        raise UserError(f"{where}find-links {path} cannot be read ({error})") from error


def local_page(location: Location, name: str) -> Listing | None:
    """A project's page in a simple index that lies in a folder; None when it has none."""
    page = location.path / name / "index.html"
    if not page.is_file():
        return None
    try:
        return _read_file(page)
    except (OSError, PageError) as error:
        raise UserError(f"package index {location.display}: {page} cannot be read") from error


def _read_file(path: Path) -> Listing:
    body = path.read_bytes()
    return read_json(body) if path.suffix == ".json" else read_html(body)


def _url(path: Path) -> str:
    return path.absolute().as_uri()


def _names(filename: str) -> set[str]:
    if filename.endswith(".whl"):
        return {canonicalize_name(filename.partition("-")[0])}
    suffix = next((item for item in _SDIST_SUFFIXES if filename.endswith(item)), None)
    if suffix is None:
        return set()
    pieces = filename.removesuffix(suffix).split("-")
    return {canonicalize_name("-".join(pieces[:end])) for end in range(1, len(pieces))}
