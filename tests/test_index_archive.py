"""Sdists from strangers: damaged or made up, each is refused in bounded time, with a reason."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Mapping

import pytest

from cogpack.index.archive import Limits, sdist_files, wheel_metadata
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


def files(body: bytes, name: str = "foo-1.0.tar.gz", **limits: int) -> Mapping[str, bytes]:
    return sdist_files(body, name, is_read, Limits(**limits))


def tar(*blocks: bytes) -> bytes:
    return gzip.compress(b"".join(blocks) + b"\0" * 1024)


def block(name: str, body: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(body), kind
    return info.tobuf(tarfile.USTAR_FORMAT) + body + b"\0" * (-len(body) % 512)


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for path, body in files.items():
            archive.writestr(zipfile.ZipInfo(path), body, method)
    return out.getvalue()


def lying(body: bytes, true: int, told: int) -> bytes:
    """A ZIP whose directory tells another size of a member than it has."""
    assert body.count(struct.pack("<L", true)) >= 1
    return body.replace(struct.pack("<L", true), struct.pack("<L", told))


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


PKG_INFO = block("foo-1.0/PKG-INFO", b"abc")


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
)
def test_a_long_header_is_refused_before_it_is_read(kind: bytes) -> None:
    """Only the header's first block is there: what it announces is not read."""
    info = tarfile.TarInfo("pax")
    info.size, info.type = 200 << 20, kind
    with pytest.raises(MetadataError, match="the sdist has a header of 209715200 bytes"):
        files(tar(info.tobuf(tarfile.GNU_FORMAT)))


def test_headers_of_ordinary_length_are_read() -> None:
    name = "foo-1.0/" + "long/" * 100 + "x"
    info = member(name, 0, comment="x" * 1000)
    assert files(sdist((info, b""), (member("foo-1.0/PKG-INFO", 3), b"abc"))) == {
        "PKG-INFO": b"abc"
    }


def test_global_headers_are_bounded_together() -> None:
    text = b"30 comment=0123456789abcdefghi\n"
    one = block("pax", text[:30], tarfile.XGLTYPE)
    assert files(tar(one, PKG_INFO), header=100) == {"PKG-INFO": b"abc"}
    with pytest.raises(MetadataError, match="has a header of 120 bytes"):
        files(tar(*[one] * 4, PKG_INFO), header=100)


def test_a_sparse_file_of_the_old_form_is_refused() -> None:
    info = tarfile.TarInfo("foo-1.0/data")
    info.type = tarfile.GNUTYPE_SPARSE
    with pytest.raises(MetadataError, match="sparse file"):
        files(tar(info.tobuf(tarfile.GNU_FORMAT), PKG_INFO))


def test_the_map_of_a_sparse_file_is_not_read() -> None:
    headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x"}
    body = b"999999999\n" + b"1\n" * 5000
    with pytest.raises(MetadataError, match="sparse file"):
        files(sdist((member("foo-1.0/data", len(body), **headers), body)))


def test_files_that_were_passed_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = 0
    passed = tarfile.TarFile.next

    def watched(self: tarfile.TarFile) -> tarfile.TarInfo | None:
        nonlocal kept
        kept = max(kept, len(vars(self)["members"]))
        return passed(self)

    monkeypatch.setattr(tarfile.TarFile, "next", watched)
    many = [block(f"foo-1.0/{number}", b"") for number in range(200)]
    assert files(tar(*many, PKG_INFO)) == {"PKG-INFO": b"abc"}
    assert kept <= 2


def test_what_unpacks_to_too_much_is_refused() -> None:
    big = block("foo-1.0/data", b"\0" * 100_000)
    assert files(tar(big, PKG_INFO), unpacked=200_000)
    with pytest.raises(MetadataError, match="unpacks to more than any sdist should"):
        files(tar(big, PKG_INFO), unpacked=90_000)


def test_files_that_are_too_long_are_left_out() -> None:
    body = tar(block("foo-1.0/setup.py", b"x" * 200), PKG_INFO)
    assert files(body, script=100) == {"PKG-INFO": b"abc"}
    assert set(files(body, script=200)) == {"PKG-INFO", "setup.py"}
    assert files(body, member=2) == {"setup.py": b"x" * 200}


def test_the_size_that_a_zip_tells_is_not_believed() -> None:
    body = zipped({"foo-1.0/PKG-INFO": b"\0" * 70_000})
    assert len(files(body, "foo-1.0.zip")["PKG-INFO"]) == 70_000
    for told in (10, 60_000):
        with pytest.raises(MetadataError):
            files(lying(body, 70_000, told), "foo-1.0.zip")


def test_a_member_of_a_wheel_is_bounded() -> None:
    body = zipped({"foo-1.0.dist-info/METADATA": b"\0" * 70_000})
    assert len(wheel_metadata(io.BytesIO(body), "foo")) == 70_000
    with pytest.raises(MetadataError, match="its METADATA has 70000 bytes"):
        wheel_metadata(io.BytesIO(body), "foo", Limits(member=1000))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_a_bound_are_not_read(method: int) -> None:
    body = zipped({"foo-1.0.dist-info/METADATA": b"abc", "foo-1.0/PKG-INFO": b"abc"}, method)
    with pytest.raises(MetadataError, match="packed in a way that is not read"):
        wheel_metadata(io.BytesIO(body), "foo")
    with pytest.raises(MetadataError, match="packed in a way that is not read"):
        files(body, "foo-1.0.zip")


def test_a_long_directory_is_refused_before_it_is_read() -> None:
    names = {f"foo/{number:04}": b"" for number in range(500)}
    body = zipped({**names, "foo-1.0.dist-info/METADATA": b"abc"}, zipfile.ZIP_STORED)
    assert wheel_metadata(io.BytesIO(body), "foo") == b"abc"
    with pytest.raises(MetadataError, match="the archive has a directory of"):
        wheel_metadata(io.BytesIO(body), "foo", Limits(member=5000, directory=5000))
