"""The bytes of a graph: what a daemon and other LLB clients expect of them."""

from __future__ import annotations

import json

import pytest

from cogpack.errors import CogpackError
from cogpack.llb import graph
from cogpack.llb.marshal import Marshaller
from cogpack.llb.proto import ops_pb2 as pb
from cogpack.plan.model import (
    CacheMount,
    MkDir,
    MkFile,
    Remove,
    SecretMount,
    Symlink,
    TmpfsMount,
)
from support.llb import Graph

AMD64 = graph.Platform("linux", "amd64")
IMAGE = graph.Image("docker.io/library/base:1", AMD64)


def decoded(vertex: graph.Vertex) -> Graph:
    return Graph(Marshaller().definition(vertex))


def run(root: graph.FileSystem, *mounts: graph.Mounted, network: str = "default") -> graph.Exec:
    return graph.Exec(
        root=root,
        args=("/bin/sh", "-c", "true"),
        env=(("B", "2"), ("A", "1")),
        cwd="/w",
        mounts=mounts,
        network=network,
        platform=AMD64,
        label="say it",
        stage="s",
    )


def caps(read: Graph, op: pb.Op) -> set[str]:
    digest = next(digest for digest, other in read.ops.items() if other is op)
    return set(read.definition.metadata[digest].caps)


def test_a_source_is_the_bytes_that_gos_client_writes() -> None:
    encoded = Marshaller().reachable(IMAGE)
    # Platform (10), an empty constraints (11), and the member of the oneof (3) last.
    assert encoded[0].data == (
        b"\x52\x0e\x0a\x05amd64\x12\x05linux"
        b"\x5a\x00"
        b"\x1a\x29\x0a\x27docker-image://docker.io/library/base:1"
    )


def test_every_op_has_the_member_of_the_oneof_last() -> None:
    vertex = graph.Merge((IMAGE, graph.Diff(IMAGE, run(graph.File(IMAGE, (Remove(path="/x"),))))))
    for encoded in Marshaller().reachable(vertex):
        op = pb.Op.FromString(encoded.data)
        kind = op.WhichOneof("op")
        assert kind is not None
        body = pb.Op()
        getattr(body, kind).CopyFrom(getattr(op, kind))
        assert encoded.data.endswith(body.SerializeToString(deterministic=True))
        assert op.HasField("constraints")
        assert op.HasField("platform") == (kind in ("source", "exec"))


def test_equal_vertices_are_written_once() -> None:
    twice = graph.Merge(
        (graph.Image(IMAGE.ref, AMD64), graph.Diff(graph.Image(IMAGE.ref, AMD64), None))
    )
    read = decoded(twice)
    assert read.kinds == ["source", "diff", "merge"]
    assert read.only("diff").diff.upper.input == -1


def test_the_terminal_op_names_the_result_and_says_what_a_daemon_must_read() -> None:
    read = decoded(run(IMAGE))
    assert read.result is read.only("exec")
    terminal = read.definition.metadata[read.digests[-1]]
    assert dict(terminal.caps) == {"constraints": True, "meta.description": True, "platform": True}
    assert read.label(read.only("exec")) == "say it"


def test_an_exec_sorts_its_mounts_and_puts_secrets_last() -> None:
    other = graph.File(None, (MkFile(path="/f", content=""),))
    vertex = run(
        IMAGE,
        SecretMount(id="file", target="/a-secret"),
        SecretMount(id="maybe", target="/b-secret", required=False),
        SecretMount(id="variable", env="TOKEN"),
        TmpfsMount(target="/z"),
        graph.Bind(other, "/sub", "/bound"),
        graph.Bind(None, "/", "/nothing"),
        graph.Bind(other, "/", "/written", writable=True),
        CacheMount(id="c", target="/cache", sharing="locked"),
        network="host",
    )
    read = decoded(vertex)
    op = read.only("exec").exec
    assert [mount.dest for mount in op.mounts] == [
        "/",
        "/bound",
        "/cache",
        "/nothing",
        "/written",
        "/z",
        "/a-secret",
        "/b-secret",
    ]
    root, bound, cache, nothing, written, tmpfs, secret, maybe = op.mounts
    assert (root.input, root.output) == (0, 0)
    assert (bound.input, bound.output, bound.readonly, bound.selector) == (1, -1, True, "/sub")
    assert (written.input, written.output, written.readonly) == (1, -1, False)
    assert (cache.input, cache.output, cache.mountType) == (-1, -1, pb.CACHE)
    assert (cache.cacheOpt.ID, cache.cacheOpt.sharing) == ("c", pb.LOCKED)
    assert nothing.mountType == tmpfs.mountType == pb.TMPFS
    assert (secret.input, secret.output, secret.mountType) == (-1, 0, pb.SECRET)
    assert (secret.secretOpt.ID, secret.secretOpt.mode) == ("file", 0o400)
    assert maybe.secretOpt.optional
    assert [(item.ID, item.name, item.optional) for item in op.secretenv] == [
        ("variable", "TOKEN", False)
    ]
    assert list(op.meta.env) == ["B=2", "A=1"]
    assert (op.meta.cwd, op.network, op.meta.removeMountStubsRecursive) == ("/w", pb.HOST, True)
    assert caps(read, read.only("exec")) == {
        "exec.meta.base",
        "exec.meta.network",
        "exec.mount.bind",
        "exec.mount.bind.readwrite-nooutput",
        "exec.mount.cache",
        "exec.mount.cache.sharing",
        "exec.mount.secret",
        "exec.mount.selector",
        "exec.mount.tmpfs",
        "exec.secretenv",
    }


