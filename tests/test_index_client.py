"""The client against a local index: pages, freshness, retries, faults, offline, local indexes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from packaging.version import Version

from cogpack.errors import BuilderError, RetryableError, UserError
from cogpack.index import (
    Fetcher,
    HttpSettings,
    IndexClient,
    Metadata,
    OfflineError,
    parse_location,
)
from cogpack.index.page import Versions
from cogpack.index.pagecache import Entry
from cogpack.index.store import FORMAT
from support.distributions import wheel_bytes
from support.index_clients import Clients, at, clients, files_of, metadata_of
from support.index_server import Dist, serve


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Clients]:
    with clients(tmp_path) as made:
        yield made


@pytest.mark.parametrize("form", ["html", "json"])
def test_a_page(make: Clients, form: Literal["html", "json"]) -> None:
    dists = [
        Dist("1.0", requires_python=">=3.8"),
        Dist("2.0", yanked="bad"),
        Dist("2.0", tag="sdist"),
    ]
    with serve({"Foo": dists}, form=form) as server:
        page = make().page(at(server), "foo")
    assert page is not None
    assert [str(version) for version in page.versions] == ["2.0", "1.0"]
    first, _, last = page.files
    assert (first.yanked, first.yanked_reason, last.requires_python) == (True, "bad", ">=3.8")
    assert first.url == f"{server.root}/files/foo/foo-2.0-py3-none-any.whl"
    assert first.size
    assert first.sha256


def test_a_project_that_is_not_there_is_no_error(make: Clients) -> None:
    with serve({"foo": []}) as server:
        client = make()
        assert client.page(at(server), "bar") is None
        make().page(at(server), "bar")
        assert server.count("/simple/bar/") == 1
        page = client.page(at(server), "foo")
        assert page is not None
        assert page.files == ()


def test_a_page_is_asked_for_once_in_a_run_and_not_again_while_fresh(make: Clients) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        client = make()
        assert client.page(at(server), "foo") is client.page(at(server), "foo")
        assert make().page(at(server), "foo") == client.page(at(server), "foo")
        assert server.count("/simple/foo/") == 1


@pytest.mark.parametrize("policy", [{"freshness": 0}, {"refresh": True}])
def test_a_page_is_asked_for_conditionally(make: Clients, policy: dict[str, Any]) -> None:
    with serve({"foo": [Dist("1.0")]}, headers={"cache-control": "max-age=600"}) as server:
        first = make().page(at(server), "foo")
        assert make(**policy).page(at(server), "foo") == first
        again = server.requests[-1]
        assert "if-none-match" in again.headers
        server.packages["foo"].append(Dist("2.0"))
        newest = make(**policy).page(at(server), "foo")
        assert newest is not None
        assert str(newest.versions[0]) == "2.0"
        assert server.count("/simple/foo/") == 3


def test_a_304_makes_a_page_fresh_again(make: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.time()
    with serve({"foo": [Dist("1.0")]}) as server:
        for minutes, requests in ((0, 1), (9, 1), (11, 2), (20, 2), (22, 3)):
            monkeypatch.setattr(time, "time", lambda at=start + 60 * minutes: at)
            assert make().page(at(server), "foo") is not None
            assert server.count("/simple/foo/") == requests


def test_a_page_without_validators_is_fetched_again_when_stale(make: Clients) -> None:
    with serve({"foo": [Dist("1.0")]}, etag=False) as server:
        make().page(at(server), "foo")
        assert make(freshness=0).page(at(server), "foo") is not None
        assert server.count("/simple/foo/") == 2


def test_no_store_is_heeded(make: Clients) -> None:
    with serve({"foo": [Dist("1.0")]}, headers={"cache-control": "no-store"}) as server:
        make().page(at(server), "foo")
        make().page(at(server), "foo")
        assert server.count("/simple/foo/") == 2


def test_offline_answers_from_the_cache_alone(make: Clients) -> None:
    with serve({"foo": [Dist("1.0", ("bar",))]}) as server:
        first = metadata_of(make(), server, "foo")
        make().page(at(server), "absent")
        location = at(server)
    offline = make(offline=True, freshness=0)
    page = offline.page(location, "foo")
    assert page is not None
    assert offline.metadata("foo", page.files, location) == first
    assert offline.page(location, "absent") is None
    with pytest.raises(OfflineError, match=r"offline, and the page .*/simple/bar/ is not in"):
        offline.page(location, "bar")
    with pytest.raises(OfflineError, match="the metadata of foo"):
        make(offline=True, cache="other").metadata("foo", page.files, location)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_recovers_is_asked_again(make: Clients, status: int) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        server.fail("/foo/", status=status, times=2)
        assert make().page(at(server), "foo") is not None
        assert server.count("/foo/") == 3
    assert make.clock.slept == [0.3, 0.6]


def test_retry_after_is_waited_for_but_not_past_the_limit(make: Clients) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        server.fail("/foo/", status=429, headers={"retry-after": "7"}, times=1)
        assert make().page(at(server), "foo") is not None
        assert make.clock.slept == [7.0]
        server.fail("/bar/", status=429, headers={"retry-after": "3600"})
        with pytest.raises(RetryableError, match="the server answered 429") as raised:
            make().page(at(server), "bar")
        assert make.clock.slept == [7.0]
        assert "--offline" in raised.value.faults[0].hint


def test_a_server_that_does_not_recover_is_a_retryable_error(make: Clients) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        server.fail("/foo/", status=503)
        with pytest.raises(RetryableError, match="503"):
            make().page(at(server), "foo")
        assert server.count("/foo/") == HttpSettings.attempts
        server.heal()
        assert make().page(at(server), "foo") is not None


@pytest.mark.parametrize("path", ["/foo/", ".metadata", ".whl"])
def test_a_cut_connection_is_tried_again(make: Clients, path: str) -> None:
    dist = Dist("1.0", ("bar",), sibling=path == ".metadata")
    with serve({"foo": [dist]}) as server:
        server.fail(path, cut=True, times=2)
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, Metadata)
    assert found.requirement_texts == ("bar",)


def test_no_server_is_a_retryable_error(make: Clients) -> None:
    with serve({}) as server:
        location = at(server)
    with pytest.raises(RetryableError, match="no connection"):
        make().page(location, "foo")


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"{", "application/json"), (b"GIF89a", "image/gif"), (b"[1]", "application/json")],
)
def test_an_answer_that_is_no_page_is_told_and_not_kept(
    make: Clients, body: bytes, kind: str
) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        server.fail("/foo/", body=body, headers={"content-type": kind}, times=1)
        with pytest.raises(BuilderError, match="is no index page"):
            make().page(at(server), "foo")
        assert make().page(at(server), "foo") is not None


def test_garbage_html_is_a_page_without_files(make: Clients) -> None:
    with serve({"foo": [Dist("1.0")]}, form="html") as server:
        server.fail("/foo/", body=b"<a href=<<>><a>\x00</\xff<a href='login'>Log in</a>", times=1)
        page = make().page(at(server), "foo")
    assert page is not None
    assert page.files == ()


def test_another_refusal_names_index_and_status(make: Clients) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        server.fail("/foo/", status=451)
        with pytest.raises(BuilderError, match="answered 451"):
            make().page(at(server), "foo")


def test_a_redirect_is_followed_and_relative_links_start_there(make: Clients) -> None:
    with (
        serve({"foo": [Dist("1.0", ("bar",))]}) as target,
        serve({}, host="localhost") as server,
    ):
        server.fail("/simple/foo/", status=301, headers={"location": f"{target.url}foo/"})
        client = make()
        found = metadata_of(client, server, "foo")
        assert files_of(client, server, "foo")[0].url.startswith(target.root)
    assert isinstance(found, Metadata)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "/simple/foo/", ""])
def test_a_redirect_that_leads_nowhere(make: Clients, target: str) -> None:
    with serve({}) as server:
        server.fail("/simple/foo/", status=302, headers={"location": target})
        with pytest.raises(BuilderError, match="redirects"):
            make().page(at(server), "foo")


def test_local_indexes_and_folders(make: Clients, tmp_path: Path) -> None:
    body = wheel_bytes("foo-bar", Dist("1.0", ("six",)))
    wheel = tmp_path / "files" / "foo_bar-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(body)
    page = tmp_path / "simple" / "foo-bar" / "index.html"
    page.parent.mkdir(parents=True)
    digest = hashlib.sha256(body).hexdigest()
    page.write_text(f'<a href="../../files/{wheel.name}#sha256={digest}">x</a>')
    client = make(offline=True)
    simple = parse_location(str(tmp_path / "simple"))
    flat = parse_location(str(wheel.parent), kind="flat")
    for location in (simple, flat):
        found = client.page(location, "foo-bar")
        assert found is not None
        assert found.files[0].url == wheel.as_uri()
        read = client.metadata("foo-bar", found.files, location)
        assert isinstance(read, Metadata)
        assert read.requirement_texts == ("six",)
        assert client.page(location, "bar") is None
        assert client.page(location, "foo") is None


def test_find_links_that_are_not_there(make: Clients, tmp_path: Path) -> None:
    location = parse_location("missing", kind="flat", origin="requirements.txt:2", base=tmp_path)
    with pytest.raises(UserError, match=r"requirements\.txt:2: find-links .*missing"):
        make().page(location, "foo")


def test_one_url_may_be_a_page_and_find_links(make: Clients) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        flat = parse_location(f"{server.url}foo/", kind="flat")
        assert make().page(at(server), "foo") is not None
        assert make().page(flat, "foo") is not None


def test_certificates_that_cannot_be_read() -> None:
    fetcher = Fetcher(HttpSettings(ca_file=Path("/nonexistent.pem")))
    with pytest.raises(UserError, match=r"certificates in /nonexistent\.pem cannot be read"):
        fetcher.get("https://x.invalid/")


def test_a_remote_find_links_page_is_fetched_once(make: Clients) -> None:
    with serve({"foo": [Dist("1.0")], "foo-bar": [Dist("2.0", tag="sdist")]}) as server:
        location = parse_location(f"{server.root}/flat", kind="flat")
        client = make()
        found = client.page(location, "foo-bar")
        assert found is not None
        assert [file.filename for file in found.files] == ["foo_bar-2.0.tar.gz"]
        foo = client.page(location, "foo")
        assert foo is not None
        assert foo.versions == (Version("1.0"),)
        assert make(offline=True).page(location, "foo") == foo
        assert server.count("/flat") == 1


def test_a_size_that_the_index_does_not_announce_is_asked_of_the_server(make: Clients) -> None:
    with serve({"foo": [Dist("1.0", padding=1000)]}, sizes=False) as server:
        (file,) = files_of(make(), server, "foo")
        assert file.size is None
        expected = len(wheel_bytes("foo", Dist("1.0", padding=1000)))
        assert make().size(file) == expected
        server.forget()
        assert make(offline=True).size(file) == expected
        assert server.count() == 0


def test_a_size_that_cannot_be_had_is_none(make: Clients) -> None:
    with serve({"foo": [Dist("1.0")]}, sizes=False) as server:
        (file,) = files_of(make(), server, "foo")
        assert make(offline=True).size(file) is None
        server.fail(".whl", status=405)
        assert make().size(file) is None


def test_what_is_fresh_or_offline_needs_no_http_library(tmp_path: Path) -> None:
    """Loading them takes longer than reading a hundred pages."""
    script = """
