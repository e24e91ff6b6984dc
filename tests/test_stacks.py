"""From a folder to a plan: what the stack composes, and that it is the same every time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
from packaging.specifiers import SpecifierSet

from cogpack.errors import UserError
from cogpack.llb.compile import compile_plan
from cogpack.plan import model
from cogpack.plan.model import dump, load
from cogpack.solver.report import dumps, resolution_data
from cogpack.stacks.compose import Composition, compose, make_plan
from cogpack.stacks.compose import load as load_project
from cogpack.stacks.solve import ConflictError, solved
from cogpack.stacks.weights import with_weights
from support.snapshots import assert_snapshot, definition_text

ROOT = Path(__file__).parent.parent
REFUSED = {"poetry"}
EXAMPLES = sorted({path.name for path in (ROOT / "examples").iterdir()} - REFUSED)


def _example(name: str) -> Composition:
    """An example; its remote weights are those of its lock, for which no server is asked."""
    loaded = load_project(ROOT / "examples" / name)
    return with_weights(loaded, {}, told=print, locked=True)


def _plan(composition: Composition) -> model.Plan:
    return make_plan(composition, solved(composition))


def _project(folder: Path, cog_yaml: str, **files: str) -> Path:
    (folder / "cog.yaml").write_text(cog_yaml)
    (folder / "predict.py").write_text(
        "from cog import BaseRunner\n\n\nclass Predictor(BaseRunner):\n"
        "    def run(self) -> str:\n        return ''\n"
    )
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def _stages(plan: model.Plan) -> dict[str, model.Stage]:
    return {stage.id: stage for phase in plan.build_phases for stage in phase.stages}


def _command(stage: model.Stage) -> str:
    return "\n".join(op.command for op in stage.ops if isinstance(op, model.Exec))


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_resolve_and_plan_as_before(example: str) -> None:
    composition = _example(example)
    resolution = solved(composition)
    plan = make_plan(composition, resolution)
    assert_snapshot(f"{example}/resolution.json", dumps(resolution_data(resolution)))
    assert_snapshot(f"{example}/plan.json", dump(plan))
    assert_snapshot(f"{example}/llb.txt", definition_text(compile_plan(plan).definition))


def test_dependencies_that_only_poetry_reads_are_refused() -> None:
    with pytest.raises(UserError) as caught:
        load_project(ROOT / "examples" / "poetry")
    [fault] = caught.value.faults
    assert str(fault).startswith("pyproject.toml:7: ")
    assert "[tool.poetry.dependencies]" in fault.message
    assert "poetry export --output requirements.txt" in fault.hint


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_plans_are_valid_and_survive_a_round_trip(example: str) -> None:
    plan = _plan(_example(example))
    schema = json.loads((ROOT / "docs" / "plan.schema.json").read_text())
    jsonschema.validate(json.loads(dump(plan)), schema)
    assert load(dump(plan)) == plan


@pytest.mark.parametrize("verb", [["plan", "--json"], ["llb"], ["resolve", "--json"]])
def test_the_same_project_gives_the_same_bytes_whatever_the_hash_seed(verb: list[str]) -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-m", "cogpack", *verb, str(ROOT / "examples" / "image")],
            env={**os.environ, "PYTHONHASHSEED": seed, "TZ": zone},
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for seed, zone in (("0", "UTC"), ("1", "Asia/Tokyo"), ("4242", "UTC"))
    }
    assert len(outputs) == 1


def test_no_path_of_this_machine_is_in_a_plan(tmp_path: Path) -> None:
    folder = _project(tmp_path, "build:\n  python_version: '3.12'\nrun: predict.py:Predictor\n")
    plan = _plan(load_project(folder))
    assert str(tmp_path) not in dump(plan)
    assert str(tmp_path).encode() not in compile_plan(plan).definition


def test_the_packages_are_those_of_the_solver_with_their_lines(tmp_path: Path) -> None:
    folder = _project(tmp_path, "build:\n  python_version: '3.12'\nrun: predict.py:Predictor\n")
    python = _plan(load_project(folder)).packages["python"]
    assert python.version.startswith("3.12.")
    assert [(why.file, why.line) for why in python.because] == [("cog.yaml", 2)]


def test_system_packages_are_sorted_and_told_with_their_lines(tmp_path: Path) -> None:
    folder = _project(
        tmp_path,
        "build:\n  python_version: '3.12'\n  system_packages:\n    - libgl1\n    - ffmpeg=7:5.1\n"
        "run: predict.py:Predictor\n",
    )
    apt = _stages(_plan(load_project(folder)))["apt"]
    assert "install --yes --no-install-recommends ffmpeg=7:5.1 libgl1 tini" in _command(apt)
    assert {(why.file, why.line) for why in apt.reasons} >= {("cog.yaml", 4), ("cog.yaml", 5)}


def test_requirements_are_mounted_and_in_no_layer(tmp_path: Path) -> None:
    folder = _project(
        tmp_path,
        "build:\n  python_version: '3.12'\n  python_requirements: requirements.txt\n"
        "run: predict.py:Predictor\n",
        requirements__txt="# a comment\nsix==1.16.0  # another\n-c limits.txt\n",
        limits__txt="idna<4\n",
    )
    stages = _stages(_plan(load_project(folder)))
    files = {
        op.path: op.content for op in stages["requirements"].ops if isinstance(op, model.MkFile)
    }
    assert files == {
        "/constraints.txt": "idna<4\n",
        "/indexes.txt": "",
        "/requirements.txt": "six==1.16.0\n",
    }
    packages = stages["packages"]
    assert "--constraint /run/cogpack/constraints.txt" in _command(packages)
    mounts = [mount for op in packages.ops if isinstance(op, model.Exec) for mount in op.mounts]
    mounted = {mount.target for mount in mounts if isinstance(mount, model.BindMount)}
    assert {"/run/cogpack/requirements.txt", "/run/cogpack/constraints.txt"} <= mounted


def test_pip_installs_where_the_project_asks_for_it(tmp_path: Path) -> None:
    folder = _project(
        tmp_path,
        "build:\n  python_version: '3.12'\n  python_packages: [six==1.16.0]\n"
        "run: predict.py:Predictor\ncogpack:\n  installer: pip\n",
    )
    stages = _stages(_plan(load_project(folder)))
    assert "python -m pip install" in _command(stages["packages"])
    # The virtual environment has no pip: one is mounted.
    assert {"pip", "uv"} <= stages.keys()


def test_a_variable_in_an_index_url_becomes_a_secret_of_the_install(tmp_path: Path) -> None:
    folder = _project(
        tmp_path,
        "build:\n  python_version: '3.12'\n  python_requirements: requirements.txt\n"
        "run: predict.py:Predictor\n",
        requirements__txt="--index-url https://user:${INDEX_TOKEN}@index.invalid/simple\nsix\n",
    )
    plan = _plan(load_project(folder))
    [install] = [op for op in _stages(plan)["packages"].ops if isinstance(op, model.Exec)]
    assert model.SecretMount(id="INDEX_TOKEN", env="INDEX_TOKEN") in install.mounts


def test_a_credential_in_the_clear_is_refused_and_not_repeated(tmp_path: Path) -> None:
    folder = _project(
        tmp_path,
        "build:\n  python_version: '3.12'\n  python_requirements: requirements.txt\n"
        "run: predict.py:Predictor\n",
        requirements__txt="six\n--index-url https://user:s3cr3t@index.invalid/simple\n",
    )
    with pytest.raises(UserError) as caught:
        _plan(load_project(folder))
    [fault] = caught.value.faults
    assert fault.origin is not None
    assert (fault.origin.file, fault.origin.line) == ("requirements.txt", 2)
    assert "s3cr3t" not in f"{fault.message}{fault.origin}{fault.hint}"


def test_the_network_of_a_build_reaches_every_command(tmp_path: Path) -> None:
    folder = _project(
        tmp_path,
        "build:\n  python_version: '3.12'\n  run: [make]\nrun: predict.py:Predictor\n",
    )
    composition = load_project(folder)
    plan = make_plan(composition, solved(composition), "host")
    networks = {
        op.network
        for stage in _stages(plan).values()
        for op in stage.ops
        if isinstance(op, model.Exec)
    }
    assert networks == {"host"}


def test_a_gpu_project_gets_nvidias_variables_on_a_slim_base(tmp_path: Path) -> None:
    folder = _project(
        tmp_path,
        "build:\n  gpu: true\n  python_version: '3.12'\n  python_packages: [torch==2.7.1+cu128]\n"
        "run: predict.py:Predictor\n",
    )
    plan = _plan(load_project(folder))
    assert plan.config.env["NVIDIA_VISIBLE_DEVICES"] == "all"
    assert "slim" in plan.base.runtime


def test_markers_decide_what_the_solver_is_asked(tmp_path: Path) -> None:
    lines = 'torch==2.5.1 ; sys_platform == "darwin"\nnumpy ; python_version < "3.10"\nsix\n'
    folder = _project(
        tmp_path,
        "build:\n  python_version: '3.12'\n  python_requirements: requirements.txt\n"
        "run: predict.py:Predictor\n",
        requirements__txt=lines,
    )
    asked = {one.package: one.pythons for one in load_project(folder).requirements}
    assert asked["six"] == ""
    assert "torch" not in asked
    assert not SpecifierSet(asked["numpy"]).contains("3.12.4")


def test_a_conflict_is_a_user_error_with_the_lines(tmp_path: Path) -> None:
    folder = _project(
        tmp_path,
        "build:\n  python_version: '3.13'\n  python_requirements: requirements.txt\n"
        "run: predict.py:Predictor\n",
        requirements__txt="torch==2.4.1\n",
    )
    with pytest.raises(ConflictError) as caught:
        solved(load_project(folder))
    text = str(caught.value)
    assert "torch==2.4.1 (requirements.txt:1)" in text
    assert "(cog.yaml:2)" in text


def test_a_folder_that_no_stack_knows_is_told_what_to_write(tmp_path: Path) -> None:
    from cogpack.project import Project, RequirementsFile

    project = Project(
        root=tmp_path, name="x", config=None, requirements=RequirementsFile(), source=""
    )
    with pytest.raises(UserError, match="no stack knows"):
        compose(project, "linux/amd64")


def test_a_base_without_python_gets_an_interpreter_from_uv(tmp_path: Path) -> None:
    folder = _project(
        tmp_path,
        "build:\n  gpu: true\n  cuda: '12.6'\n  python_version: '3.12'\n"
        "  python_packages: [torch==2.7.0]\nrun: predict.py:Predictor\n"
        "cogpack:\n  python_mirror: https://mirror.invalid/python\n",
    )
    plan = _plan(load_project(folder))
    assert "nvidia/cuda" in plan.base.build
    assert "-devel-" in plan.base.build
    assert "-devel-" not in plan.base.runtime
    stages = _stages(plan)
    [make] = [op for op in stages["python"].ops if isinstance(op, model.Exec)]
    assert "python install --no-bin 3.12." in make.command
    assert make.env["UV_PYTHON_INSTALL_MIRROR"] == "https://mirror.invalid/python"
    assert stages["uv"].source == model.ImageInput(
        ref="docker.io/library/python:3.12-slim-bookworm"
    )


def test_torch_comes_from_its_index_alone_and_stays_that_build(tmp_path: Path) -> None:
    folder = _project(
        tmp_path,
        "build:\n  gpu: true\n  python_version: '3.12'\n"
        "  python_packages: [torch==2.7.1+cu128, torchvision, numpy]\nrun: predict.py:Predictor\n",
    )
    stages = _stages(_plan(load_project(folder)))
    first, second, *_ = _command(stages["torch"]).split(" && ")
    index = "https://download.pytorch.org/whl/cu128"
    assert f"--no-deps --index-url {index} torch==2.7.1+cu128 torchvision==0.22.1+cu128" in first
    assert index not in second
    [file] = [
        op
        for op in stages["requirements"].ops
        if isinstance(op, model.MkFile) and op.path == "/constraints.txt"
    ]
    assert "torch==2.7.1+cu128\n" in file.content
    assert stages["packages"].source == model.PhaseInput(name="framework-deps")


def test_a_change_of_another_package_leaves_the_framework_stage_as_it_is(tmp_path: Path) -> None:
    def torch(more: str) -> model.Stage:
        folder = _project(
            tmp_path,
            "build:\n  python_version: '3.12'\n"
            f"  python_packages: [torch==2.7.1, {more}]\nrun: predict.py:Predictor\n",
        )
        return _stages(_plan(load_project(folder)))["torch"]

    assert torch("six") == torch("idna")


def test_a_marker_says_for_which_pythons_a_line_asks(tmp_path: Path) -> None:
    folder = _project(
        tmp_path,
        "build:\n  python_requirements: requirements.txt\nrun: predict.py:Predictor\n",
        requirements__txt='six ; python_version >= "3.13"\nidna ; python_version < "3.12"\n',
    )
    asked = {one.package: one.pythons for one in load_project(folder).requirements}
    known = ["3.10.22", "3.11.18", "3.12.4", "3.13.0", "3.15.2"]
    assert list(SpecifierSet(asked["six"]).filter(known)) == known[3:]
    assert list(SpecifierSet(asked["idna"]).filter(known)) == known[:2]


@pytest.mark.parametrize("installer", ["uv", "pip"])
@pytest.mark.parametrize(("bytecode", "compiled"), [("hash", True), ("none", False)])
def test_byte_code_is_compiled_where_the_project_wants_it(
    tmp_path: Path, installer: str, bytecode: str, compiled: bool
) -> None:
    folder = _project(
        tmp_path,
        "build:\n  python_version: '3.12'\n  python_packages: [six==1.16.0]\n"
        f"run: predict.py:Predictor\ncogpack:\n  installer: {installer}\n  bytecode: {bytecode}\n",
    )
    installs = [
        op
        for name in ("packages", "cog")
        for op in _stages(_plan(load_project(folder)))[name].ops
        if isinstance(op, model.Exec)
    ]
    shown = ["compileall" in op.command or "UV_COMPILE_BYTECODE" in op.env for op in installs]
    assert shown == [compiled, compiled]


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_byte_code_does_not_depend_on_the_seed_of_hashes(tmp_path: Path, installer: str) -> None:
    folder = _project(
        tmp_path,
        "build:\n  python_version: '3.10'\n  python_packages: [torch==2.7.1, six==1.16.0]\n"
        f"run: predict.py:Predictor\ncogpack:\n  installer: {installer}\n",
    )
    stages = _stages(_plan(load_project(folder)))
    for name in ("python", "torch", "packages", "cog"):
        [op] = [op for op in stages[name].ops if isinstance(op, model.Exec)]
        assert op.env["PYTHONHASHSEED"] == "0", name
