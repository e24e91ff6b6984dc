"""What the blocks of the server put into the config of the image, and into which stages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cogpack.blocks.labels import Labels
from cogpack.errors import BuilderError, UserError
from cogpack.llb.capabilities import Capabilities
from cogpack.llb.compile import compile_plan
from cogpack.plan import model
from cogpack.plan.composer import Composer
from cogpack.plan.model import BindMount, CacheMount, Env, Exec, SecretMount, StageInput, dump
from cogpack.plan.one_base import on_build_base
from cogpack.plan.validate import faults
from cogpack.project.revision import read_revision
from cogpack.stacks.compose import load
from cogpack.stacks.solve import solved
from support.projects import planned, stage_of, write_project

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
ASYNC = """\
import cog
from cog import BaseRunner


class Predictor(BaseRunner):
    @cog.concurrent(max=3)
    async def run(self, text: str) -> str:
        return text
"""


def command(plan: model.Plan, stage: str) -> Exec:
    (found,) = (op for op in stage_of(plan, stage).ops if isinstance(op, Exec))
    return found


def order(plan: model.Plan) -> list[str]:
    return [stage.id for phase in plan.build_phases for stage in phase.stages]


def exported(plan: model.Plan) -> list[str]:
    return [stage.id for phase in plan.export_phases for stage in phase.stages]


def test_the_server_is_told_what_to_serve(tmp_path: Path) -> None:
    config = planned(write_project(tmp_path)).config
    assert config.env["COG_PREDICT_TYPE_STUB"] == "predict.py:Predictor"
    assert config.env["PYTHONUNBUFFERED"] == "1"
    assert "COG_TRAIN_TYPE_STUB" not in config.env
    assert "COG_MAX_CONCURRENCY" not in config.env
    assert config.cmd == ("python", "-m", "cog.server.http")
    assert (config.workdir, config.ports, config.user) == ("/src", ("5000/tcp",), "")


def test_an_init_is_the_first_process_and_apt_brings_it(tmp_path: Path) -> None:
    plan = planned(write_project(tmp_path))
    assert plan.config.entrypoint == ("/usr/bin/tini", "--")
    assert plan.config.labels["run.cog.has_init"] == "true"
    assert "tini" in command(plan, "apt").command


def test_training_is_announced(tmp_path: Path) -> None:
    source = "def train(rounds: int) -> str:\n    return ''\n"
    plan = planned(write_project(tmp_path, "train: train.py:train", {"train.py": source}))
    assert plan.config.env["COG_TRAIN_TYPE_STUB"] == "train.py:train"
    assert "/trainings" in json.loads(plan.config.labels["run.cog.openapi_schema"])["paths"]


def test_the_maximum_of_predictions_is_cog_yamls_else_the_decorators(tmp_path: Path) -> None:
    folder = write_project(tmp_path, files={"predict.py": ASYNC})
    assert planned(folder).config.env["COG_MAX_CONCURRENCY"] == "3"
    write_project(tmp_path, "concurrency:\n  max: 7", {"predict.py": ASYNC})
    plan = planned(folder)
    assert plan.config.env["COG_MAX_CONCURRENCY"] == "7"
    assert json.loads(plan.config.labels["run.cog.config"])["concurrency"] == {"max": 7}


def test_variables_are_in_the_image_and_seen_by_the_users_commands(tmp_path: Path) -> None:
    settings = (
        "  pre_install: [echo first]\n  run: [echo $MODEL]\n  python_packages: [six]\n"
        "environment: ['MODEL=a b $X', EMPTY=]"
    )
    plan = planned(write_project(tmp_path, settings))
    assert plan.config.env["MODEL"] == "a b $X"
    assert plan.config.env["EMPTY"] == ""
    ids = order(plan)
    wanted = ["environment", "pre-install-1", "packages", "cog", "run-1"]
    assert [name for name in ids if name in wanted] == wanted
    variables = stage_of(plan, "environment").ops
    assert variables == (Env(name="MODEL", value="a b $X"), Env(name="EMPTY", value=""))
    # The chain carries them on; a change of them does not repeat what is below.
    assert stage_of(plan, "pre-install-1").source == StageInput(id="environment")
    assert ids.index("environment") > ids.index("python")
    assert "export:environment" not in exported(plan)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"two words"', "two words"),
        ("'{\"a\": 1}'", '{"a": 1}'),
        (r'"say \"hi\" for \$5 \\ \n"', r'say "hi" for $5 \ \n'),
        ('""', ""),
        ('"', '"'),
        ('"open', '"open'),
        ('"a" and "b"', '"a" and "b"'),
        (r'"open\"', r'"open\"'),
        ('{"a": 1}', '{"a": 1}'),
        ("it's", "it's"),
    ],
)
def test_quotes_around_a_value_are_no_part_of_it(tmp_path: Path, written: str, value: str) -> None:
    """Cog writes the value into a Dockerfile, where only quotes keep two words together."""
    folder = write_project(tmp_path, f"environment: [{json.dumps(f'A={written}')}]")
    assert planned(folder).config.env["A"] == value


def test_a_variable_that_a_secret_fills_is_refused_with_its_line(tmp_path: Path) -> None:
    settings = (
        "  run:\n    - command: 'true'\n      mounts:\n"
        "        - {type: secret, id: t, env: TOKEN}\nenvironment: [TOKEN=x]"
    )
    with pytest.raises(UserError, match=r"cog\.yaml:7: TOKEN"):
        planned(write_project(tmp_path, settings))


def test_each_command_is_a_layer_and_gets_its_secrets(tmp_path: Path) -> None:
    settings = """\
  pre_install: [echo zero]
  run:
    - echo one
    - command: |-
        echo two
        echo three
      mounts:
        - {type: secret, id: file, target: /run/secrets/file}
        - {type: secret, id: variable, env: VARIABLE}"""
    plan = planned(write_project(tmp_path, settings))
    names = ["export:pre-install-1", "export:cog", "export:run-1", "export:run-2"]
    assert [name for name in exported(plan) if name in names] == names
    step = command(plan, "run-2")
    assert step.command == "echo two\necho three"
    assert [mount for mount in step.mounts if isinstance(mount, SecretMount)] == [
        SecretMount(id="file", target="/run/secrets/file"),
        SecretMount(id="variable", env="VARIABLE"),
    ]
    assert not [mount for mount in command(plan, "run-1").mounts if isinstance(mount, SecretMount)]
    assert stage_of(plan, "run-2").reasons[0].line == 6


def test_commands_find_uv_and_are_asked_nothing(tmp_path: Path) -> None:
    plan = planned(write_project(tmp_path, "  run: [uv pip install --system six]"))
    step = command(plan, "run-1")
    # UV_PYTHON: the environment of the image, `--system` or not.
    assert step.env["UV_PYTHON"] == "/opt/venv/bin/python"
    assert step.env["DEBIAN_FRONTEND"] == "noninteractive"
    places = {mount.target: mount for mount in step.mounts if not isinstance(mount, SecretMount)}
    assert isinstance(places["/root/.cache/uv"], CacheMount)
    uv = places["/usr/local/sbin/uv"]
    assert isinstance(uv, BindMount)
    assert (uv.source, uv.source_path) == (StageInput(id="uv"), "/opt/uv/bin/uv")
    assert not {"UV_PYTHON", "DEBIAN_FRONTEND"} & plan.config.env.keys()


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("/run/secrets/../a", "/run/a"),
        ("//a", "/a"),
        ("secrets/a", "/secrets/a"),
        ("./a", "/a"),
        ("../a", "/a"),
    ],
)
def test_a_relative_secret_is_below_the_folder_that_commands_run_in(
    tmp_path: Path, written: str, target: str
) -> None:
    mounts = f"[{{type: secret, id: a, target: '{written}'}}]"
    settings = f"  run:\n    - command: cat {written}\n      mounts: {mounts}"
    plan = planned(write_project(tmp_path, settings))
    found = [one for one in command(plan, "run-1").mounts if isinstance(one, SecretMount)]
    assert found == [SecretMount(id="a", target=target)]
    assert model.Workdir(path="/") in stage_of(plan, "run-1").ops


def test_a_number_gets_a_home_and_a_name_an_account(tmp_path: Path) -> None:
    plan = planned(write_project(tmp_path, "cogpack:\n  user: '1000'"))
    assert (plan.config.user, plan.config.env["HOME"]) == ("1000", "/home/cogpack")
    assert "chown 1000:1000 /home/cogpack" in command(plan, "user").command
    plan = planned(write_project(tmp_path, "cogpack:\n  user: app:staff"))
    assert plan.config.user == "app:staff"
    assert "HOME" not in plan.config.env
    assert "useradd --create-home --gid staff" in command(plan, "user").command
    ids = exported(plan)
    assert ids.index("export:apt") < ids.index("export:user") < ids.index("export:python")


def test_the_config_label_is_in_cogs_words(tmp_path: Path) -> None:
    folder = write_project(
        tmp_path,
        "  run:\n    - echo one\n    - command: echo two\n      mounts:\n"
        "        - {type: secret, id: s, target: /run/s}\n"
        "  python_packages: ['six @ https://user:hunter2@example.com/six-1.17.0-py3-none-any.whl']\n"
        "environment: [A=b]\nmodel: example.com/me/it\n"
        "weights:\n  - {name: w, target: /w, source: {uri: w}}",
        {"w/x": "x"},
    )
    # The plan of the whole refuses the credential; the label must not depend on that.
    composition = load(folder)
    composer = Composer("linux/amd64", "docker.io/b", "docker.io/b")
    Labels().plan(composition.project, solved(composition), composer)
    labels = composer.finish().config.labels
    label = labels["run.cog.config"]
    assert "hunter2" not in label
    config = json.loads(label)
    assert list(config) == ["build", "model", "predict", "environment", "weights"]
    assert config["predict"] == "predict.py:Predictor"
    assert config["build"]["python_version"] == "3.11"
    assert config["build"]["run"] == [
        {"command": "echo one"},
        {
            "command": "echo two",
            "mounts": [{"type": "secret", "id": "s", "target": "/run/s"}],
        },
    ]
    assert config["weights"] == [{"name": "w", "target": "/w", "source": {"uri": "w"}}]
    assert labels["run.cog.version"] == solved(composition)["cog"].version


def test_what_was_decided_stands_in_the_config_label(tmp_path: Path) -> None:
    folder = write_project(tmp_path)
    (folder / "cog.yaml").write_text('run: "predict.py:Predictor"\n')
    plan = planned(folder)
    label = json.loads(plan.config.labels["run.cog.config"])
    assert label["build"]["python_version"] == plan.packages["python"].version


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, ""),
        ({"HEAD": COMMIT}, COMMIT),
        ({"HEAD": "ref: refs/heads/main", "refs/heads/main": COMMIT}, COMMIT),
        (
            {
                "HEAD": "ref: refs/heads/main",
                "packed-refs": f"# pack-refs with: peeled\n{'f' * 40} refs/heads/old\n"
                f"{COMMIT} refs/heads/main\n^{'e' * 40}\n",
            },
            COMMIT,
        ),
        ({"HEAD": "ref: refs/heads/unborn", "packed-refs": ""}, ""),
        ({"HEAD": "garbage"}, ""),
        ({"HEAD": "ref: refs/heads/main", "refs/heads/main": "garbage"}, ""),
    ],
)
def test_the_commit_is_read_from_gits_files(
    tmp_path: Path, files: dict[str, str], expected: str
) -> None:
    for name, content in files.items():
        path = tmp_path / ".git" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    assert read_revision(tmp_path) == expected


def test_the_commit_of_a_second_working_tree(tmp_path: Path) -> None:
    main, second = tmp_path / "main", tmp_path / "second"
    own = main / ".git" / "worktrees" / "second"
    (main / ".git" / "refs" / "heads").mkdir(parents=True)
    own.mkdir(parents=True)
    second.mkdir()
    (main / ".git" / "refs" / "heads" / "work").write_text(COMMIT)
    (own / "HEAD").write_text("ref: refs/heads/work\n")
    (own / "commondir").write_text("../..\n")
    (second / ".git").write_text(f"gitdir: {own}\n")
    assert read_revision(second) == COMMIT


def test_the_commit_is_a_label_and_only_that_of_the_project_itself(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    write_project(folder)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(COMMIT)
    assert "org.opencontainers.image.revision" not in planned(folder).config.labels
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text(COMMIT)
    assert planned(folder).config.labels["org.opencontainers.image.revision"] == COMMIT


def test_the_api_is_a_label_and_the_same_text_in_a_layer(tmp_path: Path) -> None:
    plan = planned(write_project(tmp_path))
    text = plan.config.labels["run.cog.openapi_schema"]
    assert stage_of(plan, "openapi-file").ops == (
        model.MkFile(path="/openapi_schema.json", content=text),
    )
    (copy,) = stage_of(plan, "openapi").ops
    assert isinstance(copy, model.Copy)
    assert copy.dest == "/src/.cog"
    assert json.loads(text)["info"]["version"] == plan.packages["cog"].version


def test_a_signature_that_is_no_api_stops_the_plan(tmp_path: Path) -> None:
    source = "class Predictor:\n    def run(self, x: Tensor):\n        ...\n"
    with pytest.raises(UserError) as raised:
        planned(write_project(tmp_path, files={"predict.py": source}))
    assert len(raised.value.faults) == 2


def test_a_document_of_ones_own_takes_the_place_of_the_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreadable = "class Predictor:\n    def run(self, x: Tensor):\n        ...\n"
    folder = write_project(tmp_path, files={"predict.py": unreadable})
    own = tmp_path / "own.json"
    monkeypatch.setenv("COG_OPENAPI_SCHEMA", str(own))
    own.write_text('{"openapi": "3.0.2", "components": {}}')
    label = planned(folder).config.labels["run.cog.openapi_schema"]
    assert json.loads(label) == {"openapi": "3.0.2", "components": {}}
    for content, told in (("{", "not JSON"), ("[]", "no OpenAPI document")):
        own.write_text(content)
        with pytest.raises(UserError, match=told):
            planned(folder)
    own.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        planned(folder)


def test_a_daemon_with_neither_merge_nor_diff_can_build_all_of_it(tmp_path: Path) -> None:
    settings = (
        "  pre_install: [echo a]\n  run: [echo b]\nenvironment: [A=b]\ncogpack:\n  user: app\n"
        "weights:\n  - {name: w, target: /w, source: {uri: w}}"
    )
    plan = planned(write_project(tmp_path, settings, {"w/x": "x"}))
    bare = Capabilities(diff=False, merge=False, file_replace=False, file_symlink=False)
    layers = {name for name in exported(plan) if name.startswith("export:")}
    assert {"export:user", "export:weights-w", "export:openapi", "export:source"} <= layers
    assert compile_plan(plan, capabilities=bare).definition


@pytest.mark.parametrize("authority", ["", CERTIFICATE])
def test_a_daemon_without_diff_builds_and_runs_in_the_image_with_the_toolkit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, authority: str
) -> None:
    monkeypatch.setenv("COG_CA_CERT", authority)
    settings = (
        "  gpu: true\n  cuda: '12.6'\n  python_packages: [six]\n  system_packages: [tree]\n"
        "  run: [nvcc --version]\ncogpack: {user: app}"
    )
    plan = planned(write_project(tmp_path, settings))
    build, runtime = plan.base.build, plan.base.runtime
    assert "devel" in build
    assert "devel" not in runtime
    bare = Capabilities(diff=False, merge=False, file_replace=False, file_symlink=False)
    with pytest.raises(BuilderError):
        compile_plan(plan, capabilities=bare)
    moved = on_build_base(plan)
    assert faults(moved) == ()
    assert runtime not in dump(moved)
    assert moved.config.labels["org.opencontainers.image.base.name"] == build
    assert build.encode() in compile_plan(moved, capabilities=bare).definition
