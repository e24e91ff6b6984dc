"""Reading index pages: HTML, JSON and folders give the same files; junk is left out."""

from __future__ import annotations

import contextlib
import html
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from cogpack.index.compact import pack, unpack
from cogpack.index.links import Listing, PageError, read_html, read_json
from cogpack.index.page import File, Page, python_specifier

INDEX = "https://index.invalid/simple/"
BASE = f"{INDEX}foo-bar/"


def page_of(listing: Listing, name: str = "foo-bar") -> Page:
    return unpack(name, INDEX, pack(name, BASE, listing))


def html_page(anchors: str, head: str = "") -> bytes:
    return f"<!DOCTYPE html><html><head>{head}</head><body>{anchors}</body></html>".encode()


def json_page(*files: dict[str, Any], version: str = "1.1") -> bytes:
    return json.dumps({"meta": {"api-version": version}, "name": "x", "files": files}).encode()


def test_an_html_page_gives_every_attribute() -> None:
    digest, metadata = "a" * 64, "b" * 64
    body = html_page(
        f'<a href="../../files/foo_bar-1.0-py3-none-any.whl#sha256={digest}" '
        'data-requires-python="&gt;=3.8" data-yanked="broken &amp; bad" '
        'data-upload-time="2024-05-01T10:00:00.5Z" data-size="123" '
        f'data-core-metadata="sha256={metadata}">foo_bar-1.0-py3-none-any.whl</a>'
    )
    (file,) = page_of(read_html(body)).files
    assert file == File(
        filename="foo_bar-1.0-py3-none-any.whl",
        url="https://index.invalid/files/foo_bar-1.0-py3-none-any.whl",
        kind="wheel",
        version=Version("1.0"),
        hashes=(("sha256", digest),),
        requires_python=">=3.8",
        yanked=True,
        yanked_reason="broken & bad",
        upload_time=datetime(2024, 5, 1, 10, 0, 0, 500_000, UTC),
        size=123,
        metadata=metadata,
    )


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("", None),
        ('data-core-metadata="true"', "yes"),
        ('data-dist-info-metadata="true"', "yes"),
        ('data-core-metadata="false"', "no"),
        ('data-core-metadata="sha256=AB" data-dist-info-metadata="true"', "ab"),
    ],
)
def test_the_metadata_announcement(attributes: str, expected: str | None) -> None:
    body = html_page(f'<a href="/foo_bar-1-py3-none-any.whl" {attributes}>x</a>')
    assert page_of(read_html(body)).files[0].metadata == expected


def test_a_yanked_attribute_without_a_reason_is_yanked_in_html_only() -> None:
    (file,) = page_of(read_html(html_page('<a href="foo-bar-1.zip" data-yanked>x</a>'))).files
    assert (file.yanked, file.yanked_reason) == (True, "")
    entry = {"filename": "foo-bar-1.zip", "url": "foo-bar-1.zip", "hashes": {}, "yanked": ""}
    (file,) = page_of(read_json(json_page(entry))).files
    assert not file.yanked


@pytest.mark.parametrize(
    "filename",
    [
        "foo_bar-1.0-py3-none.whl",
        "foo_bar-1.0-x1-py3-none-any.whl",
        "foo_bar--py3-none-any.whl",
        "foo_bar-not.a.version-py3-none-any.whl",
        "other-1.0-py3-none-any.whl",
        "foo_bar-1.0.win32.exe",
        "foo_bar-1.0-py2.7.egg",
        "foo_bar-1.0.tar.bz2",
        "foo_bar.tar.gz",
        "",
    ],
)
def test_junk_is_left_out(filename: str) -> None:
    entry = {"filename": filename, "url": f"https://x.invalid/{filename}", "hashes": {}}
    assert page_of(read_json(json_page(entry))).files == ()
    assert page_of(read_html(html_page(f'<a href="/{filename}">{filename}</a>'))).files == ()


def test_a_malformed_url_is_left_out() -> None:
    body = html_page('<a href="//[x/foo-bar-1.zip">x</a><a href="/foo-bar-2.zip">x</a>')
    assert [str(version) for version in page_of(read_html(body)).versions] == ["2"]


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("foo_bar-1.0-py3-none-any.whl", "1.0"),
        ("Foo.Bar-1.0-2-py3-none-any.whl", "1.0"),
        ("foo_bar-2.0.1+cu118-cp311-cp311-linux_x86_64.whl", "2.0.1+cu118"),
        ("foo-bar-1.0.tar.gz", "1.0"),
        ("foo-bar-1.0-1.tar.gz", "1.0.post1"),
        ("foo.bar-1.0b2.zip", "1.0b2"),
    ],
)
def test_versions_of_file_names(filename: str, version: str) -> None:
    quoted = filename.replace("+", "%2B")
    (file,) = page_of(read_html(html_page(f'<a href="/{quoted}">x</a>'))).files
    assert (file.filename, str(file.version)) == (filename, version)


