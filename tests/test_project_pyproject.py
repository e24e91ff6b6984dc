"""pyproject.toml: static facts with lines, and a clear word for the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.project.pyproject import PyProject, read_pyproject

FULL = """\
[build-system]
requires = ["hatchling>=1.2"]
build-backend = "hatchling.build"

[project]
name = "My_Model"
version = "1.0"
requires-python = ">=3.10,<3.13"  # the torch of the day
# "torch==1.0" in a comment is no dependency
dependencies = [
  "torch==2.7.1",
  'numpy>=2; python_version > "3.10"',
  "torch==2.7.1",
  "a @ https://me:pw@host/a.zip",
]
dynamic = ["readme"]

[project.optional-dependencies]
gpu = ["triton"]
Dev_Tools = ["pytest"]
"""


def read(root: Path, text: str) -> PyProject:
    (root / "pyproject.toml").write_text(text)
    found = read_pyproject(root)
    assert found is not None
    return found


def told(root: Path, data: str | bytes) -> list[str]:
    (root / "pyproject.toml").write_bytes(data.encode() if isinstance(data, str) else data)
    with pytest.raises(UserError) as caught:
        read_pyproject(root)
    return [f"{fault} | {fault.hint}" for fault in caught.value.faults]


def test_every_fact_with_its_line(tmp_path: Path) -> None:
    found = read(tmp_path, FULL)
    assert (found.name, found.has_project, found.has_uv_lock) == ("my-model", True, False)
    assert found.requires_python == "<3.13,>=3.10"
    assert found.requires_python_origin == Origin(
        "pyproject.toml", 8, 'requires-python = ">=3.10,<3.13"'
    )
    assert [(entry.name, entry.origin.line) for entry in found.dependencies] == [
        ("torch", 11),
        ("numpy", 12),
        ("torch", 13),
        ("a", 14),
    ]
    assert found.dependencies[3].origin.text == "a @ https://****@host/a.zip"
    assert [(group.name, len(group.entries)) for group in found.optional] == [
        ("dev-tools", 1),
        ("gpu", 1),
    ]
    assert found.optional[1].entries[0].origin.line == 19
    assert found.dynamic == ("readme",)
    assert (found.build_requires, found.build_backend) == (("hatchling>=1.2",), "hatchling.build")


def test_no_file_is_nothing(tmp_path: Path) -> None:
    assert read_pyproject(tmp_path) is None


def test_a_file_without_project_has_no_dependencies(tmp_path: Path) -> None:
    found = read(tmp_path, "[tool.ruff]\nline-length = 100\n")
    assert found == PyProject()


def test_a_lock_beside_it_is_seen(tmp_path: Path) -> None:
    (tmp_path / "uv.lock").write_text("")
    assert read(tmp_path, "[project]\nname = 'x'\n").has_uv_lock


def test_poetry_is_told_apart(tmp_path: Path) -> None:
    text = "[tool.poetry]\nname = 'x'\n\n[tool.poetry.dependencies]\npython = '^3.10'\n"
    assert read(tmp_path, text).poetry is None
    found = read(tmp_path, text + "torch = '^2.0'\n")
    assert found.poetry == Origin("pyproject.toml", 4, "[tool.poetry.dependencies]")
    assert not found.has_project


def test_lines_of_unusual_spellings(tmp_path: Path) -> None:
    text = (
        'project.name = "x"\nproject.requires-python = ">=3.11"\nproject.dependencies = ["six"]\n'
    )
    found = read(tmp_path, text.replace("\n", "\r\n"))
    assert found.requires_python_origin is not None
    assert found.requires_python_origin.line == 2
    assert found.dependencies[0].origin.line == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[project\n", ("pyproject.toml:1: not valid TOML: Expected ']' at the end of a table "
         "declaration | ")),
        ("a = 1\nb = ", "pyproject.toml:2: not valid TOML: Invalid value | "),
        ("project = 1", "pyproject.toml:1: project must be a table | write it as [project]"),
        ("[project]\nname = 1", "pyproject.toml:2: project.name must be a text | "),
        ("[project]\ndependencies = 'six'",
         "pyproject.toml:2: project.dependencies must be a list of texts | "),
        ("[project]\ndependencies = [\n'six=1']",
         'pyproject.toml:3: "six=1" is not a requirement | did you mean "six==1"?'),
        ("[project]\nrequires-python = '3.10'",
         ('pyproject.toml:2: project.requires-python is "3.10", not a version range'
         ' | write it as ">=3.10"')),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    assert told(tmp_path, text) == [expected]


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    found = told(tmp_path, "[project]\nname = 1\nrequires-python = 'x'\ndependencies = ['a=1']\n")
    assert [line.partition(": ")[0] for line in sorted(found)] == [
        "pyproject.toml:2",
        "pyproject.toml:3",
        "pyproject.toml:4",
    ]


def test_another_encoding_is_refused(tmp_path: Path) -> None:
    assert told(tmp_path, b"#\n# \xff\n") == [
        "pyproject.toml:2: pyproject.toml is not UTF-8 text | save it as UTF-8"
    ]


TABLE = "tool.uv.dependency-metadata"
STATED = """\
[[tool.uv.dependency-metadata]]
name = "Flash_Attn"
version = "2.6.3.0"
requires-dist = ["torch", "einops>=0.5 ; python_version<'3.13'"]
requires-python = ">=3.9,<3.14"

