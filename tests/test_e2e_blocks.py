"""The blocks on a real BuildKit: the served API, secrets, weights, training, users, authorities."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.images import EXAMPLES, Cogpack, Docker, blobs, build, config, layers
from support.projects import write_project
from support.serving import Served, serving

FIXED_TIME = "315532800"

AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBmTCCAT+gAwIBAgIUGjQ8Y6FxOXNRCSJdYX7yQ28jfP4wCgYIKoZIzj0EAwIw
ITEfMB0GA1UEAwwWY29ncGFjayB0ZXN0IGF1dGhvcml0eTAgFw0yNjExMjIxNDQz
NTVaGA8yMTI2MTAyOTE0NDM1NVowITEfMB0GA1UEAwwWY29ncGFjayB0ZXN0IGF1
dGhvcml0eTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABB65H95S41qH41UBCokG
Eol2wwXlpVptcro/uDyzATFxpTF7C1wTEr5qrBrlqu3hU2bEeLUS/HmRldh/4JCD
U9mjUzBRMB0GA1UdDgQWBBRQXbbUhCGnHAfmTBpcDkbu5pIgpTAfBgNVHSMEGDAW
gBRQXbbUhCGnHAfmTBpcDkbu5pIgpTAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49
BAMCA0gAMEUCIQDm0sMeFOXHzkLvWxSNSgMBn+V6iAwaRANa8CswsIfKdQIgV78g
isTaFuxH7+NRb/qfddhLUCx1+vuhAYb+3OngS/I=
-----END CERTIFICATE-----
"""

# What the commands check is what a user's commands may rely on.
ALL_SETTINGS = """\
  pre_install:
    - test "$GREETING" = "hi there" && python -m pip --version > /opt/pre
  run:
    - pip install six==1.17.0
    - python -c "import six; assert six.__file__.startswith('/opt/venv/')"
    - curl --version && uv pip install --system wcwidth==0.2.13 && python -c "import wcwidth"
    - python -c "import pkg_resources, setuptools; assert setuptools.__file__[:9] == '/opt/venv'"
    - test ! -e /src/predict.py && test "$GREETING" = "hi there" && test "$PWD" = /
    - >-
      python -c "import ssl;
      assert 'cogpack test authority' in str(ssl.create_default_context().get_ca_certs())"
environment: [GREETING=hi there]
cogpack:
  user: app"""

ALL_TYPES = """\
import os
from pathlib import Path as Plain

import six
from cog import BaseRunner, Input, Path


class Predictor(BaseRunner):
    def setup(self) -> None:
        self.read = Plain("/src/private.txt").read_text()
        Plain.home().joinpath("cache").write_text("x")

    def run(
        self,
        text: str = Input(description="words"),
        count: int = Input(default=2, ge=1, le=5),
        scale: float = 0.5,
        shout: bool = False,
        file: Path | None = None,
        words: list[str] = Input(default=["a", "b"]),
        mode: str = Input(choices=["fast", "good"], default="fast"),
    ) -> dict:
        if text == "fail":
            raise ValueError("as you wish")
        return {
            "types": [type(one).__name__ for one in (text, count, scale, shout, words)],
            "text": text.upper() if shout else text * count,
            "half": scale * 3,
            "file": file.read_text() if file else None,
            "words": words,
            "mode": mode,
            "greeting": os.environ["GREETING"],
            "user": os.getuid(),
            "private": self.read,
        }
"""


