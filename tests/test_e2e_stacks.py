"""Whole projects on a real BuildKit: frameworks, locks, local packages, private indexes, apps."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from devdaemon.builder import Builder
from support.distributions import Dist
from support.images import EXAMPLES, Cogpack, Docker, blobs, build, build_image, layers, run_python
from support.index_server import serve
from support.projects import planned, write_project
from support.serving import serving
from support.wheelhouse import cpu_torch, gateway, moved, served


def test_torch_for_the_cpu_multiplies(
    builder: Builder, docker: Docker, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The real build of torch where pip on this machine gives one for the CPU."""
    folder = Path(shutil.copytree(EXAMPLES / "cpu-torch", tmp_path / "cpu-torch"))
    plan = planned(folder)
    assert plan.packages["torch"].version == "2.13.0+cpu"
    wheel, real = cpu_torch(tmp_path_factory.mktemp("wheels"), "2.13.0")
    with served({"torch": wheel}, tmp_path / "index", gateway(docker)) as address:
        here = moved(plan, "https://download.pytorch.org/whl/cpu", address)
        image = build_image(builder, here, folder, "cpu-torch")
    with serving(docker, image) as running:
        answer = running.predict(first=1, second=2)
        assert (answer["status"], answer["output"]) == ("succeeded", [2.0, 6.0])
        look = "import torch; print(torch.__version__, hasattr(torch, 'nn'))"
        said = docker("exec", running.container, "python", "-c", look).split()
        assert said == ["2.13.0+cpu", str(real)]


def test_a_gpu_project_of_stand_ins_has_the_right_index_base_env_and_layers(
    builder: Builder, docker: Docker, tmp_path: Path
) -> None:
    torch = [Dist("2.7.1+cu128", requires=("six",)), Dist("2.8.0+cu128")]
    vision = [Dist("0.22.1+cu128", requires=("torch==2.7.1",)), Dist("0.23.0+cu128")]
    host = gateway(docker)
    common = {"six": [Dist("1.0")], "pillow": [Dist("11.0", module="PIL")]}
    common["humanize"] = [Dist("3.0")]
    # The default index has a torch of the same release, as PyPI has: it must not be taken.
    common["torch"] = [Dist("2.7.1", code="wrong = True\n")]
    common["torchvision"] = [Dist("0.22.1", code="wrong = True\n")]
    with (
        serve({"torch": torch, "torchvision": vision}, host=host) as pytorch,
        serve(common, host=host) as default,
    ):
        lines = f"--index-url {default.url}\ntorch==2.7.1+cu128\ntorchvision\npillow\n"
        settings = "  gpu: true\n  python_requirements: requirements.txt"
        write_project(tmp_path, settings, {"requirements.txt": lines})
        plan = planned(tmp_path)
        assert plan.packages["torchvision"].version == "0.22.1+cu128"
        here = moved(plan, "https://download.pytorch.org/whl/cu128", pytorch.url)
        image = build_image(builder, here, tmp_path, "gpu")
        asked = {one.path.strip("/").split("/")[1] for one in pytorch.requests}
        # Another package changes the layer of the packages and that of the source.
        before = layers(docker, image)
        (tmp_path / "requirements.txt").write_text(f"{lines}humanize\n")
        here = moved(planned(tmp_path), "https://download.pytorch.org/whl/cu128", pytorch.url)
        after = layers(docker, build_image(builder, here, tmp_path, "gpu"))
        same = [one == other for one, other in zip(before, after, strict=True)]
        assert same.count(False) == 2
    assert asked == {"torch", "torchvision"}
    look = "import torch, torchvision as v; print(torch.__version__, v.__version__, dir(torch))"
    said = run_python(docker, image, look)
    assert said.startswith("2.7.1+cu128 0.22.1+cu128")
    assert "wrong" not in said
    found = json.loads(docker("image", "inspect", image))[0]
    env = dict(item.split("=", 1) for item in found["Config"]["Env"])
    assert env["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert env["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
    assert plan.base.runtime == "docker.io/library/python:3.11-slim-bookworm"
    assert "nvidia" not in "".join(found["Config"]["Labels"].values())


def test_a_locked_project_is_installed_as_locked(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(EXAMPLES / "uv-project", tmp_path / "uv-project"))
    (folder / "uv.lock").unlink()
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "lock", "--quiet"], cwd=folder, check=True)
    image = build(cogpack, folder, "uv-project")
    text = (folder / "uv.lock").read_text()
    version = text.partition('name = "six"\nversion = "')[2].partition('"')[0]
    with serving(docker, image) as running:
        assert running.predict(text="hello")["output"] == f"HELLO! six {version}"
    listed = run_python(
        docker, image, "from importlib.metadata import *; print(*(d.name for d in distributions()))"
    )
    assert {"six", "uv-project", "cog"} <= set(listed.split())
    assert "iniconfig" not in listed
    before = layers(docker, image)
    package = folder / "src" / "uv_project" / "__init__.py"
    package.write_text(package.read_text().replace("!", "?"))
    image = build(cogpack, folder, "uv-project")
    # An editable install points to the source: the edit is in the source's layer alone.
    assert layers(docker, image)[:-1] == before[:-1]
    assert run_python(docker, image, "import uv_project; print(uv_project.shout('a'))") == "A?"
    stale = (folder / "pyproject.toml").read_text().replace('"six"', '"six", "idna"')
    (folder / "pyproject.toml").write_text(stale)
    refused = cogpack("build", folder)
    assert refused.returncode == 1
    assert "pyproject.toml:5: uv.lock does not have idna" in refused.stderr


