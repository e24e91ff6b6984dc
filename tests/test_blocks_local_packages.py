"""Packages of the project itself: what is mounted, in which layer they are, what repeats them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.plan import model
from support.projects import PREDICTOR, planned, stage_of, write_project

LINES = """\
six==1.17.0
./wheels/one-1.0-py3-none-any.whl
./two words.zip ; python_version >= "3.8"
three @ file:./three
-e ./four[extra]
-c limits.txt
"""


def project(folder: Path, installer: str = "uv", lines: str = LINES) -> Path:
    settings = "  python_requirements: requirements.txt\ncogpack:\n  installer: " + installer
    files = {"requirements.txt": lines, "limits.txt": "idna<4\n", "two words.zip": ""}
    for name in ("three", "four"):
        files[f"{name}/pyproject.toml"] = f'[project]\nname = "{name}"\nversion = "1"\n'
    files["wheels/one-1.0-py3-none-any.whl"] = ""
    return write_project(folder, settings, {"predict.py": PREDICTOR, **files})


def install_of(plan: model.Plan, name: str) -> model.Exec:
    [install] = [op for op in stage_of(plan, name).ops if isinstance(op, model.Exec)]
    return install


def context_of(install: model.Exec) -> list[model.BindMount]:
    return [
        mount
        for mount in install.mounts
        if isinstance(mount, model.BindMount) and isinstance(mount.source, model.LocalInput)
    ]


def written(plan: model.Plan) -> dict[str, str]:
    ops = stage_of(plan, "requirements").ops
    return {op.path: op.content for op in ops if isinstance(op, model.MkFile)}


@pytest.mark.parametrize(
    ("archive", "program"),
    [
        ("one-1.0.tar.gz", "/run/cogpack/uv/bin/uv pip"),
        ("one two.zip", "/run/cogpack/uv/bin/uv pip"),
        ("one-1.0.tgz", "python -m pip"),
        ("one-1.0.tar.bz2", "python -m pip"),
        ("one-1.0.tar.xz", "python -m pip"),
    ],
)
@pytest.mark.parametrize("is_cog", [True, False])
def test_archives_that_uv_does_not_read_are_pips(
    tmp_path: Path, archive: str, program: str, is_cog: bool
) -> None:
    folder = project(tmp_path, lines=f"six\n./{archive}\n")
    (folder / archive).write_text("")
    if not is_cog:
        (folder / "cog.yaml").unlink()
        (folder / "main.py").write_text("print(1)\n")
    plan = planned(folder)
    assert install_of(plan, "local-packages").command.startswith(program)
    assert "uv pip install" in install_of(plan, "packages").command


@pytest.mark.parametrize("is_cog", [True, False])
def test_a_repository_that_is_editable_is_checked_out_by_pip(tmp_path: Path, is_cog: bool) -> None:
    """uv refuses it: its code must stay in the image, as projects of research count on."""
    url = "git+https://example.com/taming.git@v1"
    folder = project(tmp_path, lines=f"-e {url}#egg=taming\n-e 'other @ {url}'\nsix\n")
    if not is_cog:
        (folder / "cog.yaml").unlink()
        (folder / "main.py").write_text("print(1)\n")
    plan = planned(folder)
    command = install_of(plan, "packages").command
    assert command.startswith("python -m pip install")
    # The history has the clock's time in it.
    assert "find /opt/venv/src -name .git" in command
    assert written(plan)["/requirements.txt"] == (
        f"-e '{url}#egg=taming'\n-e '{url}#egg=other'\nsix\n"
    )


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_they_are_mounted_for_a_stage_of_their_own_behind_all_others(
    tmp_path: Path, installer: str
) -> None:
    plan = planned(project(tmp_path, installer))
    assert context_of(install_of(plan, "packages")) == []
    [mount] = context_of(install_of(plan, "local-packages"))
    assert (mount.target, mount.writable) == ("/src", True)
    assert isinstance(mount.source, model.LocalInput)
    assert mount.source.include == (
        "four",
        "three",
        "two words.zip",
        "wheels/one-1.0-py3-none-any.whl",
    )
    order = [stage.id for phase in plan.build_phases for stage in phase.stages]
    assert order.index("packages") < order.index("cog") < order.index("local-packages")
    exported = [stage.id for phase in plan.export_phases for stage in phase.stages]
    assert exported.index("export:cog") < exported.index("export:local-packages")


def test_every_form_is_written_as_uv_and_pip_both_read_it(tmp_path: Path) -> None:
    files = written(planned(project(tmp_path)))
    assert files["/requirements.txt"] == "six==1.17.0\n"
    assert files["/constraints.txt"] == "idna<4\n"
    assert files["/local.txt"].splitlines() == [
        "six==1.17.0",
        "one @ file:///src/wheels/one-1.0-py3-none-any.whl",
        './two words.zip ; python_version >= "3.8"',
        "three @ file:///src/three",
        "-e './four[extra]'",
    ]


def test_the_project_itself_is_mounted_whole(tmp_path: Path) -> None:
    folder = project(tmp_path, lines="-e .\n")
    (folder / "pyproject.toml").write_text("[project]\nname = 'all'\nversion = '1'\n")
    plan = planned(folder)
    [mount] = context_of(install_of(plan, "local-packages"))
    assert isinstance(mount.source, model.LocalInput)
    assert mount.source.include == ("**",)
    assert ".git" in mount.source.exclude
    # Nothing is left for the stage of the other packages.
    assert "packages" not in [stage.id for phase in plan.build_phases for stage in phase.stages]


def test_the_server_keeps_its_version(tmp_path: Path) -> None:
    plan = planned(project(tmp_path))
    cog = plan.packages["cog"].version
    assert f"cog=={cog} coglet==" in install_of(plan, "local-packages").command


def test_without_any_there_is_no_stage_and_no_file(tmp_path: Path) -> None:
    plan = planned(project(tmp_path, lines="six\n"))
    assert "/local.txt" not in written(plan)
    assert "local-packages" not in [one.id for phase in plan.build_phases for one in phase.stages]


def test_an_edit_of_one_changes_no_other_stage(tmp_path: Path) -> None:
    before = planned(project(tmp_path))
    (tmp_path / "requirements.txt").write_text(LINES.replace("-e ./four[extra]", "./four"))
    after = planned(tmp_path)
    for name in ("packages", "cog", "python", "apt"):
        assert stage_of(before, name) == stage_of(after, name)


def test_what_an_installer_kept_of_other_builds_is_not_taken(tmp_path: Path) -> None:
    assert "--refresh" in install_of(planned(project(tmp_path)), "local-packages").command
    mounts = install_of(planned(project(tmp_path, "pip")), "local-packages").mounts
    shadows = [mount.target for mount in mounts if isinstance(mount, model.TmpfsMount)]
    assert "/root/.cache/pip/wheels" in shadows
