"""Projects without cog.yaml: what is run, with which blocks, and what is told when nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.plan import model
from cogpack.stacks.compose import load
from cogpack.stacks.solve import solved
from support.projects import planned, stage_of

FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n"
FLASK = "import flask\n\napplication: flask.Flask = flask.Flask(__name__)\n"
FACTORY = """\
def create_app():
    from flask import Flask
    made = Flask(__name__)
    return made

app = create_app()
"""
SCRIPT = "print('hello')\n"
GUARDED = FLASK + "\nif __name__ == '__main__':\n    application.run()\n"
UVICORN = ("uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8000")  # noqa: S104
PROJECT = '[project]\nname = "thing"\nversion = "1"\nrequires-python = ">=3.11,<3.13"\n'


def write(folder: Path, **files: str) -> Path:
    """Files by name, `__` for the dot and `_IN_` for the slash."""
    for name, content in files.items():
        path = folder / name.replace("_IN_", "/").replace("__", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return folder


def told(folder: Path) -> tuple[str, str]:
    with pytest.raises(UserError) as caught:
        load(folder)
    [fault] = caught.value.faults
    return str(fault), fault.hint


def test_an_application_and_its_server(tmp_path: Path) -> None:
    folder = write(tmp_path, main__py=FASTAPI, requirements__txt="fastapi\nuvicorn[standard]\n")
    plan = planned(folder)
    assert plan.config.cmd == UVICORN
    assert plan.config.ports == ("8000/tcp",)
    assert plan.config.entrypoint == ("/usr/bin/tini", "--")
    assert plan.config.workdir == "/src"
    assert not any(name.startswith("COG_") for name in plan.config.env)
    stages = [stage.id for phase in plan.build_phases for stage in phase.stages]
    assert {"uv", "apt", "python", "requirements", "packages", "source"} <= set(stages)
    assert not {"cog", "api"} & set(stages)
    assert not {"cog", "coglet"} & plan.packages.keys()


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"app__py": FASTAPI, "requirements__txt": "fastapi[standard]"}, "uvicorn app:app"),
        ({"app_IN_main__py": FASTAPI, "requirements__txt": "hypercorn"}, "hypercorn app.main:app"),
        ({"wsgi__py": FLASK, "requirements__txt": "gunicorn"}, "gunicorn wsgi:application"),
        ({"main__py": FLASK, "requirements__txt": "waitress"}, "waitress-serve --listen=0.0.0.0"),
        ({"main__py": FLASK, "requirements__txt": "granian"}, "granian --interface wsgi"),
        ({"main__py": GUARDED, "requirements__txt": "flask"}, "python main.py"),
        ({"main__py": SCRIPT, "requirements__txt": ""}, "python main.py"),
        ({"app__py": SCRIPT, "pyproject__toml": PROJECT}, "python app.py"),
        ({"app__py": FACTORY, "requirements__txt": "flask\ngunicorn"}, "gunicorn app:app"),
        (
            {
                "main__py": "import fastapi as f\nother = f.FastAPI()\napp = f.FastAPI()\n",
                "requirements__txt": "uvicorn",
            },
            "uvicorn main:app",
        ),
        (
            {"main__py": "def f():\n    app = FastAPI()\n", "requirements__txt": "uvicorn"},
            "python main.py",
        ),
    ],
)
def test_what_is_run(tmp_path: Path, files: dict[str, str], command: str) -> None:
    assert " ".join(planned(write(tmp_path, **files)).config.cmd).startswith(command)


def test_a_script_of_the_project_installs_the_project(tmp_path: Path) -> None:
    scripts = '[project.scripts]\nserve = "thing:main"\n'
    plan = planned(write(tmp_path, pyproject__toml=PROJECT + scripts, main__py=SCRIPT))
    assert plan.config.cmd == ("serve",)
    assert plan.config.ports == ()
    local = stage_of(plan, "local-packages")
    assert [(why.file, why.line) for why in local.reasons] == [("pyproject.toml", 6)]
    files = stage_of(plan, "requirements").ops
    assert "-e .\n" in {op.content for op in files if isinstance(op, model.MkFile)}


def test_python_comes_from_requires_python_and_the_file_beside_it(tmp_path: Path) -> None:
    folder = write(tmp_path, pyproject__toml=PROJECT, main__py=SCRIPT)
    python = solved(load(folder))["python"]
    assert python.version.startswith("3.12.")
    assert [(one.file, one.line) for one in python.because] == [("pyproject.toml", 4)]
    (folder / ".python-version").write_text("3.11\n")
    assert solved(load(folder))["python"].version.startswith("3.11.")


def test_torch_is_the_cpu_build_in_a_layer_of_its_own(tmp_path: Path) -> None:
    folder = write(tmp_path, requirements__txt="torch\n", main__py=SCRIPT)
    found = solved(load(folder))
    assert found["torch"].variant == "cpu"
    assert "install torch" in stage_of(planned(folder), "torch").title


def test_an_application_without_a_server_is_told_by_its_line(tmp_path: Path) -> None:
    folder = write(tmp_path, main__py=FASTAPI, requirements__txt="fastapi\n")
    message, hint = told(folder)
    assert message.startswith("main.py:3: main:app is a FastAPI application, but no server")
    assert hint == "add one to them: uvicorn or hypercorn or granian"


def test_several_scripts_are_no_answer(tmp_path: Path) -> None:
    scripts = '[project.scripts]\nserve = "a:b"\ntrain = "a:c"\n'
    message, hint = told(write(tmp_path, pyproject__toml=PROJECT + scripts))
    assert message.startswith("pyproject.toml:6: [project.scripts] has several entries")
    assert "serve, train" in message
    assert "main.py" in hint


def test_nothing_to_run_says_what_to_write(tmp_path: Path) -> None:
    message, hint = told(write(tmp_path, requirements__txt="six\n", tool__py=SCRIPT))
    assert "nothing says what this project runs" in message
    for word in ("main.py", "uvicorn", "[project.scripts]", "cog.yaml"):
        assert word in hint


def test_nothing_of_the_project_is_executed(tmp_path: Path) -> None:
    trap = "open('ran', 'w')\nraise SystemExit\n"
    folder = write(tmp_path, main__py=trap + FASTAPI, requirements__txt="uvicorn\n")
    assert planned(folder).config.cmd == UVICORN
    assert not (tmp_path / "ran").exists()


def test_a_file_that_cannot_be_parsed_is_a_script(tmp_path: Path) -> None:
    folder = write(tmp_path, main__py="print 'old'\n", requirements__txt="")
    assert planned(folder).config.cmd == ("python", "main.py")


def test_the_first_stack_that_detects_a_project_takes_it(tmp_path: Path) -> None:
    folder = write(tmp_path, main__py=SCRIPT, requirements__txt="")
    assert load(folder).stack.name == "generic-python"
    (folder / "cog.yaml").write_text("run: main.py:Predictor\n")
    (folder / "main.py").write_text(
        "from cog import BaseRunner\n\n\nclass Predictor(BaseRunner):\n"
        "    def run(self) -> str:\n        return ''\n"
    )
    assert load(folder).stack.name == "python"


def test_a_base_of_the_users_own_by_option(tmp_path: Path) -> None:
    folder = write(tmp_path, main__py=SCRIPT, requirements__txt="")
    composition = load(folder, base_image="python:3.12-slim-trixie")
    image = solved(composition).base_images.runtime
    assert image.ref == "docker.io/library/python:3.12-slim-trixie"