def test_a_locked_framework_has_its_own_index_and_layer(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    host = gateway(docker)
    torch = {"torch": [Dist("2.7.1+cpu", requires=("six",))]}
    # A newer six than the locked one, and a torch that is not the locked build.
    common = {"six": [Dist("1.0")], "torch": [Dist("2.7.1")], "humanize": [Dist("3.0")]}
    with serve(torch, host=host) as pytorch, serve(common, host=host) as default:
        write_project(tmp_path)
        lock_project(tmp_path, '["torch"]', default.url, pytorch.url)
        default.packages["six"].append(Dist("2.0"))
        image = build(cogpack, tmp_path, "locked-torch")
        before = layers(docker, image)
        look = "import torch, six; print(torch.__version__, six.__version__)"
        assert run_python(docker, image, look) == "2.7.1+cpu 1.0"
        lock_project(tmp_path, '["torch", "humanize"]', default.url, pytorch.url)
        after = layers(docker, build(cogpack, tmp_path, "locked-torch"))
    same = [one == other for one, other in zip(before, after, strict=True)]
    assert same.count(False) == 2


def test_chosen_extras_and_groups_are_installed_as_locked(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    names = ("base-part", "fast-part", "slow-part", "serve-part", "docs-part")
    with serve({name: [Dist("1.0")] for name in names}, host=gateway(docker)) as index:
        write_project(tmp_path, "cogpack: {extras: [fast], groups: [serve]}")
        (tmp_path / "pyproject.toml").write_text(
            '[project]\nname = "mine"\nversion = "1"\nrequires-python = ">=3.11"\n'
            'dependencies = ["base-part"]\n[project.optional-dependencies]\n'
            'fast = ["fast-part"]\nslow = ["slow-part"]\n'
            '[dependency-groups]\nserve = ["serve-part"]\ndocs = ["docs-part"]\n'
            f'[[tool.uv.index]]\nurl = "{index.url}"\ndefault = true\n'
        )
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "lock", "--quiet"], cwd=tmp_path, check=True)
        for package in index.packages.values():
            package.append(Dist("2.0"))
        locked = build(cogpack, tmp_path, "extras-locked")
    look = (
        "from importlib.metadata import distributions as all; "
        "print(*sorted(f'{d.name} {d.version}' for d in all() if d.name.endswith('-part')))"
    )
    assert run_python(docker, locked, look) == "base-part 1.0 fast-part 1.0 serve-part 1.0"


