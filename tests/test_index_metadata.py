"""Core metadata: what is read, what is mended, what is refused; wheels and sdists that hold it."""

from __future__ import annotations

import contextlib
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from cogpack.index.archive import RangeReader, sdist_files, wheel_metadata
from cogpack.index.metadata import (
    MetadataError,
    dump_metadata,
    load_metadata,
    parse_metadata,
)
from cogpack.index.static import is_read
from support.distributions import Dist, sdist_bytes, wheel_bytes


def metadata(*lines: str, version: str = "2.1") -> bytes:
    head = (f"Metadata-Version: {version}", "Name: Foo.Bar", "Version: 1.0")
    return "\n".join((*head, *lines)).encode() + b"\n\nWords.\n"


def test_the_fields_of_a_release() -> None:
    body = metadata(
        "Requires-Python: >=3.8,<3.13",
        "Provides-Extra: GPU_all",
        "Requires-Dist: numpy>=1.20",
        'Requires-Dist: torch==2.1; extra == "gpu-all"',
    )
    found = parse_metadata(body, source="the wheel")
    assert (found.name, found.version) == ("foo-bar", Version("1.0"))
    assert [str(item) for item in found.requires_dist] == [
        "numpy>=1.20",
        'torch==2.1; extra == "gpu-all"',
    ]
    assert found.requires_python is not None
    assert "3.13" not in found.requires_python
    assert found.provides_extra == ("gpu-all",)
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("notebook (>=4.2.*)", "notebook>=4.2"),
        ("foo>=1.0.*,<2", "foo<2,>=1.0"),
        ('foo (<3.*) ; python_version < "3"', 'foo<3; python_version < "3"'),
        ("foo>=1,", "foo>=1"),
    ],
)
def test_malformed_requirements_are_mended_and_told(line: str, read: str) -> None:
    found = parse_metadata(metadata(f"Requires-Dist: {line}"))
    assert [str(item) for item in found.requires_dist] == [read]
    if found.warnings:
        assert line in found.warnings[0]


def test_what_cannot_be_read_is_ignored_and_told() -> None:
    lines = ("Requires-Dist: ???", "Requires-Dist: six", "Requires-Python: three")
    found = parse_metadata(metadata(*lines))
    assert [str(item) for item in found.requires_dist] == ["six"]
    assert found.requires_python is None
    assert found.warnings == (
        "Requires-Python 'three' cannot be read: ignored",
        "Requires-Dist '???' cannot be read: ignored",
    )


@pytest.mark.parametrize(
    "body", [b"", b"Name: x\n", b"Version: 1\n", b"Name: x\nVersion: no version\n", b"\xff\xfe\x00"]
)
def test_metadata_without_name_or_version_is_refused(body: bytes) -> None:
    with pytest.raises(MetadataError):
        parse_metadata(body)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (metadata(version="2.1"), "its metadata is version 2.1"),
        (metadata("Dynamic: Requires-Dist", version="2.2"), "Requires-Dist is dynamic"),
        (metadata("Dynamic: requires-python", version="2.4"), "Requires-Python is dynamic"),
    ],
)
def test_an_sdist_is_believed_only_where_it_is_static(body: bytes, why: str) -> None:
    with pytest.raises(MetadataError, match=why):
        parse_metadata(body, sdist=True)
    assert parse_metadata(body).name == "foo-bar"


def test_an_sdist_with_another_dynamic_field_is_believed() -> None:
    body = metadata("Dynamic: License-File", "Requires-Dist: six", version="2.4")
    assert parse_metadata(body, sdist=True).requirement_texts == ("six",)


@given(
    st.lists(st.sampled_from(["six", "a>=1", 'b; extra == "x"', "c[d]~=1.0"]), max_size=4),
    st.sampled_from(["", ">=3.8", "nonsense"]),
)
def test_the_compact_form_is_the_identity(requires: list[str], python: str) -> None:
    lines = [f"Requires-Dist: {item}" for item in requires]
    found = parse_metadata(metadata(*lines, f"Requires-Python: {python}"), source="x")
    loaded = load_metadata(dump_metadata(found))
    assert loaded == found
    assert (loaded.source, loaded.warnings) == (found.source, found.warnings)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_compact_form(body: bytes) -> None:
    with pytest.raises(MetadataError):
        load_metadata(body)


