"""What the URIs of weights name, and what their patterns select."""

from __future__ import annotations

import pytest

from cogpack.project.weight_places import selected
from cogpack.project.weight_sources import (
    FileUri,
    HttpUri,
    HubUri,
    SourceUriError,
    parse_uri,
)
from support.remote_weights import (
    DIGEST,
    FILES,
)


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("hf://team/model", HubUri("team/model", "main")),
        ("huggingface://team/model@v1", HubUri("team/model", "v1")),
        ("hf://team/model@refs/pr/1", HubUri("team/model", "refs/pr/1")),
        ("https://a.example/x/y%20z.bin?k=v", HttpUri("https://a.example/x/y%20z.bin?k=v", "")),
        (f"http://a.example/x#sha256={'ab' * 32}", HttpUri("http://a.example/x", DIGEST)),
        (f"http://a.example/x#sha256={'AB' * 32}", HttpUri("http://a.example/x", DIGEST)),
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
        "hf://team/model?x=1",
        "hf://team/model#x",
        "hf://team/mo del",
        "hf://team/model@main@v1",
        "hf://team/model@v 1",
        "hf://team/model@../v1",
        "s3://bucket/key",
        "https://a.example/",
        "https://a.example",
        "https:///x",
        "https://me:secret@a.example/x",
        "https://a.example/x%2f..",
        "https://a.example/x%00",
        "https://a.example/x%0a",
        "https://a.example/x%5cy",
        "https://a.example/x y",
        "https://a.example:port/x",
        "https://a.example:99999/x",
        "https://[a.example/x",
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
        (("config.json/",), (), []),
        (("onnx/", "config.json"), (), ["config.json", "onnx/model.onnx"]),
    ],
)
def test_patterns_select_as_in_gitignore(
    include: tuple[str, ...], exclude: tuple[str, ...], left: list[str]
) -> None:
    assert list(selected(FILES, include, exclude)) == left
