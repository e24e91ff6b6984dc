"""Bases that bring no Python, on a real BuildKit: the interpreter is uv's, from a mirror.

Also where the image is built on another base than it runs on, as with NVIDIA's.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from cogpack import pipeline
from cogpack.errors import Fault
from cogpack.llb.capabilities import Capabilities
from cogpack.llb.client import Client, Export, find_daemon
from cogpack.llb.images import ResolvedImage
from cogpack.pipeline import Request, build_plan, daemon_facts
from cogpack.plan import model
from devdaemon.builder import Builder
from support.images import Docker, build_image, layers, run_python, run_shell
from support.interpreters import (
    Interpreter,
    commit_without_python,
    container_of,
    lay_out_mirror,
    pack_interpreter,
)
from support.projects import planned, write_project
from support.serving import serving
from support.wheelhouse import folder_served, gateway, moved, served

ROOT = Path(__file__).parent.parent
FIXED_TIME = "315532800"

# A release of Debian's that uv has a build of, too, so that the solver takes it to be there.
PYTHON = "library/python:3.13-slim-trixie"
SLIM = "cogpack-test/no-python:slim"
DEVEL = "cogpack-test/no-python:devel"

# As much of the toolkit as the build of the package below asks for.
TOOLKIT = """\
set -eu
apt-get update -qq && apt-get install --yes -qq --no-install-recommends gcc libc6-dev >/dev/null
if [ -x /usr/bin/python3.13 ]; then
  apt-get install --yes -qq --no-install-recommends libpython3.13-dev >/dev/null
fi
mkdir -p /usr/local/cuda/bin
printf '#!/bin/sh\\necho release 12.6\\n' > /usr/local/cuda/bin/nvcc
chmod 755 /usr/local/cuda/bin/nvcc
"""


@pytest.fixture(scope="module")
def interpreter(
    builder: Builder, docker: Docker, tmp_path_factory: pytest.TempPathFactory
) -> Interpreter:
    """The interpreter of the images SLIM and DEVEL, which are without it."""
    command = [sys.executable, str(ROOT / "dev" / "builder.py"), "base", PYTHON]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    image = PYTHON.removeprefix("library/")
    with container_of(docker, image) as slim:
        commit_without_python(docker, slim, SLIM)
    with container_of(docker, image) as devel:
        docker("exec", devel, "sh", "-c", TOOLKIT)
        found = pack_interpreter(docker, devel, tmp_path_factory.mktemp("interpreter"))
        path = (
            "PATH=/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        )
        commit_without_python(docker, devel, DEVEL, f"ENV {path}")
    return found


def write(
    folder: Path,
    interpreter: Interpreter,
    settings: str,
    files: dict[str, str] | None = None,
) -> Path:
    """A project for exactly this interpreter."""
    folder.mkdir()
    write_project(folder, settings, files)
    config = folder / "cog.yaml"
    config.write_text(config.read_text().replace('"3.11"', f'"{interpreter.version}"'))
    return folder


def plan_of(folder: Path) -> model.Plan:
    """The plan of a project, uv fetched in the image of that Python that is here."""
    return moved(planned(folder), "library/python:3.13-slim-bookworm", PYTHON)


def test_a_base_without_python_serves_with_an_interpreter_of_a_mirror(
    builder: Builder, docker: Docker, interpreter: Interpreter, tmp_path: Path
) -> None:
    lay_out_mirror(interpreter, tmp_path / "mirror")
    found = []
    with (
        folder_served(tmp_path / "mirror", gateway(docker)) as one,
        folder_served(tmp_path / "mirror", gateway(docker)) as other,
    ):
        assert one != other
        for name, address in (("one", one), ("other", other)):
            settings = (
                f"cogpack:\n  base_image: {SLIM}\n  python_mirror: {address}\n"
                f"  python_downloads: {address}/downloads.json"
            )
            folder = write(tmp_path / name, interpreter, settings)
            plan = plan_of(folder)
            found.append(build_image(builder, plan, folder, f"managed-{name}"))
    image = found[0]
    assert plan.packages["python"].version == interpreter.version
    with serving(docker, image) as running:
        assert running.predict(text="hi")["output"] == "hi"
    look = "import sys; print(sys.version.split()[0], sys.base_prefix, sys.prefix)"
    version, home, environment = run_python(docker, image, look).split()
    assert version == interpreter.version
    assert home.startswith("/opt/python/")
    assert environment == "/opt/venv"
    # Another mirror is another command: what it makes must be the same, the source aside.
    assert layers(docker, found[1])[:-1] == layers(docker, image)[:-1]
    times = run_shell(docker, image, "find /opt /src -printf '%T@\\n' | sort -u")
    assert [time.partition(".")[0] for time in times.split()] == [FIXED_TIME]
    listed = run_shell(docker, image, "ls -A /opt/python /root/.cache /tmp 2>/dev/null; true")
    series = interpreter.version.rpartition(".")[0]
    names = {f"cpython-{one}-linux-x86_64-gnu" for one in (series, interpreter.version)}
    assert {line for line in listed.split() if not line.endswith(":")} == names
    assert compiled(docker, image) == {"/opt/python", "/opt/venv"}


def compiled(docker: Docker, image: str) -> set[str]:
    """The folders with byte code, all of which must be checked by the hash of its source."""
    found = [line.split() for line in run_python(docker, image, BYTE_CODE).splitlines() if line]
    # PEP 552: the two lowest bits say that a hash is there, and that it is compared.
    assert {flags for _, flags in found} <= {"3"}
    return {folder for folder, _ in found}


# The folder of each compiled module and the flags in its head.
BYTE_CODE = """
import os
for top in ("/opt", "/src", "/usr", "/root", "/home", "/var", "/tmp"):
    for folder, _, names in os.walk(top):
        for name in names:
            if name.endswith(".pyc"):
                with open(os.path.join(folder, name), "rb") as file:
                    print("/".join(folder.split("/")[:3]), file.read(8)[4])