def test_equal_versions_are_one_release_and_the_newest_comes_first() -> None:
    names = ["foo-bar-1.0.tar.gz", "foo_bar-1.0.0-py3-none-any.whl", "foo-bar-1.10.zip"]
    links = read_html(html_page("".join(f'<a href="/{name}"></a>' for name in names)))
    page = page_of(links)
    assert [str(version) for version in page.versions] == ["1.10", "1.0"]
    assert [file.kind for file in page.releases[Version("1")]] == ["wheel", "sdist"]


def test_tags_and_build_are_read_when_asked_for() -> None:
    links = read_html(
        html_page('<a href="/foo_bar-1-7-py2.py3-none-any.whl"></a><a href="/foo-bar-1.zip"></a>')
    )
    wheel, sdist = page_of(links).files
    assert {str(tag) for tag in wheel.tags} == {"py2-none-any", "py3-none-any"}
    assert wheel.build == (7, "")
    assert sdist.tags == frozenset()


def test_credentials_in_links_are_dropped() -> None:
    body = html_page('<a href="https://me:secret@x.invalid/foo_bar-1-py3-none-any.whl">x</a>')
    (file,) = page_of(read_html(body)).files
    assert file.url == "https://x.invalid/foo_bar-1-py3-none-any.whl"


def test_base_and_charset() -> None:
    head = '<base href="https://cdn.invalid/f/">'
    body = html_page('<a href="foo_bar-1-py3-none-any.whl" data-yanked="café">x</a>', head)
    links = read_html(body.decode().encode("latin-1"), "iso-8859-1")
    (file,) = page_of(links).files
    assert file.url == "https://cdn.invalid/f/foo_bar-1-py3-none-any.whl"
    assert file.yanked_reason == "café"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b'{"files": [{"filename"', b'{"files": 3}', b"[]", b"\xff\xfe"]
)
def test_json_that_is_no_page(body: bytes) -> None:
    with pytest.raises(PageError):
        read_json(body)


def test_a_later_protocol_is_refused() -> None:
    with pytest.raises(PageError, match=r"2\.0"):
        read_json(json_page(version="2.0"))
    with pytest.raises(PageError, match=r"2\.0"):
        read_html(html_page("", '<meta name="pypi:repository-version" content="2.0">'))
    assert read_json(json_page(version="1.9")) == Listing([])


def marked_json(status: object) -> bytes:
    files = [{"filename": "foo-bar-1.zip", "url": "u", "hashes": {}}]
    return json.dumps({"meta": {}, "files": files, "project-status": status}).encode()


@pytest.mark.parametrize("status", ["archived", "deprecated"])
def test_the_status_of_a_project_is_told_beside_its_files(status: str) -> None:
    for listing in (
        read_json(marked_json({"status": status, "reason": "see\nelsewhere"})),
        read_html(
            html_page(
                '<a href="foo-bar-1.zip">x</a>',
                f'<meta name="pypi:project-status" content="{status}">'
                '<meta name="pypi:project-status-reason" content="see elsewhere">',
            )
        ),
    ):
        page = page_of(listing)
        assert page.notes == (f"foo-bar is {status} on {INDEX} (see elsewhere)",)
        assert [str(version) for version in page.versions] == ["1"]
        assert page.gap() == ""


def test_a_quarantined_project_has_no_files_whatever_the_page_lists() -> None:
    page = page_of(read_json(marked_json({"status": "quarantined", "reason": "malware"})))
    assert not page.releases
    assert page.answers
    told = f"{INDEX} has quarantined foo-bar and offers no files of it (malware)"
    assert page.gap() == told
    assert page.notes == (told,)


@pytest.mark.parametrize(
    "status", [None, "archived", {"status": "active"}, {"status": ["archived"]}, {"status": "new"}]
)
def test_a_status_that_says_nothing(status: object) -> None:
    page = page_of(read_json(marked_json(status)))
    assert (page.notes, len(page.files)) == ((), 1)


@pytest.mark.parametrize("char", ["/", "\\", "\n", "\0"])
def test_a_file_name_that_is_a_path_is_left_out(char: str) -> None:
    filename = f"foo_bar-1.0-py3-none-a{char}..{char}b.any.whl"
    entry = {"filename": filename, "url": "https://x.invalid/w", "hashes": {}}
    assert page_of(read_json(json_page(entry))).files == ()