def lock_project(folder: Path, dependencies: str, default: str, pytorch: str) -> None:
    (folder / "pyproject.toml").write_text(
        f'[project]\nname = "locked"\nversion = "1"\nrequires-python = ">=3.11"\n'
        f"dependencies = {dependencies}\n"
        f'[tool.uv.sources]\ntorch = {{ index = "pytorch" }}\n'
        f'[[tool.uv.index]]\nname = "pytorch"\nurl = "{pytorch}"\nexplicit = true\n'
        f'[[tool.uv.index]]\nname = "common"\nurl = "{default}"\ndefault = true\n'
    )
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "lock", "--quiet"], cwd=folder, check=True)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_local_packages_of_every_kind_are_there(
    cogpack: Cogpack, docker: Docker, tmp_path: Path, installer: str
) -> None:
    folder = Path(shutil.copytree(EXAMPLES / "local-packages", tmp_path / "local-packages"))
    with (folder / "cog.yaml").open("a") as file:
        file.write(f"cogpack:\n  installer: {installer}\n")
    image = build(cogpack, folder, f"local-{installer}")
    kinds = ["editable", "folder", "sdist", "wheel", "zip"]
    with serving(docker, image) as running:
        assert running.predict()["output"] == kinds
    before = layers(docker, image)
    # Nothing but the code changes, so that only an installer without a memory gets it right.
    for name in ("folder/src/from_folder", "editable/from_editable"):
        module = folder / name / "__init__.py"
        module.write_text(module.read_text().replace('WORD = "', 'WORD = "new '))
    image = build(cogpack, folder, f"local-{installer}")
    said = run_python(
        docker,
        image,
        "import from_folder, from_editable; print(from_folder.WORD, from_editable.WORD)",
    )
    assert said == "new folder new editable"
    after = layers(docker, image)
    changed = [one == other for one, other in zip(before, after, strict=True)].count(False)
    assert changed == 2
    listed = docker("run", "--rm", "--entrypoint", "find", image, "/", "-name", "uv_cache.json")
    assert listed == ""


