"""Weights of a hub and of plain servers, and what is told when they fail."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cogpack.errors import RetryableError, UserError
from cogpack.weights.http import Client
from cogpack.weights.hub import TOKEN, find_token
from cogpack.weights.pins import LOCK
from support.hub_server import digest_of, serve_files, serve_hub
from support.nowhere import nowhere
from support.remote_weights import (
    DIGEST,
    FILES,
    LARGE,
    REPO,
    environ,
    found,
    lock,
    project,
)


def test_a_model_is_pinned_to_its_commit_with_the_digest_of_every_file(tmp_path: Path) -> None:
    project(tmp_path, "{uri: hf://team/model, exclude: [README.md]}")
    with serve_hub(REPO, FILES, large=LARGE) as hub:
        (source,), told = found(tmp_path, environ(hub))
        asked = [request.path for request in hub.requests]
    assert [file.path for file in source.files] == [name for name in FILES if name != "README.md"]
    for file in source.files:
        assert (file.size, file.digest) == (len(FILES[file.path]), digest_of(FILES[file.path]))
        assert file.token == TOKEN
    url = f"{hub.url}/team/model/resolve/{hub.commit}/sub%20folder/a%23b.json"
    assert source.files[-1].url == url
    (warning,) = told
    assert str(warning).startswith(
        f"cog.yaml:8: hf://team/model is not pinned: its commit is {hub.commit}"
    )
    # Large files are not read, and neither is a small one that is left out.
    assert not [path for path in asked if "safetensors" in path or "README" in path]
    assert len([path for path in asked if "/tree/" in path]) == 3


def test_a_commit_is_fixed_as_it_is(tmp_path: Path) -> None:
    with serve_hub(REPO, FILES, large=LARGE) as hub:
        project(tmp_path, f"{{uri: hf://team/model@{hub.commit}, include: [config.json]}}")
        (source,), told = found(tmp_path, environ(hub))
    assert [file.path for file in source.files] == ["config.json"]
    assert told == []


def test_the_token_goes_to_the_hub_alone(tmp_path: Path) -> None:
    project(tmp_path, "{uri: hf://team/model}")
    with serve_hub(REPO, FILES, large=LARGE[:1], token="hf_private") as hub:
        (source,), _ = found(tmp_path, environ(hub, HF_TOKEN="hf_private"))
        assert {request.token for request in hub.requests} == {"Bearer hf_private"}
        # A file that is handed out by the other server is read from there without the token.
        with Client() as client_of_large:
            body = client_of_large.measure(source.files[2].url, "hf_private")
        assert body.digest == source.files[2].digest
        assert [request.token for request in hub.store.requests] == [""]
        lock(tmp_path, environ(hub, HF_TOKEN="hf_private"))
    assert "hf_private" not in (tmp_path / LOCK).read_text()
    assert "hf_private" not in repr(source)


def test_a_server_on_the_hubs_host_gets_no_token(tmp_path: Path) -> None:
    with serve_files({"/x": b"x"}) as other, serve_hub(REPO, FILES) as hub:
        project(tmp_path, f"{{uri: {other.url}/x}}")
        with pytest.raises(UserError, match="on the hub's host but not the hub"):
            found(tmp_path, environ(hub, HF_TOKEN="t"))
        assert not other.requests
        found(tmp_path, environ(hub))


@pytest.mark.parametrize("page", ["team/model", "team/model/blob/main/m.bin"])
def test_a_page_of_the_hub_is_no_file(tmp_path: Path, page: str) -> None:
    project(tmp_path, f"{{uri: https://hub.example/{page}}}")
    with pytest.raises(UserError, match=f"{page} is a page of the hub, not a file") as raised:
        found(tmp_path, {"HF_ENDPOINT": "https://hub.example"})
    assert "/resolve/" in raised.value.faults[0].hint


def test_a_file_of_the_hub_by_its_address_is_one(tmp_path: Path) -> None:
    uri = f"https://hub.example/team/model/resolve/main/m.bin#{DIGEST.replace(':', '=')}"
    project(tmp_path, f"{{uri: '{uri}'}}")
    ((source,), _) = found(tmp_path, {"HF_ENDPOINT": "https://hub.example", "HF_TOKEN": "t"})
    assert [file.path for file in source.files] == ["m.bin"]


def test_tokens_are_found_where_the_hubs_own_tools_keep_them(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    cache = tmp_path / "cache" / "huggingface"
    cache.mkdir(parents=True)
    (cache / "token").write_text("from-cache")
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert find_token({"HF_TOKEN": " a ", "HUGGING_FACE_HUB_TOKEN": "b"}) == "a"
    assert find_token({"HUGGING_FACE_HUB_TOKEN": "b", **home}) == "b"
    assert find_token({"HF_HOME": str(tmp_path), **home}) == "from-file"
    assert find_token({"HF_TOKEN_PATH": str(tmp_path / "token"), **home}) == "from-file"
    assert find_token(home) == "from-cache"
    assert find_token({"HOME": str(tmp_path)}) == ""
    assert find_token({}) == ""


def test_all_that_cannot_be_had_is_told_at_once(tmp_path: Path) -> None:
    with serve_files({"/empty.bin": b"", "/x.bin": b"x"}) as server, serve_hub(REPO, FILES) as hub:
        project(
            tmp_path,
            "{uri: hf://team/other}",
            "{uri: hf://team/model@v9}",
            "{uri: hf://team/model, include: ['*.gguf']}",
            f"{{uri: {server.url}/missing.bin}}",
            f"{{uri: {server.url}/empty.bin}}",
            f"{{uri: {server.url}/x.bin, exclude: ['*.bin']}}",
            f"{{uri: '{server.url}/gone.bin?key=hunter2'}}",
        )
        with pytest.raises(UserError) as raised:
            found(tmp_path, environ(hub))
        with pytest.raises(UserError) as locking:
            lock(tmp_path, environ(hub))
    told = [str(fault) for fault in raised.value.faults]
    stranger = "the hub shows no such model to one without a token"
    assert told == [
        f"cog.yaml:8: hf://team/other cannot be had: {stranger}",
        "cog.yaml:9: hf://team/model@v9 cannot be had: team/model has no revision v9",
        "cog.yaml:10: hf://team/model has 5 files, and include and exclude leave none",
        f"cog.yaml:11: {server.url}/missing.bin cannot be had: the server answered 404",
        f"cog.yaml:12: {server.url}/empty.bin is empty",
        f"cog.yaml:13: {server.url}/x.bin is one file, and include and exclude leave it out",
        f"cog.yaml:14: {server.url}/gone.bin?key=**** cannot be had: the server answered 404",
    ]
    assert [str(fault) for fault in locking.value.faults] == told
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"HF_TOKEN": "hunter2\nhunter2"}, "$HF_TOKEN: the hub's token holds a character"),
        ({"HF_TOKEN": "hunter2é"}, "$HF_TOKEN: the hub's token holds a character"),
        (
            {"HF_ENDPOINT": "http://me:hunter2@h.example"},
            "$HF_ENDPOINT: the address of the hub holds",
        ),
        (
            {"HF_ENDPOINT": "http://h.example?key=hunter2"},
            "$HF_ENDPOINT: the address of the hub has",
        ),
        ({"HF_ENDPOINT": "h.example"}, "$HF_ENDPOINT: the address of the hub names no server"),
        ({"HF_ENDPOINT": "http://[h"}, "$HF_ENDPOINT: the address of the hub is no URL"),
    ],
)
def test_settings_of_the_hub_that_cannot_be_are_told_once_and_not_shown(
    tmp_path: Path, variables: dict[str, str], said: str
) -> None:
    project(tmp_path, "{uri: hf://team/model}", "{uri: hf://team/other}")
    with pytest.raises(UserError) as raised:
        found(tmp_path, {"HF_ENDPOINT": "http://h.example"} | variables)
    (fault,) = raised.value.faults
    assert str(fault).startswith(said)
    assert "hunter2" not in f"{fault} {fault.hint}"


@pytest.mark.parametrize(
    ("gated", "variables", "said"),
    [
        (False, {}, "no such model to one without a token"),
        (False, {"HF_TOKEN": "wrong"}, "no such model to one with a token"),
        (True, {"HF_TOKEN": "right"}, "its owner decides who may"),
    ],
)
def test_a_closed_model_is_told_as_such(
    tmp_path: Path, gated: bool, variables: dict[str, str], said: str
) -> None:
    project(tmp_path, "{uri: hf://team/model}")
    with (
        serve_hub(REPO, FILES, token="right", gated=gated) as hub,
        pytest.raises(UserError, match=said) as raised,
    ):
        found(tmp_path, environ(hub, **variables))
    (fault,) = raised.value.faults
    assert "HF_TOKEN" in fault.hint
    assert "wrong" not in f"{fault} {fault.hint}"


def test_a_file_that_is_not_what_was_listed_is_refused(tmp_path: Path) -> None:
    project(tmp_path, "{uri: hf://team/model}")
    with serve_hub(REPO, {"config.json": b"{}"}) as hub:
        commit = hub.commit
        hub.files["config.json"] = b"[]"
        changed = f"/team/model/resolve/{hub.commit}/config.json"
        hub.files["config.json"] = b"{}"
        assert hub.commit == commit
        assert changed not in hub.files
        original = hub.found

        def found_changed(request: object) -> object:
            answer = original(request)  # type: ignore[arg-type]
            if answer.body == b"{}":
                return type(answer)(200, b"[]")
            return answer

        hub.found = found_changed  # type: ignore[method-assign,assignment]
        with pytest.raises(UserError, match="another content than it lists"):
            found(tmp_path, environ(hub))


LISTED = {"type": "file", "path": "m.bin", "size": 9, "oid": "", "lfs": {"oid": "ab" * 32}}


@pytest.mark.parametrize(
    ("listing", "said"),
    [
        (b"[" * 100_000, "is no JSON"),
        (b"\xff", "is no JSON"),
        (b"{}", "is no list"),
        (b"[1, null, {}]", "hf://team/model has no files"),
        *(
            (json.dumps([LISTED | wrong]).encode(), "a file that cannot be")
            for wrong in (
                {"size": "9"},
                {"size": -1},
                {"size": True},
                {"lfs": {"oid": "ab" * 32, "size": "many"}},
                {"lfs": {"oid": "ab" * 32, "size": [1]}},
                {"path": "../m.bin"},
                {"path": "a\nb"},
                {"path": "\ud800"},
                {"path": ""},
            )
        ),
        (json.dumps([LISTED | {"lfs": {"oid": "12", "size": 9}}]).encode(), "digest of m.bin"),
    ],
)
def test_a_listing_that_makes_no_sense_is_told(tmp_path: Path, listing: bytes, said: str) -> None:
    project(tmp_path, "{uri: hf://team/model}")
    with serve_hub(REPO, FILES) as hub:
        hub.listing = listing
        with pytest.raises(UserError, match=said):
            found(tmp_path, environ(hub))


def test_a_listing_without_an_end_is_told(tmp_path: Path) -> None:
    project(tmp_path, "{uri: hf://team/model}")
    with serve_hub(REPO, FILES) as hub:
        hub.listing = b"[]"
        hub.next_page = "?recursive=true"
        with pytest.raises(UserError, match="listing has no end"):
            found(tmp_path, environ(hub))


def test_a_server_that_stumbles_is_asked_again() -> None:
    with serve_files({"/x": b"x"}) as server, Client(pause=0) as client:
        server.failures["/x"] = [503, 429]
        assert client.measure(f"{server.url}/x").size == 1
        server.failures["/x"] = [500] * 9
        with pytest.raises(RetryableError, match="answered 500"):
            client.measure(f"{server.url}/x")
        assert len(server.requests) == 7


def test_a_redirect_in_a_circle_is_told(tmp_path: Path) -> None:
    with serve_files({}) as server:
        server.redirects["/x.bin"] = "/y.bin"
        server.redirects["/y.bin"] = "/x.bin"
        project(tmp_path, f"{{uri: {server.url}/x.bin}}")
        with pytest.raises(UserError, match=r"x\.bin cannot be had: it redirects in a circle"):
            found(tmp_path)


def test_a_network_that_fails_is_told_with_the_line_that_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cogpack.weights.finder.Client", lambda: Client(pause=0))
    with nowhere() as url:
        project(tmp_path, f"{{uri: '{url}/x.bin?key=hunter2'}}")
        for ask in (found, lambda folder: lock(folder, {})):
            with pytest.raises(RetryableError) as raised:
                ask(tmp_path)
            (fault,) = raised.value.faults
            said = f"cog.yaml:8: {url}/x.bin?key=****: the network failed"
            assert str(fault).startswith(said)