def test_a_file_op_chains_its_actions() -> None:
    other = graph.Image("docker.io/library/other:1", AMD64)
    vertex = graph.File(
        IMAGE,
        (
            MkDir(path="/d", mode=0o750, owner="1:2"),
            graph.CopyFiles(other, "/src", "/d/", include=("*.py",), owner="3", mode=0o640),
            graph.CopyFiles(None, "/", "/", replace=True),
            MkFile(path="/d/f", content="ä", mode=0o600),
            Symlink(target="f", path="/d/l"),
            graph.CopyFiles(IMAGE, "/bin", "/bin2"),
            Remove(path="/gone"),
        ),
        time=3,
    )
    read = decoded(vertex)
    file = read.only("file")
    assert [item.digest for item in file.inputs] == read.digests[:2]
    mkdir, copy, replacing, mkfile, symlink, own, remove = file.file.actions
    assert [action.input for action in file.file.actions] == [0, 2, 3, 4, 5, 6, 7]
    assert [action.secondaryInput for action in file.file.actions] == [-1, 1, -1, -1, -1, 0, -1]
    assert [action.output for action in file.file.actions] == [-1, -1, -1, -1, -1, -1, 0]
    assert (mkdir.mkdir.mode, mkdir.mkdir.makeParents, mkdir.mkdir.timestamp) == (
        0o750,
        True,
        3_000_000_000,
    )
    assert (mkdir.mkdir.owner.user.byID, mkdir.mkdir.owner.group.byID) == (1, 2)
    assert (copy.copy.mode, copy.copy.timestamp) == (0o640, -1)
    assert (copy.copy.owner.user.byID, copy.copy.owner.HasField("group")) == (3, False)
    assert list(copy.copy.include_patterns) == ["*.py"]
    assert copy.copy.dirCopyContents
    assert copy.copy.createDestPath
    assert not copy.copy.alwaysReplaceExistingDestPaths
    assert (own.copy.mode, own.copy.HasField("owner")) == (-1, False)
    assert replacing.copy.alwaysReplaceExistingDestPaths
    assert (mkfile.mkfile.data, mkfile.mkfile.timestamp) == ("ä".encode(), 3_000_000_000)
    assert (symlink.symlink.oldpath, symlink.symlink.newpath) == ("f", "/d/l")
    assert (remove.rm.path, remove.rm.allowNotFound) == ("/gone", True)
    assert caps(read, file) == {
        "file.base",
        "file.copy.alwaysreplaceexistingdestpaths",
        "file.copy.includeexcludepatterns",
        "file.symlink.create",
    }


def test_file_actions_on_scratch_start_from_nothing() -> None:
    read = decoded(graph.File(None, (MkDir(path="/a"), MkDir(path="/b"))))
    assert [action.input for action in read.only("file").file.actions] == [-1, 0]


def test_a_mode_beyond_permission_bits_is_refused() -> None:
    with pytest.raises(CogpackError, match="4755"):
        decoded(graph.File(None, (MkFile(path="/f", content="", mode=0o4755),)))


def test_a_local_source_carries_patterns_as_gos_json() -> None:
    local = graph.Local("context", ("a<b&c>", 'q"\u2028ä'), ("*.pyc",), "session-1")
    source = decoded(local).only("source").source
    assert source.identifier == "local://context"
    assert source.attrs["local.includepattern"] == ('["a\\u003cb\\u0026c\\u003e","q\\"\\u2028ä"]')
    assert json.loads(source.attrs["local.includepattern"]) == list(local.include)
    assert source.attrs["local.excludepatterns"] == '["*.pyc"]'
    assert source.attrs["local.session"] == "session-1"


def test_selections_of_one_context_keep_places_of_their_own() -> None:
    def hint(*include: str) -> str:
        source = decoded(graph.Local("context", include)).only("source").source
        return source.attrs["local.sharedkeyhint"]

    assert hint() == "context"
    assert len({hint(), hint("a"), hint("b"), hint("a", "b")}) == 4


def test_a_deep_graph_needs_no_deep_stack() -> None:
    vertex: graph.Vertex = IMAGE
    for number in range(3000):
        vertex = graph.File(vertex, (Remove(path=f"/{number}"),))
    assert len(decoded(vertex).kinds) == 3001


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", graph.Platform("linux", "amd64")),
        ("linux/arm/v7", graph.Platform("linux", "arm", "v7")),
        ("linux/arm64/v8", graph.Platform("linux", "arm64")),
    ],
)
def test_platforms_are_read(text: str, platform: graph.Platform) -> None:
    assert graph.Platform.parse(text) == platform


@pytest.mark.parametrize("text", ["linux", "", "a/b/c/d", "linux//v8"])
def test_no_platform_is_refused(text: str) -> None:
    with pytest.raises(CogpackError, match="os/architecture"):
        graph.Platform.parse(text)