def test_the_project_itself_can_be_a_requirement(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    settings = "  python_requirements: requirements.txt"
    pyproject = '[project]\nname = "whole"\nversion = "3"\ndependencies = ["six"]\n'
    files = {
        "requirements.txt": "-e .\n",
        "pyproject.toml": pyproject,
        "src/whole/__init__.py": "WORD = 'whole'\n",
    }
    image = build(cogpack, write_project(tmp_path, settings, files), "whole")
    look = "import whole, six; print(whole.WORD, whole.__file__)"
    assert run_python(docker, image, look) == "whole /src/src/whole/__init__.py"


def test_a_private_index_gets_its_password_and_nothing_else_does(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    token = secrets.token_hex(16)
    folder = Path(shutil.copytree(EXAMPLES / "private-index", tmp_path / "private-index"))
    requirements = folder / "requirements.txt"
    packages = {"house-style": [Dist("1.2", requires=("house-base",))], "house-base": [Dist("7")]}
    layout = tmp_path / "image.tar"
    given = ("--secret", "id=INDEX_TOKEN,env=INDEX_TOKEN")
    with serve(packages, auth=("reader", token), host=gateway(docker)) as index:
        place = f"http://reader:${{INDEX_TOKEN}}@{index.root.removeprefix('http://')}/simple/"
        text = requirements.read_text()
        old = "https://reader:${INDEX_TOKEN}@packages.example.com/simple/"
        assert old in text
        requirements.write_text(text.replace(old, place))
        missing = cogpack("build", folder)
        image = build(cogpack, folder, "private", *given, INDEX_TOKEN=token)
        stored = cogpack(
            *("build", folder, *given, "--output", f"type=oci,dest={layout}"), INDEX_TOKEN=token
        )
        assert stored.returncode == 0, stored.stderr
        # A step that fails shows its command and output, and masks what is secret in them.
        requirements.write_text(requirements.read_text().replace("==1.2", "==1.3"))
        failed = cogpack("build", folder, *given, INDEX_TOKEN=token)
    assert missing.returncode == 1
    assert "the secret `INDEX_TOKEN` is not given" in missing.stderr
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    with serving(docker, image) as running:
        assert running.predict()["output"] == "1.2"
    plan = cogpack("plan", "--json", folder, INDEX_TOKEN=token)
    llb = tmp_path / "llb"
    assert cogpack("llb", folder, "-o", llb, INDEX_TOKEN=token).returncode == 0
    history = docker("history", "--no-trunc", image) + docker("image", "inspect", image)
    outputs = [part for one in (stored, failed, plan) for part in (one.stdout, one.stderr)]
    searched = [text.encode() for text in (*outputs, history)]
    searched += [llb.read_bytes(), *blobs(layout)]
    assert len(searched) > 12
    encoded = f"reader:{token}".encode()

    for content in searched:
        assert token.encode() not in content
        assert base64.b64encode(encoded) not in content


def test_a_lock_has_an_sdist_of_a_private_index_built_from_there(
    cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    token = secrets.token_hex(16)
    folder = Path(shutil.copytree(EXAMPLES / "private-index", tmp_path / "private-index"))
    base = Dist("7", tag="sdist", code="PLACE = 'private'\n")
    packages = {"house-style": [Dist("1.2", requires=("house-base",))], "house-base": [base]}
    with serve(packages, auth=("reader", token), host=gateway(docker)) as index:
        place = f"http://reader:${{INDEX_TOKEN}}@{index.root.removeprefix('http://')}/simple/"
        (folder / "requirements.txt").write_text(f"--extra-index-url {place}\nhouse-style==1.2\n")
        locked = cogpack("resolve", "--lock", folder, INDEX_TOKEN=token)
        assert locked.returncode == 0, locked.stderr
        given = ("--locked", "--secret", "id=INDEX_TOKEN,env=INDEX_TOKEN")
        image = build(cogpack, folder, "private-sdist", *given, INDEX_TOKEN=token)
    assert token not in (folder / "pylock.cogpack.toml").read_text()
    assert run_python(docker, image, "import house_base; print(house_base.PLACE)") == "private"
    with serving(docker, image) as running:
        assert running.predict()["output"] == "1.2"


def test_a_base_of_the_users_own(cogpack: Cogpack, docker: Docker, tmp_path: Path) -> None:
    """An image that no table knows, with a Python of its own and files that must stay."""
    base = "cogpack-test/own-base:7"
    # Frameworks and toolkits of gigabytes are in such places of real images.
    places = "/opt/toolkit/lib.so /src/ours /home/app/ours"
    large = f"useradd -m app && mkdir -p /opt/toolkit /src && touch -d @1600000000 {places}"
    container = docker(
        *("run", "--detach", "--entrypoint", "sh", "python:3.11-slim-bookworm"),
        *("-c", f"echo ours > /etc/ours && {large} && sleep 60"),
    ).strip()
    try:
        time.sleep(0.5)
        docker("commit", container, base)
    finally:
        docker("rm", "--force", container)
    settings = f'cogpack:\n  base_image: {base}\n  base_python: "3.11"\n  user: app'
    folder = write_project(tmp_path, settings)
    image = build(cogpack, folder, "on-own-base")
    with serving(docker, image) as running:
        assert running.predict(text="hi")["output"] == "hi"
        assert docker("exec", running.container, "cat", "/etc/ours") == "ours\n"
        # A file with another time would be in a layer once more.
        look = ("stat", "--format", "%Y", *places.split())
        assert docker("exec", running.container, *look).split() == ["1600000000"] * 3
    wrong = (
        (folder / "cog.yaml").read_text().replace('base_python: "3.11"', 'base_python: "3.11.5"')
    )
    (folder / "cog.yaml").write_text(wrong.replace('python_version: "3.11"', "gpu: false"))
    refused = cogpack("build", folder)
    assert refused.returncode == 1
    assert "cog.yaml:4: " in refused.stderr
    assert "is not Python 3.11.5" in refused.stderr


def test_a_base_of_the_users_own_that_is_missing(cogpack: Cogpack, tmp_path: Path) -> None:
    settings = "cogpack:\n  base_image: localhost:1/no/such:1"
    failed = cogpack("build", write_project(tmp_path, settings))
    assert failed.returncode in (1, 3, 75)
    assert "localhost:1/no/such:1" in failed.stderr
    assert "Traceback" not in failed.stderr
    settings = "cogpack:\n  base_image: cogpack-test/no-such-image:1"
    failed = cogpack("build", write_project(tmp_path, settings))
    assert "cogpack-test/no-such-image:1" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_an_application_without_cog_yaml_answers(cogpack: Cogpack, docker: Docker) -> None:
    image = build(cogpack, EXAMPLES / "fastapi", "fastapi")
    container = docker("run", "--detach", "--publish", "127.0.0.1::8000", image).strip()
    try:
        port = docker("port", container, "8000/tcp").split()[0].rpartition(":")[2]
        address = f"http://127.0.0.1:{port}/greet/you"
        end = time.monotonic() + 30
        answer = None
        while answer is None and time.monotonic() < end:
            try:
                with urllib.request.urlopen(address, timeout=5) as found:
                    answer = json.load(found)
            except OSError:
                time.sleep(0.1)
        assert answer == {"greeting": "hello you"}, docker("logs", container)
        begin = time.monotonic()
        docker("stop", "--time", "20", container)
        assert time.monotonic() - begin < 10
    finally:
        docker("rm", "--force", container)