@pytest.mark.parametrize(
    "url",
    ["file:///etc/foo-bar-1.zip", "ftp://x.invalid/foo-bar-1.zip", "javascript:foo-bar-1.zip"],
)
def test_a_page_of_a_server_names_files_of_servers_alone(url: str) -> None:
    entry = {"filename": "foo-bar-1.zip", "url": url, "hashes": {}}
    assert page_of(read_json(json_page(entry))).files == ()
    here = pack("foo-bar", "file:///srv/links/", Listing(read_json(json_page(entry)).files))
    files = unpack("foo-bar", "file:///srv/links/", here).files
    assert [file.url for file in files] == ([url] if url.startswith("file:") else [])


def test_numbers_without_an_end_are_no_numbers() -> None:
    long = "9" * 5000
    entry = {"filename": f"foo-bar-{long}.zip", "url": "u", "hashes": {}}
    assert page_of(read_json(json_page(entry))).files == ()
    body = html_page(f'<a href="foo-bar-1.zip" data-size="{long}">x</a>')
    assert page_of(read_html(body)).files[0].size is None
    assert python_specifier(f">=3.{long}") is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "soon"])
def test_an_upload_time_that_is_none(text: str) -> None:
    entry = {"filename": "foo-bar-1.zip", "url": "u", "hashes": {}, "upload-time": text}
    assert page_of(read_json(json_page(entry))).files[0].upload_time is None


def test_json_that_is_nested_for_ever() -> None:
    for opened, closed in ((b'{"a":', b"}"), (b"[", b"]")):
        deep = opened * 50_000 + b"1" + closed * 50_000
        for body in (deep, b'{"files": [], "meta": {"x": ' + deep + b"}}"):
            with pytest.raises(PageError):
                read_json(body)


def test_html_that_is_nested_for_ever() -> None:
    body = html_page("<div>" * 50_000 + '<a href="foo-bar-1.zip">x</a>')
    assert len(page_of(read_html(body)).files) == 1


@pytest.mark.parametrize("charset", ["idna", "undefined", "hex", "nothing", "a\0b"])
def test_a_charset_that_is_none(charset: str) -> None:
    body = html_page('<a href="foo-bar-1.zip">x</a>')
    assert len(page_of(read_html(body, charset)).files) == 1


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ('<base target="_top"><base href="https://cdn.invalid/f/">', "https://cdn.invalid/f/"),
        ('<base href="/files/">', "https://index.invalid/files/"),
        ('<base href="../../files/">', "https://index.invalid/files/"),
        ('<base href="//cdn.invalid/f/">', "https://cdn.invalid/f/"),
        ('<base href="">', BASE),
        ('<base href="file:///srv/">', ""),
    ],
)
def test_where_relative_urls_start(base: str, expected: str) -> None:
    found = page_of(read_html(html_page('<a href="foo-bar-1.zip">x</a>', base))).files
    assert [file.url for file in found] == ([f"{expected}foo-bar-1.zip"] if expected else [])


def test_odd_attributes_are_read_as_far_as_they_go() -> None:
    body = html_page(
        "<a>x</a><a href>x</a><a href=''>x</a><a href='#'>x</a><a href='foo-bar-9.zip?#&&=='>x</a>"
        "<A HREF='foo-bar-1.zip' data-size=-5 data-requires-python='three' data-upload-time='' "
        "data-gpg-sig=true data-core-metadata='' data-unknown DATA-YANKED href='foo-bar-2.zip'>"
    )
    nine, one = page_of(read_html(body)).files
    assert (str(nine.version), nine.hashes, nine.kind) == ("9", (), "sdist")
    assert (str(one.version), one.size, one.upload_time, one.yanked) == ("1", None, None, True)
    assert (one.requires_python, python_specifier(one.requires_python)) == ("three", None)


def test_bytes_that_are_no_compact_form() -> None:
    with pytest.raises(PageError):
        unpack("x", "https://x.invalid/", b"\x93\x01")


