"""Every fault of cog.yaml in the words that the user reads: place, value, bound and remedy."""

from __future__ import annotations

import pytest

from cogpack.project.cogyaml_reader import scan_config


def told(text: str) -> list[str]:
    reading = scan_config(text.encode())
    assert reading.config is None
    return [f"{fault} | {fault.hint}" for fault in reading.faults]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "build: {python_version: 3.9}",
            (
                'cog.yaml:1: build.python_version is "3.9", but the oldest Python that '
                "Cog supports "
                "is 3.10 | use 3.10 or newer"
            ),
        ),
        (
            "build: {python_version: 3.1}",
            (
                'cog.yaml:1: build.python_version is "3.1", but the oldest Python that '
                "Cog supports "
                'is 3.10 | write "3.10", in quotes'
            ),
        ),
        (
            "build: {python_version: 3}",
            (
                'cog.yaml:1: build.python_version is "3", which names no minor version'
                ' | write it as "3.12" or "3.12.4"'
            ),
        ),
        (
            "build: {python_version: '>=3.10'}",
            (
                'cog.yaml:1: build.python_version is ">=3.10", not a version of Python'
                ' | write it as "3.12" or "3.12.4"'
            ),
        ),
        (
            "build: {python_version: [3.10]}",
            (
                "cog.yaml:1: build.python_version must be one text, not a list"
                " | write the value on the line of its key"
            ),
        ),
        (
            "build: {python_verison: '3.12'}",
            (
                "cog.yaml:1: build.python_verison is not a key that cog.yaml has"
                " | did you mean 'python_version'?"
            ),
        ),
        (
            "python_version: '3.12'",
            "cog.yaml:1: python_version is not a key that cog.yaml has | move it under 'build:'",
        ),
        (
            "build: {environment: []}",
            (
                "cog.yaml:1: build.environment is not a key that cog.yaml has"
                " | move it to the top level"
            ),
        ),
        (
            "concurrency: {max: 1, zzz: 1}",
            (
                "cog.yaml:1: concurrency.zzz is not a key that cog.yaml has"
                " | the keys of concurrency are max, default_target"
            ),
        ),
        (
            "build: yes",
            (
                "cog.yaml:1: build must be a mapping | its keys are gpu, "
                "python_version, cuda, cudnn, "
                "python_requirements, python_packages, system_packages, run, "
                "pre_install, sdk_version"
            ),
        ),
        (
            "build: {gpu: 'true'}",
            (
                'cog.yaml:1: build.gpu is "true", not true or false'
                " | write true or false without quotes"
            ),
        ),
        (
            "build: {cuda: 10.2}",
            (
                'cog.yaml:1: build.cuda is "10.2", but the oldest CUDA that Cog supports is 11'
                " | use 11.0 or newer"
            ),
        ),
        (
            "build: {cuda: 12}",
            (
                'cog.yaml:1: build.cuda is "12", which names no minor version'
                ' | write it as "12.4" or "12.4.1"'
            ),
        ),
        (
            "build: {cudnn: new}",
            'cog.yaml:1: build.cudnn is "new", not a version of cuDNN | write it as "9" or "9.1"',
        ),
        (
            "build: {sdk_version: 0.15.9}",
            (
                'cog.yaml:1: build.sdk_version is "0.15.9", but the oldest cog package that can be '
                "asked for is 0.16.0 | use 0.16.0 or newer"
            ),
        ),
        (
            "build: {sdk_version: latest}",
            (
                'cog.yaml:1: build.sdk_version is "latest", not a version of the cog package'
                ' | write a version as "0.18.0", or "prerelease"'
            ),
        ),
        (
            "build: {system_packages: ffmpeg}",
            (
                "cog.yaml:1: build.system_packages must be a list, not one text"
                " | write each item on a line of its own behind '- '"
            ),
        ),
        (
            "build: {system_packages: ['ffmpeg; rm -rf /']}",
            (
                'cog.yaml:1: build.system_packages[0] is "ffmpeg;", not the name of an apt package'
                " | write one name an item"
            ),
        ),
        (
            "build: {system_packages: [--reinstall]}",
            (
                'cog.yaml:1: build.system_packages[0] is "--reinstall": an option of apt, '
                "not a package | remove it"
            ),
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
            (
                'cog.yaml:1: build.run[0].mounts[0].type is "bind", but Cog mounts secrets only'
                " | use 'type: secret', or copy the file into the project"
            ),
        ),
        (
            "build: {run: [{command: a, mounts: [{type: secret, id: x}]}]}",
            (
                "cog.yaml:1: build.run[0].mounts[0] does not say where the secret appears"
                " | add 'target: /run/secrets/NAME'"
            ),
        ),
        (
            "build: {run: [{command: a, mounts: [{type: secret, id: x, target: /x, env: X}]}]}",
            "cog.yaml:1: build.run[0].mounts[0] has both 'target' and 'env' | keep one of them",
        ),
        (
            (
                "build: {run: [{command: a, mounts: [{type: secret, id: x, target: /c},"
                " {type: secret, id: y, target: c}]}]}"
            ),
            (
                "cog.yaml:1: build.run[0].mounts[1] has the target c of build.run[0].mounts[0]"
                " | give each secret a place of its own"
            ),
        ),
        (
            (
                "build: {run: [{command: a, mounts: [{type: secret, id: x, env: T},"
                " {type: secret, id: y, env: T}]}]}"
            ),
            (
                "cog.yaml:1: build.run[0].mounts[1] has the env T of build.run[0].mounts[0]"
                " | give each secret a place of its own"
            ),
        ),
        (
            "build: {run: ['--mount=type=secret,id=t,target=/t cat /t']}",
            (
                'cog.yaml:1: build.run[0].command begins with "--mount=type=secret,id=t,target=/t",'
                " an option of Dockerfiles | write the command as 'command:', with the secret under"
                " 'mounts:'"
            ),
        ),
        (
            "build: {run: ['--mount=type=cache,target=/root/.cache pip install x']}",
            (
                'cog.yaml:1: build.run[0].command begins with "--mount=type=cache,target='
                '/root/.cache", an option of Dockerfiles | leave it out: pip and uv have caches'
                " that stay out of the layer"
            ),
        ),
        (
            "build: {run: ['--network=none make']}",
            (
                'cog.yaml:1: build.run[0].command begins with "--network=none", an option of'
                " Dockerfiles | leave it out, or use the option --network of cogpack"
            ),
        ),
        (
            "build: {run: [{command: a, mounts: [{type: secret, id: x, target: ./}]}]}",
            'cog.yaml:1: build.run[0].mounts[0].target is "./", not the path of a file | ',
        ),
        (
            "build: {run: [[a]]}",
            (
                "cog.yaml:1: build.run[0] must be a command, or a mapping with "
                "'command' and 'mounts'"
                " | "
            ),
        ),
        (
            "build: {python_packages: [a], python_requirements: r.txt}",
            (
                "cog.yaml:1: build.python_requirements and build.python_packages are both set; "
                "only one of them can be | move the packages into the requirements file"
            ),
        ),
        (
            "run: a.py:A\npredict: a.py:A",
            (
                "cog.yaml:1: run and predict are both set; only one of them can be"
                " | keep 'run'; 'predict' is its old spelling"
            ),
        ),
        (
            "image: a\nmodel: b/c",
            (
                "cog.yaml:2: model and image are both set; only one of them can be"
                " | keep 'model' if you push weights with Cog, else 'image'"
            ),
        ),
        (
            "model: team/model:v1",
            (
                'cog.yaml:1: model is "team/model:v1", with a tag or a digest'
                " | write \"team/model\", or use 'image'"
            ),
        ),
        (
            "image: Team/Model",
            (
                'cog.yaml:1: image is "Team/Model", but image names are lower-case'
                ' | write it as "name", "name:tag" or "registry.example/name:tag"'
            ),
        ),
        (
            "image: a b",
            (
                'cog.yaml:1: image is "a b", not an image name'
                ' | write it as "name", "name:tag" or "registry.example/name:tag"'
            ),
        ),
        (
            "image: 'a:'",
            (
                'cog.yaml:1: image has the tag "", which is no tag'
                " | use letters, digits, '_', '.' and '-'"
            ),
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
            (
                "cog.yaml:4: concurrency.max is 4, which needs Python 3.11; "
                "build.python_version is "
                '"3.10" (cog.yaml:2)'
                " | set python_version to 3.11 or newer, or concurrency.max to 1"
            ),
        ),
        (
            "environment: [FOO]",
            'cog.yaml:1: environment[0] is "FOO", not in the form NAME=value | ',
        ),
        (
            "environment: [PATH=/x]",
            (
                "cog.yaml:1: environment[0] sets PATH, which the image or its platform sets itself"
                " | remove it"
            ),
        ),
        (
            "environment: [CUDA_HOME=/x]",
            (
                "cog.yaml:1: environment[0] sets CUDA_HOME, which the image or its platform "
                "sets itself | remove it"
            ),
        ),
        (
            "environment: [1A=b]",
            (
                'cog.yaml:1: environment[0] sets "1A", which is no name of a variable'
                " | use letters, digits and '_', with no digit in front"
            ),
        ),
        (
            "environment:\n- A=1\n- A=2",
            "cog.yaml:3: environment[1] sets A, which is set on line 2 already | keep one of them",
        ),
        (
            "environment: {A: b}",
            (
                "cog.yaml:1: environment must be a list, not a mapping"
                " | write each item on a line of its own behind '- '"
            ),
        ),
        (
            "weights: [{name: A, target: /a, source: {uri: x}}]",
            (
                'cog.yaml:1: weights[0].name is "A", not a name of weights'
                " | use lower-case letters and digits with single '-', '.' or '_': \"my-weights\""
            ),
        ),
        (
            "weights: [{name: a, target: /, source: {uri: x}}]",
            "cog.yaml:1: weights[0].target is the root of the image | use a folder of its own",
        ),
        (
            "weights: [{name: a, target: /a, source: hf://x}]",
            (
                "cog.yaml:1: weights[0].source must be a mapping with 'uri', not one text"
                " | write 'uri: hf://x'"
            ),
        ),
        *(
            (
                f"cogpack: {{apt_snapshot: {written}}}",
                (
                    f'cog.yaml:1: cogpack.apt_snapshot is "{written}", not a day or a moment'
                    " | write it as 2026-11-01 or 20261101T120000Z"
                ),
            )
            for written in ("2026111", "2026-1-1", "0001-01-01", "2026-13-01", "2026-11")
        ),
        (
            "build: {system_packages: [apt-get install -y ffmpeg]}",
            (
                'cog.yaml:1: build.system_packages[0] is "apt-get install -y ffmpeg", a command'
                " | write the names of the packages alone"
            ),
        ),
        (
            "build: {run: [RUN pip install x, {command: COPY a b}]}",
            (
                "cog.yaml:1: build.run[0].command begins with RUN, a word of Dockerfiles"
                " | leave RUN out\n"
                "cog.yaml:1: build.run[1].command begins with COPY, a word of Dockerfiles"
                " | write a shell command"
            ),
        ),
        (
            "weights: [{name: a, target: /a, source: {uri: x, exclude: ['[z-a]']}}]",
            (
                "cog.yaml:1: weights[0].source.exclude[0] is \"[z-a]\", with a '[' that no"
                " ']' closes | close it, or write '?'"
            ),
        ),
        (
            "weights:\n- name: a\n  target: /a\n  source:\n    uri: https://me:hunter2@h/x",
            (
                'cog.yaml:5: weights[0].source.uri is "https://****@h/x", which holds a credential'
                " that would stay in the image | remove it"
            ),
        ),
        (
            "weights: [{name: a, target: /a, source: [{uri: x}, {uri: s3://b/c}, {uri: hf://b}]}]",
            (
                'cog.yaml:1: weights[0].source[1].uri is "s3://b/c", which has a scheme that is not'
                " supported | write hf://, https://, file:// or a path\n"
                'cog.yaml:1: weights[0].source[2].uri is "hf://b", which names no model of the hub'
                " | write hf://team/model"
            ),
        ),
        (
            "weights: [{name: a, target: /a, source: {uri: x, incl: b}}]",
            (
                "cog.yaml:1: weights[0].source.incl is not a key that cog.yaml has"
                " | did you mean 'include'?"
            ),
        ),
        (
            "weights: [{name: a, target: /a, source: {uri: x, include: ['!b']}}]",
            (
                'cog.yaml:1: weights[0].source.include[0] is "!b", but a pattern cannot be '
                "negated with '!' | use 'exclude'"
            ),
        ),
        (
            (
                "weights:\n- {name: a, target: /a/b, source: {uri: x}}\n"
                "- {name: a, target: /a, source: {uri: y}}"
            ),
            (
                'cog.yaml:3: weights[1].name is "a", the name of weights[0] too'
                " | give it another name\n"
                'cog.yaml:3: weights[1].target is "/a", which overlaps "/a/b" of weights[0]'
                " | give each weights a folder of its own"
            ),
        ),
        (
            "cogpack: {installer: poetry}",
            'cog.yaml:1: cogpack.installer is "poetry", not one of uv, pip | ',
        ),
        (
            "cogpack: {max_layers: 101}",
            "cog.yaml:1: cogpack.max_layers is 101, not a number from 10 to 100 | ",
        ),
        (
            "cogpack: {user: 'a b'}",
            (
                'cog.yaml:1: cogpack.user is "a b", not a user'
                ' | write it as "1000", "1000:1000" or "app"'
            ),
        ),
    ],
)
def test_a_wrong_value_is_told_with_place_bound_and_remedy(text: str, expected: str) -> None:
    assert "\n".join(told(text)) == expected