[[tool.uv.dependency-metadata]]
name = "chumpy"
"""


def test_what_the_user_states_of_releases(tmp_path: Path) -> None:
    for text in (STATED, FULL + STATED):
        first, second = read(tmp_path, text).stated
        assert (first.name, first.version) == ("flash-attn", "2.6.3.0")
        assert first.requires == ("torch", 'einops>=0.5; python_version < "3.13"')
        assert first.requires_python == "<3.14,>=3.9"
        assert (second.name, second.version, second.requires) == ("chumpy", "", ())


def test_every_fault_of_what_is_stated(tmp_path: Path) -> None:
    text = """\
[[tool.uv.dependency-metadata]]
version = "1"
[[tool.uv.dependency-metadata]]
name = "one"
version = "first"
requires-python = "three"
requires-dist = ["a b"]
[[tool.uv.dependency-metadata]]
name = "two"
requires-dist = "six"
"""
    found = told(tmp_path, text)
    assert [one.partition(" | ")[0] for one in found] == [
        "pyproject.toml:1: a table of tool.uv.dependency-metadata has no name",
        'pyproject.toml:5: version of one in tool.uv.dependency-metadata is "first"',
        'pyproject.toml:6: requires-python of one in tool.uv.dependency-metadata is "three"',
        'pyproject.toml:7: "a b" in tool.uv.dependency-metadata is not a requirement',
        f"pyproject.toml:9: requires-dist of two in {TABLE} must be a list of texts",
    ]
    (wrong,) = told(tmp_path, "[tool.uv]\ndependency-metadata = 1\n")
    assert "pyproject.toml:2: tool.uv.dependency-metadata must be a list of tables" in wrong


def test_groups_that_include_one_another_many_times_are_read_once(tmp_path: Path) -> None:
    groups = "".join(
        f"g{one} = [{{include-group = 'g{one + 1}'}}, {{include-group = 'g{one + 1}'}}]\n"
        for one in range(30)
    )
    text = f"[project]\nname = 'a'\n[dependency-groups]\n{groups}g30 = ['six']\n"
    found = read(tmp_path, text)
    assert [len(group.entries) for group in found.groups] == [1] * 31


def test_what_is_too_deep_or_too_long_is_told(tmp_path: Path) -> None:
    groups = "".join(f"g{one} = [{{include-group = 'g{one + 1}'}}]\n" for one in range(2000))
    with pytest.raises(UserError, match="is included more than 50 groups deep"):
        read(tmp_path, f"[project]\nname = 'a'\n[dependency-groups]\n{groups}g2000 = []\n")
    with pytest.raises(UserError, match=r"pyproject.toml: a number has more digits"):
        read(tmp_path, f"a = {'9' * 5000}\n")
