"""On a real daemon: each form of a stage is exactly one layer, and holds what was asked for."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cogpack.llb.capabilities import Capabilities
from cogpack.llb.client import Client, Export, SolveOptions, Vertex, find_daemon, new_session_id
from cogpack.llb.compile import CompiledPlan, compile_plan
from cogpack.llb.images import ResolvedImage
from cogpack.plan import model
from cogpack.plan.model import (
    BindMount,
    CacheMount,
    Copy,
    Env,
    Exec,
    ExportConfig,
    Layer,
    LocalInput,
    MkDir,
    MkFile,
    PhaseInput,
    Remove,
    ScratchInput,
    SecretMount,
    StageInput,
    Symlink,
    TmpfsMount,
    Workdir,
)
from devdaemon.builder import Builder
from support.llb import plan, stage

BASE = "docker.io/library/python:3.11-slim-bookworm"
ALL = Capabilities()
NO_SQUASH = replace(ALL, diff=False, merge=False, file_replace=False)

# What the stages under test change: a layer of its own on the base.
LOWER = stage(
    "lower",
    Exec(
        command="mkdir -p /low/dir /low/doc /low/kept; echo low | tee /low/gone /low/late /low/file"
        " /low/dir/f /low/doc/f /low/kept/f; chmod 701 /low/kept; chown 9:9 /low/kept"
    ),
    source=model.ImageInput(ref=BASE),
)
# A folder with everything that a copy can lose.
SIDE = stage(
    "side",
    MkDir(path="/d/sub", mode=0o750, owner="5:6"),
    MkFile(path="/d/sub/f", content="sub", mode=0o640, owner="7:8"),
    MkFile(path="/d/.hidden", content="hidden"),
    Symlink(target="sub/f", path="/d/link"),
    source=ScratchInput(),
)

# Runs in the image: what is at each path, contents of files and targets of links included.
PROBE = """
import json, os, stat, sys
def look(path):
    try:
        s = os.lstat(path)
    except FileNotFoundError:
        return None
    kind = {stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFREG: "file"}[stat.S_IFMT(s.st_mode)]
    what = sorted(os.listdir(path)) if kind == "dir" else (
        os.readlink(path) if kind == "link" else open(path).read())
    return [kind, what, oct(stat.S_IMODE(s.st_mode)), f"{s.st_uid}:{s.st_gid}"]