def test_all_faults_of_a_file_are_told_at_once_in_its_order() -> None:
    text = "build:\n  gpu: maybe\n  python_version: 2.7\n  cuda: 9.0\nimage: A\nxyz: 1\n"
    assert [line.partition(" | ")[0] for line in told(text)] == [
        'cog.yaml:2: build.gpu is "maybe", not true or false',
        (
            'cog.yaml:3: build.python_version is "2.7", but the oldest Python that Cog supports '
            "is 3.10"
        ),
        'cog.yaml:4: build.cuda is "9.0", but the oldest CUDA that Cog supports is 11',
        'cog.yaml:5: image is "A", but image names are lower-case',
        "cog.yaml:6: xyz is not a key that cog.yaml has",
    ]


def test_numbers_and_commands_without_end_are_told() -> None:
    digits = "9" * 5000
    [fault] = told(f"concurrency: {{max: {digits}}}")
    assert "not a whole number" in fault
    [fault] = told(f"build: {{sdk_version: '{digits}'}}")
    assert "not a version of the cog package" in fault
    [fault] = told(f"build: {{run: ['echo {'x' * (1 << 17)}']}}")
    assert "build.run[0].command is 131077 bytes long, and Linux takes commands of less" in fault
    assert fault.endswith("| write it into a script of the project, and run that")


@pytest.mark.parametrize("mount", ["target: ", "env: null"])
def test_a_mount_with_an_empty_place_has_none(mount: str) -> None:
    [fault] = told(f"build: {{run: [{{command: a, mounts: [{{type: secret, id: b, {mount}}}]}}]}}")
    assert "build.run[0].mounts[0] does not say where the secret appears" in fault