@pytest.fixture(scope="module")
def everything(
    cogpack: Cogpack, docker: Docker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A project that asks for nearly everything, served."""
    folder = tmp_path_factory.mktemp("everything")
    write_project(folder, ALL_SETTINGS, {"predict.py": ALL_TYPES, "private.txt": "readable"})
    (folder / "private.txt").chmod(0o600)
    image = build(cogpack, folder, "everything", COG_CA_CERT=AUTHORITY)
    with serving(docker, image) as served:
        yield served


def test_every_type_of_input_arrives(everything: Served) -> None:
    answer = everything.predict(
        text="ab",
        count=3,
        scale=1.5,
        file="data:text/plain;base64,aGVsbG8=",
        words=["x", "y"],
        mode="good",
    )
    assert answer["status"] == "succeeded", answer
    output = answer["output"]
    assert output["types"] == ["str", "int", "float", "bool", "list"]
    assert (output["text"], output["half"], output["file"]) == ("ababab", 4.5, "hello")
    assert (output["words"], output["mode"]) == (["x", "y"], "good")
    assert output["greeting"] == "hi there"
    assert everything.predict(text="ab", shout=True)["output"]["text"] == "AB"
    assert everything.predict(text="ab")["output"]["words"] == ["a", "b"]


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({}, "text"),
        ({"text": "a", "count": 9}, "maximum of 5"),
        ({"text": "a", "count": "many"}, "count"),
        ({"text": "a", "mode": "bad"}, "mode"),
    ],
)
def test_inputs_are_checked_by_the_schema(
    everything: Served, inputs: dict[str, object], told: str
) -> None:
    answer = everything.predict("/predictions", **inputs)
    assert told in json.dumps(answer["detail"])


def test_a_predictor_that_fails_says_so_and_serves_on(everything: Served) -> None:
    answer = everything.predict(text="fail")
    assert answer["status"] == "failed"
    assert "as you wish" in answer["error"]
    assert everything.predict(text="a")["status"] == "succeeded"


def test_the_schema_that_is_served_is_the_label(everything: Served, docker: Docker) -> None:
    labels = config(docker, "cogpack-test/everything")["Labels"]
    assert isinstance(labels, dict)
    assert everything.get("/openapi.json") == json.loads(labels["run.cog.openapi_schema"])
    label = json.loads(labels["run.cog.config"])
    assert label["environment"] == ["GREETING=hi there"]
    assert labels["run.cog.has_init"] == "true"


def test_the_server_runs_as_the_user_and_can_read_everything(
    everything: Served, docker: Docker
) -> None:
    output = everything.predict(text="a")["output"]
    assert output["user"] >= 1000
    assert output["private"] == "readable"
    processes = docker("exec", everything.container, "sh", "-c", "cat /proc/1/comm; id -un")
    assert processes.split() == ["tini", "app"]


def test_an_authority_stays_trusted_in_the_image(everything: Served, docker: Docker) -> None:
    look = (
        "import ssl, sys; found = ssl.create_default_context().get_ca_certs(); "
        "print(len(found) > 10, 'cogpack test authority' in str(found))"
    )
    assert docker("exec", everything.container, "python", "-c", look).split() == ["True", "True"]
    files = "ls /usr/local/share/ca-certificates; cat /usr/local/sbin/pip 2>&1; ls /opt; true"
    listed = docker("exec", everything.container, "sh", "-c", files)
    assert "cogpack-1.crt" in listed
    assert "No such file" in listed
    assert set(listed.split()) >= {"pre", "venv"}
    assert "pip" not in listed.split()


def test_sigterm_ends_the_server_within_seconds(cogpack: Cogpack, docker: Docker) -> None:
    image = build(cogpack, EXAMPLES / "hello", "sigterm")
    with serving(docker, image) as served:
        begin = time.monotonic()
        docker("stop", "--time", "20", served.container)
        assert time.monotonic() - begin < 10
        state = json.loads(docker("inspect", served.container))[0]["State"]
        assert state["ExitCode"] != 137, state


def test_a_user_that_is_a_number_has_a_home(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    folder = write_project(tmp_path, "cogpack:\n  user: '1234:99'")
    image = build(cogpack, folder, "number")
    look = "id -u; id -g; touch $HOME/x && echo $HOME; cat /src/predict.py > /dev/null && echo read"
    said = docker("run", "--rm", "--entrypoint", "sh", image, "-c", look)
    assert said.split() == ["1234", "99", "/home/cogpack", "read"]


def test_secrets_reach_the_command_and_nothing_else(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    licence, token = f"licensed-{secrets.token_hex(16)}", secrets.token_hex(16)
    (tmp_path / "licence").write_text(licence)
    given = (
        *("--secret", f"id=licence,src={tmp_path / 'licence'}"),
        *("--secret", "id=token,env=MY_TOKEN"),
    )
    folder = EXAMPLES / "secrets"
    image = build(cogpack, folder, "secrets", *given, MY_TOKEN=token)
    with serving(docker, image) as served:
        assert served.predict()["output"] == "licensed: yes, downloaded: yes"
    # A command that prints its secrets: even so they are in nothing that is kept or shown.
    loud = Path(shutil.copytree(folder, tmp_path / "loud"))
    settings = (folder / "cog.yaml").read_text()
    settings = settings.replace("&& echo yes >", "&& cat /run/secrets/* && echo yes >", 1)
    (loud / "cog.yaml").write_text(settings.replace("&& echo yes >", "&& env && echo yes >", 1))
    layout = tmp_path / "image.tar"
    outcome = cogpack("build", loud, *given, "--output", f"type=oci,dest={layout}", MY_TOKEN=token)
    assert outcome.returncode == 0, outcome.stderr
    plan = cogpack("plan", "--json", loud, MY_TOKEN=token)
    llb = tmp_path / "llb"
    with llb.open("wb") as file:
        subprocess.run([sys.executable, "-m", "cogpack", "llb", loud], stdout=file, check=True)
    history = docker("history", "--no-trunc", image) + docker("image", "inspect", image)
    texts = [outcome.stdout, outcome.stderr, plan.stdout, plan.stderr, history]
    searched = [text.encode() for text in texts] + [llb.read_bytes(), *blobs(layout)]
    assert len(searched) > 10
    for content in searched:
        assert licence.encode() not in content
        assert token.encode() not in content


def test_an_edit_of_the_code_does_not_push_weights(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(EXAMPLES / "weights", tmp_path / "weights"))
    (folder / "models").mkdir()
    (folder / "models" / "large.bin").write_bytes(bytes(11 * 1024 * 1024))
    (folder / "voices" / "de").mkdir(parents=True)
    (folder / "voices" / "latest").symlink_to("de")
    for number in range(4):
        (folder / "voices" / "de" / f"{number}.bin").write_bytes(bytes(3 * 1024 * 1024))
    image = build(cogpack, folder, "weights")
    first = layers(docker, image)
    kinds = ["large-files-1", "large-folder-1", "weights-words"]
    plan = json.loads(cogpack("plan", "--json", folder).stdout)
    exported = [stage["id"] for phase in plan["export_phases"] for stage in phase["stages"]]
    assert sorted(exported[-4:-1]) == [f"export:{kind}" for kind in kinds]
    predictor = folder / "predict.py"
    predictor.write_text(predictor.read_text().replace("get(word, 0)", "get(word, 5)"))
    build(cogpack, folder, "weights")
    second = layers(docker, image)
    assert second[:-1] == first[:-1]
    assert second[-1] != first[-1]
    scores = folder / "weights" / "scores.json"
    scores.write_text('{"good": 3}')
    build(cogpack, folder, "weights")
    third = layers(docker, image)
    assert [one == other for one, other in zip(third, second, strict=True)].count(False) == 1
    assert third[-1] == second[-1]
    with serving(docker, image) as served:
        assert served.predict(text="good bad")["output"] == 8
        look = (
            "cd / && ls -s /src/models/large.bin /src/weights /weights/words && "
            "test -s /src/voices/latest/3.bin && stat -c %Y.%a /src/voices /src/voices/de"
        )
        listed = docker("exec", served.container, "sh", "-c", look)
    assert "notes.txt" in listed
    assert listed.count("scores.json") == 1
    assert listed.count(f"{FIXED_TIME}.755") == 2


def test_two_machines_make_the_same_layers(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    """Times, umask and the folder's name are those of a machine, and in no layer."""
    one = Path(shutil.copytree(EXAMPLES / "weights", tmp_path / "one"))
    (one / "deep" / "er").mkdir(parents=True)
    (one / "deep" / "er" / "tool.sh").write_text("#!/bin/sh\n")
    (one / "deep" / "er" / "tool.sh").chmod(0o755)
    (one / "deep" / "link").symlink_to("er")
    (one / "deep" / "large.bin").write_bytes(bytes(10 * 1024 * 1024))
    two = Path(shutil.copytree(one, tmp_path / "other", symlinks=True))
    for place in (two, *two.rglob("*")):
        if not place.is_symlink():
            executable = place.is_dir() or place.suffix == ".sh"
            place.chmod(0o775 if executable else 0o664)
            os.utime(place, (1, 1_600_000_000))
    first = layers(docker, build(cogpack, one, "machine-one"))
    image = build(cogpack, two, "machine-two")
    assert layers(docker, image) == first
    look = "find /src /weights -printf '%T@ %m %U:%G %y %p\\n'"
    found = docker("run", "--rm", "--entrypoint", "sh", image, "-c", look).splitlines()
    assert {line.split()[0].partition(".")[0] for line in found} == {FIXED_TIME}
    modes = {line.split()[4]: line.split()[1:4] for line in found}
    assert modes["/src/deep/er/tool.sh"] == ["755", "0:0", "f"]
    assert modes["/src/predict.py"] == ["644", "0:0", "f"]
    assert modes["/src/deep"] == ["755", "0:0", "d"]
    assert modes["/src/deep/link"][1:] == ["0:0", "l"]


def test_training_answers_with_weights_that_predict(cogpack: Cogpack, docker: Docker) -> None:
    image = build(cogpack, EXAMPLES / "train", "train")
    command = ("python", "-m", "cog.server.http", "--x-mode", "train")
    with serving(docker, image, command=command) as served:
        answer = served.predict("/trainings", text="to be or not to be", rounds=2)
        assert answer["status"] == "succeeded", answer
        assert answer["output"]["words"] == 4
        weights = answer["output"]["weights"]
        refused = served.predict("/trainings", text="a", rounds=11)
        assert "maximum of 10" in json.dumps(refused)
    assert weights.startswith("data:application/json;base64,")
    with serving(docker, image) as served:
        assert served.predict(word="be")["output"] == 0


def test_predictions_run_at_the_same_time(cogpack: Cogpack, docker: Docker) -> None:
    image = build(cogpack, EXAMPLES / "concurrency", "concurrency")
    with serving(docker, image) as served, ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(served.predict, wait_for=4) for _ in range(4)]
        answers = [one.result() for one in asked]
    assert [answer["output"] for answer in answers] == [4] * 4
