"""The locks of weights: ours, Cog's, and what is no lock."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogpack.errors import UserError
from cogpack.project import read_project
from cogpack.project.weight_places import remote_sources
from cogpack.project.weight_sources import (
    HubUri,
    parse_uri,
)
from cogpack.weights.find import find_files
from cogpack.weights.pins import COG_LOCK, LOCK, read_pins, write_pins
from support.hub_server import digest_of, serve_files, serve_hub
from support.remote_weights import (
    COMMIT,
    DIGEST,
    FILES,
    LARGE,
    REPO,
    environ,
    found,
    lock,
    project,
)


def test_a_lock_answers_in_place_of_the_hub(tmp_path: Path) -> None:
    project(tmp_path, "{uri: huggingface://team/model@main, include: ['*.json']}")
    with serve_hub(REPO, FILES, large=LARGE) as hub:
        unlocked, _ = found(tmp_path, environ(hub))
        lock(tmp_path, environ(hub))
        first = (tmp_path / LOCK).read_bytes()
        lock(tmp_path, environ(hub))
        assert (tmp_path / LOCK).read_bytes() == first
        hub.requests.clear()
        sources, told = found(tmp_path, environ(hub), locked=True)
        assert (sources, told, hub.requests) == (unlocked, [], [])
    assert hub.url not in first.decode()
    # The entry may be called otherwise; other patterns are another source.
    project(tmp_path, "{uri: hf://team/model, include: ['*.json']}", name="other")
    assert found(tmp_path, {"HF_ENDPOINT": hub.url}, locked=True)[0][0].files == sources[0].files
    project(tmp_path, "{uri: hf://team/model, include: ['*.md']}")
    with pytest.raises(UserError, match=f"cog.yaml:8: --locked needs hf://team/model in {LOCK}"):
        found(tmp_path, {"HF_ENDPOINT": hub.url}, locked=True)
    with pytest.raises(UserError, match=r"cog\.yaml:8: --offline needs hf://team/model"):
        find_files(read_project(tmp_path).config, tmp_path, {}, told=print, offline=True)


def test_files_by_url_are_pinned_by_the_lock_or_by_themselves(tmp_path: Path) -> None:
    body = b"x" * 1000
    with serve_files({"/a/x.bin": body, "/a/y.bin": body}) as server:
        pinned = f"{server.url}/a/y.bin#{digest_of(body).replace(':', '=')}"
        project(tmp_path, f"{{uri: '{server.url}/a/x.bin?k=v'}}", f"{{uri: '{pinned}'}}")
        (first, second), (warning,) = found(tmp_path)
        assert [(one.path, one.size, one.digest) for one in first.files] == [("x.bin", 1000, "")]
        assert [(one.path, one.size, one.digest) for one in second.files] == [
            ("y.bin", 0, digest_of(body))
        ]
        assert "is not pinned" in warning.message
        assert not [one for one in server.requests if one.path.endswith("y.bin")]
        told = lock(tmp_path, {})
        assert told == [
            f"reading {server.url}/a/x.bin?k=**** for its digest",
            f"reading {server.url}/a/y.bin#{digest_of(body).replace(':', '=')} for its digest",
        ]
        server.requests.clear()
        (first, second), told_then = found(tmp_path, locked=True)
        assert (told_then, server.requests) == ([], [])
        assert first.files[0].digest == second.files[0].digest == digest_of(body)
        assert first.files[0].size == 1000


@given(st.data())
def test_no_damage_of_a_lock_is_a_crash(data: st.DataObject) -> None:
    text = (Path(__file__).parent.parent / "examples" / "remote-weights" / LOCK).read_text()
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 60))
    piece = data.draw(st.sampled_from(["", "[", '"', "null", "1e9", "\\ud800", "{}", "/..", "é"]))
    with TemporaryDirectory() as folder:
        for name in (LOCK, COG_LOCK):
            (Path(folder) / name).write_text(text[:start] + piece + text[start + length :])
        try:
            pins = read_pins(Path(folder))
        except UserError:
            return
        write_pins(Path(folder), pins.own)
        assert read_pins(Path(folder)).own == pins.own


def test_cogs_own_lock_counts_where_there_is_none_of_ours(tmp_path: Path) -> None:
    project(tmp_path, "{uri: hf://team/model, include: ['*.json', '*.bin']}")
    entry = {
        "name": "w",
        "sources": [
            {
                "uri": "hf://team/model",
                "fingerprint": f"commit:{COMMIT}",
                "include": ["*.bin", "*.json"],
                "exclude": [],
            }
        ],
        "files": [{"path": "a.bin", "size": 3, "digest": DIGEST, "layer": DIGEST}],
    }
    (tmp_path / COG_LOCK).write_text(json.dumps({"version": 1, "weights": [entry]}))
    (source,), told = found(tmp_path, {"HF_ENDPOINT": "https://hub.example.com"}, locked=True)
    (file,) = source.files
    assert (file.size, file.digest, told) == (3, DIGEST, [])
    assert file.url == f"https://hub.example.com/team/model/resolve/{COMMIT}/a.bin"
    # One that says nothing that we understand is Cog's business.
    (tmp_path / COG_LOCK).write_text('{"version": 1, "weights": [{}]}')
    with pytest.raises(UserError, match="--locked needs"):
        found(tmp_path, locked=True)


def sources(**changes: object) -> str:
    file = {"path": "b", "size": 1, "digest": DIGEST}
    source = {"uri": "https://a/b", "include": [], "exclude": [], "files": [file]} | changes
    return json.dumps({"version": 1, "sources": [source]})


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[]",
        '{"version": 2, "sources": []}',
        '{"version": 1, "sources": [{}]}',
        sources(uri="hf://a/b"),
        sources(uri="hf://a/b", commit="main"),
        sources(include="*.bin"),
        sources(exclude=[1]),
        sources(files=[]),
        sources(uri="b"),
        sources(uri="https://a/b#top"),
        sources(files=[{"path": "b", "size": 1, "digest": DIGEST}] * 2),
        sources(files=[{"path": "x", "size": 1, "digest": DIGEST}]),
        sources(uri="hf://a/b", commit=COMMIT, files=[]),
        *(
            sources(uri="hf://a/b", commit=COMMIT, files=[file])
            for file in (
                {"path": "../x", "size": 1, "digest": DIGEST},
                {"path": "\ud800", "size": 1, "digest": DIGEST},
                {"path": "x", "size": 1, "digest": "md5:1"},
                {"path": "x", "size": -1, "digest": DIGEST},
            )
        ),
    ],
)
def test_a_lock_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK).write_text(text)
    with pytest.raises(UserError) as raised:
        read_pins(tmp_path)
    (fault,) = raised.value.faults
    assert fault.origin is not None
    assert fault.origin.file == LOCK
    assert "cogpack weights lock" in fault.hint


def test_a_lock_that_is_right_is_read(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(sources())
    assert [pin.uri for pin in read_pins(tmp_path).own] == ["https://a/b"]


def test_a_digest_beside_a_url_counts_before_a_lock(tmp_path: Path) -> None:
    written = f"https://a/b#sha256={'cd' * 32}"
    (tmp_path / LOCK).write_text(sources(uri=written))
    project(tmp_path, f"{{uri: '{written}'}}")
    ((source,), told) = found(tmp_path, locked=True)
    assert ([file.digest for file in source.files], told) == ([f"sha256:{'cd' * 32}"], [])


def test_the_lock_of_the_example_is_as_it_is_written(tmp_path: Path) -> None:
    example = Path(__file__).parent.parent / "examples" / "remote-weights"
    (source,) = remote_sources(read_project(example).config)
    uri = parse_uri(source.uri)
    assert isinstance(uri, HubUri)
    pin = read_pins(example).of(source, uri)
    assert pin is not None
    write_pins(tmp_path, [pin])
    assert (tmp_path / LOCK).read_bytes() == (example / LOCK).read_bytes()
