"""The whole project: which file counts, what stays out, and all faults of all files at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import cogpack.project
from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.project import Project, find_project_root, missing_config, read_project
from cogpack.project.ignore import ALWAYS_EXCLUDED, read_ignore
from cogpack.project.project import Command, EnvironmentVariable, SystemPackage
from cogpack.project.tree import list_files

RUNNER = "class Runner:\n    def run(self, text: str) -> str: ...\n"
ASYNC = RUNNER.replace("def", "async def")


def make(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / {"cog": "cog.yaml", "run": "run.py", "pyproject": "pyproject.toml"}.get(
            name, f"{name}.txt"
        )
        path.write_text(text)
    return root


def told(root: Path) -> list[str]:
    with pytest.raises(UserError) as caught:
        read_project(root)
    return [f"{fault} | {fault.hint}" for fault in caught.value.faults]


def test_a_project_with_everything(tmp_path: Path) -> None:
    root = tmp_path / "My Model_2"
    root.mkdir()
    make(
        root,
        cog="build:\n  python_version: '3.12'\n  python_requirements: requirements.txt\n"
        "  system_packages:\n    - ffmpeg git\n  run:\n    - |\n      one\n      two\n"
        "  pre_install: [first]\nrun: run.py:Runner\nenvironment: ['A=b=c']\n",
        run=RUNNER,
        requirements="torch==2.7.1\n-c limits.txt\n",
        limits="numpy<2\n",
    )
    project = read_project(root)
    assert project.name == "my-model-2"
    assert project.source == "requirements"
    assert project.requirements.files == ("requirements.txt", "limits.txt")
    assert project.system_packages == (
        SystemPackage("ffmpeg", Origin("cog.yaml", 5, "ffmpeg")),
        SystemPackage("git", Origin("cog.yaml", 5, "git")),
    )
    assert project.run == (Command("one\ntwo\n", (), Origin("cog.yaml", 7, "one …")),)
    assert project.pre_install == (Command("first", (), Origin("cog.yaml", 10, "first")),)
    assert project.environment == (
        EnvironmentVariable("A", "b=c", Origin("cog.yaml", 12, "A=b=c")),
    )
    assert project.predictor is not None
    assert project.predictor.method == "run"
    assert project.trainer is None
    assert [str(warning) for warning in project.warnings] == [
        "cog.yaml:10: build.pre_install is deprecated"
    ]


def test_the_folder_is_no_part_of_what_a_project_is(tmp_path: Path) -> None:
    found: list[Project] = []
    for parent in ("a", "b"):
        root = tmp_path / parent / "model"
        root.mkdir(parents=True)
        make(root, cog="run: run.py:Runner\n", run=RUNNER)
        found.append(read_project(root))
    assert found[0] == found[1]
    assert str(tmp_path) not in repr(found[0])
    assert found[0].root != found[1].root


def test_python_packages_are_read_as_requirements(tmp_path: Path) -> None:
    make(tmp_path, cog="build:\n  python_packages:\n    - torch==2.7.1\n    - 'six>1 # old'\n")
    project = read_project(tmp_path)
    assert project.source == "packages"
    assert [(e.name, e.specifier, e.origin) for e in project.requirements.entries] == [
        ("torch", "==2.7.1", Origin("cog.yaml", 3, "torch==2.7.1")),
        ("six", ">1", Origin("cog.yaml", 4, "six>1")),
    ]


SERVER = "is ignored: cog.yaml says which server the image gets"


def test_the_server_among_the_requirements_is_passed_over_as_cog_does(tmp_path: Path) -> None:
    make(
        tmp_path,
        cog="build:\n  python_version: '3.12'\n  python_requirements: requirements.txt\n"
        "run: run.py:Runner\n",
        run=RUNNER,
        requirements="six\nCog[dev]==0.9.4 ; python_version > '3'\n-c limits.txt\n"
        "coglet @ https://host/coglet-0.1.0-py3-none-any.whl\n",
        limits="cog<0.10\nnumpy<2\n",
    )
    project = read_project(tmp_path)
    read = project.requirements
    assert [entry.name for entry in read.entries] == ["six"]
    assert [entry.name for entry in read.constraints] == ["numpy"]
    assert [str(one) for one in project.warnings] == [
        f"requirements.txt:2: Cog[dev]==0.9.4 ; python_version > '3' {SERVER}",
        f"requirements.txt:4: coglet @ https://host/coglet-0.1.0-py3-none-any.whl {SERVER}",
        f"limits.txt:1: cog<0.10 {SERVER}",
    ]


def test_the_server_among_the_packages_of_cog_yaml(tmp_path: Path) -> None:
    make(
        tmp_path,
        cog="build:\n  python_packages: [six, cog==0.9.4]\nrun: run.py:Runner\n",
        run=RUNNER,
    )
    project = read_project(tmp_path)
    assert [entry.name for entry in project.requirements.entries] == ["six"]
    assert f"cog.yaml:2: cog==0.9.4 {SERVER}" in map(str, project.warnings)


def test_a_project_that_is_not_cogs_may_use_its_package(tmp_path: Path) -> None:
    make(tmp_path, requirements="cog==0.16.12\n")
    assert [entry.name for entry in read_project(tmp_path).requirements.entries] == ["cog"]


def test_pyproject_counts_when_cog_yaml_names_no_packages(tmp_path: Path) -> None:
    make(tmp_path, cog="", pyproject="[project]\nname='x'\ndependencies=['torch']\n")
    assert [e.name for e in read_project(tmp_path).requirements.entries] == ["torch"]
    make(tmp_path, cog="build: {python_requirements: requirements.txt}", requirements="six\n")
    project = read_project(tmp_path)
    assert [e.name for e in project.requirements.entries] == ["six"]
    assert project.pyproject is not None


def test_requirements_that_cog_yaml_does_not_name_are_not_read(tmp_path: Path) -> None:
    make(tmp_path, cog="", requirements="six\n")
    project = read_project(tmp_path)
    assert (project.source, project.requirements.entries) == ("", ())


def test_a_project_without_cog_yaml(tmp_path: Path) -> None:
    make(tmp_path, requirements="six\n")
    project = read_project(tmp_path)
    assert project.config is None
    assert project.source == "requirements"
    assert [e.name for e in project.requirements.entries] == ["six"]


def test_a_folder_that_is_no_project(tmp_path: Path) -> None:
    assert told(tmp_path) == [
        (
            "cog.yaml: there is no cog.yaml in this folder"
            " | run cogpack in the project's folder, or create the file"
        )
    ]
    make(tmp_path, requirements="six\n")
    with pytest.raises(UserError, match=r"there is no other\.yaml in this folder"):
        read_project(tmp_path, config_name="other.yaml")
    assert missing_config().hint.startswith("run cogpack in the project's folder")


def test_a_folder_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        read_project(tmp_path / "gone")


def test_another_project_file(tmp_path: Path) -> None:
    (tmp_path / "gpu.yaml").write_text("image: gpu\nbuild: {gpu: x}\n")
    with pytest.raises(UserError, match=r"^gpu\.yaml:2: build\.gpu"):
        read_project(tmp_path, config_name="gpu.yaml")
    with pytest.raises(UserError, match="outside the project folder"):
        read_project(tmp_path, config_name="../cog.yaml")


def test_the_root_is_found_upwards(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find_project_root(deep) is None
    make(tmp_path, cog="")
    assert find_project_root(deep) == tmp_path.resolve()


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    make(
        tmp_path,
        cog="build:\n  python_version: 3.9\n  python_requirements: requirements.txt\n"
        "run: run.py:Runer\ntrain: gone.py:train\n",
        run=RUNNER,
        requirements="torch=2\n-r missing.txt\n",
        pyproject="[project]\nname = 1\n",
    )
    assert [line.partition(" | ")[0] for line in told(tmp_path)] == [
        (
            'cog.yaml:2: build.python_version is "3.9", but the oldest Python that Cog supports '
            "is 3.10"
        ),
        "pyproject.toml:2: project.name must be a text",
        'requirements.txt:1: "torch=2" is not a requirement',
        'requirements.txt:2: there is no file "missing.txt" in the project',
        "cog.yaml:4: run names 'Runer', which run.py does not define",
        "cog.yaml:5: train names gone.py, which is not in the project",
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("gone.txt", ('build.python_requirements is "gone.txt", but there is no such file in the '
         "project | create it, or correct the path")),
        ("../r.txt", ('build.python_requirements is "../r.txt", a path that leaves the project'
         " | copy the file into the project")),
        ("/etc/hosts", ('build.python_requirements is "/etc/hosts", a path that leaves the project'
         " | copy the file into the project")),
        ("pyproject.toml", ('build.python_requirements is "pyproject.toml", which is no '
         "requirements file | remove the key: cogpack reads pyproject.toml by itself")),
        (".", ('build.python_requirements is ".", but there is no such file in the project'
         " | create it, or correct the path")),
    ],
)  # fmt: skip
def test_a_wrong_requirements_path(tmp_path: Path, written: str, expected: str) -> None:
    make(tmp_path, cog=f"build:\n  python_requirements: {written}\n")
    assert told(tmp_path) == [f"cog.yaml:2: {expected}"]


def test_poetry_dependencies_are_a_warning_beside_cog_yaml_and_else_a_fault(tmp_path: Path) -> None:
    make(tmp_path, pyproject="[tool.poetry.dependencies]\ntorch = '^2'\n")
    expected = "pyproject.toml:1: the dependencies of [tool.poetry.dependencies] are not read"
    [fault] = told(tmp_path)
    assert fault.startswith(expected)
    make(tmp_path, cog="")
    warning, _ = read_project(tmp_path).warnings
    assert str(warning).startswith(expected)


def test_dynamic_dependencies_are_told(tmp_path: Path) -> None:
    make(tmp_path, pyproject="[project]\nname='x'\ndynamic=['dependencies']\n")
    assert told(tmp_path) == [
        (
            "pyproject.toml: the dependencies are dynamic: only the build backend knows them"
            " | list them in [project], or name a requirements file in cog.yaml"
        )
    ]


@pytest.mark.parametrize(
    ("cog", "code", "expected"),
    [
        (
            "concurrency: {max: 4}",
            RUNNER,
            (
                "cog.yaml:2: concurrency.max is 4, but run() of run.py:1 is not async"
                " | write 'async def run', or set the maximum to 1"
            ),
        ),
        (
            "",
            "import cog\nclass Runner:\n  @cog.concurrent(max=2)\n  def run(self): ...\n",
            (
                "run.py:2: @cog.concurrent allows 2 predictions at a time, but run() is not async"
                " | write 'async def run', or set the maximum to 1"
            ),
        ),
    ],
)
def test_concurrency_needs_an_async_method(
    tmp_path: Path, cog: str, code: str, expected: str
) -> None:
    make(tmp_path, cog=f"run: run.py:Runner\n{cog}\n", run=code)
    assert told(tmp_path) == [expected]


@pytest.mark.parametrize("code", [ASYNC, "from elsewhere import Runner\n"])
def test_concurrency_with_an_async_method_or_an_unknown_one(tmp_path: Path, code: str) -> None:
    make(tmp_path, cog="run: run.py:Runner\nconcurrency: {max: 4}\n", run=code)
    assert read_project(tmp_path).predictor is not None


def test_ignore_patterns_and_environments(tmp_path: Path) -> None:
    make(tmp_path, cog="")
    (tmp_path / ".dockerignore").write_bytes(b"\xef\xbb\xbf# comment\n*.ckpt\r\n\n  !keep.ckpt \n")
    for name in (".venv", "en[v", "src"):
        (tmp_path / name).mkdir()
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("")
    (tmp_path / "en[v" / "pyvenv.cfg").write_text("")
    ignore = read_project(tmp_path).ignore
    assert ignore.user == ("*.ckpt", "!keep.ckpt")
    assert ignore.always == (*ALWAYS_EXCLUDED, ".venv", "en\\[v")
    assert ignore.all == (*ignore.user, *ignore.always)
    assert ".git" in ALWAYS_EXCLUDED


def test_a_broken_ignore_file(tmp_path: Path) -> None:
    make(tmp_path, cog="")
    (tmp_path / ".dockerignore").write_bytes(b"a\n\xff\n")
    assert told(tmp_path) == [".dockerignore:2: .dockerignore is not UTF-8 text | save it as UTF-8"]


def test_a_folder_in_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "cog.yaml").mkdir()
    assert told(tmp_path) == ["cog.yaml: cog.yaml cannot be read: Is a directory | "]


def test_every_public_name_can_be_loaded() -> None:
    for name in cogpack.project.__all__:
        assert getattr(cogpack.project, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cogpack.project.nothing


def test_reading_is_light(tmp_path: Path) -> None:
    make(tmp_path, cog="build: {python_packages: [six]}\nrun: run.py:Runner\n", run=RUNNER)
    program = (
        "import sys; before = set(sys.modules); import cogpack.project\n"
        "assert 'pydantic' not in sys.modules\n"
        "from pathlib import Path; cogpack.project.read_project(Path(sys.argv[1]))\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert "yaml" in loaded
    heavy = {"grpc", "httpx", "rich", "click", "tomllib", "optparse", "difflib", "pysat", "asyncio"}
    assert not (heavy | {"pydantic"}) & set(loaded)


def test_patterns_that_match_nothing_are_left_out(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("/\n..\n../x\n!/\na/../../b\nc/..\n/d\n**/e\n!d/f\n")
    assert read_ignore(tmp_path).user == ("d", "**/e", "!d/f")


@pytest.mark.parametrize(
    ("text", "left", "kept"),
    [
        ("/secret.txt\n/out/\n", "secret.txt out/x", "own/secret.txt own/out/x"),
        ("//out\n", "out/x", "own/out/x"),
        ("*\n!/own/\n", "secret.txt out/x", "own/secret.txt own/out/x"),
        ("out\n!  /out/x\n", "out/y", "out/x"),
        ("./out/../own\n", "own/out/x", "out/x"),
        (" # no comment\nout \t\r\n", "out/x", "own/out/x"),
        ("/**/x\n", "out/x own/out/x", "out/y"),
        ("\\#odd\n#out\n", "#odd", "out/x"),
    ],
)
def test_lines_of_dockerignore_mean_what_docker_takes_them_for(
    tmp_path: Path, text: str, left: str, kept: str
) -> None:
    for name in ("secret.txt", "out/x", "out/y", "own/secret.txt", "own/out/x", "#odd"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / ".dockerignore").write_text(text)
    found = {file.path for file in list_files(tmp_path, read_ignore(tmp_path).all)}
    assert not found & set(left.split())
    assert set(kept.split()) <= found