import sys
from pathlib import Path
from cogpack.index import CachePolicy, IndexClient, Metadata, parse_location

for policy in (CachePolicy(), CachePolicy(offline=True)):
    with IndexClient(Path(sys.argv[1]), policy) as client:
        location = parse_location(sys.argv[2])
        page = client.page(location, "foo")
        assert isinstance(client.metadata("foo", page.files, location), Metadata)
        assert client.page(location, "bar") is None
print(sorted({"httpx", "hishel", "tenacity", "selectolax"} & set(sys.modules)))
"""
    with serve({"foo": [Dist("1.0")]}) as server:
        with IndexClient(tmp_path) as client:
            page = client.page(at(server), "foo")
            assert page is not None
            client.metadata("foo", page.files, at(server))
            assert client.page(at(server), "bar") is None
        command = [sys.executable, "-c", script, str(tmp_path), server.url]
        assert subprocess.check_output(command, text=True) == "[]\n"


@pytest.mark.parametrize("date", ["", "no date", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_page_without_a_date_of_the_past_is_asked_for_again(tmp_path: Path, date: str) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        for _ in range(2):
            with IndexClient(tmp_path) as client:
                assert client.page(at(server), "foo") is not None
            for path in (tmp_path / FORMAT / "pages").glob("*/*"):
                entry = msgspec.msgpack.decode(path.read_bytes()[:-4], type=Entry)
                entry.headers["date"] = date
                body = msgspec.msgpack.encode(entry)
                path.write_bytes(body + zlib.crc32(body).to_bytes(4, "big"))
        assert server.count("/simple/foo/") == 2


def test_versions_of_a_page_are_read_as_they_are_looked_at() -> None:
    found = Versions(["2.0", Version("1.0"), "0.5"])
    assert found[0] == Version("2.0")
    assert found[-1] == Version("0.5")
    assert found[1:] == (Version("1.0"), Version("0.5"))
    assert (len(found), bool(found), bool(Versions([]))) == (3, True, False)
    assert found == (Version("2.0"), Version("1.0"), Version("0.5"))
    assert hash(found) == hash(Versions([Version("2.0"), "1.0", "0.5"]))
    assert Version("0.5") in found
    assert found != 5


def test_a_kept_page_that_is_no_page_is_asked_for_again(tmp_path: Path) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        with IndexClient(tmp_path) as client:
            wanted = client.page(at(server), "foo")
        [path] = (tmp_path / FORMAT / "pages").glob("*/*")
        entry = msgspec.msgpack.decode(path.read_bytes()[:-4], type=Entry)
        for count, damaged in enumerate((b"", b"\x91\x92\xa1\xff\x90"), start=2):
            entry.body = damaged
            body = msgspec.msgpack.encode(entry)
            path.write_bytes(body + zlib.crc32(body).to_bytes(4, "big"))
            with IndexClient(tmp_path) as client:
                assert client.page(at(server), "foo") == wanted
            assert server.count("/simple/foo/") == count
