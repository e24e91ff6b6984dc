"""The keys of cog.yaml: what is accepted, what is refused and in which words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.project import read_project
from cogpack.project.cogyaml import Build, CogConfig, RunItem, SecretMount
from cogpack.project.cogyaml_reader import read_config, scan_config
from cogpack.project.section import as_data
from support.projects import write_project

FULL = """\
build:
  gpu: true
  cuda: "12.4.1"
  cudnn: 9
  python_version: 3.10
  python_requirements: requirements.txt
  system_packages:
    - ffmpeg
    - libgl1=1.6.0-1 git:amd64
  run:
    - echo hi
    - command: pip config list
      mounts:
        - type: secret
          id: pip
          target: /etc/pip.conf
        - {type: secret, id: token, env: TOKEN}
  pre_install:
    - echo first
  sdk_version: 0.18.0
image: registry.example:5000/team/model:v1
run: run.py:Runner
train: train.py:train
concurrency:
  max: 1
environment:
  - HF_HOME=/src/hf
  - EMPTY=
weights:
  - name: big-model
    target: /src/weights
    source:
      uri: hf://team/model
      include: ["*.safetensors"]
  - name: small
    target: /src/small
    source:
      - uri: file://small
      - uri: https://host/x
cogpack:
  base_image: docker.io/library/python:3.12-slim
  base_python: "3.12"
  installer: pip
  bytecode: none
  max_layers: 40
  user: "1000:1000"
  system_cuda: true
  python_mirror: https://mirror.invalid/python
  python_downloads: https://mirror.invalid/downloads.json
  extras: [fast]
  groups: [serve, tools]
  apt_snapshot: 2026-11-01
  apt_snapshot_mirror: https://mirror.invalid/@PATH@/@SNAPSHOTID@/
