"""The keys of cog.yaml: what is accepted, what is refused and in which words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.project.cogyaml import Build, CogConfig, RunItem, SecretMount
from cogpack.project.cogyaml_reader import read_config, scan_config

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
  installer: pip
  bytecode: none
  user: "1000:1000"
  system_cuda: true
"""


def told(text: str) -> list[str]:
    reading = scan_config(text.encode())
    assert reading.config is None
    return [f"{fault} | {fault.hint}" for fault in reading.faults]


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
    assert config.cogpack.model_dump() == {
        "base_image": "docker.io/library/python:3.12-slim",
        "installer": "pip",
        "bytecode": "none",
        "user": "1000:1000",
        "system_cuda": True,
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
    assert config == CogConfig()
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
    with pytest.raises(ValidationError):
        config.image = "b"  # type: ignore[misc]


def test_the_json_of_a_config_holds_no_credentials() -> None:
    text = "build:\n  run: ['curl https://u:p@host/']\n  python_packages: ['a @ https://u:p@h/x']\n"
    config = read_config(text.encode())
    assert "u:p" not in config.model_dump_json()
    assert config.build.run[0].command == "curl https://u:p@host/"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "build: {python_version: 3.9}",
            'cog.yaml:1: build.python_version is "3.9", but the oldest Python that Cog supports '
            "is 3.10 | use 3.10 or newer",
        ),
        (
            "build: {python_version: 3.1}",
            'cog.yaml:1: build.python_version is "3.1", but the oldest Python that Cog supports '
            'is 3.10 | write "3.10", in quotes',
        ),
        (
            "build: {python_version: 3}",
            'cog.yaml:1: build.python_version is "3", which names no minor version'
            ' | write it as "3.12" or "3.12.4"',
        ),
        (
            "build: {python_version: '>=3.10'}",
            'cog.yaml:1: build.python_version is ">=3.10", not a version of Python'
            ' | write it as "3.12" or "3.12.4"',
        ),
        (
            "build: {python_version: [3.10]}",
            "cog.yaml:1: build.python_version must be one text, not a list"
            " | write the value on the line of its key",
        ),
        (
            "build: {python_verison: '3.12'}",
            "cog.yaml:1: build.python_verison is not a key that cog.yaml has"
            " | did you mean 'python_version'?",
        ),
        (
            "python_version: '3.12'",
            "cog.yaml:1: python_version is not a key that cog.yaml has | move it under 'build:'",
        ),
        (
            "build: {environment: []}",
            "cog.yaml:1: build.environment is not a key that cog.yaml has"
            " | move it to the top level",
        ),
        (
            "concurrency: {max: 1, zzz: 1}",
            "cog.yaml:1: concurrency.zzz is not a key that cog.yaml has"
            " | the keys of concurrency are max, default_target",
        ),
        (
            "build: yes",
            "cog.yaml:1: build must be a mapping | its keys are gpu, python_version, cuda, cudnn, "
            "python_requirements, python_packages, system_packages, run, pre_install, sdk_version",
        ),
        (
            "build: {gpu: 'true'}",
            'cog.yaml:1: build.gpu is "true", not true or false'
            " | write true or false without quotes",
        ),
        (
            "build: {cuda: 10.2}",
            'cog.yaml:1: build.cuda is "10.2", but the oldest CUDA that Cog supports is 11'
            " | use 11.0 or newer",
        ),
        (
            "build: {cuda: 12}",
            'cog.yaml:1: build.cuda is "12", which names no minor version'
            ' | write it as "12.4" or "12.4.1"',
        ),
        (
            "build: {cudnn: new}",
            'cog.yaml:1: build.cudnn is "new", not a version of cuDNN | write it as "9" or "9.1"',
        ),
        (
            "build: {sdk_version: 0.15.9}",
            'cog.yaml:1: build.sdk_version is "0.15.9", but the oldest cog package that can be '
            "asked for is 0.16.0 | use 0.16.0 or newer",
        ),
        (
            "build: {sdk_version: latest}",
            'cog.yaml:1: build.sdk_version is "latest", not a version of the cog package'
            ' | write a version as "0.18.0", or "prerelease"',
        ),
        (
            "build: {system_packages: ffmpeg}",
            "cog.yaml:1: build.system_packages must be a list, not one text"
            " | write each item on a line of its own behind '- '",
        ),
        (
            "build: {system_packages: ['ffmpeg; rm -rf /']}",
            'cog.yaml:1: build.system_packages[0] is "ffmpeg;", not the name of an apt package'
            " | write one name an item",
        ),
        (
            "build: {system_packages: [--reinstall]}",
            'cog.yaml:1: build.system_packages[0] is "--reinstall": an option of apt, '
            "not a package | remove it",
        ),
        (
            "build: {run: ['']}",
            "cog.yaml:1: build.run[0].command is empty | write a value or remove it",
        ),
        (
            "build: {run: [{mounts: []}]}",
            "cog.yaml:1: build.run[0].command is missing | add 'command:'",
        ),
        (
            "build: {run: [{command: a, mounts: [{type: bind, id: x, target: /x}]}]}",
            'cog.yaml:1: build.run[0].mounts[0].type is "bind", but Cog mounts secrets only'
            " | use 'type: secret', or copy the file into the project",
        ),
        (
            "build: {run: [{command: a, mounts: [{type: secret, id: x}]}]}",
            "cog.yaml:1: build.run[0].mounts[0] does not say where the secret appears"
            " | add 'target: /run/secrets/NAME'",
        ),
        (
            "build: {run: [{command: a, mounts: [{type: secret, id: x, target: /x, env: X}]}]}",
            "cog.yaml:1: build.run[0].mounts[0] has both 'target' and 'env' | keep one of them",
        ),
        (
            "build: {run: [{command: a, mounts: [{type: secret, id: x, target: x}]}]}",
            'cog.yaml:1: build.run[0].mounts[0].target is "x", not an absolute path of the image | ',
        ),
        (
            "build: {run: [[a]]}",
            "cog.yaml:1: build.run[0] must be a command, or a mapping with 'command' and 'mounts'"
            " | ",
        ),
        (
            "build: {python_packages: [a], python_requirements: r.txt}",
            "cog.yaml:1: build.python_requirements and build.python_packages are both set; "
            "only one of them can be | move the packages into the requirements file",
        ),
        (
            "run: a.py:A\npredict: a.py:A",
            "cog.yaml:1: run and predict are both set; only one of them can be"
            " | keep 'run'; 'predict' is its old spelling",
        ),
        (
            "image: a\nmodel: b/c",
            "cog.yaml:2: model and image are both set; only one of them can be"
            " | keep 'model' if you push weights with Cog, else 'image'",
        ),
        (
            "model: team/model:v1",
            'cog.yaml:1: model is "team/model:v1", with a tag or a digest'
            " | write \"team/model\", or use 'image'",
        ),
        (
            "image: Team/Model",
            'cog.yaml:1: image is "Team/Model", but image names are lower-case'
            ' | write it as "name", "name:tag" or "registry.example/name:tag"',
        ),
        (
            "image: a b",
            'cog.yaml:1: image is "a b", not an image name'
            ' | write it as "name", "name:tag" or "registry.example/name:tag"',
        ),
        (
            "image: 'a:'",
            'cog.yaml:1: image has the tag "", which is no tag'
            " | use letters, digits, '_', '.' and '-'",
        ),
        (
            "image: a@sha256:12",
            'cog.yaml:1: image has the digest "sha256:12", which is no sha256 digest | ',
        ),
        (
            "concurrency: {max: 0}",
            "cog.yaml:1: concurrency.max is 0, but must be at least 1 | ",
        ),
        (
            "concurrency: {max: many}",
            'cog.yaml:1: concurrency.max is "many", not a whole number | ',
        ),
        ("concurrency: {default_target: 1}", "cog.yaml:1: concurrency.max is missing | add 'max:'"),
        (
            "build:\n  python_version: '3.10'\nconcurrency:\n  max: 4",
            "cog.yaml:4: concurrency.max is 4, which needs Python 3.11; build.python_version is "
            '"3.10" (cog.yaml:2)'
            " | set python_version to 3.11 or newer, or concurrency.max to 1",
        ),
        ("environment: [FOO]", 'cog.yaml:1: environment[0] is "FOO", not in the form NAME=value | '),
        (
            "environment: [PATH=/x]",
            "cog.yaml:1: environment[0] sets PATH, which the image or its platform sets itself"
            " | remove it",
        ),
        (
            "environment: [CUDA_HOME=/x]",
            "cog.yaml:1: environment[0] sets CUDA_HOME, which the image or its platform sets itself"
            " | remove it",
        ),
        (
            "environment: [1A=b]",
            'cog.yaml:1: environment[0] sets "1A", which is no name of a variable'
            " | use letters, digits and '_', with no digit in front",
        ),
        (
            "environment:\n- A=1\n- A=2",
            "cog.yaml:3: environment[1] sets A, which is set on line 2 already | keep one of them",
        ),
        (
            "environment: {A: b}",
            "cog.yaml:1: environment must be a list, not a mapping"
            " | write each item on a line of its own behind '- '",
        ),
        (
            "weights: [{name: A, target: /a, source: {uri: x}}]",
            'cog.yaml:1: weights[0].name is "A", not a name of weights'
            " | use lower-case letters and digits with single '-', '.' or '_': \"my-weights\"",
        ),
        (
            "weights: [{name: a, target: /, source: {uri: x}}]",
            "cog.yaml:1: weights[0].target is the root of the image | use a folder of its own",
        ),
        (
            "weights: [{name: a, target: /a, source: hf://x}]",
            "cog.yaml:1: weights[0].source must be a mapping with 'uri', not one text"
            " | write 'uri: hf://x'",
        ),
        (
            "weights: [{name: a, target: /a, source: {uri: x, include: ['!b']}}]",
            "cog.yaml:1: weights[0].source[0].include[0] is \"!b\", but a pattern cannot be "
            "negated with '!' | use 'exclude'",
        ),
        (
            "weights:\n- {name: a, target: /a/b, source: {uri: x}}\n"
            "- {name: a, target: /a, source: {uri: y}}",
            'cog.yaml:3: weights[1].name is "a", the name of weights[0] too'
            " | give it another name\n"
            'cog.yaml:3: weights[1].target is "/a", which overlaps "/a/b" of weights[0]'
            " | give each weights a folder of its own",
        ),
        ("cogpack: {installer: poetry}", 'cog.yaml:1: cogpack.installer is "poetry", not one of uv, pip | '),
        (
            "cogpack: {user: 'a b'}",
            'cog.yaml:1: cogpack.user is "a b", not a user'
            ' | write it as "1000", "1000:1000" or "app"',
        ),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_place_bound_and_remedy(text: str, expected: str) -> None:
    assert "\n".join(told(text)) == expected


