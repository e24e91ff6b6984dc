"""Weights of other machines: URIs, the hub, plain files, locks, and what is told when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cogpack.errors import Fault, RetryableError, UserError
from cogpack.project import read_project
from cogpack.project.weight_places import remote_sources, selected
from cogpack.project.weight_sources import (
    FileUri,
    HttpUri,
    HubUri,
    RemoteSource,
    SourceUriError,
    parse_uri,
)
from cogpack.weights.find import find_files, lock_files
from cogpack.weights.http import Client
from cogpack.weights.hub import TOKEN, find_token
from cogpack.weights.pins import COG_LOCK, LOCK, read_pins, write_pins
from support.hub_server import HubServer, digest_of, serve_files, serve_hub
from support.projects import write_project

REPO = "team/model"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "README.md": b"read me",
    "config.json": b"{}",
    "model.safetensors": b"weights" * 100,
    "onnx/model.onnx": b"onnx" * 100,
    "sub folder/a#b.json": b"[]",
}
LARGE = ("model.safetensors", "onnx/model.onnx")
DIGEST = f"sha256:{'ab' * 32}"


def project(folder: Path, *sources: str, name: str = "w") -> Path:
    lines = "".join(f"      - {source}\n" for source in sources)
    settings = (
        f"model: example.com/me/it\nweights:\n  - name: {name}\n    target: /w\n    source:\n"
    )
    return write_project(folder, settings + lines.rstrip("\n"))


def found(
    folder: Path, environ: dict[str, str] | None = None, *, locked: bool = False
) -> tuple[tuple[RemoteSource, ...], list[Fault]]:
    told: list[Fault] = []
    config = read_project(folder).config
    sources = find_files(config, folder, environ or {}, told=told.append, locked=locked)
    return sources, told


def environ(hub: HubServer, **variables: str) -> dict[str, str]:
    return {"HF_ENDPOINT": f"{hub.url}/", **variables}


def lock(folder: Path, variables: dict[str, str]) -> list[str]:
    told: list[str] = []
    lock_files(read_project(folder).config, folder, variables, told=told.append)
    return told


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("hf://team/model", HubUri("team/model", "main")),
        ("huggingface://team/model@v1", HubUri("team/model", "v1")),
        ("hf://team/model@refs/pr/1", HubUri("team/model", "refs/pr/1")),
        ("https://a.example/x/y%20z.bin?k=v", HttpUri("https://a.example/x/y%20z.bin?k=v", "")),
        (f"http://a.example/x#sha256={'ab' * 32}", HttpUri("http://a.example/x", DIGEST)),
        ("https://a.example/x#top", HttpUri("https://a.example/x", "")),
        ("file://./weights", FileUri("./weights")),
        ("weights", FileUri("weights")),
    ],
)
def test_uris_are_read_as_cog_reads_them(text: str, uri: HubUri | HttpUri | FileUri) -> None:
    assert parse_uri(text) == uri


@pytest.mark.parametrize(
    "text",
    [
        "hf://",
        "hf://model",
        "hf://team/model/file",
        "hf://team/model@",
        "hf://../model",
        "s3://bucket/key",
        "https://a.example/",
        "https://a.example",
        "https:///x",
        "https://me:secret@a.example/x",
        "https://a.example/x%2f..",
        "https://a.example/x#sha256=12",
    ],
)
def test_what_names_no_weights_is_refused(text: str) -> None:
    with pytest.raises(SourceUriError) as raised:
        parse_uri(text)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("include", "exclude", "left"),
    [
        ((), (), list(FILES)),
        (("*.safetensors", "*.json"), (), [name for name in FILES if name[-2:] in ("rs", "on")]),
        ((), ("onnx/",), [name for name in FILES if not name.startswith("onnx")]),
        ((), ("onnx/*",), [name for name in FILES if not name.startswith("onnx")]),
        (("*.onnx",), ("*.onnx",), []),
        (("**/*.onnx",), (), ["onnx/model.onnx"]),
        (("/config.json",), (), ["config.json"]),
    ],
)
def test_patterns_select_as_in_gitignore(
    include: tuple[str, ...], exclude: tuple[str, ...], left: list[str]
) -> None:
    assert list(selected(FILES, include, exclude)) == left


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
            f"reading {server.url}/a/x.bin?k=v for its digest",
            f"reading {server.url}/a/y.bin for its digest",
        ]
        server.requests.clear()
        (first, second), told_then = found(tmp_path, locked=True)
        assert (told_then, server.requests) == ([], [])
        assert first.files[0].digest == second.files[0].digest == digest_of(body)
        assert first.files[0].size == 1000


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
            "{uri: s3://bucket/key}",
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
        "cog.yaml:14: weights w: s3://bucket/key has the scheme s3, which nobody knows",
    ]
    assert [str(fault) for fault in locking.value.faults] == told
    assert not (tmp_path / LOCK).exists()


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


def test_a_server_that_stumbles_is_asked_again() -> None:
    with serve_files({"/x": b"x"}) as server, Client(pause=0) as client:
        server.failures["/x"] = [503, 429]
        assert client.measure(f"{server.url}/x").size == 1
        server.failures["/x"] = [500] * 9
        with pytest.raises(RetryableError, match="answered 500"):
            client.measure(f"{server.url}/x")
        assert len(server.requests) == 7


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
    source = {"uri": "https://a/b", "include": [], "exclude": [], "files": []} | changes
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
        sources(files=[{"path": "../x", "size": 1, "digest": DIGEST}]),
        sources(files=[{"path": "x", "size": 1, "digest": "md5:1"}]),
        sources(files=[{"path": "x", "size": -1, "digest": DIGEST}]),
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


def test_the_lock_of_the_example_is_as_it_is_written(tmp_path: Path) -> None:
    example = Path(__file__).parent.parent / "examples" / "remote-weights"
    (source,) = remote_sources(read_project(example).config)
    uri = parse_uri(source.uri)
    assert isinstance(uri, HubUri)
    pin = read_pins(example).of(source, uri)
    assert pin is not None
    write_pins(tmp_path, [pin])
    assert (tmp_path / LOCK).read_bytes() == (example / LOCK).read_bytes()