"""


def warned(text: str) -> list[str]:
    reading = scan_config(text.encode())
    assert not reading.faults
    return [f"{warning} | {warning.hint}" for warning in reading.warnings]


def test_every_key_is_read() -> None:
    config = read_config(FULL.encode())
    assert config.build == Build(
        gpu=True,
        cuda="12.4.1",
        cudnn="9",
        python_version="3.10",
        python_requirements="requirements.txt",
        system_packages=("ffmpeg", "libgl1=1.6.0-1 git:amd64"),
        run=(
            RunItem(command="echo hi"),
            RunItem(
                command="pip config list",
                mounts=(
                    SecretMount(type="secret", id="pip", target="/etc/pip.conf"),
                    SecretMount(type="secret", id="token", env="TOKEN"),
                ),
            ),
        ),
        pre_install=(RunItem(command="echo first"),),
        sdk_version="0.18.0",
    )
    assert config.image == "registry.example:5000/team/model:v1"
    assert (config.predictor, config.predictor_key) == ("run.py:Runner", "run")
    assert config.train == "train.py:train"
    assert config.environment == ("HF_HOME=/src/hf", "EMPTY=")
    assert [weights.name for weights in config.weights] == ["big-model", "small"]
    assert config.weights[0].source[0].include == ("*.safetensors",)
    assert [source.uri for source in config.weights[1].source] == ["file://small", "https://host/x"]
    assert as_data(config.cogpack) == {
        "base_image": "docker.io/library/python:3.12-slim",
        "base_python": "3.12",
        "installer": "pip",
        "bytecode": "none",
        "max_layers": 40,
        "user": "1000:1000",
        "system_cuda": True,
        "python_mirror": "https://mirror.invalid/python",
        "python_downloads": "https://mirror.invalid/downloads.json",
        "extras": ["fast"],
        "groups": ["serve", "tools"],
        "apt_snapshot": "20261101T000000Z",
        "apt_snapshot_mirror": "https://mirror.invalid/@PATH@/@SNAPSHOTID@/",
    }


@pytest.mark.parametrize(
    ("path", "line", "text"),
    [
        ("build.python_version", 5, "python_version: 3.10"),
        ("build.cuda", 3, 'cuda: "12.4.1"'),
        ("build.system_packages[1]", 9, "libgl1=1.6.0-1 git:amd64"),
        ("build.run", 10, "run"),
        ("build.run[0]", 11, "echo hi"),
        ("build.run[1].mounts[1].env", 17, "env: TOKEN"),
        ("environment[0]", 27, "HF_HOME=/src/hf"),
        ("weights[1].source[1].uri", 39, "uri: https://host/x"),
        ("build.run[0].command", 11, "echo hi"),
        ("build.python_packages", 1, "build"),
        ("model", 0, ""),
    ],
)
def test_every_value_has_an_origin(path: str, line: int, text: str) -> None:
    assert read_config(FULL.encode()).origin(path) == Origin("cog.yaml", line, text)


def test_an_empty_file_is_a_config_of_defaults() -> None:
    config = read_config(b"")
    assert as_data(config) == as_data(CogConfig())
    assert config.build.python_version is None
    assert not config.build.gpu
    assert config.predictor is None
    assert config.cogpack.installer == "uv"
    assert config.cogpack.bytecode == "hash"


def test_a_key_without_a_value_is_not_set() -> None:
    config = read_config(b"build:\n  run:\n  python_packages: ~\n  gpu:\nrun:\nenvironment:\n")
    assert config.build == Build()
    assert config.run is None


def test_the_model_is_frozen() -> None:
    config = read_config(b"image: a")
    with pytest.raises(AttributeError, match="frozen"):
        config.image = "b"  # type: ignore[misc]


def test_the_json_of_a_config_holds_no_credentials() -> None:
    text = "build:\n  run: ['curl https://u:p@host/']\n  python_packages: ['a @ https://u:p@h/x']\n"
    config = read_config(text.encode())
    assert "u:p" not in json.dumps(as_data(config))
    assert config.build.run[0].command == "curl https://u:p@host/"


def test_read_config_raises_all_faults() -> None:
    with pytest.raises(UserError) as caught:
        read_config(b"x: 1\ny: 2\n", "other.yaml")
    assert [fault.origin.where for fault in caught.value.faults if fault.origin] == [
        "other.yaml:1",
        "other.yaml:2",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("predict: predict.py:P", ["cog.yaml:1: predict is deprecated | use 'run'"]),
        (
            "build:\n  pre_install: [a]\n  python_packages: [b]\n",
            [
                (
                    "cog.yaml:3: build.python_packages is deprecated"
                    " | use 'python_requirements' with a requirements file"
                ),
                "cog.yaml:2: build.pre_install is deprecated | use 'run'",
            ],
        ),
        (
            "concurrency: {max: 1}",
            [
                (
                    "cog.yaml:1: concurrency.max is deprecated"
                    " | use @cog.concurrent(max=…) on the async method"
                )
            ],
        ),
        (
            "build: {cog_runtime: true, fast: true}\ntests: []",
            [
                "cog.yaml:2: tests is ignored: Cog no longer reads it | remove it",
                "cog.yaml:1: build.cog_runtime is ignored: Cog no longer reads it | remove it",
                "cog.yaml:1: build.fast is ignored: Cog no longer reads it | remove it",
            ],
        ),
        (
            "weights: [{name: a, target: /a, source: {uri: x}}]",
            [
                (
                    "cog.yaml:1: weights stand without 'model': cogpack builds them, Cog does not"
                    " | add 'model' if Cog must read the project too"
                )
            ],
        ),
        ("build: {pre_install: [], python_packages: []}", []),
    ],
)
def test_deprecated_and_retired_keys_are_warnings(text: str, expected: list[str]) -> None:
    assert warned(text) == expected


@pytest.mark.parametrize(
    "name",
    [
        "a", "a/b", "x/a.b-c_d__e/f", "host.example/a", "host:5000/a:tag", "localhost/a:1.0_x-Y",
        "r8.im/user/model", "docker.io/library/python:3.12-slim",
        "a@sha256:" + "0" * 64, "a:b@sha256:" + "0" * 64,
    ],
)  # fmt: skip
def test_image_names_are_accepted(name: str) -> None:
    assert read_config(f"image: {name}".encode()).image == name


@pytest.mark.parametrize("name", ["a..b", "-a", "a-", "a//b", "/a", "a/", "ho_st:1/a", "a:5x/b"])
def test_what_is_no_image_name_is_refused(name: str) -> None:
    assert scan_config(f"image: '{name}'".encode()).faults


def test_a_config_can_be_made_without_a_file() -> None:
    config = CogConfig(build=Build(python_version="3.12"), run="run.py:Runner")
    assert config.origin("build.python_version") == Origin("cog.yaml")
    with pytest.raises(UserError, match=r"the oldest Python that Cog supports is 3\.10"):
        Build(python_version="3.8")


@pytest.mark.parametrize(
    "text",
    [
        "image: ''\nmodel: ''\nrun: ''\npredict: ''\ntrain: ''",
        "build: {cuda: '', cudnn: '', python_requirements: '', sdk_version: ''}",
        "build: {run: null, pre_install: ~, system_packages: , python_packages: null}",
        "weights: null\nenvironment: null\nconcurrency: null",
    ],
)
def test_what_cog_takes_for_unset_counts_as_not_written(text: str) -> None:
    assert as_data(read_config(text.encode())) == as_data(read_config(b""))


@pytest.mark.parametrize("word", ["y", "Y", "yes", "on", "'yes'", "True"])
def test_a_flag_has_the_words_that_cogs_reader_knows(word: str) -> None:
    opposite = {"y": "n", "Y": "N", "yes": "no", "on": "off", "'yes'": "'no'", "True": "False"}
    assert read_config(f"build: {{gpu: {word}}}".encode()).build.gpu
    assert not read_config(f"build: {{gpu: {opposite[word]}}}".encode()).build.gpu


def test_items_that_say_nothing_new_to_apt_or_pip_are_passed_over(tmp_path: Path) -> None:
    settings = (
        "  system_packages: [--no-install-recommends -y, '', ffmpeg -qq git]\n"
        "  python_packages: ['', six]"
    )
    project = read_project(write_project(tmp_path, settings))
    assert [one.name for one in project.system_packages] == ["ffmpeg", "git"]
    assert [one.name for one in project.requirements.entries] == ["six"]


def test_a_variable_that_only_pip_reads_is_told_where_uv_installs() -> None:
    text = b"environment:\n  - PIP_INDEX_URL=https://mirror/simple\n  - PIP_NO_CACHE_DIR=1\n"
    [warning] = scan_config(text).warnings
    assert str(warning).startswith("cog.yaml:2: environment[0] sets PIP_INDEX_URL, which uv")
    assert "installer: pip" in warning.hint
    assert scan_config(text + b"cogpack: {installer: pip}\n").warnings == ()


def test_keys_of_the_users_own_are_a_place_for_anchors() -> None:
    text = (
        "x-base: &base\n  python_version: '3.11'\nbuild:\n  <<: *base\n  gpu: true\n"
        "x-note: [anything, {at: all}]\n"
    )
    reading = scan_config(text.encode())
    assert (reading.faults, reading.warnings) == ((), ())
    assert reading.config is not None
    assert (reading.config.build.python_version, reading.config.build.gpu) == ("3.11", True)
    # In a section there is no place for them.
    assert scan_config(b"build: {x-note: 1}").faults