def test_all_faults_of_a_file_are_told_at_once_in_its_order() -> None:
    text = "build:\n  gpu: maybe\n  python_version: 2.7\n  cuda: 9.0\nimage: A\nxyz: 1\n"
    assert [line.partition(" | ")[0] for line in told(text)] == [
        'cog.yaml:2: build.gpu is "maybe", not true or false',
        'cog.yaml:3: build.python_version is "2.7", but the oldest Python that Cog supports '
        "is 3.10",
        'cog.yaml:4: build.cuda is "9.0", but the oldest CUDA that Cog supports is 11',
        'cog.yaml:5: image is "A", but image names are lower-case',
        "cog.yaml:6: xyz is not a key that cog.yaml has",
    ]


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
                "cog.yaml:3: build.python_packages is deprecated"
                " | use 'python_requirements' with a requirements file",
                "cog.yaml:2: build.pre_install is deprecated | use 'run'",
            ],
        ),
        (
            "concurrency: {max: 1}",
            [
                "cog.yaml:1: concurrency.max is deprecated"
                " | use @cog.concurrent(max=…) on the async method"
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
                "cog.yaml:1: weights stand without 'model': cogpack builds them, Cog does not"
                " | add 'model' if Cog must read the project too"
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
        "a", "a/b", "a.b-c_d__e/f", "host.example/a", "host:5000/a:tag", "localhost/a:1.0_x-Y",
        "r8.im/user/model", "docker.io/library/python:3.12-slim",
        "a@sha256:" + "0" * 64, "a:b@sha256:" + "0" * 64,
    ],
)  # fmt: skip
def test_image_names_are_accepted(name: str) -> None:
    assert read_config(f"image: {name}".encode()).image == name


@pytest.mark.parametrize("name", ["a..b", "-a", "a-", "a//b", "/a", "a/", "ho_st:1/a", "a:5x/b"])
def test_what_is_no_image_name_is_refused(name: str) -> None:
    assert told(f"image: '{name}'")


def test_a_config_can_be_made_without_a_file() -> None:
    config = CogConfig(build=Build(python_version="3.12"), run="run.py:Runner")
    assert config.origin("build.python_version") == Origin("cog.yaml")
    with pytest.raises(ValidationError, match=r"the oldest Python that Cog supports is 3\.10"):
        Build(python_version="3.8")
