"""Options of requirements files that installers take from their environment alone."""

from __future__ import annotations

from pathlib import Path

from cogpack.plan import model
from support.projects import PREDICTOR, planned, stage_of, write_project


def environments(
    folder: Path, lines: str, *, installer: str = "uv", stages: tuple[str, ...] = ("packages",)
) -> list[dict[str, str]]:
    """The variables of the steps that install what the lines of a requirements file ask for."""
    settings = f"  python_requirements: requirements.txt\ncogpack:\n  installer: {installer}"
    files = {
        "predict.py": PREDICTOR,
        "requirements.txt": lines,
        "own/pyproject.toml": '[project]\nname = "own"\nversion = "1"\n',
    }
    plan = planned(write_project(folder, settings, files))
    found = [op for name in stages for op in stage_of(plan, name).ops]
    return [dict(op.env) for op in found if isinstance(op, model.Exec)]


STAGES = ("torch", "packages", "local-packages")


def test_every_install_hears_of_hosts_without_certificates_and_of_pre_releases(
    tmp_path: Path,
) -> None:
    lines = "--trusted-host a.internal\n--trusted-host b:8443\n--pre\ntorch==2.5.1\nsix\n./own\n"
    for found in environments(tmp_path, lines, stages=STAGES):
        assert found["UV_INSECURE_HOST"] == "a.internal b:8443"
        assert found["UV_PRERELEASE"] == "allow"


def test_pip_hears_of_them_in_the_same_way(tmp_path: Path) -> None:
    lines = "--trusted-host a.internal\n--pre\n--prefer-binary\nsix\n./own\n"
    stages = ("packages", "local-packages")
    for found in environments(tmp_path, lines, installer="pip", stages=stages):
        assert found["PIP_TRUSTED_HOST"] == "a.internal"
        assert found["PIP_PRE"] == "1"
        assert found["PIP_PREFER_BINARY"] == "1"
