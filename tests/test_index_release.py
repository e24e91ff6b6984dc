"""The sources of a release's metadata, from the cheapest to the last."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cogpack.index import Fetcher, Metadata, NoMetadata
from cogpack.index.release import ReleaseReader
from support.index_clients import Clients, at, clients, files_of, metadata_of
from support.index_server import Dist, serve


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Clients]:
    with clients(tmp_path) as made:
        yield made


@pytest.mark.parametrize("announce", [True, False])
def test_metadata_comes_from_the_file_beside_the_wheel(make: Clients, announce: bool) -> None:
    with serve({"foo": [Dist("1.0", ("bar>=1",), announce=announce)]}) as server:
        found = metadata_of(make(), server, "foo")
        assert isinstance(found, Metadata)
        assert (found.source, found.requirement_texts) == ("the metadata file", ("bar>=1",))
        assert server.count(".whl") == 0


def test_where_metadata_files_lack_the_wheel_is_asked_first(make: Clients) -> None:
    packages = {f"p{number}": [Dist("1.0", ("bar",), sibling=number > 1)] for number in range(4)}
    packages["told"] = [Dist("1.0", ("bar",), announce=True)]
    with serve(packages) as server:
        client = make()
        for name in packages:
            found = metadata_of(client, server, name)
            assert isinstance(found, Metadata)
            assert found.requirement_texts == ("bar",)
        asked = [one.path.rpartition("/")[2] for one in server.requests if "/files/" in one.path]
    assert [name for name in asked if name.endswith(".metadata")] == [
        "p0-1.0-py3-none-any.whl.metadata",
        "told-1.0-py3-none-any.whl.metadata",
    ]


def test_where_the_wheel_is_asked_first_its_metadata_file_is_second(make: Clients) -> None:
    packages = {"a": [Dist("1.0", sibling=False)], "b": [Dist("1.0", ("bar",))]}
    with serve(packages) as server:
        client = make()
        metadata_of(client, server, "a")
        server.fail(".whl", status=404)
        found = metadata_of(client, server, "b")
    assert isinstance(found, Metadata)
    assert (found.source, found.requirement_texts) == ("the metadata file", ("bar",))


@pytest.mark.parametrize("size", [True, False])
def test_metadata_is_read_out_of_the_wheel_by_ranges(make: Clients, size: bool) -> None:
    dist = Dist("1.0", ("bar>=1",), sibling=False, padding=1_000_000)
    with serve({"foo": [dist]}, form="json" if size else "html") as server:
        client = make()
        files = files_of(client, server, "foo")
        found = client.metadata("foo", files, at(server))
        assert isinstance(found, Metadata)
        assert found.source == "the wheel"
        ranges = [item.headers["range"] for item in server.requests if item.path.endswith(".whl")]
        assert len(ranges) == 2


def test_a_server_that_knows_no_ranges_from_the_end(make: Clients) -> None:
    with serve({"foo": [Dist("1.0", ("bar",), sibling=False)]}, form="html") as server:
        server.fail(".whl", status=416, times=1)
        page = make().page(at(server), "foo")
        assert page is not None
        unsized = tuple(replace(file, size=None) for file in page.files)
        found = make().metadata("foo", unsized, at(server))
    assert isinstance(found, Metadata)
    assert found.requirement_texts == ("bar",)


def test_a_server_without_ranges_sends_the_wheel_when_it_is_small(make: Clients) -> None:
    with serve({"foo": [Dist("1.0", ("bar",), sibling=False)]}, ranges=False) as server:
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, Metadata)
    assert found.source == "the wheel"


def test_a_wheel_too_long_for_a_download_is_no_source(make: Clients) -> None:
    dists = [Dist("1.0", ("bar",), sibling=False, padding=300_000), Dist("1.0", tag="sdist")]
    with serve({"foo": dists}, ranges=False) as server:
        client = make()
        fetcher = Fetcher()
        reader = ReleaseReader(fetcher, download_limit=100_000)
        found = reader.read("foo", files_of(client, server, "foo"), at(server))
        assert isinstance(found, Metadata)
        assert found.source == "the sdist"
        fetcher.close()


def test_another_wheel_of_the_release_stands_in(make: Clients) -> None:
    dists = [
        Dist("1.0", ("bar",), tag="cp311-cp311-linux_x86_64", metadata="junk"),
        Dist("1.0", ("bar",), tag="cp312-cp312-linux_x86_64"),
    ]
    with serve({"foo": dists}) as server:
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, Metadata)
    assert (found.source, found.requirement_texts) == ("another wheel", ("bar",))


def test_metadata_of_another_project_is_not_believed(make: Clients) -> None:
    text = "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n"
    with serve({"foo": [Dist("1.0", metadata=text)]}) as server:
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, NoMetadata)
    assert "it says it is evil 1.0" in str(found)


def test_a_wrong_hash_of_the_metadata_file_leads_to_the_wheel(make: Clients) -> None:
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
    make: Clients, dist: Dist, why: str
) -> None:
    with serve({"foo": [dist]}) as server:
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, NoMetadata)
    assert why in str(found)
    assert str(found).startswith("foo 1.0: foo-1.0.tar.gz: ")


def test_an_sdist_with_static_metadata_serves(make: Clients) -> None:
    with serve({"foo": [Dist("1.0", ("bar",), tag="sdist")]}) as server:
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, Metadata)
    assert found.source == "the sdist"


def test_an_sdist_with_a_wrong_hash_is_no_source(make: Clients) -> None:
    with serve({"foo": [Dist("1.0", tag="sdist")]}) as server:
        server.fail(".tar.gz", body=b"something else")
        found = metadata_of(make(), server, "foo")
    assert isinstance(found, NoMetadata)
    assert "another hash" in str(found)


def test_metadata_is_kept_by_content_and_not_asked_for_again(make: Clients) -> None:
    with serve({"foo": [Dist("1.0", ("bar",), sibling=False)]}) as server:
        metadata_of(make(), server, "foo")
        server.forget()
        assert isinstance(metadata_of(make(refresh=True), server, "foo"), Metadata)
        assert {request.path for request in server.requests} == {"/simple/foo/"}


def test_a_release_that_says_nothing_is_fetched_once(make: Clients) -> None:
    old = Dist("1.0", tag="sdist", metadata_version="2.1")
    with serve({"foo": [old]}) as server:
        first = metadata_of(make(), server, "foo")
        assert metadata_of(make(offline=True), server, "foo") == first
        assert metadata_of(make(), server, "foo") == first
        assert server.count(".tar.gz") == 1
    assert isinstance(first, NoMetadata)
    assert first.is_final


def test_a_file_that_is_not_served_is_asked_for_again(make: Clients) -> None:
    with serve({"foo": [Dist("1.0", ("bar",), tag="sdist")]}) as server:
        server.fail(".tar.gz", status=404)
        first = metadata_of(make(), server, "foo")
        assert isinstance(first, NoMetadata)
        assert not first.is_final
        assert metadata_of(make(offline=True), server, "foo") == first
        server.heal()
        assert isinstance(metadata_of(make(), server, "foo"), Metadata)
