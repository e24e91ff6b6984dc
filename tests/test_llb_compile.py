"""Plan to LLB: each stage in its form, each export as one layer, same plan same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from cogpack.errors import BuilderError, CogpackError
from cogpack.llb.capabilities import Capabilities
from cogpack.llb.compile import CompiledPlan, compile_plan
from cogpack.llb.images import ResolvedImage
from cogpack.llb.proto import ops_pb2 as pb
from cogpack.plan import model
from cogpack.plan.model import (
    BindMount,
    CacheMount,
    Copy,
    Env,
    Exec,
    ExportConfig,
    ImageInput,
    Layer,
    LocalInput,
    MkDir,
    MkFile,
    PhaseInput,
    ScratchInput,
    SecretMount,
    StageInput,
    Symlink,
    Workdir,
)
from support.llb import BASE, Graph, plan, stage
from support.plans import plans

ALL = Capabilities()
NONE = Capabilities(diff=False, merge=False, file_replace=False, file_symlink=False)
MIXED = (MkFile(path="/a", content="a"), Exec(command="one"), MkFile(path="/b", content="b"))


def compiled(
    *ops: model.Op, capabilities: Capabilities = ALL, source: model.Input | None = None
) -> Graph:
    made = plan([stage("s", *ops, source=source)])
    return Graph(compile_plan(made, capabilities=capabilities).definition)


def env(op: pb.Op) -> Mapping[str, str]:
    return dict(item.split("=", 1) for item in op.exec.meta.env)


def script(op: pb.Op) -> str:
    shell, option, text = op.exec.meta.args
    assert (shell, option) == ("/bin/sh", "-c")
    return text


class TestForms:
    def test_file_actions_become_one_file_op(self) -> None:
        read = compiled(
            MkDir(path="/d"),
            MkFile(path="/d/f", content=""),
            Env(name="A", value="1"),
            Symlink(target="f", path="/d/l"),
            Copy(source=ScratchInput(), dest="/x"),
            model.Remove(path="/y"),
        )
        assert read.kinds == ["source", "file"]
        assert len(read.only("file").file.actions) == 5
        assert read.label(read.only("file")) == "title of s"

    def test_one_command_is_run_as_it_is(self) -> None:
        read = compiled(Exec(command="exit 0"))
        assert read.kinds == ["source", "exec"]
        assert script(read.result) == "exit 0"

    def test_commands_become_one_exec(self) -> None:
        cache = CacheMount(id="c", target="/cache")
        read = compiled(Exec(command="one", mounts=(cache,)), Exec(command="two"))
        assert read.kinds == ["source", "exec"]
        assert [mount.dest for mount in read.result.exec.mounts] == ["/", "/cache"]
        assert script(read.result).index("one") < script(read.result).index("two")

    @pytest.mark.parametrize("capabilities", [ALL, replace(ALL, merge=False)])
    def test_both_are_squashed(self, capabilities: Capabilities) -> None:
        read = compiled(
            MkFile(path="/a", content="a"),
            model.Remove(path="/gone"),
            Exec(command="one"),
            Exec(command="two"),
            model.Remove(path="/late"),
            MkFile(path="/b", content="b"),
            capabilities=capabilities,
        )
        assert read.kinds == ["source", "file", "exec", "exec", "diff", "file"]
        squash = read.result.file
        assert [action.WhichOneof("action") for action in squash.actions] == [
            "rm",
            "copy",
            "rm",
            "mkfile",
        ]
        early, copy, late, _ = squash.actions
        # What was removed before the last command may have been made again: it goes first.
        assert (early.rm.path, late.rm.path) == ("/gone", "/late")
        assert (copy.copy.src, copy.copy.dest) == ("/", "/")
        assert copy.copy.alwaysReplaceExistingDestPaths
        assert read.input(read.result, 0).WhichOneof("op") == "source"
        assert read.input(read.result, 1).WhichOneof("op") == "diff"

    def test_commands_that_cannot_be_joined_are_squashed(self) -> None:
        read = compiled(Exec(command="one"), Exec(command="two", network="none"))
        assert read.kinds == ["source", "exec", "exec", "diff", "file"]

    def test_a_squash_on_scratch_needs_no_diff(self) -> None:
        tools = BindMount(source=ImageInput(ref="tools"), target="/bin")
        read = compiled(
            MkFile(path="/a", content=""),
            Exec(command="one", mounts=(tools,)),
            source=ScratchInput(),
        )
        assert read.kinds == ["source", "file", "source", "exec", "file", "merge"]
        (copy,) = read.input(read.result, 1).file.actions
        assert (copy.input, copy.secondaryInput) == (-1, 0)

    @pytest.mark.parametrize("capabilities", [NONE, replace(ALL, file_replace=False)])
    def test_without_a_squash_a_script_places_the_files(self, capabilities: Capabilities) -> None:
        read = compiled(*MIXED, capabilities=capabilities)
        assert read.kinds == ["source", "file", "exec"]
        staged = read.only("file").file
        assert [action.mkfile.path for action in staged.actions] == ["/0", "/2"]
        assert read.result.exec.mounts[1].dest == "/.cogpack-files"
        assert read.result.exec.mounts[1].readonly
        text = script(read.result)
        assert text.index("/.cogpack-files/0") < text.index("one") < text.index("/.cogpack-files/2")

    def test_without_links_in_file_ops_a_script_makes_them(self) -> None:
        ops = (MkDir(path="/d"), Symlink(target="d", path="/l"))
        read = compiled(*ops, capabilities=replace(ALL, file_symlink=False))
        assert read.kinds == ["source", "exec"]
        assert "ln -s d /l" in script(read.result)
        assert read.result.exec.network == pb.NONE

    def test_a_stage_that_changes_no_files_has_no_vertex(self) -> None:
        made = plan([stage("s", Env(name="A", value="1"))])
        assert Graph(compile_plan(made).definition).kinds == ["source"]

    def test_the_daemon_setting_is_named_when_no_form_is_left(self) -> None:
        apart = (Exec(command="one"), Exec(command="two", network="none"))
        with pytest.raises(BuilderError, match="'s'") as caught:
            compiled(*apart, capabilities=NONE)
        assert "containerd-snapshotter" in caught.value.faults[0].hint
        ops = (Symlink(target="d", path="/l"),)
        with pytest.raises(BuilderError, match="symbolic links") as caught:
            compiled(*ops, capabilities=NONE, source=ScratchInput())
        assert "0.20" in caught.value.faults[0].hint


class TestState:
    IMAGES = {  # noqa: RUF012
        BASE: ResolvedImage(
            BASE,
            "sha256:" + "ab" * 32,
            b'{"config": {"Env": ["PATH=/p", "LANG=C"], "WorkingDir": "/base"}}',
        )
    }

    def test_env_and_workdir_go_from_stage_to_stage_and_an_execs_env_does_not(self) -> None:
        stages = [
            stage("a", Env(name="A", value="1"), Workdir(path="/w"), Exec(command="one")),
            stage("b", Env(name="LANG", value="de"), source=StageInput(id="a")),
            stage(
                "c",
                Exec(command="two", env={"X": "2", "A": "own"}),
                source=PhaseInput(name="middle"),
            ),
            stage("d", Exec(command="three"), source=StageInput(id="c")),
        ]
        made = plan(stages)
        made = replace(
            made,
            build_phases=(
                *made.build_phases,
                model.Phase(name="middle", result=StageInput(id="b")),
            ),
        )
        read = Graph(compile_plan(made, images=self.IMAGES).definition)
        one, two, three = read.all("exec")
        assert env(one) == {"PATH": "/p", "LANG": "C", "A": "1"}
        assert env(two) == {"PATH": "/p", "LANG": "de", "A": "own", "X": "2"}
        assert env(three) == {"PATH": "/p", "LANG": "de", "A": "1"}
        assert [op.exec.meta.cwd for op in (one, two, three)] == ["/w", "/w", "/w"]

    def test_an_images_config_and_digest_are_taken(self) -> None:
        made = plan([stage("s", Exec(command="one"))], config=ExportConfig(cmd=("run",)))
        result = compile_plan(made, images=self.IMAGES)
        read = Graph(result.definition)
        digest = self.IMAGES[BASE].digest
        assert read.only("source").source.identifier == f"docker-image://{BASE}@{digest}"
        assert read.only("exec").exec.meta.cwd == "/base"
        assert b'"PATH=/p"' in result.config
        assert b'"run"' in result.config

    def test_offline_the_image_has_its_name_and_the_default_path(self) -> None:
        read = compiled(Exec(command="one"), source=ImageInput(ref="python:3"))
        assert (
            read.input(read.only("exec"), 0).source.identifier
            == "docker-image://docker.io/library/python:3"
        )
        assert env(read.only("exec"))["PATH"].startswith("/usr/local/sbin:")
        assert read.only("exec").exec.meta.cwd == "/"


class TestLayers:
    BELOW = PhaseInput(of="export", name="base")

    def exported(
        self, *stages: model.Stage, capabilities: Capabilities = ALL, runtime: str = "runtime"
    ) -> Graph:
        export = []
        below: model.Input = self.BELOW
        for item in stages:
            export.append(stage(f"e-{item.id}", Layer(stage=item.id), source=below))
            below = StageInput(id=export[-1].id)
        made = plan(stages, export, runtime=runtime)
        return Graph(compile_plan(made, capabilities=capabilities).definition)

    def test_on_its_own_base_a_stage_is_its_own_layer(self) -> None:
        a = stage("a", Exec(command="a"))
        b = stage("b", Exec(command="b"), source=StageInput(id="a"))
        for capabilities in (ALL, NONE):
            read = self.exported(a, b, runtime=BASE, capabilities=capabilities)
            assert read.kinds == ["source", "exec", "exec"]

    def test_on_another_base_its_changes_are_merged(self) -> None:
        a = stage("a", Exec(command="a"))
        b = stage("b", Exec(command="b"), source=StageInput(id="a"))
        read = self.exported(a, b)
        assert read.kinds == ["source", "source", "exec", "diff", "merge", "exec", "diff", "merge"]
        below, change = (read.input(read.result, n) for n in (0, 1))
        assert below.WhichOneof("op") == "merge"
        assert script(read.input(change, 0)) == "a"
        assert script(read.input(change, 1)) == "b"

    def test_a_stage_on_scratch_is_merged_as_it_is(self) -> None:
        read = self.exported(stage("a", MkDir(path="/a"), source=ScratchInput()))
        assert read.kinds == ["source", "file", "merge"]

    def test_a_stage_without_changes_is_no_layer(self) -> None:
        read = self.exported(stage("a", Env(name="A", value="1")))
        assert read.kinds == ["source"]

    def test_without_merge_the_changes_are_copied(self) -> None:
        read = self.exported(stage("a", Exec(command="a")), capabilities=replace(ALL, merge=False))
        assert read.kinds == ["source", "source", "exec", "diff", "file"]
        (copy,) = read.result.file.actions
        assert copy.copy.alwaysReplaceExistingDestPaths

    @pytest.mark.parametrize("capabilities", [NONE, replace(ALL, merge=False)])
    def test_without_merge_file_actions_are_done_again(self, capabilities: Capabilities) -> None:
        ops = (MkDir(path="/a"), model.Remove(path="/b"))
        read = self.exported(stage("a", *ops), capabilities=capabilities)
        assert read.kinds == ["source", "file"]
        assert [action.WhichOneof("action") for action in read.result.file.actions] == [
            "mkdir",
            "rm",
        ]

    def test_without_merge_a_squash_is_done_again(self) -> None:
        read = self.exported(stage("a", *MIXED), capabilities=replace(ALL, merge=False))
        assert read.kinds == ["source", "source", "file", "exec", "diff", "file"]
        assert [action.WhichOneof("action") for action in read.result.file.actions] == [
            "copy",
            "mkfile",
        ]

    def test_without_both_the_daemon_setting_is_named(self) -> None:
        with pytest.raises(BuilderError, match="'a'") as caught:
            self.exported(stage("a", Exec(command="a")), capabilities=NONE)
        assert "containerd-snapshotter" in caught.value.faults[0].hint


class TestNeeds:
    def needs(self, *ops: model.Op) -> CompiledPlan:
        return compile_plan(plan([stage("s", *ops)]))

    def test_stages_are_found_by_the_digest_of_their_vertices(self) -> None:
        result = compile_plan(plan([stage("a", *MIXED), stage("b", *MIXED)]))
        read = Graph(result.definition)
        named = {digest for digest in read.digests[:-1] if digest in result.stages}
        assert {read.ops[digest].WhichOneof("op") for digest in named} == {"file", "exec", "diff"}
        assert set(result.stages) <= set(read.digests)
        assert set(result.stages.values()) == {"b"}

    def test_what_the_session_must_offer_is_listed(self) -> None:
        result = self.needs(
            Copy(source=LocalInput(), dest="/src"),
            Copy(source=LocalInput(name="ca", include=("x",)), dest="/ca"),
            Exec(
                command="one",
                network="host",
                mounts=(
                    SecretMount(id="b", env="B", required=False),
                    SecretMount(id="a", target="/a"),
                ),
            ),
        )
        assert result.locals == ("ca", "context")
        assert list(result.secrets.items()) == [("a", True), ("b", False)]
        assert result.entitlements == ("network.host",)

    def test_nothing_is_asked_for_a_stage_that_the_image_does_not_use(self) -> None:
        unused = stage("unused", Copy(source=LocalInput(), dest="/"), Exec(command="one"))
        result = compile_plan(plan([unused, stage("s", MkDir(path="/d"))]))
        assert (result.locals, result.secrets, result.entitlements) == ((), {}, ())

    def test_the_session_shows_only_where_it_is_given(self) -> None:
        made = plan([stage("s", Copy(source=LocalInput(), dest="/src"))])
        assert b"local.session" not in compile_plan(made).definition
        with_session = compile_plan(made, session="abc")
        source = Graph(with_session.definition).all("source")[-1].source
        assert source.attrs["local.session"] == "abc"

    def test_the_epoch_dates_made_files_and_the_image(self) -> None:
        made = plan([stage("s", MkFile(path="/f", content=""))])
        (action,) = Graph(compile_plan(made).definition).result.file.actions
        assert action.mkfile.timestamp == 0
        assert b"created" not in compile_plan(made).config
        dated = compile_plan(made, epoch=5)
        (action,) = Graph(dated.definition).result.file.actions
        assert action.mkfile.timestamp == 5_000_000_000
        assert b'"created":"1970-01-01T00:00:05Z"' in dated.config


class TestUnsound:
    @pytest.mark.parametrize(
        ("made", "words"),
        [
            (plan([stage("s", source=StageInput(id="nobody"))]), "no stage 'nobody'"),
            (plan([stage("s", source=PhaseInput(name="none"))]), "no build phase 'none'"),
            (plan([stage("s", source=StageInput(id="s"))]), "stands on itself"),
            (plan([stage("s", Layer(stage="s"))]), "stands on itself"),
            (plan([stage("s", source=PhaseInput(name="work"))]), "stands on itself"),
            (plan([stage("s", source=LocalInput())]), "local context"),
            (plan([stage("s", Layer(stage="t"), MkDir(path="/"))]), "only op"),
            (
                plan(
                    [stage("s", source=ScratchInput())],
                    [stage("e", source=ScratchInput())],
                ),
                "no content",
            ),
            (replace(plan([stage("s")]), export_phases=()), "no export phase"),
        ],
    )
    def test_a_plan_that_slipped_through_is_our_fault(self, made: model.Plan, words: str) -> None:
        with pytest.raises(CogpackError, match=words):
            compile_plan(made)


@given(plans())
@settings(deadline=None)
def test_every_valid_plan_compiles_to_a_sound_definition(made: model.Plan) -> None:
    result = compile_plan(made)
    read = Graph(result.definition)
    assert set(result.stages) <= set(read.digests)
    again = compile_plan(model.load(model.dump(made)))
    assert again == result
    for capabilities in (NONE, replace(ALL, merge=False), replace(ALL, file_replace=False)):
        try:
            Graph(compile_plan(made, capabilities=capabilities).definition)
        except BuilderError as error:
            assert error.faults[0].hint  # noqa: PT017  # most plans compile


def test_the_bytes_do_not_hang_on_the_hash_seed(tmp_path: Path) -> None:
    made = plan(
        [
            stage(
                "s",
                Env(name="B", value="1"),
                Env(name="A", value="2"),
                *MIXED,
                Copy(source=LocalInput(include=("b", "a"), exclude=("c",)), dest="/c"),
                Exec(
                    command="x",
                    env={name: name for name in "zyxwv"},
                    mounts=tuple(CacheMount(id=name, target=f"/{name}") for name in "srqpo"),
                ),
            )
        ],
        config=ExportConfig(
            env={name: name for name in "dcba"}, labels={name: name for name in "hgfe"}
        ),
        runtime="another",
    )
    file = tmp_path / "plan.json"
    file.write_text(model.dump(made))
    program = (
        "import sys, hashlib\n"
        "from cogpack.plan import model\n"
        "from cogpack.llb.compile import compile_plan\n"
        "made = compile_plan(model.load(open(sys.argv[1]).read()))\n"
        "print(hashlib.sha256(made.definition + made.config).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program, str(file)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(digests) == 1


def test_compiling_loads_no_network_library() -> None:
    program = (
        "import sys, cogpack.llb.compile\n"
        "print(sorted({'grpc', 'httpx', 'rich'} & sys.modules.keys()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