print(json.dumps({path: look(path) for path in sys.argv[1:]}))
"""


@dataclass(frozen=True)
class Image:
    """What a build made. layers: diff ids, those of the base left out."""

    name: str
    layers: tuple[str, ...]
    config: dict[str, object]
    events: tuple[Vertex, ...]
    docker: Callable[..., str]

    def look(self, *paths: str) -> dict[str, list[object] | None]:
        """For each path its kind, content, mode and owner; None where nothing is."""
        run = ("run", "--rm", "--network", "none", "--entrypoint", "python3", self.name)
        found: dict[str, list[object] | None] = json.loads(self.docker(*run, "-c", PROBE, *paths))
        return found

    def content(self, path: str) -> object:
        """What a file says, a link points to, or a folder lists."""
        found = self.look(path)[path]
        assert found is not None, path
        return found[1]


Build = Callable[..., Image]


@pytest.fixture(scope="module")
def client(builder: Builder) -> Iterator[Client]:
    environ = {name: value for name, value in os.environ.items() if name != "BUILDKIT_HOST"}
    with Client(find_daemon(None, environ | builder.environment())) as connected:
        yield connected


@pytest.fixture(scope="module")
def base(client: Client) -> ResolvedImage:
    return client.resolve_image(BASE, "linux/amd64")


@pytest.fixture
def build(
    client: Client,
    base: ResolvedImage,
    docker: Callable[..., str],
    request: pytest.FixtureRequest,
) -> Iterator[Build]:
    """Compile a plan for the daemon, solve it into the image store and read its layers."""
    names: list[str] = []
    below = len(json.loads(base.config)["rootfs"]["diff_ids"])

    def run(
        made: model.Plan,
        capabilities: Capabilities = ALL,
        folders: dict[str, Path] | None = None,
        secrets: dict[str, bytes] | None = None,
    ) -> Image:
        session = new_session_id()
        compiled: CompiledPlan = compile_plan(
            made, images={BASE: base}, capabilities=capabilities, session=session
        )
        plain = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
        name = f"cogpack-test-layers:{plain}-{len(names)}"
        names.append(name)
        events: list[Vertex] = []
        client.solve(
            compiled.definition,
            SolveOptions(
                exports=(Export("image", {"name": f"docker.io/library/{name}"}),),
                folders=folders or {},
                secrets=secrets or {},
                image_config=compiled.config,
                session_id=session,
                network_host="network.host" in compiled.entitlements,
            ),
            lambda event: events.append(event) if isinstance(event, Vertex) else None,
        )
        of_stages = [event for event in events if "title of" in event.name]
        assert {event.digest for event in of_stages} <= compiled.stages.keys()
        (document,) = json.loads(docker("image", "inspect", name))
        layers = tuple(document["RootFS"]["Layers"][below:])
        return Image(name, layers, document["Config"], tuple(events), docker)

    yield run
    if names:
        docker("image", "rm", "--force", *names)


def chain(*stages: model.Stage, config: ExportConfig | None = None) -> model.Plan:
    """The stages one on another, exported on their own base: each is its own layer."""
    work: list[model.Stage] = [LOWER]
    export = [stage("e:lower", Layer(stage="lower"), source=PhaseInput(of="export", name="base"))]
    for item in stages:
        work.append(replace(item, source=StageInput(id=work[-1].id)))
        export.append(
            stage(f"e:{item.id}", Layer(stage=item.id), source=StageInput(id=export[-1].id))
        )
    return plan([SIDE, *work], export, config, base=BASE, runtime=BASE)


FILES = (
    MkDir(path="/new/dir", mode=0o711, owner="1:2"),
    MkFile(path="/new/dir/f", content="ä", mode=0o600, owner="3:4"),
    Symlink(target="dir/f", path="/new/link"),
    Copy(source=StageInput(id="side"), src="/d", dest="/copied"),
    Copy(source=StageInput(id="side"), src="/d", dest="/low/kept"),
    Copy(source=StageInput(id="side"), src="/d/sub/f", dest="/one/name", owner="9:8", mode=0o604),
    Copy(source=StageInput(id="side"), src="/d/sub/f", dest="/into/"),
    Copy(source=StageInput(id="side"), src="/d", dest="/some", include=("sub",)),
)
FILES_MADE: dict[str, list[object] | None] = {
    "/new/dir": ["dir", ["f"], "0o711", "1:2"],
    "/new/dir/f": ["file", "ä", "0o600", "3:4"],
    "/new/link": ["link", "dir/f", "0o777", "0:0"],
    "/copied": ["dir", [".hidden", "link", "sub"], "0o755", "0:0"],
    "/copied/link": ["link", "sub/f", "0o777", "0:0"],
    "/copied/sub": ["dir", ["f"], "0o750", "5:6"],
    "/copied/sub/f": ["file", "sub", "0o640", "7:8"],
    "/low/kept": ["dir", [".hidden", "f", "link", "sub"], "0o701", "9:9"],
    "/one/name": ["file", "sub", "0o604", "9:8"],
    "/into": ["dir", ["f"], "0o755", "0:0"],
    "/some": ["dir", ["sub"], "0o755", "0:0"],
}


def test_file_actions_are_one_layer(build: Build) -> None:
    image = build(chain(stage("s", *FILES, Remove(path="/low/gone"), Remove(path="/low/none"))))
    assert len(image.layers) == 2
    assert image.look(*FILES_MADE) == FILES_MADE
    assert image.look("/low/gone", "/low/file") == {
        "/low/gone": None,
        "/low/file": ["file", "low\n", "0o644", "0:0"],
    }


def test_commands_are_one_layer_and_keep_deletions(build: Build) -> None:
    one = stage(
        "one",
        Env(name="VALUE", value="it's\n$HOME"),
        Workdir(path="/job/a b"),
        Exec(command='printf %s "$VALUE$OWN" > value; rm -r /low/gone /low/dir', env={"OWN": "!"}),
        Workdir(path="/job/second"),
        Exec(command="echo $OWN- $PWD > where; ln -s kept /low/dir; exit 0"),
    )
    two = stage("two", Exec(command='echo $PWD "$VALUE" > /job/two'))
    config = ExportConfig(env={"FROM": "config"}, workdir="/job", cmd=("true",))
    image = build(chain(one, two, config=config))
    assert len(image.layers) == 3
    assert image.content("/job/a b/value") == "it's\n$HOME!"
    assert image.content("/job/second/where") == "- /job/second\n"
    assert image.content("/job/two") == "/job/second it's\n$HOME\n"
    assert image.look("/low/gone", "/low/dir") == {
        "/low/gone": None,
        "/low/dir": ["link", "kept", "0o777", "0:0"],
    }
    env = image.config["Env"]
    assert isinstance(env, list)
    assert "FROM=config" in env
    assert not any("VALUE" in item for item in env)
    assert (image.config["WorkingDir"], image.config["Cmd"]) == ("/job", ["true"])


@pytest.mark.parametrize(
    "capabilities",
    [ALL, NO_SQUASH, replace(ALL, file_replace=False)],
    ids=["squash", "none", "old"],
)
def test_files_and_commands_are_one_layer(build: Build, capabilities: Capabilities) -> None:
    mixed = stage(
        "s",
        *FILES,
        MkFile(path="/temporary", content="x"),
        Remove(path="/low/gone"),
        Remove(path="/low/doc"),
        Remove(path="/low/dir"),
        Exec(
            command="mkdir /low/doc; echo again > /low/doc/again; ln -s kept /low/dir;"
            " test -e /temporary; rm /temporary; chown 11:12 /new/dir/f; chmod 444 /new/dir/f;"
            " echo h > /hard; ln /hard /harder"
        ),
        Exec(command="echo late > /late; test ! -e /low/gone; cat /low/late > /read"),
        Remove(path="/low/late"),
        Remove(path="/late"),
        MkFile(path="/new/last", content="last", mode=0o400),
    )
    image = build(chain(mixed), capabilities)
    assert len(image.layers) == 2
    changed = {**FILES_MADE, "/new/dir/f": ["file", "ä", "0o444", "11:12"]}
    assert image.look(*changed) == changed
    assert image.look(
        "/low/gone", "/low/doc", "/low/dir", "/low/late", "/late", "/temporary", "/new/last"
    ) == {
        "/low/gone": None,
        "/low/doc": ["dir", ["again"], "0o755", "0:0"],
        "/low/dir": ["link", "kept", "0o777", "0:0"],
        "/low/late": None,
        "/late": None,
        "/temporary": None,
        "/new/last": ["file", "last", "0o400", "0:0"],
    }
    assert image.content("/read") == "low\n"
    assert ".cogpack-files" not in str(image.content("/"))


def test_a_folder_that_a_command_replaced_by_a_link_is_squashed(build: Build) -> None:
    mixed = stage(
        "s",
        MkFile(path="/new", content=""),
        Exec(command="rm -r /low/dir; ln -s kept /low/dir; rm /low/file; mkdir /low/file"),
    )
    image = build(chain(mixed))
    assert len(image.layers) == 2
    assert image.look("/low/dir", "/low/file") == {
        "/low/dir": ["link", "kept", "0o777", "0:0"],
        "/low/file": ["dir", [], "0o755", "0:0"],
    }


def test_commands_that_cannot_share_a_process_are_still_one_layer(build: Build) -> None:
    apart = stage(
        "s",
        Exec(command="echo 1 > /one; wc -l < /proc/net/route > /routes", network="none"),
        Exec(
            command="cat /one > /two; cat /run/token > /dev/null",
            mounts=(SecretMount(id="token", target="/run/token"),),
        ),
    )
    image = build(chain(apart), secrets={"token": b"secret"})
    assert len(image.layers) == 2
    assert image.content("/two") == "1\n"
    assert image.content("/routes") == "1\n"


def test_mounts_leave_nothing_behind(build: Build) -> None:
    mounts = (
        SecretMount(id="file", target="/run/keys/file"),
        SecretMount(id="variable", env="TOKEN"),
        SecretMount(id="absent", target="/run/keys/absent", required=False),
        CacheMount(id="cogpack-test-layers", target="/made/cache"),
        TmpfsMount(target="/made/memory"),
        BindMount(source=StageInput(id="side"), source_path="/d/sub", target="/made/bound"),
        BindMount(source=StageInput(id="side"), target="/made/written", writable=True),
        BindMount(source=ScratchInput(), target="/made/nothing"),
    )
    command = (
        "stat -c %a /run/keys/file > /seen; wc -c < /run/keys/file >> /seen;"
        " printf %s $TOKEN | wc -c >> /seen; test ! -e /run/keys/absent;"
        " cat /made/bound/f >> /seen; ls /made/nothing >> /seen;"
        " touch /made/memory/x /made/cache/x /made/written/d/x; ! touch /made/bound/x 2>/dev/null"
    )
    image = build(
        chain(stage("s", Exec(command=command, mounts=mounts))),
        secrets={"file": b"12345", "variable": b"1234567"},
    )
    assert len(image.layers) == 2
    assert image.content("/seen") == "400\n5\n7\nsub"
    assert image.look("/made", "/run/keys") == {"/made": None, "/run/keys": None}


# A stage on another base than its own: the runtime has files that the stage deletes.
RUNTIME = stage(
    "runtime",
    MkDir(path="/low"),
    MkFile(path="/low/gone", content="of the runtime"),
    MkFile(path="/low/own", content="of the runtime"),
    source=PhaseInput(of="export", name="base"),
)


def elsewhere(stages: Sequence[model.Stage]) -> model.Plan:
    """The stages one on another, each exported as a layer on the runtime."""
    work = [LOWER]
    export = [RUNTIME]
    for item in stages:
        work.append(replace(item, source=StageInput(id=work[-1].id)))
        export.append(
            stage(f"e:{item.id}", Layer(stage=item.id), source=StageInput(id=export[-1].id))
        )
    return plan([SIDE, *work], export, base=BASE, runtime=BASE)


EXPORTED = (
    stage("commands", Exec(command="rm /low/gone; echo c > /commands; echo 1 > /c2")),
    stage("files", *FILES[:4], Remove(path="/c2")),
    stage("both", MkFile(path="/b", content="b"), Exec(command="cat /b > /b2"), Remove(path="/b")),
)


def test_layers_on_another_base_keep_content_and_deletions(build: Build) -> None:
    image = build(elsewhere(EXPORTED))
    assert len(image.layers) == 4
    assert image.look("/low/gone", "/low/own", "/low/file", "/c2", "/b") == {
        "/low/gone": None,
        "/low/own": ["file", "of the runtime", "0o644", "0:0"],
        "/low/file": None,
        "/c2": None,
        "/b": None,
    }
    assert [image.content(path) for path in ("/commands", "/b2")] == ["c\n", "b"]
    assert image.look("/new/dir/f", "/copied/sub") == {
        path: FILES_MADE[path] for path in ("/new/dir/f", "/copied/sub")
    }


def test_layers_on_another_base_without_merge(build: Build) -> None:
    image = build(elsewhere(EXPORTED), replace(ALL, merge=False))
    assert len(image.layers) == 4
    assert [image.content(path) for path in ("/commands", "/b2")] == ["c\n", "b"]
    assert image.look("/c2", "/b", "/copied/sub/f") == {
        "/c2": None,
        "/b": None,
        "/copied/sub/f": FILES_MADE["/copied/sub/f"],
    }


def test_an_edit_of_the_source_changes_its_layer_alone(build: Build, tmp_path: Path) -> None:
    (tmp_path / "predict.py").write_text("one")
    (tmp_path / "ignored").write_text("x")
    made = elsewhere(
        [
            EXPORTED[0],
            stage("source", Copy(source=LocalInput(exclude=("ignored",)), dest="/src")),
        ]
    )

    def run() -> Image:
        return build(made, folders={"context": tmp_path})

    first, again = run(), run()
    assert first.layers == again.layers
    done = {event.name: event.cached for event in again.events if "title of" in event.name}
    assert done
    assert all(done.values()), done
    (tmp_path / "predict.py").write_text("two!")
    edited = run()
    assert len(edited.layers) == 3
    assert edited.layers[:2] == first.layers[:2]
    assert edited.layers[2] != first.layers[2]
    assert edited.look("/src", "/src/predict.py") == {
        "/src": ["dir", ["predict.py"], "0o755", "0:0"],
        "/src/predict.py": ["file", "two!", "0o644", "0:0"],
    }


def test_the_history_says_what_each_layer_is(build: Build, base: ResolvedImage) -> None:
    image = build(chain(stage("one", Exec(command="echo 1 > /first")), stage("two", *FILES)))
    listed = image.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image.name)
    told = [entry.get("created_by", "") for entry in json.loads(base.config)["history"]]
    titles = ["title of e:lower", "title of e:one", "title of e:two"]
    assert listed.splitlines()[::-1] == [*told, *titles]
