"""The client against a local index: the sources of metadata, freshness, retries, faults, offline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from packaging.version import Version

from cogpack.errors import BuilderError, RetryableError, UserError
from cogpack.index import (
    CachePolicy,
    CredentialBook,
    Fetcher,
    File,
    HttpSettings,
    IndexClient,
    Location,
    Metadata,
    NoMetadata,
    OfflineError,
    parse_location,
)
from support.index_server import Dist, IndexServer, serve

Make = Callable[..., IndexClient]


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Make]:
    made: list[IndexClient] = []

    def client(*, cache: str = "cache", limit: float = 90.0, **policy: Any) -> IndexClient:
        settings = HttpSettings(total_seconds=limit, read_seconds=5.0)
        book = CredentialBook(use_keyring=False)
        fetcher = Fetcher(settings, book, sleep=clock.sleep, clock=clock)
        made.append(IndexClient(tmp_path / cache, CachePolicy(**policy), fetcher))
        return made[-1]

    yield client
    for item in made:
        item.close()


def at(server: IndexServer) -> Location:
    return parse_location(server.url, origin="--index-url")


def files_of(client: IndexClient, server: IndexServer, name: str) -> tuple[File, ...]:
    page = client.page(at(server), name)
    assert page is not None
    return page.releases[page.versions[0]]


def metadata_of(client: IndexClient, server: IndexServer, name: str) -> Metadata | NoMetadata:
    return client.metadata(name, files_of(client, server, name), at(server))


@pytest.mark.parametrize("form", ["html", "json"])
def test_a_page(make: Make, form: Literal["html", "json"]) -> None:
    dists = [
        Dist("1.0", requires_python=">=3.8"),
        Dist("2.0", yanked="bad"),
        Dist("2.0", tag="sdist"),
    ]
    with serve({"Foo": dists}, form=form) as server:
        page = make().page(at(server), "foo")
    assert page is not None
    assert [str(version) for version in page.versions] == ["2.0", "1.0"]
    newest, _, oldest = page.files
    assert (newest.yanked, newest.yanked_reason, oldest.requires_python) == (True, "bad", ">=3.8")
    assert newest.url == f"{server.root}/files/foo/foo-2.0-py3-none-any.whl"
    assert newest.size
    assert newest.sha256


def test_a_project_that_is_not_there_is_no_error(make: Make) -> None:
    with serve({"foo": []}) as server:
        client = make()
        assert client.page(at(server), "bar") is None
        make().page(at(server), "bar")
        assert server.count("/simple/bar/") == 1
        page = client.page(at(server), "foo")
        assert page is not None
        assert page.files == ()


def test_a_page_is_asked_for_once_in_a_run_and_not_again_while_fresh(make: Make) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        client = make()
        assert client.page(at(server), "foo") is client.page(at(server), "foo")
        assert make().page(at(server), "foo") == client.page(at(server), "foo")
        assert server.count("/simple/foo/") == 1


@pytest.mark.parametrize("policy", [{"freshness": 0}, {"refresh": True}])
def test_a_page_is_asked_for_conditionally(make: Make, policy: dict[str, Any]) -> None:
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


def test_a_304_makes_a_page_fresh_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    start = time.time()
    with serve({"foo": [Dist("1.0")]}) as server:
        for minutes, requests in ((0, 1), (9, 1), (11, 2), (20, 2), (22, 3)):
            monkeypatch.setattr(time, "time", lambda at=start + 60 * minutes: at)
            assert make().page(at(server), "foo") is not None
            assert server.count("/simple/foo/") == requests


def test_a_page_without_validators_is_fetched_again_when_stale(make: Make) -> None:
    with serve({"foo": [Dist("1.0")]}, etag=False) as server:
        make().page(at(server), "foo")
        assert make(freshness=0).page(at(server), "foo") is not None
        assert server.count("/simple/foo/") == 2


def test_no_store_is_heeded(make: Make) -> None:
    with serve({"foo": [Dist("1.0")]}, headers={"cache-control": "no-store"}) as server:
        make().page(at(server), "foo")
        make().page(at(server), "foo")
        assert server.count("/simple/foo/") == 2


@pytest.mark.parametrize("announce", [True, False])
def test_metadata_comes_from_the_file_beside_the_wheel(make: Make, announce: bool) -> None:
    with serve({"foo": [Dist("1.0", ("bar>=1",), announce=announce)]}) as server:
        found = metadata_of(make(), server, "foo")
        assert isinstance(found, Metadata)
        assert (found.source, found.requirement_texts) == ("the metadata file", ("bar>=1",))
        assert server.count(".whl") == 0


@pytest.mark.parametrize("size", [True, False])
def test_metadata_is_read_out_of_the_wheel_by_ranges(make: Make, size: bool) -> None:
    dist = Dist("1.0", ("bar>=1",), sibling=False, padding=1_000_000)
    with serve({"foo": [dist]}, form="json" if size else "html") as server:
        client = make()
        files = files_of(client, server, "foo")
        found = client.metadata("foo", files, at(server))
        assert isinstance(found, Metadata)
        assert found.source == "the wheel"
        ranges = [item.headers["range"] for item in server.requests if item.path.endswith(".whl")]
        assert len(ranges) == 2


def test_a_server_that_knows_no_ranges_from_the_end(make: Make) -> None:
    with serve({"foo": [Dist("1.0", ("bar",), sibling=False)]}, form="html") as server:
        server.fail(".whl", status=416, times=1)
        page = make().page(at(server), "foo")
        assert page is not None
        from dataclasses import replace

        unsized = tuple(replace(file, size=None) for file in page.files)
        found = make().metadata("foo", unsized, at(server))
    assert isinstance(found, Metadata)
    assert found.requirement_texts == ("bar",)


def test_a_server_without_ranges_sends_the_wheel_when_it_is_small(make: Make) -> None:
    with serve({"foo": [Dist("1.0", ("bar",), sibling=False)]}, ranges=False) as server:
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, Metadata)
    assert found.source == "the wheel"


def test_a_wheel_too_long_for_a_download_is_no_source(tmp_path: Path) -> None:
    from cogpack.index.release import ReleaseReader

    dists = [Dist("1.0", ("bar",), sibling=False, padding=300_000), Dist("1.0", tag="sdist")]
    with serve({"foo": dists}, ranges=False) as server:
        client = IndexClient(tmp_path)
        fetcher = Fetcher()
        reader = ReleaseReader(fetcher, download_limit=100_000)
        found = reader.read("foo", files_of(client, server, "foo"), at(server))
        assert isinstance(found, Metadata)
        assert found.source == "the sdist"
        fetcher.close()
        client.close()


def test_another_wheel_of_the_release_stands_in(make: Make) -> None:
    dists = [
        Dist("1.0", ("bar",), tag="cp311-cp311-linux_x86_64", metadata="junk"),
        Dist("1.0", ("bar",), tag="cp312-cp312-linux_x86_64"),
    ]
    with serve({"foo": dists}) as server:
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, Metadata)
    assert (found.source, found.requirement_texts) == ("another wheel", ("bar",))


def test_metadata_of_another_project_is_not_believed(make: Make) -> None:
    text = "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n"
    with serve({"foo": [Dist("1.0", metadata=text)]}) as server:
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, NoMetadata)
    assert "it says it is evil 1.0" in str(found)


def test_a_wrong_hash_of_the_metadata_file_leads_to_the_wheel(make: Make) -> None:
    with serve({"foo": [Dist("1.0", ("bar",), announce=True)]}) as server:
        server.fail(".metadata", body=b"Metadata-Version: 2.1\nName: foo\nVersion: 1.0\n")
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, Metadata)
    assert (found.source, found.requirement_texts) == ("the wheel", ("bar",))


@pytest.mark.parametrize(
    ("dist", "why"),
    [
        (Dist("1.0", tag="sdist", metadata_version="2.1"), "only a build would tell"),
        (Dist("1.0", tag="sdist", dynamic=("Requires-Dist",)), "Requires-Dist is dynamic"),
    ],
)
def test_an_sdist_without_static_metadata_is_named_and_never_built(
    make: Make, dist: Dist, why: str
) -> None:
    with serve({"foo": [dist]}) as server:
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, NoMetadata)
    assert why in str(found)
    assert str(found).startswith("foo 1.0: foo-1.0.tar.gz: ")


def test_an_sdist_with_static_metadata_serves(make: Make) -> None:
    with serve({"foo": [Dist("1.0", ("bar",), tag="sdist")]}) as server:
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, Metadata)
    assert found.source == "the sdist"


def test_an_sdist_with_a_wrong_hash_is_no_source(make: Make) -> None:
    with serve({"foo": [Dist("1.0", tag="sdist")]}) as server:
        server.fail(".tar.gz", body=b"something else")
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, NoMetadata)
    assert "another hash" in str(found)


def test_metadata_is_kept_by_content_and_not_asked_for_again(make: Make) -> None:
    with serve({"foo": [Dist("1.0", ("bar",), sibling=False)]}) as server:
        metadata_of(make(), server, "foo")
        server.forget()
        assert isinstance(metadata_of(make(refresh=True), server, "foo"), Metadata)
        assert {request.path for request in server.requests} == {"/simple/foo/"}


def test_offline_answers_from_the_cache_alone(make: Make) -> None:
    with serve({"foo": [Dist("1.0", ("bar",))]}) as server:
        first = metadata_of(make(), server, "foo")
        make().page(at(server), "absent")
        location = at(server)
    offline = make(offline=True, freshness=0)
    page = offline.page(location, "foo")
    assert page is not None
    assert offline.metadata("foo", page.files, location) == first
    assert offline.page(location, "absent") is None
    with pytest.raises(OfflineError, match="offline, and the page .*/simple/bar/ is not in"):
        offline.page(location, "bar")
    with pytest.raises(OfflineError, match="the metadata of foo"):
        make(offline=True, cache="other").metadata("foo", page.files, location)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_recovers_is_asked_again(make: Make, clock: Clock, status: int) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        server.fail("/foo/", status=status, times=2)
        assert make().page(at(server), "foo") is not None
        assert server.count("/foo/") == 3
    assert clock.slept == [0.3, 0.6]


def test_retry_after_is_waited_for_but_not_past_the_limit(make: Make, clock: Clock) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        server.fail("/foo/", status=429, headers={"retry-after": "7"}, times=1)
        assert make().page(at(server), "foo") is not None
        assert clock.slept == [7.0]
        server.fail("/bar/", status=429, headers={"retry-after": "3600"})
        with pytest.raises(RetryableError, match="the server answered 429") as raised:
            make().page(at(server), "bar")
        assert clock.slept == [7.0]
        assert "--offline" in raised.value.faults[0].hint


def test_a_server_that_does_not_recover_is_a_retryable_error(make: Make, clock: Clock) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        server.fail("/foo/", status=503)
        with pytest.raises(RetryableError, match="503"):
            make().page(at(server), "foo")
        assert server.count("/foo/") == HttpSettings.attempts
        server.heal()
        assert make().page(at(server), "foo") is not None


@pytest.mark.parametrize("path", ["/foo/", ".metadata", ".whl"])
def test_a_cut_connection_is_tried_again(make: Make, path: str) -> None:
    dist = Dist("1.0", ("bar",), sibling=path == ".metadata")
    with serve({"foo": [dist]}) as server:
        server.fail(path, cut=True, times=2)
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, Metadata)
    assert found.requirement_texts == ("bar",)


def test_no_server_is_a_retryable_error(make: Make) -> None:
    with serve({}) as server:
        location = at(server)
    with pytest.raises(RetryableError, match="no connection"):
        make().page(location, "foo")


@pytest.mark.parametrize(
    ("body", "kind"),
    [(b"{", "application/json"), (b"GIF89a", "image/gif"), (b"[1]", "application/json")],
)
def test_an_answer_that_is_no_page_is_told_and_not_kept(make: Make, body: bytes, kind: str) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        server.fail("/foo/", body=body, headers={"content-type": kind}, times=1)
        with pytest.raises(BuilderError, match="is no index page"):
            make().page(at(server), "foo")
        assert make().page(at(server), "foo") is not None


def test_garbage_html_is_a_page_without_files(make: Make) -> None:
    with serve({"foo": [Dist("1.0")]}, form="html") as server:
        server.fail("/foo/", body=b"<a href=<<>><a>\x00</\xff<a href='login'>Log in</a>", times=1)
        page = make().page(at(server), "foo")
    assert page is not None
    assert page.files == ()


def test_another_refusal_names_index_and_status(make: Make) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        server.fail("/foo/", status=451)
        with pytest.raises(BuilderError, match="answered 451"):
            make().page(at(server), "foo")


def test_a_redirect_is_followed_and_relative_links_start_there(make: Make) -> None:
    with (
        serve({"foo": [Dist("1.0", ("bar",))]}) as target,
        serve({}, host="localhost") as server,
    ):
        server.fail("/simple/foo/", status=301, headers={"location": f"{target.url}foo/"})
        client = make()
        found = metadata_of(client, server, "foo")
        assert files_of(client, server, "foo")[0].url.startswith(target.root)
    assert isinstance(found, Metadata)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "/simple/foo/", "http://[", ""])
def test_a_redirect_that_leads_nowhere(make: Make, target: str) -> None:
    with serve({}) as server:
        server.fail("/simple/foo/", status=302, headers={"location": target})
        with pytest.raises(BuilderError, match="redirects"):
            make().page(at(server), "foo")


def test_local_indexes_and_folders(make: Make, tmp_path: Path) -> None:
    from support.distributions import wheel_bytes

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


def test_find_links_that_are_not_there(make: Make, tmp_path: Path) -> None:
    location = parse_location("missing", kind="flat", origin="requirements.txt:2", base=tmp_path)
    with pytest.raises(UserError, match=r"requirements\.txt:2: find-links .*missing"):
        make().page(location, "foo")


def test_a_remote_find_links_page_is_fetched_once(make: Make) -> None:
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
