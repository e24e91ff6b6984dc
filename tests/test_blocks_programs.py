"""Programs that the project's own lines call: they are in the image though nobody lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.blocks.programs import called, needed_packages
from cogpack.plan.model import Exec
from cogpack.project import read_project
from support.projects import planned, stage_of, write_project


def packages(folder: Path, settings: str = "", files: dict[str, str] | None = None) -> list[str]:
    project = read_project(write_project(folder, settings, files))
    return [name for name, _ in needed_packages(project)]


@pytest.mark.parametrize(
    ("command", "programs"),
    [
        ("curl -o /opt/x -L https://example.com/x && chmod +x /opt/x", ["curl", "chmod"]),
        ("cd /opt; /usr/bin/git clone https://example.com/x.git", ["cd", "git"]),
        ("wget -qO- https://example.com | tar xz", ["wget", "tar"]),
        ("A=b B='c d' make -j2 || make", ["make", "make"]),
        ("if ! sudo -E curl x; then unzip y; fi", ["curl", "unzip", "fi"]),
        ("bash -c 'curl x && zip y'", ["bash", "curl", "zip"]),
        ('X="$(curl -s x)" && echo `git rev-parse`', ["curl", "echo", "git"]),
        ("echo $(wget x)", ["echo", "wget"]),
        ("ls \\\n  curl\ncmake .", ["ls", "cmake"]),
        ("xargs -n1 curl < urls", ["curl"]),
        ("pip install cmake && command -v git && echo curl wget", ["pip", "command", "echo"]),
        ("cat <<EOF\nit's\nEOF", ["cat", "it's", "EOF"]),
        ("", []),
    ],
)
def test_what_a_command_calls(command: str, programs: list[str]) -> None:
    assert list(called(command)) == programs


def test_a_command_of_any_length_is_read() -> None:
    command = f"cat <<'EOF' > /x\n{'x' * 3_000_000}\nEOF\ncurl x"
    assert {"cat", "curl"} <= set(called(command))


def test_a_program_that_a_command_calls_is_installed(tmp_path: Path) -> None:
    command = "curl -o /opt/x -L https://example.com/x"
    plan = planned(write_project(tmp_path, f"  run:\n    - {command}"))
    apt = stage_of(plan, "apt")
    (install,) = (op for op in apt.ops if isinstance(op, Exec))
    assert "--no-install-recommends ca-certificates curl tini" in install.command
    assert ("cog.yaml", 4) in {(one.file, one.line) for one in apt.reasons}


@pytest.mark.parametrize(
    "settings",
    [
        "  pre_install: [git clone https://example.com/x.git]",
        "  run: [pip install git+https://example.com/x.git]",
        "  python_packages: ['git+https://example.com/x.git@main']",
        "  python_packages: ['x @ git+https://example.com/x.git']",
        "  run: [git --version]\n  system_packages: [curl]",
    ],
)
def test_git_comes_with_whoever_calls_it(tmp_path: Path, settings: str) -> None:
    assert packages(tmp_path, settings) == ["ca-certificates", "git"]


def test_requirements_of_a_project_without_cog_yaml(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text('if __name__ == "__main__":\n    print(1)\n')
    (tmp_path / "requirements.txt").write_text("x @ git+https://example.com/x.git\n")
    (install,) = (op for op in stage_of(planned(tmp_path), "apt").ops if isinstance(op, Exec))
    assert "ca-certificates git tini" in install.command


def test_what_the_project_lists_is_taken_at_its_word(tmp_path: Path) -> None:
    listed = "  run: [git --version, curl x]\n  system_packages: ['git=1:2.39', 'curl:amd64']"
    assert packages(tmp_path, listed) == ["ca-certificates"]


def test_nothing_is_added_for_nothing(tmp_path: Path) -> None:
    assert packages(tmp_path, "  run: [echo curl, python -c 'print(1)']") == []


def test_a_base_of_the_users_own_is_left_alone(tmp_path: Path) -> None:
    own = "  run: [curl x]\ncogpack: {base_image: team/base:1}"
    assert packages(tmp_path, own) == []
