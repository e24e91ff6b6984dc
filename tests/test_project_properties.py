"""Promises of the reading layer for any input: it answers or it says what is wrong."""

from __future__ import annotations

import string
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from packaging.requirements import Requirement

from cogpack.errors import Fault, UserError
from cogpack.origin import Origin
from cogpack.project import Entry, read_project
from cogpack.project.cogyaml_reader import read_config, scan_config
from cogpack.project.redact import redact
from cogpack.project.requirement_entry import Place, parse_entry
from cogpack.project.requirement_lines import logical_lines, parse_line
from cogpack.project.requirements import parse_packages, read_requirements

# Pieces of which valid and nearly valid files are made: plain text rarely gets past the first rule.
YAML_PIECES = st.sampled_from(
    [
        *("build:", "run:", "  run:", "predict:", "train:", "weights:", "environment:", "cogpack:"),
        *("  gpu: ", "  python_version: ", "  cuda: ", "  system_packages:", "  - ", "- ", "    "),
        *("name: ", "target: ", "source: ", "uri: ", "mounts: ", "command: ", "type: secret"),
        *("&a ", "*a", "<<: *a", "{", "}", "[", "]", "|", ">-", "'", '"', "!!str ", "!x ", "? "),
        *("true", "3.10", "3.9", "~", "null", "2020-01-01", "A=b", "PATH=x", "x:5000/y:z@sha256:"),
        *("\n", "\n", "\n", "\t", "\\u0000", "\\ud800", "#", "---", "%YAML 1.1", "\ufeff", ", "),
    ]
)
REQUIREMENT_PIECES = st.sampled_from(
    [
        *("torch", "==", ">=", "2.0", "[a,b]", "@", "; ", "python_version", '"3"', "\\\n", "#"),
        *("--hash=", "sha256:", "-r ", "-c ", "-e ", ".", "./", "../", "pkg", ".whl", "file:"),
        *("https://", "git+", "u:p@", "${X}", "host/", "x.zip", "--index-url ", "--pre", "-f "),
        *("\n", "\n", " ", "\t", "'", '"', "\\", ":all:", "egg=", "&", "subdirectory=", "%20"),
    ]
)


_T = TypeVar("_T")


def attempt(read: Callable[[], _T]) -> tuple[_T | None, tuple[Fault, ...]]:
    """What a reader answers, and the faults when it refuses; anything else is a failure."""
    try:
        return read(), ()
    except UserError as error:
        return None, error.faults


def mostly(pieces: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(pieces | st.text(max_size=4), max_size=30).map("".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("project")
    (root / "pkg").mkdir()
    (root / "pkg" / "setup.py").write_text("")
    (root / "x.zip").write_bytes(b"")
    return root


@given(st.binary(max_size=200) | mostly(YAML_PIECES).map(lambda t: t.encode("utf-8", "replace")))
@settings(max_examples=300, deadline=None)
def test_any_bytes_of_cog_yaml_are_read_or_refused(data: bytes) -> None:
    reading = scan_config(data)
    assert (reading.config is None) == bool(reading.faults)
    for fault in (*reading.faults, *reading.warnings):
        assert fault.message
        assert fault.message.isprintable()
        assert fault.origin is not None
        assert fault.origin.file == "cog.yaml"
        assert fault.origin.line <= data.decode("utf-8", "replace").count("\n") + 4


@given(st.binary(max_size=200) | mostly(REQUIREMENT_PIECES).map(lambda t: t.encode()))
@settings(max_examples=300, deadline=None)
def test_any_bytes_of_a_requirements_file_are_read_or_refused(folder: Path, data: bytes) -> None:
    (folder / "requirements.txt").write_bytes(data)
    result, faults = attempt(lambda: read_requirements(folder, "requirements.txt"))
    assert (result is None) == bool(faults)
    assert all(fault.origin and fault.origin.file for fault in faults)
    for shown in (repr(result), *map(repr, faults)):
        assert "://u:p@" not in shown
        assert str(folder) not in shown


@given(st.binary(max_size=100))
@settings(max_examples=100, deadline=None)
def test_any_bytes_of_the_other_files_are_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "cog.yaml").write_text("run: run.py:Runner\nbuild: {python_version: '3.10'}\n")
        for file in ("pyproject.toml", ".dockerignore", "run.py"):
            (root / file).write_bytes(data)
        project, faults = attempt(lambda: read_project(root))
        assert (project is None) == bool(faults)


names = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8).filter(
    lambda name: name[0].isalpha()
)
versions = st.builds(
    lambda release, local: ".".join(map(str, release)) + local,
    st.lists(st.integers(0, 30), min_size=1, max_size=3),
    st.sampled_from(["", "", "+cu121", "rc1", ".post1"]),
)
clauses = st.builds(
    lambda operator, version: (
        operator + (version if operator in ("==", "!=") else version.partition("+")[0])
    ),
    st.sampled_from(["==", "!=", ">=", "<=", ">", "<"]),
    versions,
)
markers = st.sampled_from(
    [
        "",
        'python_version < "3.12"',
        'sys_platform == "linux" and platform_machine != "aarch64"',
        'extra == "gpu" or (implementation_name == "cpython" and os_name == "posix")',
    ]
)
hashes = st.lists(
    st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda digits: f"sha256:{digits}"),
    max_size=2,
    unique=True,
).map(tuple)
extras = st.lists(names, max_size=2, unique=True).map(lambda found: tuple(sorted(found)))