"""

NATIVE = """\
#define PY_SSIZE_T_CLEAN
#include <Python.h>

static PyObject *toolkit(PyObject *self, PyObject *none) {
    return PyUnicode_FromString(TOOLKIT);
}

static PyMethodDef methods[] = {{"toolkit", toolkit, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", "", -1, methods};

PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }
"""

SETUP = """\
import subprocess
from setuptools import Extension, setup

said = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
macro = ("TOOLKIT", '"%s"' % said.strip())
setup(ext_modules=[Extension("native", ["native.c"], define_macros=[macro])])
"""

PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "native"
version = "1.0"
"""

USES_NATIVE = """\
import native
from cog import BaseRunner


class Predictor(BaseRunner):
    def run(self) -> str:
        return native.toolkit()
"""


def source_archive(folder: Path) -> Path:
    """An archive of a package that is compiled with the toolkit."""
    files = {
        "native.c": NATIVE,
        "setup.py": SETUP,
        "pyproject.toml": PYPROJECT,
        "PKG-INFO": "Metadata-Version: 2.1\nName: native\nVersion: 1.0\n",
    }
    path = folder / "native-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"native-1.0/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content.encode()))
    return path


@contextmanager
def split(
    docker: Docker, interpreter: Interpreter, folder: Path, bytecode: str
) -> Iterator[tuple[Path, model.Plan]]:
    """A project that is compiled in DEVEL and runs on SLIM, and its plan."""
    lay_out_mirror(interpreter, folder / "mirror")
    host = gateway(docker)
    with (
        folder_served(folder / "mirror", host) as mirror,
        served({"native": source_archive(folder)}, folder / "index", host) as index,
    ):
        settings = (
            "  gpu: true\n  cuda: '12.6'\n  python_requirements: requirements.txt\n"
            f"cogpack:\n  python_mirror: {mirror}\n"
            f"  python_downloads: {mirror}/downloads.json\n  bytecode: {bytecode}"
        )
        files = {
            "requirements.txt": f"--extra-index-url {index}\nnative\n",
            "predict.py": USES_NATIVE,
        }
        project = write(folder / "split", interpreter, settings, files)
        plan = plan_of(project)
        assert plan.base.build == "docker.io/nvidia/cuda:12.6.3-cudnn-devel-ubuntu22.04"
        assert plan.base.runtime == "docker.io/nvidia/cuda:12.6.3-cudnn-runtime-ubuntu22.04"
        yield project, moved(moved(plan, plan.base.build, DEVEL), plan.base.runtime, SLIM)


@pytest.mark.parametrize("bytecode", ["hash", "none"])
def test_what_is_compiled_in_the_devel_image_runs_in_the_runtime_image(
    builder: Builder, docker: Docker, interpreter: Interpreter, tmp_path: Path, bytecode: str
) -> None:
    with split(docker, interpreter, tmp_path, bytecode) as (folder, plan):
        image = build_image(builder, plan, folder, f"split-{bytecode}")
    with serving(docker, image) as running:
        assert running.predict()["output"] == "release 12.6"
    base, found = layers(docker, SLIM), layers(docker, image)
    assert found[: len(base)] == base
    exported = [stage.id for phase in plan.export_phases for stage in phase.stages]
    assert len(found) - len(base) == len(exported)
    assert {"export:apt", "export:python", "export:packages", "export:cog"} <= set(exported)
    left = (
        "command -v gcc cc nvcc pip uv; ls -d /usr/local/cuda /usr/lib/gcc /run/cogpack; "
        "find /root/.cache /tmp /var/lib/apt/lists /var/cache/apt -type f; "
        "find / -xdev -name 'native-1.0*.gz' -o -xdev -name 'native.c'"
    )
    there = run_shell(docker, image, f"({left}) 2>/dev/null; true")
    assert there == run_shell(docker, SLIM, f"({left}) 2>/dev/null; true")
    assert not [line for line in there.splitlines() if not line.endswith("/lock")]
    policy = {"hash": {"/opt/python", "/opt/venv"}, "none": set()}
    assert compiled(docker, image) == policy[bytecode]


def test_a_daemon_that_cannot_put_layers_together_stays_in_the_devel_image(
    builder: Builder,
    docker: Docker,
    interpreter: Interpreter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def poor(asked: model.Plan, on: Client) -> tuple[dict[str, ResolvedImage], Capabilities]:
        images, able = daemon_facts(asked, on)
        return images, replace(able, merge=False, diff=False)

    monkeypatch.setattr(pipeline, "daemon_facts", poor)
    told: list[Fault] = []
    name = "docker.io/cogpack-test/split-linear:latest"
    with (
        split(docker, interpreter, tmp_path, "hash") as (folder, plan),
        Client(find_daemon(None, builder.environment())) as client,
    ):
        build_plan(
            plan, Request(folder, (Export("image", {"name": name}),)), client, told=told.append
        )
    with serving(docker, name) as running:
        assert running.predict()["output"] == "release 12.6"
    base, found = layers(docker, DEVEL), layers(docker, name)
    assert found[: len(base)] == base
    exported = [stage.id for phase in plan.export_phases for stage in phase.stages]
    assert len(found) - len(base) == len(exported)
    [warning] = told
    assert DEVEL in warning.message
    assert "containerd-snapshotter" in warning.hint
