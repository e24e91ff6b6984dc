"""What an sdist tells without being built: each source, and everything that is computed refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from cogpack.index import Metadata
from cogpack.index.metadata import MetadataError
from cogpack.index.static import static_metadata

OLD = "Metadata-Version: 2.1\nName: foo\nVersion: 1.0\n"


def told(**files: str) -> Metadata:
    """The metadata of an sdist with these files; `__` stands for a dot in their names."""
    named = {name.replace("__", "."): text.encode() for name, text in files.items()}
    return static_metadata({"PKG-INFO": OLD.encode(), **named}, "foo", Version("1.0"))


def script(arguments: str, before: str = "") -> str:
    return (
        f"from setuptools import setup\n{before}\nsetup(name='foo', version='1.0', {arguments})\n"
    )


def refused(**files: str) -> str:
    with pytest.raises(MetadataError) as caught:
        told(**files)
    assert str(caught.value).endswith("only a build would tell what it needs")
    return str(caught.value)


def test_a_project_table_with_its_dependencies_is_believed() -> None:
    found = told(
        pyproject__toml="""
[build-system]
build-backend = "anything"
[project]
name = "foo"
dynamic = ["version"]
dependencies = ["six>=1", "tomli; python_version < '3.11'"]
requires-python = ">=3.8,<4"
[project.optional-dependencies]
Fast_Path = ["numba; platform_system == 'Linux'"]
"""
    )
    assert found.requirement_texts == (
        "six>=1",
        'tomli; python_version < "3.11"',
        'numba; platform_system == "Linux" and extra == "fast-path"',
    )
    assert found.requires_python_text == ">=3.8,<4"
    assert found.provides_extra == ("fast-path",)
    assert found.source == "pyproject.toml of the sdist"
    assert found.warnings == ()


@pytest.mark.parametrize("field", ["dependencies", "optional-dependencies", "requires-python"])
def test_a_project_table_with_dynamic_fields_is_not(field: str) -> None:
    text = f'[project]\nname = "foo"\ndynamic = ["{field}"]\n'
    assert f"{field} is dynamic in its pyproject.toml" in refused(pyproject__toml=text)


def test_a_project_table_without_dependencies_beside_a_setup_py_is_not() -> None:
    text = '[project]\nname = "foo"\nversion = "1.0"\n'
    assert told(pyproject__toml=text).requirement_texts == ()
    reason = refused(pyproject__toml=text, setup__py=script("install_requires=['six']"))
    assert "dependencies is dynamic" in reason


@pytest.mark.parametrize("backend", ["poetry.core.masonry.api", "flit_core.buildapi"])
def test_pkg_info_of_a_backend_that_computes_nothing_is_believed(backend: str) -> None:
    text = f'[build-system]\nbuild-backend = "{backend}"\n'
    body = f"{OLD}Requires-Python: >=3.8\nRequires-Dist: six (>=1,<2)\n"
    files = {"PKG-INFO": body.encode(), "pyproject.toml": text.encode()}
    found = static_metadata(files, "foo", Version("1.0"))
    assert found.requirement_texts == ("six (>=1,<2)",)
    assert found.requires_python_text == ">=3.8"


def test_backends_that_nobody_knows_are_not() -> None:
    assert "own.backend is no build backend" in refused(
        pyproject__toml='[build-system]\nbuild-backend = "own.backend"\n', setup__py=script("")
    )
    own = '[build-system]\nbuild-backend = "setuptools.build_meta"\nbackend-path = ["."]\n'
    assert "backend of its own" in refused(pyproject__toml=own, setup__py=script(""))
    assert "cannot be read" in refused(pyproject__toml="[", setup__py=script(""))


def test_a_setup_py_that_lists_everything_is_believed_and_told() -> None:
    found = told(
        setup__py=script(
            "install_requires=needs + ['six'], python_requires='>=3.7',"
            "extras_require={'a': 'numba', 'b:python_version<\"3\"': ['enum34'],"
            "':os_name==\"nt\"': ['w']}",
            before="base = ['attrs>=20']\nneeds = base + [\n    'idna',  # words\n]",
        )
    )
    assert set(found.requirement_texts) == {
        "attrs>=20",
        "idna",
        "six",
        'numba; extra == "a"',
        'enum34; python_version < "3" and extra == "b"',
        'w; os_name == "nt"',
    }
    assert found.requires_python_text == ">=3.7"
    assert found.provides_extra == ("a", "b")
    assert found.warnings == (
        "what it needs was read from setup.py of the sdist: nothing was built to find out",
    )


def test_a_setup_py_without_requirements_needs_nothing() -> None:
    assert told(setup__py=script("")).requirement_texts == ()
    text = script("install_requires='''\nsix\n# words\nidna # more\n'''")
    assert told(setup__py=text).requirement_texts == ("six", "idna")


@pytest.mark.parametrize(
    ("arguments", "before"),
    [
        ("install_requires=open('requirements.txt').read().split()", ""),
        ("install_requires=[line for line in 'six']", ""),
        ("install_requires=needs", "needs = []\nif True:\n    needs = ['six']"),
        ("install_requires=needs", "needs = ['six']\nneeds.append('idna')"),
        ("install_requires=needs", "needs = ['six']\nneeds += ['idna']"),
        ("install_requires=needs", "def f():\n    global needs\n    needs = []\nneeds = []"),
        ("install_requires=needs", "needs = needs"),
        ("install_requires=needs", "from other import needs"),
        ("install_requires=['six' if True else 'idna']", ""),
        ("install_requires=['s' + 1]", ""),
        ("install_requires=[['six']]", ""),
        ("install_requires=5", ""),
        ("extras_require=['six']", ""),
        ("extras_require={**other}", "other = {}"),
        ("python_requires=['3']", ""),
        ("install_requires=['a b c']", ""),
        ("python_requires='three'", ""),
        ("**more", "more = {'install_requires': ['six']}"),
        ("pbr=True", ""),
        ("distclass=Own", ""),
    ],
)
def test_a_setup_py_that_computes_is_refused(arguments: str, before: str) -> None:
    refused(setup__py=script(arguments, before))


@pytest.mark.parametrize(
    "text", ["print 'two'", "", "setup()\nsetup()", "x = 1", "setup(*args)", "\x00", "(" * 500]
)
def test_a_setup_py_that_is_none_is_refused(text: str) -> None:
    refused(setup__py=text)


def test_setup_cfg_fills_what_the_call_leaves_open() -> None:
    config = """