@st.composite
def requirement_lines(draw: st.DrawFn) -> str:
    """A requirement as people write it: blanks, comments and continuations in odd places."""
    blank = st.sampled_from(["", " ", "  ", " \\\n", "\\\n  "])
    name = draw(names)
    extra = draw(extras)
    specifier = ",".join(draw(blank) + clause for clause in draw(st.lists(clauses, max_size=3)))
    marker = draw(markers)
    text = name + (f"[{','.join(extra)}]" if extra else "") + draw(blank) + specifier
    text += f" ;{draw(blank)}{marker}" if marker else ""
    text += "".join(f" \\\n    --hash={value}" for value in draw(hashes))
    return text + draw(st.sampled_from(["", "  # a comment", " #torch==1"]))


@given(st.lists(requirement_lines(), max_size=6))
@settings(max_examples=150, deadline=None)
def test_generated_files_mean_what_they_mean_to_pip(lines: list[str]) -> None:
    from pip._internal.network.session import PipSession
    from pip._internal.req.constructors import install_req_from_parsed_requirement
    from pip._internal.req.req_file import parse_requirements

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        file = root / "requirements.txt"
        file.write_text("\n".join(lines) + "\n")
        with PipSession() as session:
            theirs = [
                install_req_from_parsed_requirement(parsed)
                for parsed in parse_requirements(str(file), session)
            ]
        ours = read_requirements(root, "requirements.txt").entries
    assert len(ours) == len(theirs)
    for entry, expected in zip(ours, theirs, strict=True):
        assert expected.req is not None
        wanted = Requirement(str(expected.req))
        assert entry.name == wanted.name
        assert entry.extras == tuple(sorted(wanted.extras))
        assert entry.specifier == str(wanted.specifier)
        assert entry.marker == str(expected.markers or wanted.marker or "")
        digests = {f"{kind}:{d}" for kind, found in expected.hash_options.items() for d in found}
        assert set(entry.hashes) == digests
        assert f"line {entry.origin.line})" in str(expected.comes_from)


entries = st.builds(
    lambda name, extra, specifier, marker, digests: Entry(
        Origin("requirements.txt", 1),
        name=name,
        extras=extra,
        specifier=str(Requirement(f"x{','.join(specifier)}").specifier),
        marker=str(Requirement(f"x; {marker}").marker) if marker else "",
        hashes=digests,
    ),
    names,
    extras,
    st.lists(clauses, max_size=2),
    markers,
    hashes,
)


def without_place(found: tuple[Entry, ...]) -> list[Entry]:
    return [replace(entry, origin=Origin()) for entry in found]


@given(st.lists(entries, max_size=5))
@settings(max_examples=150, deadline=None)
def test_rendered_entries_are_read_back_as_they_were(expected: list[Entry]) -> None:
    texts = [(entry.render(), entry.origin) for entry in expected]
    found = parse_packages(Path("/nonexistent"), texts).entries
    assert without_place(found) == without_place(tuple(expected))


@pytest.mark.parametrize(
    "text",
    [
        "./pkg",
        "./pkg[a,b]",
        "-e ./pkg",
        "-e './pkg[a]'",
        "x.zip",
        "./pkg ; python_version > '3'",
        "foo[a] @ file:pkg",
        "foo @ file:pkg#subdirectory=x",
        "foo @ https://u:p@host/a%20b/foo-1.0.tar.gz#sha256=0",
        "git+https://${T}@host/r.git@v1#egg=Foo[b]&subdirectory=x",
        "-e git+ssh://git@host/r.git#egg=foo",
        "https://host/foo-1.0-py3-none-any.whl ; os_name == 'posix'",
        "six --config-settings='a=b c'",
    ],
)
def test_rendered_paths_and_urls_are_read_back_as_they_were(folder: Path, text: str) -> None:
    (entry,) = parse_packages(folder, [(text, Origin("x", 1))]).entries
    (again,) = parse_packages(folder, [(entry.render(), Origin("x", 1))]).entries
    assert replace(again, origin=entry.origin) == entry


@given(st.text(max_size=60))
def test_lines_never_raise_anything_but_a_user_error(text: str) -> None:
    for number, line in logical_lines(text):
        assert line == line.strip()
        assert line
        assert number >= 1
        origin = Origin("r", number)
        parsed, faults = attempt(partial(parse_line, line, origin))
        if parsed is not None and parsed.requirement:
            place = Place(Path("/nonexistent"))
            entry, faults = attempt(partial(parse_entry, parsed.requirement, origin, place))
            assert (entry is None) == bool(faults)


@given(names, st.text(string.ascii_letters + string.digits + "%$!-_/?#@:", min_size=4), names)
def test_no_password_survives_redaction(user: str, password: str, host: str) -> None:
    shown = redact(f"--index-url https://{user}:S{password}S@{host}.example/simple")
    assert f"S{password}S" not in shown
    assert f"{host}.example/simple" in shown


@given(mostly(YAML_PIECES))
@settings(max_examples=100, deadline=None)
def test_reading_twice_gives_the_same_answer(text: str) -> None:
    data = text.encode("utf-8", "replace")
    assert scan_config(data) == scan_config(data)


def test_a_config_equals_itself_but_not_one_from_other_lines() -> None:
    first, second = read_config(b"image: a\n"), read_config(b"\nimage: a\n")
    assert first == read_config(b"image: a\n")
    assert first.image == second.image
    assert first.origin("image").line == 1
    assert second.origin("image").line == 2
