"""Which files become layers of their own, and what is left for the source."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from cogpack.blocks.weight_files import LARGE, literal
from cogpack.errors import CogpackError, UserError
from cogpack.llb.client.walk import Tree
from cogpack.llb.compile import compile_plan
from cogpack.llb.proto import ops_pb2 as pb
from cogpack.patterns import PatternSet
from cogpack.plan import model
from cogpack.plan.model import DOWNLOADED, Copy, HttpInput, LocalInput, ScratchInput
from cogpack.plan.render import render
from cogpack.plan.validate import faults
from cogpack.project import read_project
from cogpack.project.tree import TreeFile, list_files
from cogpack.project.weight_places import outside_folders
from cogpack.project.weight_sources import RemoteFile, RemoteSource
from cogpack.stacks.compose import load, make_plan
from cogpack.stacks.solve import solved
from support.projects import planned, stage_of, write_project


def large(path: Path, size: int = LARGE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def copies(plan: model.Plan, stage: str) -> list[Copy]:
    found = stage_of(plan, stage)
    assert found.source == ScratchInput()
    return [op for op in found.ops if isinstance(op, Copy)]


def weight_stages(plan: model.Plan) -> list[str]:
    ids = [stage.id for phase in plan.build_phases for stage in phase.stages]
    return [name for name in ids if name.startswith(("weights", "large-"))]


def included(copy: Copy) -> tuple[str, ...]:
    assert isinstance(copy.source, LocalInput)
    return copy.source.include


def left_out(plan: model.Plan) -> tuple[str, ...]:
    (copy,) = copies(plan, "source")
    assert isinstance(copy.source, LocalInput)
    return copy.source.exclude


def test_a_project_without_weights_has_no_layer_for_them(tmp_path: Path) -> None:
    write_project(tmp_path)
    large(tmp_path / "almost.bin", LARGE - 1)
    plan = planned(tmp_path)
    assert weight_stages(plan) == []
    assert "almost.bin" not in left_out(plan)


def test_a_large_file_has_a_layer_before_the_source(tmp_path: Path) -> None:
    write_project(tmp_path)
    large(tmp_path / "models" / "we[i]ghts.bin")
    plan = planned(tmp_path)
    (copy,) = copies(plan, "large-files-1")
    assert (copy.src, copy.dest) == ("/models/we[i]ghts.bin", "/src/models/we[i]ghts.bin")
    assert included(copy) == ("models/we\\[i\\]ghts.bin",)
    assert left_out(plan)[-1] == "models/we\\[i\\]ghts.bin"
    exports = [stage.id for phase in plan.export_phases for stage in phase.stages]
    assert exports[-2:] == ["export:large-files-1", "export:source"]


def test_what_is_ignored_is_no_weight(tmp_path: Path) -> None:
    write_project(tmp_path, files={".dockerignore": "data\n!data/keep\n"})
    large(tmp_path / "data" / "drop.bin")
    large(tmp_path / "data" / "keep" / "it.bin")
    large(tmp_path / ".git" / "objects" / "pack.bin")
    plan = planned(tmp_path)
    assert [copy.src for name in weight_stages(plan) for copy in copies(plan, name)] == [
        "/data/keep/it.bin"
    ]


def test_many_large_files_share_layers_by_folder(tmp_path: Path) -> None:
    write_project(tmp_path)
    names = [f"{number:02}.bin" for number in range(12)]
    for name in names:
        large(tmp_path / "a" / name)
        large(tmp_path / "b" / name)
    assert len(weight_stages(planned(tmp_path))) == 24
    large(tmp_path / "a" / "more.bin")
    plan = planned(tmp_path)
    assert weight_stages(plan) == ["large-files-1", "large-files-2"]
    (copy,) = copies(plan, "large-files-2")
    assert (copy.src, copy.dest) == ("/", "/src")
    assert included(copy) == tuple(f"b/{name}" for name in names)
    for number in range(23):
        large(tmp_path / f"folder{number}" / "x.bin")
    assert len(weight_stages(planned(tmp_path))) == 1


def test_a_folder_that_is_large_by_many_files_has_a_layer_too(tmp_path: Path) -> None:
    write_project(tmp_path, files={".dockerignore": "models/voices/*.wav\n"})
    for number in range(3):
        large(tmp_path / "models" / "voices" / f"[{number}].pt", LARGE // 3 + 1)
        large(tmp_path / "models" / "voices" / f"{number}.wav", LARGE)
        large(tmp_path / "code" / "data" / f"{number}.bin", LARGE // 2)
        large(tmp_path / "small" / f"{number}.bin", LARGE // 4)
        large(tmp_path / "mixed" / f"{number}.bin", LARGE // 2)
    large(tmp_path / "models" / "voices" / "all.pt")
    for name in ("code/__init__.py", "mixed/deep/look.ipynb"):
        large(tmp_path / name, 1)
    plan = planned(tmp_path)
    assert weight_stages(plan) == ["large-files-1", "large-folder-1", "large-folder-2"]
    found = [copy for name in weight_stages(plan)[1:] for copy in copies(plan, name)]
    assert [(copy.src, copy.dest, included(copy)) for copy in found] == [
        ("/code/data", "/src/code/data", ("code/data",)),
        ("/models", "/src/models", ("models",)),
    ]
    assert isinstance(found[1].source, LocalInput)
    assert found[1].source.exclude[-1] == "models/voices/all.pt"
    assert "models/voices/*.wav" in found[1].source.exclude
    assert left_out(plan)[-5:] == (
        *("code/data", "code/data/**", "models", "models/**", "models/voices/all.pt"),
    )


def test_a_folder_of_an_exception_is_in_its_layer_alone(tmp_path: Path) -> None:
    write_project(tmp_path, files={".dockerignore": "*\n!predict.py\n!cog.yaml\n!models/keep\n"})
    for number in range(3):
        large(tmp_path / "models" / "keep" / "deep" / f"{number}.bin", LARGE // 2)
        large(tmp_path / "models" / "drop" / f"{number}.bin", LARGE // 2)
    plan = planned(tmp_path)
    assert weight_stages(plan) == ["large-folder-1"]
    source = [file.path for file in list_files(tmp_path, left_out(plan))]
    assert source == ["cog.yaml", "predict.py"]


def test_many_large_folders_share_a_layer(tmp_path: Path) -> None:
    write_project(tmp_path)
    for number in range(25):
        large(tmp_path / "all" / str(number) / "code.py", 1)
        for name in "ab":
            large(tmp_path / "all" / str(number) / "data" / name, LARGE // 2)
    plan = planned(tmp_path)
    assert weight_stages(plan) == ["large-folder-1"]
    assert len(copies(plan, "large-folder-1")) == 25


DIGEST = f"sha256:{'ab' * 32}"
REMOTE = (
    "model: example.com/me/it\nweights:\n  - name: first\n    target: /weights/first/\n"
    "    source: {uri: hf://team/model}"
)
SETTINGS = """\
model: example.com/me/it
weights:
  - name: first
    target: /weights/first/
    source:
      uri: {uri}
      include: ["*.bin", "conf/"]
      exclude: ["*.old.bin", "/deep/x.bin"]"""


def test_weights_of_cog_yaml_go_to_their_target_though_they_are_ignored(tmp_path: Path) -> None:
    names = ["a.bin", "a.old.bin", "conf/c.txt", "deep/b.bin", "deep/x.bin", "notes.txt"]
    files = {f"weights/{name}": name for name in names} | {".dockerignore": "weights\n"}
    plan = planned(write_project(tmp_path, SETTINGS.format(uri="file://./weights"), files))
    (copy,) = copies(plan, "weights-first")
    assert (copy.src, copy.dest) == ("/weights", "/weights/first")
    assert included(copy) == ("weights/a.bin", "weights/conf/c.txt", "weights/deep/b.bin")
    assert isinstance(copy.source, LocalInput)
    assert copy.source.exclude == ()
    assert left_out(plan)[-3:] == included(copy)


def test_sources_of_one_entry_are_one_layer(tmp_path: Path) -> None:
    settings = (
        "model: example.com/me/it\nweights:\n  - name: w\n    target: /w\n    source:\n"
        "      - {uri: one}\n      - {uri: two/x.bin}"
    )
    plan = planned(write_project(tmp_path, settings, {"one/a": "a", "two/x.bin": "x"}))
    assert [(copy.src, copy.dest) for copy in copies(plan, "weights-w")] == [
        ("/one", "/w"),
        ("/two/x.bin", "/w/x.bin"),
    ]


def test_weights_outside_of_the_project_are_a_context_of_their_own(tmp_path: Path) -> None:
    project, outside = tmp_path / "project", tmp_path / "else[w]here"
    for folder in (project, outside):
        folder.mkdir()
    (outside / "a.bin").write_text("a")
    (outside / "b.txt").write_text("b")
    sources = f"[{{uri: '{outside}', include: ['*.bin']}}, {{uri: 'file://{outside}/b.txt'}}]"
    settings = (
        "model: example.com/me/it\nweights:\n  - {name: w, target: /w, source: " + sources + "}"
    )
    plan = planned(write_project(project, settings))
    directory, file = copies(plan, "weights-w")
    assert (directory.src, directory.dest, included(directory)) == ("/", "/w", ("a.bin",))
    assert (file.src, file.dest, included(file)) == ("/b.txt", "/w/b.txt", ("b.txt",))
    names = [one.source.name for one in (directory, file) if isinstance(one.source, LocalInput)]
    assert names == ["weights-0-w", "weights-1-w"]
    folders = outside_folders(project, read_project(project).config)
    assert folders == dict.fromkeys(names, outside)
    without_labels = replace(plan, config=model.ExportConfig())
    assert not [line for line in model.dump(without_labels).splitlines() if str(tmp_path) in line]
    assert set(left_out(plan)) == set(left_out(planned(write_project(tmp_path))))


def test_a_large_file_that_cog_yaml_names_is_in_one_layer_only(tmp_path: Path) -> None:
    write_project(tmp_path, SETTINGS.format(uri="weights"))
    large(tmp_path / "weights" / "a.bin")
    assert weight_stages(planned(tmp_path)) == ["weights-first"]


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("missing", "not in the project"),
        ("../outside", "outside the project"),
        ("/no/such/place", "/no/such/place, which is not there"),
        (".", "the whole project"),
        ("empty", "no file of empty is left"),
        ("linked", "symbolic link"),
    ],
)
def test_sources_that_cannot_be_had_are_told_with_their_line(
    tmp_path: Path, uri: str, told: str
) -> None:
    write_project(tmp_path, SETTINGS.format(uri=uri))
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "a.bin").symlink_to("/etc/hosts")
    with pytest.raises(UserError) as raised:
        planned(tmp_path)
    assert told in str(raised.value)
    (fault,) = raised.value.faults
    assert fault.origin is not None
    assert (fault.origin.where, bool(fault.hint)) == ("cog.yaml:8", True)


def test_copies_forget_times_and_owners(tmp_path: Path) -> None:
    write_project(tmp_path, SETTINGS.format(uri="weights"), {"weights/a.bin": "a"})
    plan = planned(tmp_path)
    ops = {
        digest: pb.Op.FromString(raw)
        for digest, raw in enumerate(pb.Definition.FromString(compile_plan(plan).definition).ops)
    }
    actions = [
        action.copy
        for op in ops.values()
        if op.WhichOneof("op") == "file"
        for action in op.file.actions
        if action.WhichOneof("action") == "copy"
    ]
    placed = [copy for copy in actions if copy.dest in ("/src", "/weights/first")]
    assert len(placed) == 2
    for copy in placed:
        assert copy.timestamp == 315532800 * 10**9
        assert copy.mode == -1
        assert (copy.owner.user.byID, copy.owner.group.byID) == (0, 0)
        assert not copy.include_patterns
        assert not copy.exclude_patterns


@pytest.mark.parametrize(
    "path", ["a*b", "[x]", "a?", "a\\b", "plain/sub", "!a", " a", "a \t", "a / b", "#a", "!"]
)
def test_a_literal_pattern_matches_its_path_alone(path: str) -> None:
    assert literal(path) == literal(path).strip()
    patterns = PatternSet([literal(path)])
    assert patterns.covers(path)
    assert patterns.covers(f"{path}/below")
    assert not patterns.covers("axb")


def test_the_tree_lists_files_and_links_and_follows_none(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_text("abc")
    (tmp_path / "link").symlink_to("sub")
    os.mkfifo(tmp_path / "pipe")
    assert list_files(tmp_path) == (TreeFile("link", 0, is_link=True), TreeFile("sub/file", 3))
    assert list_files(tmp_path, ["sub"]) == (TreeFile("link", 0, is_link=True),)
    with pytest.raises(UserError, match="pattern"):
        list_files(tmp_path, ["[a"])


@pytest.mark.parametrize(
    ("mode", "sent"), [(0o600, 0o644), (0o664, 0o644), (0o4711, 0o755), (0o755, 0o755)]
)
def test_of_permissions_only_what_git_keeps_is_sent(tmp_path: Path, mode: int, sent: int) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "file").touch()
    (tmp_path / "file").chmod(mode)
    (tmp_path / "link").symlink_to("file")
    modes = {entry.path: entry.mode & 0xFFFFFF for entry in Tree(tmp_path, plain_modes=True).walk()}
    assert modes == {"file": sent, "folder": 0o755, "link": 0o777}
    modes = {entry.path: entry.mode & 0o777 for entry in Tree(tmp_path).walk()}
    assert modes == {"file": mode & 0o777, "folder": 0o700, "link": 0o777}


def remote(
    folder: Path,
    files: Sequence[RemoteFile],
    settings: str = REMOTE,
    more: Sequence[RemoteFile] = (),
) -> model.Plan:
    composition = load(write_project(folder, settings))
    found = [RemoteSource("first", 0, tuple(files))]
    if more:
        found.append(RemoteSource("first", 1, tuple(more)))
    project = replace(composition.project, remote_weights=tuple(found))
    return make_plan(structs.replace(composition, project=project), solved(composition))


def test_remote_files_are_downloads_the_large_ones_in_layers_of_their_own(tmp_path: Path) -> None:
    files = [
        RemoteFile("a/model.bin", "https://h.example/m", LARGE, DIGEST, "HF_TOKEN"),
        RemoteFile("config.json", "https://h.example/c", 9, DIGEST, "HF_TOKEN"),
        RemoteFile("unknown.bin", "https://h.example/u", 0, ""),
        RemoteFile("vocab.txt", "https://h.example/v", LARGE - 1, DIGEST),
    ]
    plan = remote(tmp_path, files)
    assert weight_stages(plan) == ["weights-first:small", "weights-first:1", "weights-first:2"]
    (copy,) = copies(plan, "weights-first:1")
    assert copy == Copy(
        source=HttpInput(url="https://h.example/m", digest=DIGEST, token="HF_TOKEN"),
        src=DOWNLOADED,
        dest="/weights/first/a/model.bin",
        owner="0:0",
        mode=0o644,
        time=315532800,
    )
    small = copies(plan, "weights-first:small")
    assert [copy.dest for copy in small] == [
        "/weights/first/config.json",
        "/weights/first/vocab.txt",
    ]
    title = stage_of(plan, "weights-first:small").title
    assert title == "download weights first: config.json and 1 more"
    assert model.load(model.dump(plan)) == plan
    assert "https://h.example/m /file -> /weights/first/a/model.bin" in render(plan)
    exports = [stage.id for phase in plan.export_phases for stage in phase.stages]
    assert exports[-4:-1] == [f"export:{name}" for name in weight_stages(plan)]


def test_of_two_files_for_one_place_that_of_the_later_source_counts(tmp_path: Path) -> None:
    first, second = (RemoteFile("x", f"https://h.example/{n}", 9, DIGEST) for n in (1, 2))
    settings = (
        "model: a/b\nweights:\n  - name: first\n    target: /w/\n    source:\n"
        "      - {uri: hf://team/one}\n      - {uri: hf://team/two}"
    )
    plan = remote(tmp_path, [first], settings, more=[second])
    (copy,) = copies(plan, "weights-first:small")
    assert isinstance(copy.source, HttpInput)
    assert copy.source.url == "https://h.example/2"


def test_a_later_source_of_this_machine_counts_before_a_download(tmp_path: Path) -> None:
    settings = (
        "model: a/b\nweights:\n  - name: first\n    target: /w/\n    source:\n"
        "      - {uri: old}\n      - {uri: hf://team/model}\n      - {uri: new/one.json}\n"
        "      - {uri: more}"
    )
    for name in ("old/two.json", "new/one.json", "more/sub/three.json"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(name)
    composition = load(write_project(tmp_path, settings))
    names = ("one.json", "two.json", "sub/three.json")
    files = [RemoteFile(name, f"https://h.example/{name}", 9, DIGEST) for name in names]
    source = RemoteSource("first", 1, tuple(files))
    project = replace(composition.project, remote_weights=(source,))
    plan = make_plan(structs.replace(composition, project=project), solved(composition))
    assert weight_stages(plan) == ["weights-first", "weights-first:small"]
    assert [copy.dest for copy in copies(plan, "weights-first:small")] == ["/w/two.json"]


def test_weights_and_large_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    settings = "model: a/b\nweights: [{name: file-1, target: /w, source: {uri: w}}]"
    write_project(tmp_path, settings)
    large(tmp_path / "w" / "x")
    large(tmp_path / "y")
    assert weight_stages(planned(tmp_path)) == ["weights-file-1", "large-files-1"]


def test_what_a_query_says_is_shown_nowhere(tmp_path: Path) -> None:
    url = "https://h.example/x.bin?key=hunter2"
    plan = remote(tmp_path, [RemoteFile("x.bin", url, 9, DIGEST)])
    assert "hunter2" not in render(plan)
    definition = pb.Definition.FromString(compile_plan(plan).definition)
    assert any(url in pb.Op.FromString(data).source.identifier for data in definition.ops)
    assert "hunter2" not in str(definition.metadata)


def test_hundreds_of_large_remote_files_share_layers(tmp_path: Path) -> None:
    files = [
        RemoteFile(f"{number:03}.bin", f"https://h.example/{number}", LARGE, DIGEST)
        for number in range(100)
    ]
    plan = remote(tmp_path, files)
    stages = weight_stages(plan)
    assert len(stages) == 20
    placed = [copy.dest for name in stages for copy in copies(plan, name)]
    assert placed == [f"/weights/first/{file.path}" for file in files]


def test_a_download_is_one_vertex_and_its_token_no_part_of_it(tmp_path: Path) -> None:
    url = "https://h.example/team/model/resolve/c/m.bin"
    opened = RemoteFile("m.bin", url, LARGE, DIGEST, "HF_TOKEN")
    closed = compile_plan(remote(tmp_path, [opened]))
    assert closed.tokens == {"HTTP_AUTH_TOKEN_h.example": "HF_TOKEN"}
    assert list(closed.downloads.values()) == [url]
    public = compile_plan(remote(tmp_path, [replace(opened, token="")]))
    assert public.tokens == {}
    assert public.definition == closed.definition
    definition = pb.Definition.FromString(public.definition)
    ops = [pb.Op.FromString(data) for data in definition.ops]
    (source,) = [op.source for op in ops if op.source.identifier == url]
    assert dict(source.attrs) == {"http.checksum": DIGEST, "http.filename": "file"}


def test_remote_weights_that_nobody_asked_for_are_told(tmp_path: Path) -> None:
    with pytest.raises(CogpackError, match="not asked for") as raised:
        planned(write_project(tmp_path, REMOTE))
    assert "with_weights" in raised.value.faults[0].hint


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (HttpInput(url="ftp://h.example/x"), "no URL of a server"),
        (HttpInput(url="https://[h.example/x"), "is no URL"),
        (HttpInput(url="https://me:pw@h.example/x"), "holds a credential"),
        (HttpInput(url="https://h.example/x", digest="sha256:12"), "no sha256 digest"),
    ],
)
def test_downloads_of_a_plan_are_checked(tmp_path: Path, source: HttpInput, told: str) -> None:
    plan = remote(tmp_path, [RemoteFile("x", "https://h.example/x", 9, DIGEST)])
    text = model.dump(plan)
    written = json.dumps("https://h.example/x")
    changed = text.replace(written, json.dumps(source.url)).replace(
        json.dumps(DIGEST), json.dumps(source.digest)
    )
    (fault,) = faults(model.load(changed))
    assert told in fault
    assert "pw" not in fault