class Counted:
    """A wheel in memory that counts how it is read."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.asked: list[int] = []

    def tail(self, count: int) -> tuple[int, bytes]:
        self.asked.append(min(count, len(self.body)))
        return len(self.body), self.body[-count:]

    def piece(self, start: int, end: int) -> bytes:
        self.asked.append(end - start)
        return self.body[start:end]


@pytest.mark.parametrize("padding", [0, 100, 70_000, 3_000_000])
def test_metadata_is_read_out_of_a_wheel_in_pieces(padding: int) -> None:
    dist = Dist("1.0", ("six",), padding=padding)
    source = Counted(wheel_bytes("foo-bar", dist))
    found = wheel_metadata(RangeReader(source), "foo-bar")
    assert found.decode() == dist.metadata_text("foo-bar")
    assert len(source.asked) <= 2
    assert sum(source.asked) <= 100_000


def test_a_wheel_with_a_long_directory_is_read_in_few_pieces() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as wheel:
        for number in range(3000):
            wheel.writestr(f"foo/a_rather_long_module_name_{number}.py", "x" * 40)
        wheel.writestr("foo-1.dist-info/METADATA", "Name: foo\nVersion: 1\n")
    source = Counted(out.getvalue())
    assert wheel_metadata(RangeReader(source), "foo").startswith(b"Name: foo")
    assert len(source.asked) <= 3


@pytest.mark.parametrize("body", [b"", b"no zip", b"PK\x05\x06" + b"\x00" * 18])
def test_what_is_no_wheel_is_refused(body: bytes) -> None:
    with pytest.raises(MetadataError):
        wheel_metadata(io.BytesIO(body), "foo")


@given(st.integers(0, 100), st.binary(min_size=1, max_size=20))
def test_a_damaged_wheel_is_a_fault_and_no_crash(percent: int, noise: bytes) -> None:
    body = bytearray(wheel_bytes("foo", Dist("1.0", ("six",))))
    at = len(body) * percent // 101
    body[at : at + len(noise)] = noise
    with contextlib.suppress(MetadataError):
        wheel_metadata(io.BytesIO(bytes(body)), "foo")


def test_only_the_dist_info_of_the_project_counts() -> None:
    with pytest.raises(MetadataError, match="0 METADATA files of bar"):
        wheel_metadata(io.BytesIO(wheel_bytes("foo", Dist("1.0"))), "bar")


def test_files_of_an_sdist_are_named_without_its_folder() -> None:
    dist = Dist("1.0", ("six",), tag="sdist")
    found = sdist_files(sdist_bytes("foo", dist), "foo-1.0.tar.gz", "PKG-INFO".__eq__)
    assert found == {"PKG-INFO": dist.metadata_text("foo").encode()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("foo-1.0/foo.egg-info/PKG-INFO", "inner")
        archive.writestr("./foo-1.0/PKG-INFO", "right")
        archive.writestr("foo-1.0/other/PKG-INFO", "other")
    found = sdist_files(out.getvalue(), "foo-1.0.zip", is_read)
    assert found == {"foo.egg-info/PKG-INFO": b"inner", "PKG-INFO": b"right"}


@pytest.mark.parametrize("name", ["foo-1.tar.gz", "foo-1.zip"])
def test_what_is_no_sdist_is_refused(name: str) -> None:
    with pytest.raises(MetadataError):
        sdist_files(b"no archive", name, is_read)
    whole = sdist_bytes("foo", Dist("1", tag="sdist"))
    with pytest.raises(MetadataError):
        sdist_files(whole[: len(whole) // 2], "foo-1.tar.gz", is_read)
