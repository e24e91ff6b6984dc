"""Which index a package comes from, side-by-side fetching, and dates."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from cogpack.errors import RetryableError
from cogpack.index import (
    CachePolicy,
    CredentialBook,
    Fetcher,
    HttpSettings,
    IndexClient,
    IndexSet,
    Metadata,
    Sources,
    parse_location,
)
from support.index_server import Dist, IndexServer, serve


@pytest.fixture
def client(tmp_path: Path) -> Iterator[IndexClient]:
    fetcher = Fetcher(HttpSettings(attempts=1), CredentialBook(use_keyring=False))
    with IndexClient(tmp_path, CachePolicy(), fetcher) as made:
        yield made


def version_of(index: IndexSet, name: str) -> str | None:
    page = index.page(name)
    return str(page.versions[0]) if page else None


def test_the_first_index_that_has_a_package_counts(client: IndexClient) -> None:
    with (
        serve({"foo": [Dist("1.0")], "empty": []}) as first,
        serve({"foo": [Dist("2.0")], "bar": [Dist("2.0")]}) as second,
        serve({"foo": [Dist("9.0")], "bar": [Dist("9.0")], "empty": [Dist("9.0")]}) as default,
    ):
        sources = Sources(
            parse_location(default.url), (parse_location(first.url), parse_location(second.url))
        )
        index = IndexSet(client, sources)
        assert version_of(index, "Foo") == "1.0"
        assert version_of(index, "bar") == "2.0"
        assert version_of(index, "empty") == "9.0"
        assert version_of(index, "nowhere") is None
        assert second.count("/foo/") == 0
        page = index.page("bar")
        assert page is not None
        assert page.index == second.url


def test_copies_on_an_index_of_a_framework_hide_nothing_better(client: IndexClient) -> None:
    copies = {
        "numpy": [Dist("1.26.3"), Dist("2.1.2")],
        "requests": [Dist("2.28.1")],
        "xformers": [Dist("0.0.28+cu121"), Dist("0.0.27")],
        "triton": [Dist("3.1")],
        "equal": [Dist("1.0")],
    }
    home = {
        "numpy": [Dist("1.26.4"), Dist("2.3.0")],
        "requests": [Dist("2.32.3")],
        "xformers": [Dist("0.0.30")],
        "equal": [Dist("1.0")],
        "private": [Dist("9.0")],
    }
    with (
        serve(copies) as framework,
        serve({"private": [Dist("1.0")]}) as private,
        serve(home) as default,
    ):
        places = [parse_location(one.url) for one in (framework, private)]
        sources = Sources(
            parse_location(default.url), tuple(places), copies=frozenset(places[:1])
        ).pin({})
        wanted = {name: SpecifierSet(text) for name, text in WANTED.items()}
        index = IndexSet(client, sources, wanted=wanted)
        found = {name: page for name in {**copies, **home} if (page := index.page(name))}
        assert {name for name, page in found.items() if page.index == framework.url} == {
            "xformers",
            "triton",
            "equal",
        }
        assert {name for name, page in found.items() if page.index == private.url} == {"private"}
        assert default.count("/private/") == 0


WANTED = {"numpy": "==1.26.4", "xformers": "==0.0.28+cu121", "equal": ">=5"}


def test_a_pinned_package_comes_from_its_index_or_not_at_all(client: IndexClient) -> None:
    with (
        serve({"torch": [Dist("2.1+cu118")], "numpy": [Dist("0.1")]}) as special,
        serve(
            {"torch": [Dist("9.0")], "torchaudio": [Dist("9.0")], "numpy": [Dist("2.0")]}
        ) as pypi,
    ):
        place = parse_location(special.url)
        sources = Sources(parse_location(pypi.url)).pin({"Torch": place, "torchaudio": place})
        index = IndexSet(client, sources)
        assert version_of(index, "torch") == "2.1+cu118"
        assert version_of(index, "torchaudio") is None
        assert version_of(index, "numpy") == "2.0"
        assert special.count("/numpy/") == 0
        assert sources.all == (parse_location(pypi.url), place)


def test_find_links_come_first(client: IndexClient) -> None:
    with serve({"foo": [Dist("1.0+local")]}) as links, serve({"foo": [Dist("2.0")]}) as default:
        flat = parse_location(f"{links.root}/flat", kind="flat")
        index = IndexSet(client, Sources(parse_location(default.url), find_links=(flat,)))
        assert version_of(index, "foo") == "1.0+local"
        assert version_of(IndexSet(client, Sources(None, find_links=(flat,))), "bar") is None


def test_an_index_that_fails_is_never_passed_over(client: IndexClient) -> None:
    with serve({}) as private, serve({"foo": [Dist("9.0")]}) as default:
        private.fail("/foo/", status=503)
        sources = Sources(parse_location(default.url), (parse_location(private.url),))
        with pytest.raises(RetryableError, match="503"):
            IndexSet(client, sources).page("foo")
        assert default.count("/foo/") == 0


def test_pages_and_metadata_are_fetched_side_by_side_in_the_order_asked(
    client: IndexClient,
) -> None:
    names = [f"p{number}" for number in range(8)]
    together = threading.Barrier(8)

    class Meeting(IndexServer):
        """Answers pages only when eight requests wait at once."""

        def _entries(self, name: str) -> list[dict[str, object]]:
            together.wait(timeout=120)
            return super()._entries(name)

    server = Meeting({name: [Dist("1.0", ("six",))] for name in names})
    server.start()
    try:
        index = IndexSet(client, Sources(parse_location(server.url)))
        pages = index.pages([*reversed(names), "P1"])
        assert list(pages) == list(reversed(names))
        releases = [(name, page.files) for name, page in pages.items() if page]
        index.prefetch_metadata(releases)
        for name, files in releases:
            assert isinstance(index.metadata_of(name, files), Metadata)
        assert server.count(".metadata") == len(names)
        assert isinstance(index.metadata("P1", Version("1.0")), Metadata)
        with pytest.raises(KeyError):
            index.metadata("p1", Version("2.0"))
    finally:
        server.stop()


def test_a_prefetch_that_fails_shows_when_the_page_is_asked_for(client: IndexClient) -> None:
    with serve({"foo": [Dist("1.0")]}) as server:
        server.fail("/foo/", status=503)
        index = IndexSet(client, Sources(parse_location(server.url)))
        index.prefetch(["foo"])
        with pytest.raises(RetryableError):
            index.page("foo")


def test_exclude_newer(client: IndexClient) -> None:
    dists = [
        Dist("1.0", upload_time="2024-01-01T00:00:00Z"),
        Dist("2.0", upload_time="2024-03-01T00:00:00Z"),
        Dist("3.0", upload_time=""),
    ]
    with serve({"foo": dists}) as server:
        sources = Sources(parse_location(server.url))
        index = IndexSet(client, sources, exclude_newer=datetime(2024, 2, 1, tzinfo=UTC))
        page = index.page("foo")
        assert page is not None
        assert page.versions == (Version("1.0"),)
        assert "foo-3.0-py3-none-any.whl" in page.notes[0]
        with pytest.raises(ValueError, match="time zone"):
            IndexSet(client, sources, exclude_newer=datetime(2024, 2, 1))