[options]
install_requires =
    six>=1
    idna; python_version < "3.9"
python_requires = >=3.7
[options.extras_require]
Dev = pytest; ruff
"""
    wanted = (
        "six>=1",
        'idna; python_version < "3.9"',
        'pytest; extra == "dev"',
        'ruff; extra == "dev"',
    )
    assert told(setup__cfg=config, setup__py="import setuptools\nsetuptools.setup()\n").source == (
        "setup.py and setup.cfg of the sdist"
    )
    found = told(setup__cfg=config)
    assert found.requirement_texts == wanted
    assert found.requires_python_text == ">=3.7"
    both = told(setup__cfg=config, setup__py=script("install_requires=['attrs']"))
    assert both.requirement_texts[0] == "attrs"


@pytest.mark.parametrize(
    "config",
    ["[options]\ninstall_requires = file: requirements.txt\n", "six", "[pbr]\nx = 1\n", "[a\n"],
)
def test_a_setup_cfg_that_points_elsewhere_is_refused(config: str) -> None:
    refused(setup__cfg=config)


def test_the_build_of_the_author_is_the_witness() -> None:
    names = {"PKG-INFO": OLD, "foo.egg-info/PKG-INFO": OLD}
    text = script(
        "install_requires=['six>=1,<2', 'tomli ; python_version<\"3.11\"'],"
        " extras_require={'a_b': ['idna']}"
    )

    def read(requires: str | None) -> Metadata:
        files = {**names, "setup.py": text}
        if requires is not None:
            files["foo.egg-info/requires.txt"] = requires
        return static_metadata(
            {name: body.encode() for name, body in files.items()}, "foo", Version("1.0")
        )

    same = 'six<2,>=1\n\n[:python_version < "3.11"]\ntomli\n\n[a-b]\nidna\n'
    assert len(read(same).requirement_texts) == 3
    for other in (None, "six<2,>=1\n", same + "more\n", same.replace("six", "seven")):
        with pytest.raises(MetadataError, match="tells something else than the author's build had"):
            read(other)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_read_or_refused(first: str, second: str, third: str) -> None:
    for files in (
        {"pyproject__toml": first},
        {"setup__py": second, "setup__cfg": third},
        {"setup__py": script(f"install_requires={first!r}")},
    ):
        with contextlib.suppress(MetadataError):
            told(**files)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dependencies = 5", "dependencies is no list of texts"),
        ("dependencies = 'six'", "dependencies is no list of texts"),
        ("dependencies = [1]", "dependencies is no list of texts"),
        ("dependencies = []\ndynamic = 5", "dynamic is no list of texts"),
        ("dependencies = []\noptional-dependencies = []", "optional-dependencies is no table"),
        ("dependencies = []\noptional-dependencies = {a = 'six'}", "a is no list of texts"),
        ("dependencies = []\nrequires-python = 3", "Requires-Python '3' cannot be read"),
    ],
)
def test_a_project_table_with_values_of_another_kind_is_refused(text: str, reason: str) -> None:
    assert reason in refused(pyproject__toml=f"[project]\nname = 'foo'\n{text}\n")


def test_a_reason_is_one_line() -> None:
    assert "\n" not in refused(pyproject__toml="[project]\ndependencies = ['six;;']\n")


def test_lists_that_double_are_not_written_out() -> None:
    doubled = "\n".join(f"a{number + 1} = a{number} + a{number}" for number in range(40))
    before = f"a0 = ['six']\n{doubled}"
    assert "computes install_requires" in refused(
        setup__py=script("install_requires=a40", before=before)
    )


@pytest.mark.parametrize("key", ["install-requires", "Install_Requires"])
def test_keys_of_setup_cfg_are_written_as_setuptools_takes_them(key: str) -> None:
    found = told(
        setup__py=script(""),
        setup__cfg=f"[options]\n{key} = six\npython-requires = >=3.9\n",
    )
    assert found.requirement_texts == ("six",)
    assert found.requires_python_text == ">=3.9"