def test_exclude_newer_leaves_out_what_is_newer_or_has_no_date() -> None:
    found: list[dict[str, Any]] = [
        {"filename": f"foo-bar-{n}.zip", "url": "u", "hashes": {}, "upload-time": moment}
        for n, moment in ((1, "2024-01-01T00:00:00Z"), (2, "2024-06-01T00:00:00+00:00"), (3, None))
    ]
    page = page_of(read_json(json_page(*found)))
    assert (page.notes, page.gap()) == ((), "")
    old = page.exclude_newer(datetime(2024, 6, 1, tzinfo=UTC))
    assert [str(version) for version in old.versions] == ["1"]
    undated = f"{INDEX} gives no upload time of foo-bar-3.zip: left out because of exclude-newer"
    assert old.notes == (undated,)
    assert old.gap() == f"{INDEX} has foo-bar 2, too new for exclude-newer; {undated}"
    assert old.gap(lambda version: version == Version("3")) == undated
    assert old.gap(lambda version: version == Version("4")) == ""


def test_a_note_names_a_few_of_many() -> None:
    names = [f"foo-bar-{n}.zip" for n in range(5)]
    page = page_of(read_html(html_page("".join(f'<a href="/{name}">x</a>' for name in names))))
    old = page.exclude_newer(datetime(2024, 6, 1, tzinfo=UTC))
    assert "of foo-bar-4.zip, foo-bar-3.zip, foo-bar-2.zip and 2 more: left out" in old.notes[0]
    assert old.answers
    assert not old.releases


@pytest.mark.parametrize(
    ("text", "admitted", "refused"),
    [
        (">=3.8,<3.13", "3.12", "3.13"),
        (">=3.6.*", "3.6", "3.5"),
        (">=2.7, !=3.0.*, !=3.1.*,", "3.2", "3.1"),
        ("<4.*", "3.12", "4.0"),
    ],
)
def test_requires_python_as_packages_write_it(text: str, admitted: str, refused: str) -> None:
    specifier = python_specifier(text)
    assert specifier is not None
    assert admitted in specifier
    assert refused not in specifier


@pytest.mark.parametrize("text", [None, "", "three"])
def test_requires_python_that_restricts_nothing(text: str | None) -> None:
    assert python_specifier(text) is None


versions = st.builds(
    lambda release, suffix: ".".join(map(str, release)) + suffix,
    st.lists(st.integers(0, 30), min_size=1, max_size=3),
    st.sampled_from(["", "a1", "rc2", ".post1", ".dev3", "+cu118"]),
)
hex_digests = st.text("0123456789abcdef", min_size=64, max_size=64)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    version = draw(versions)
    is_wheel = draw(st.booleans())
    filename = f"foo_bar-{version}" + ("-py3-none-any.whl" if is_wheel else ".tar.gz")
    entry: dict[str, Any] = {
        "filename": filename,
        "url": "https://x.invalid/p/" + filename.replace("+", "%2B"),
        "hashes": draw(st.one_of(st.just({}), hex_digests.map(lambda text: {"sha256": text}))),
        "yanked": draw(st.one_of(st.booleans(), texts.filter(bool))),
    }
    if draw(st.booleans()):
        entry["requires-python"] = draw(st.one_of(texts, st.just(">=3.8")))
    if draw(st.booleans()):
        entry["size"] = draw(st.integers(0, 2**40))
    if draw(st.booleans()):
        moments = st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC))
        entry["upload-time"] = draw(moments).isoformat()
    if draw(st.booleans()):
        announced = hex_digests.map(lambda text: {"sha256": text})
        entry["core-metadata"] = draw(st.one_of(st.booleans(), announced))
    return entry


def anchor(entry: dict[str, Any]) -> str:
    attributes = {
        f"data-{key}": str(entry[key])
        for key in ("requires-python", "size", "upload-time")
        if key in entry
    }
    if entry["yanked"] is not False:
        attributes["data-yanked"] = "" if entry["yanked"] is True else entry["yanked"]
    if "core-metadata" in entry:
        value = entry["core-metadata"]
        text = f"sha256={value['sha256']}" if isinstance(value, dict) else str(value).lower()
        attributes["data-core-metadata"] = text
    digest = "".join(f"#sha256={value}" for value in entry["hashes"].values())
    attributes["href"] = entry["url"] + digest
    shown = " ".join(f'{key}="{html.escape(value)}"' for key, value in attributes.items())
    return f"<a {shown}>{html.escape(entry['filename'])}</a>"


@given(st.lists(entries(), max_size=8))
def test_html_and_json_of_the_same_files_give_the_same_page(found: list[dict[str, Any]]) -> None:
    from_json = page_of(read_json(json_page(*found)))
    from_html = page_of(read_html(html_page("\n".join(map(anchor, found))), "utf-8"))
    assert from_json == from_html
    assert len(from_json.files) == len(found)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_page_or_a_fault(body: bytes) -> None:
    read_html(body)
    with contextlib.suppress(PageError):
        read_json(body)
