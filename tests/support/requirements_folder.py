"""A project folder for tests of requirements files, and a way to read a text in it."""

from __future__ import annotations

from pathlib import Path

from cogpack.project.requirements import RequirementsFile, read_requirements

SHA = "sha256:" + "a" * 64


def make_folder(tmp_path: Path) -> Path:
    """Fill a folder with what the lines of the tests refer to."""
    for folder in ("reqs", "pkg", "wheels", "empty", "d s"):
        (tmp_path / folder).mkdir()
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "pkg" / "setup.py").write_text("")
    (tmp_path / "wheels" / "six-1.17.0-py2.py3-none-any.whl").write_bytes(b"")
    (tmp_path / "wheels" / "thing-2.0.tar.gz").write_bytes(b"")
    (tmp_path / "wheels" / "bad.whl").write_bytes(b"")
    (tmp_path / "d s" / "helper lib.zip").write_bytes(b"")
    (tmp_path / "d s" / "helper lib-2.0.zip").write_bytes(b"")
    return tmp_path


def read(root: Path, text: str | bytes, **others: str) -> RequirementsFile:
    """Read a text as requirements.txt; `others` are further files, NAME.txt."""
    for name, content in others.items():
        (root / f"{name}.txt").write_text(content)
    data = text.encode() if isinstance(text, str) else text
    (root / "requirements.txt").write_bytes(data)
    return read_requirements(root, "requirements.txt")
