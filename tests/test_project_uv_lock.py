"""uv.lock: what an environment gets of it, and when it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.project import Project, read_project
from cogpack.project.uv_lock import UvLock
from support.projects import PREDICTOR
from support.uv_locks import TORCH_INDEX, digest, locked, write_locked

LINUX = {"sys_platform": "linux", "python_version": "3.12", "python_full_version": "3.12.0"}
WANTED = """\
[package.dev-dependencies]
dev = [{ name = "tester" }]
docs = [{ name = "writer" }]

[package.metadata]
requires-dist = [
    { name = "client", extras = ["fast"], specifier = ">=1" },
    { name = "gone", marker = "sys_platform == 'win32'" },
    { name = "lib", directory = "lib" },
    { name = "spare", marker = "extra == 'spare'" },
]
"""
PROJECT = locked(
    "mine",
    "0",
    [
        '{ name = "client", extra = ["fast"] }',
        """{ name = "gone", marker = "sys_platform == 'win32'" }""",
        '{ name = "lib" }',
    ],
    source='{ editable = "." }',
    more=WANTED,
)
CLIENT = locked(
    "client",
    "1.2",
    ['{ name = "base" }'],
    more='[package.optional-dependencies]\nfast = [{ name = "speed" }]\n',
)
OTHERS = [locked(name) for name in ("gone", "base", "speed", "tester", "writer", "spare")]
LIB = locked("lib", source='{ directory = "lib" }')
DEPENDENCIES = ["client[fast]>=1", "gone; sys_platform == 'win32'", "lib"]


def project(folder: Path, *packages: str, dependencies: list[str] | None = None) -> Project:
    write_locked(
        folder, DEPENDENCIES if dependencies is None else dependencies, *(packages or _ALL)
    )
    (folder / "predict.py").write_text(PREDICTOR)
    return read_project(folder)


_ALL = (CLIENT, *OTHERS, LIB, PROJECT)


def lock(folder: Path, *packages: str, dependencies: list[str] | None = None) -> UvLock:
    found = project(folder, *packages, dependencies=dependencies).uv_lock
    assert found is not None
    return found


def told(folder: Path, *packages: str, dependencies: list[str] | None = None) -> list[str]:
    with pytest.raises(UserError) as caught:
        project(folder, *packages, dependencies=dependencies)
    return [str(fault) for fault in caught.value.faults]


def test_an_environment_gets_what_is_reached_by_edges_that_hold(tmp_path: Path) -> None:
    found = lock(tmp_path)
    names = [one.name for one in found.selected(LINUX, ["dev"])]
    assert names == ["base", "client", "lib", "speed", "tester"]
    assert [one.name for one in found.selected(LINUX, [])] == ["base", "client", "lib", "speed"]
    assert "writer" in [one.name for one in found.selected(LINUX)]
    windows = {**LINUX, "sys_platform": "win32"}
    assert "gone" in [one.name for one in found.selected(windows, [])]


def test_each_package_has_its_line_its_source_and_its_hashes(tmp_path: Path) -> None:
    found = {one.name: one for one in lock(tmp_path).packages}
    text = (tmp_path / "uv.lock").read_text().splitlines()
    assert found["client"].origin == Origin("uv.lock", 5, "client==1.2")
    assert text[found["lib"].origin.line - 1] == 'name = "lib"'
    assert (found["lib"].path, found["lib"].registry) == ("lib", "")
    [wheel] = found["client"].wheels
    assert (wheel.filename, wheel.size) == ("client-1.2-py3-none-any.whl", 1000)
    assert wheel.hash == digest("client")
    assert found["mine"].installed


def test_of_two_locked_versions_the_one_for_the_environment_is_taken(tmp_path: Path) -> None:
    edges = [
        """{ name = "torch", version = "2.7.1", marker = "sys_platform == 'darwin'" }""",
        """{ name = "torch", version = "2.7.1+cu128", marker = "sys_platform != 'darwin'" }""",
    ]
    wanted = '[package.metadata]\nrequires-dist = [{ name = "torch" }]\n'
    found = lock(
        tmp_path,
        locked("torch", "2.7.1"),
        locked("torch", "2.7.1+cu128", source=f'{{ registry = "{TORCH_INDEX}" }}'),
        locked("mine", "0", edges, source='{ virtual = "." }', more=wanted),
        dependencies=["torch"],
    )
    [torch] = found.selected(LINUX, [])
    assert (torch.version, torch.registry) == ("2.7.1+cu128", TORCH_INDEX)
    assert not found.root.installed


def test_of_one_version_from_two_sources_the_one_that_an_edge_names(tmp_path: Path) -> None:
    edges = [
        f"""{{ name = "torch", version = "2.7.1", source = {{ registry = "{TORCH_INDEX}/" }} }}"""
    ]
    wanted = '[package.metadata]\nrequires-dist = [{ name = "torch" }]\n'
    found = lock(
        tmp_path,
        locked("torch", "2.7.1"),
        locked("torch", "2.7.1", source=f'{{ registry = "{TORCH_INDEX}" }}'),
        locked("mine", "0", edges, source='{ virtual = "." }', more=wanted),
        dependencies=["torch"],
    )
    [torch] = found.selected(LINUX, [])
    assert torch.registry == TORCH_INDEX


def exclusive(version: str, *, chosen: str, others: tuple[str, ...]) -> str:
    """An edge that holds where one extra is chosen and the others are not, as uv writes it."""
    conditions = [f"extra == 'extra-4-mine-{chosen}'"] if chosen else []
    conditions += [f"extra != 'extra-4-mine-{other}'" for other in others]
    return f"""{{ name = "torch", version = "{version}", marker = "{" and ".join(conditions)}" }}"""


def test_extras_that_exclude_one_another_choose_as_uv_does(tmp_path: Path) -> None:
    edges = [
        exclusive("2.7.1", chosen="", others=("cpu", "cu128")),
        exclusive("2.7.1+cpu", chosen="cpu", others=("cu128",)),
        exclusive("2.7.1+cu128", chosen="cu128", others=()),
    ]
    optional = (
        "[package.optional-dependencies]\n"
        'all = [{ name = "mine", extra = ["cpu"] }]\n'
        'cpu = [{ name = "torch", version = "2.7.1+cpu" }]\n'
        'cu128 = [{ name = "torch", version = "2.7.1+cu128" }]\n'
    )
    wanted = '[package.metadata]\nrequires-dist = [{ name = "torch" }]\n'
    versions = ("2.7.1", "2.7.1+cpu", "2.7.1+cu128")
    found = lock(
        tmp_path,
        *(locked("torch", version) for version in versions),
        locked("mine", "0", edges, source='{ virtual = "." }', more=optional + wanted),
        dependencies=["torch"],
    )
    for extras, version in {
        (): "2.7.1",
        ("cpu",): "2.7.1+cpu",
        ("cu128",): "2.7.1+cu128",
        ("all",): "2.7.1+cpu",
    }.items():
        [torch] = found.selected(LINUX, [], extras)
        assert torch.version == version, extras


def test_a_lock_that_is_out_of_date_is_told_line_by_line(tmp_path: Path) -> None:
    faults = told(tmp_path, dependencies=["client[fast]>=2", "lib", "new"])
    assert faults == [
        "pyproject.toml:5: uv.lock was made for client >=1, not for client[fast]>=2",
        "pyproject.toml:5: uv.lock does not have new",
        "uv.lock: uv.lock has gone, which the project asks for no more",
    ]


_GROUPS = """
[package.dev-dependencies]
dev = [{ name = "client" }]

