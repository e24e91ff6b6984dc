"""Sdists from strangers: damaged or made up, each is refused in bounded time, with a reason."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Mapping

import pytest

from cogpack.index.archive import sdist_files
from cogpack.index.metadata import MetadataError
from cogpack.index.static import is_read


def member(name: str, size: int, **headers: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    info.pax_headers = headers
    return info


def sdist(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for info, body in members:
            archive.addfile(info, io.BytesIO(body))
    return out.getvalue()


def files(body: bytes) -> Mapping[str, bytes]:
    return sdist_files(body, "foo-1.0.tar.gz", is_read)


@pytest.mark.parametrize(
    "headers",
    [
        {"GNU.sparse.map": "a,b", "GNU.sparse.size": "3"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
    ],
)
def test_a_sparse_file_that_is_none_is_refused(headers: dict[str, str]) -> None:
    body = sdist((member("foo-1.0/PKG-INFO", 3, **headers), b"abc"))
    with pytest.raises(MetadataError, match="the sdist cannot be read"):
        files(body)


def test_a_size_that_no_archive_has_is_not_read_to_its_end() -> None:
    header = member("foo-1.0/data", 1 << 60).tobuf(tarfile.GNU_FORMAT)
    with pytest.raises(MetadataError, match="ends in the middle of a file"):
        files(gzip.compress(header + b"abc"))


def test_an_archive_without_its_end_is_read_as_far_as_it_goes() -> None:
    body = gzip.decompress(sdist((member("foo-1.0/PKG-INFO", 3), b"abc")))
    assert files(gzip.compress(body.rstrip(b"\0") + b"\0" * 509)) == {"PKG-INFO": b"abc"}


def test_links_and_paths_that_lead_elsewhere_are_passed_over() -> None:
    link = member("foo-1.0/setup.py", 0)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
    hard = member("foo-1.0/setup.cfg", 0)
    hard.type, hard.linkname = tarfile.LNKTYPE, "foo-1.0/PKG-INFO"
    body = sdist(
        (member("../../foo/PKG-INFO", 1), b"a"),
        (member("/etc/pyproject.toml", 1), b"b"),
        (link, b""),
        (hard, b""),
    )
    assert files(body) == {}