[package.metadata]
requires-dist = []

[package.metadata.requires-dev]
dev = [{ name = "client", specifier = ">=1" }]
"""


def grouped(folder: Path, groups: str, more: str) -> Path:
    """A project with these groups. more: what its lock says of it."""
    mine = locked("mine", "0", source='{ virtual = "." }', more=more)
    head = f"[dependency-groups]\n{groups}\n"
    write_locked(folder, [], locked("client", "1.2"), mine, head=head)
    (folder / "predict.py").write_text(PREDICTOR)
    return folder


@pytest.mark.parametrize(
    ("groups", "faults"),
    [
        ("dev = ['client>=1']", []),
        ("dev = ['client>1']", ["uv.lock was made for client >=1, not for client>1"]),
        ("dev = ['client>=1', 'new']", ["uv.lock does not have new in the group dev"]),
        # Older tables of uv add to the group, and what is not installed may differ.
        ("dev = []\nother = ['new']", []),
    ],
)
def test_a_group_that_is_newer_than_the_lock_is_told(
    tmp_path: Path, groups: str, faults: list[str]
) -> None:
    folder = grouped(tmp_path, groups, _GROUPS)
    told = []
    try:
        read_project(folder)
    except UserError as error:
        told = [fault.message for fault in error.faults]
    assert told == faults


def test_a_lock_that_does_not_tell_what_groups_asked_for_is_believed(tmp_path: Path) -> None:
    older = _GROUPS.partition("[package.metadata.requires-dev]")[0]
    assert read_project(grouped(tmp_path, "dev = ['client>=1']", older)).uv_lock is not None


def _damaged(line: str) -> str:
    return f'version = 1\n[[package]]\nname = "a"\nsource = {{virtual = "."}}\n{line}\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("version = 9\n", "uv.lock has the format 9, and cogpack reads 1"),
        ("version = ", "not valid TOML"),
        ("version = 1\n", "damaged"),
        ('version = 1\n[[package]]\nname = "x"\n', "damaged"),
        ("version = 1\npackage = 3\n", "damaged"),
        ("version = 1\npackage = [3]\n", "damaged"),
        (f"version = {'9' * 5000}\n", "not valid TOML"),
        (_damaged('dependencies = [{name = "b", marker = 3}]'), "damaged"),
        (_damaged('dependencies = [{name = "b", extra = [{}]}]'), "damaged"),
        (_damaged("optional-dependencies = [1]"), "damaged"),
        (_damaged('metadata = {requires-dist = [{name = "b", specifier = -1}]}'), "damaged"),
        (_damaged("resolution-markers = [1]"), "damaged"),
        (_damaged('version = "latest"'), "damaged"),
    ],
)
def test_a_lock_that_cannot_be_read_is_told(tmp_path: Path, text: str, words: str) -> None:
    project(tmp_path)
    (tmp_path / "uv.lock").write_text(text)
    with pytest.raises(UserError, match=words):
        read_project(tmp_path)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("3.12\n", "3.12"),
        ("# a comment\n\n3.11.4  # another\n3.10\n", "3.11.4"),
        ("cpython-3.12.4-linux-x86_64-gnu\n", "3.12.4"),
        ("cpython@3.13\n", "3.13"),
    ],
)
def test_python_version_file(tmp_path: Path, text: str, version: str) -> None:
    (tmp_path / ".python-version").write_text(text)
    (tmp_path / "requirements.txt").write_text("")
    found = read_project(tmp_path)
    assert found.python is not None
    assert (found.python.version, found.python.origin.file) == (version, ".python-version")


def test_python_version_file_of_another_kind_is_passed_over_with_a_warning(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("pypy3.10\n")
    (tmp_path / "requirements.txt").write_text("")
    found = read_project(tmp_path)
    assert found.python is None
    assert "pypy3.10" in str(found.warnings[0])


def test_cog_yaml_has_the_last_word_on_python(tmp_path: Path) -> None:
    (tmp_path / ".python-version").write_text("3.11\n")
    found = project(tmp_path)
    assert found.python is not None
    assert (found.python.version, found.python.origin.file) == ("3.12", "cog.yaml")
