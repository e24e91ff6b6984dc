"""Requirements files: pip's rules, every fault with its line, nothing lost on the way."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.project.requirements import (
    Entry,
    Options,
    RequirementsFile,
    parse_packages,
)
from support.requirements_folder import SHA, make_folder, read


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


def one(root: Path, text: str) -> Entry:
    (entry,) = read(root, text).entries
    return entry


def lines(found: tuple[Entry, ...]) -> list[str]:
    return [f"{entry.origin.where} {entry.render()}" for entry in found]


def test_names_specifiers_extras_and_markers(root: Path) -> None:
    result = read(
        root,
        """\
# heading
ruamel.yaml==0.18.6
torch>=2.0,<2.5
Torch_Vision != 0.20.0   # comment
uvicorn[standard,HTTP]~=0.30
numpy<2 ; python_version < "3.12" and sys_platform == 'linux'
torch==2.5.1+cpu
exact===1.0-legacy

bare
""",
    )
    assert lines(result.entries) == [
        "requirements.txt:2 ruamel-yaml==0.18.6",
        "requirements.txt:3 torch<2.5,>=2.0",
        "requirements.txt:4 torch-vision!=0.20.0",
        "requirements.txt:5 uvicorn[http,standard]~=0.30",
        'requirements.txt:6 numpy<2 ; python_version < "3.12" and sys_platform == "linux"',
        "requirements.txt:7 torch==2.5.1+cpu",
        "requirements.txt:8 exact===1.0-legacy",
        "requirements.txt:10 bare",
    ]
    assert {entry.kind for entry in result.entries} == {"index"}
    assert result.entries[2].origin.text == "Torch_Vision != 0.20.0"


def test_lines_are_joined_and_comments_dropped_by_the_rules_of_pip(root: Path) -> None:
    result = read(
        root,
        f"torch==\\\n2.7.1 \\\n    --hash={SHA} \\\n    --hash=sha512:{'b' * 128}\n"
        "a \\\n# a comment ends the line above\nb==1 # c \\\nd==2\n  # e \\\nf\r\ng\\\n",
    )
    assert lines(result.entries) == [
        f"requirements.txt:1 torch==2.7.1 --hash={SHA} --hash=sha512:{'b' * 128}",
        "requirements.txt:5 a",
        "requirements.txt:7 b==1",
        "requirements.txt:10 f",
        "requirements.txt:11 g",
    ]
    assert result.entries[0].origin.text == "torch==2.7.1"


def test_a_hash_mark_inside_a_url_is_no_comment(root: Path) -> None:
    entry = one(root, "git+https://host/r.git@v1#egg=Some_Name[x]&subdirectory=py  # comment\n")
    assert (entry.kind, entry.name, entry.extras) == ("vcs", "some-name", ("x",))
    assert entry.url is not None
    assert entry.url.raw == "git+https://host/r.git@v1#egg=Some_Name[x]&subdirectory=py"


@pytest.mark.parametrize(
    ("text", "kind", "name", "version"),
    [
        ("https://host/a/six-1.17.0-py3-none-any.whl", "url", "six", "1.17.0"),
        ("https://host/thing-1.0%2Bcpu.tar.gz#sha256=0", "url", "thing", "1.0+cpu"),
        ("https://host/archive/main.zip", "url", "", ""),
        ("thing[a] @ https://host/archive/main.zip", "url", "thing", ""),
        ("thing@git+ssh://git@host/r.git", "vcs", "thing", ""),
        ("git+file:///srv/r.git#egg=x", "vcs", "x", ""),
    ],
)
def test_urls(root: Path, text: str, kind: str, name: str, version: str) -> None:
    entry = one(root, text)
    assert (entry.kind, entry.name, entry.version) == (kind, name, version)


def test_a_url_may_hold_variables_and_keeps_them(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "secret-value")
    result = read(root, "-i https://${TOKEN}@host/simple\na @ git+https://${TOKEN}@host/r.git\n")
    assert "secret-value" not in repr(result)
    index, entry = result.options.index_url, result.entries[0]
    assert index is not None
    assert entry.url is not None
    assert index.url.variables == entry.url.variables == ("TOKEN",)
    assert index.url.is_secret
    assert entry.origin.text == "a @ git+https://${TOKEN}@host/r.git"


def test_credentials_are_kept_for_use_and_never_shown(root: Path) -> None:
    result = read(root, "-i https://me:pw@host/simple\na @ https://me:pw@host/a.zip\n")
    assert "pw" not in repr(result).replace("cogpack", "")
    assert result.options.index_url is not None
    assert result.options.index_url.url.raw == "https://me:pw@host/simple"
    assert result.options.index_url.origin.text == "-i https://****@host/simple"
    assert result.entries[0].origin.text == "a @ https://****@host/a.zip"


@pytest.mark.parametrize(
    ("text", "kind", "path", "name"),
    [
        ("./pkg", "folder", "pkg", ""),
        ("pkg/", "folder", "pkg", ""),
        (".", "folder", ".", ""),
        ("wheels/six-1.17.0-py2.py3-none-any.whl", "wheel", None, "six"),
        ("./wheels/thing-2.0.tar.gz", "sdist", None, "thing"),
        ("./d s/helper lib.zip", "sdist", "d s/helper lib.zip", ""),
        ("file:d%20s/helper%20lib.zip", "sdist", "d s/helper lib.zip", ""),
        ("./d s/helper lib-2.0.zip", "sdist", "d s/helper lib-2.0.zip", ""),
        ("foo @ file:./pkg", "folder", "pkg", "foo"),
        ("six @ file:wheels/six-1.17.0-py2.py3-none-any.whl", "wheel", None, "six"),
        ("-e .", "folder", ".", ""),
        ("-e ./pkg", "folder", "pkg", ""),
        ("--editable=pkg", "folder", "pkg", ""),
        ("-e file:pkg#egg=foo", "folder", "pkg", "foo"),
    ],
)
def test_paths_of_the_project(
    root: Path, text: str, kind: str, path: str | None, name: str
) -> None:
    entry = one(root, text)
    assert (entry.kind, entry.name) == (kind, name)
    assert entry.is_local
    assert entry.editable == text.startswith(("-e", "--editable"))
    if path is not None:
        assert entry.path == path
    assert str(root) not in repr(entry)


def test_an_absolute_path_of_the_project_becomes_relative(root: Path) -> None:
    assert one(root, f"{root}/pkg").path == "pkg"
    assert one(root, f"foo @ file://{root}/pkg").path == "pkg"


def test_extras_and_markers_of_paths(root: Path) -> None:
    entry = one(root, "./pkg[b,a] ; python_version > '3.9'")
    assert (entry.extras, entry.marker) == (("a", "b"), 'python_version > "3.9"')
    assert one(root, "-e './pkg[b]'").extras == ("b",)


def test_editable_repositories(root: Path) -> None:
    entry = one(root, "-e git+https://host/r.git#egg=foo")
    assert (entry.kind, entry.name, entry.editable) == ("vcs", "foo", True)
    named = one(root, "-e 'foo[x] @ git+https://host/r.git'")
    assert (named.name, named.extras, named.editable) == ("foo", ("x",), True)


def test_included_files_are_relative_to_the_file_that_includes_them(root: Path) -> None:
    (root / "reqs" / "base.txt").write_text("-r more.txt\n-c ../limits.txt\n./pkg\n")
    (root / "reqs" / "more.txt").write_text("idna\n")
    result = read(root, "torch\n-r reqs/base.txt\nsix\n", limits="numpy<2\n")
    assert lines(result.entries) == [
        "requirements.txt:1 torch",
        "reqs/more.txt:1 idna",
        "reqs/base.txt:3 ./pkg",
        "requirements.txt:3 six",
    ]
    assert lines(result.constraints) == ["limits.txt:1 numpy<2"]
    assert result.files == ("requirements.txt", "reqs/base.txt", "reqs/more.txt", "limits.txt")


def test_a_file_that_is_included_twice_is_read_once(root: Path) -> None:
    result = read(root, "-r a.txt\n-r b.txt\n", a="-r c.txt\n", b="-r c.txt\n", c="six\n")
    assert lines(result.entries) == ["c.txt:1 six"]


def test_the_same_file_may_constrain_and_require(root: Path) -> None:
    result = read(root, "-r a.txt\n-c a.txt\n", a="six==1\n")
    assert len(result.entries) == len(result.constraints) == 1


def test_options_hold_for_all_files(root: Path) -> None:
    result = read(
        root,
        "--index-url https://host/simple\n-r more.txt\n--pre\n--trusted-host host:443\n",
        more="--extra-index-url=https://two/simple --find-links wheels\n"
        "--no-binary Some_Name,other\n--only-binary :all:\n--prefer-binary\n"
        "--use-feature=fast-deps\n--no-index\n--only-final=torch\n",
    )
    options = result.options
    assert options.index_url is not None
    assert options.index_url.url.raw == "https://host/simple"
    assert [extra.origin.where for extra in options.extra_index_urls] == ["more.txt:1"]
    assert [(links.path, links.origin.line) for links in options.find_links] == [("wheels", 1)]
    assert (options.no_binary, options.only_binary) == ((), (":all:",))
    assert options.only_final == ("torch",)
    assert options.pre
    assert options.prefer_binary
    assert options.no_index
    assert options.trusted_hosts == ("host:443",)
    assert options.use_features == ("fast-deps",)


@pytest.mark.parametrize(
    ("text", "no_binary", "only_binary"),
    [
        ("--no-binary=a,B_c", ("a", "b-c"), ()),
        ("--no-binary=a\n--only-binary=a", (), ("a",)),
        ("--no-binary=:all:\n--only-binary=a", (":all:",), ("a",)),
        ("--no-binary=a,:none:,b", ("b",), ()),
        ("--only-binary=:all:\n--no-binary=a", ("a",), (":all:",)),
    ],
)
def test_binary_options_undo_each_other_as_in_pip(
    root: Path, text: str, no_binary: tuple[str, ...], only_binary: tuple[str, ...]
) -> None:
    options = read(root, text).options
    assert (options.no_binary, options.only_binary) == (no_binary, only_binary)


def test_an_option_behind_a_requirement_counts_and_is_pointed_out(root: Path) -> None:
    result = read(root, "torch==2.7.0 --extra-index-url=https://host/whl/cu128\n")
    assert len(result.options.extra_index_urls) == 1
    assert [f"{w} | {w.hint}" for w in result.warnings] == [
        (
            "requirements.txt:1: --extra-index-url holds for all requirements, not only this"
            " | give it a line of its own"
        )
    ]


def test_a_second_index_is_pointed_out(root: Path) -> None:
    result = read(root, "-i https://one/\n-i https://one/\n-i https://two/\n")
    assert [str(warning) for warning in result.warnings] == [
        "requirements.txt:3: this index replaces the one of requirements.txt:2"
    ]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (codecs.BOM_UTF8 + b"six\n", "six"),
        (codecs.BOM_UTF16_LE + "six\n".encode("utf-16-le"), "six"),
        (b"# -*- coding: latin-1 -*-\n# \xfc\nsix\n", "six"),
        (b"#\n# vim: set fileencoding=cp1252 :\n# \x80\nsix\n", "six"),
        (b"six\r\n", "six"),
    ],
)
def test_encodings(root: Path, data: bytes, name: str) -> None:
    assert read(root, data).entries[0].name == name


def test_an_empty_file_requires_nothing(root: Path) -> None:
    assert read(root, "\n# nothing\n") == RequirementsFile(files=("requirements.txt",))
    assert RequirementsFile().options == Options()


def test_required_hashes_may_come_from_a_constraint_or_a_url(root: Path) -> None:
    text = f"--require-hashes\nsix==1\na @ https://host/a.zip#sha256={'0' * 64}\n-c limits.txt\n"
    assert len(read(root, text, limits=f"six==1 --hash={SHA}\n").entries) == 2


def test_packages_of_a_list_are_read_as_lines_are(root: Path) -> None:
    packages = [("torch==2.1", Origin("cog.yaml", 4)), ("six=1", Origin("cog.yaml", 5))]
    with pytest.raises(UserError) as caught:
        parse_packages(root, packages)
    assert [str(fault) for fault in caught.value.faults] == [
        'cog.yaml:5: "six=1" is not a requirement'
    ]
    result = parse_packages(root, packages[:1])
    assert result.entries[0].origin == Origin("cog.yaml", 4, "torch==2.1")
    assert result.files == ()


def test_many_hashes_are_read_quickly(root: Path) -> None:
    block = "".join(f" \\\n    --hash=sha256:{n:064x}" for n in range(100))
    result = read(root, "".join(f"p{n}==1{block}\n" for n in range(100)))
    assert sum(len(entry.hashes) for entry in result.entries) == 10_000


def test_what_other_readers_of_such_files_lose_is_kept(root: Path) -> None:
    """One line for each thing that a reader by regular expressions drops or bends."""
    result = read(
        root,
        f"""\
ruamel.yaml==0.18.6
torch>=2.0
torchvision<0.20
torchaudio!=2.1
numpy<2; python_version < "3.12"
six==1.17.0 --hash={SHA}
tool @ git+https://host/tool.git@v1#subdirectory=python
-r more.txt
-c limits.txt
-e .
""",
        more="idna==3.10\n",
        limits="certifi<2026\n",
    )
    assert lines(result.entries) == [
        "requirements.txt:1 ruamel-yaml==0.18.6",
        "requirements.txt:2 torch>=2.0",
        "requirements.txt:3 torchvision<0.20",
        "requirements.txt:4 torchaudio!=2.1",
        'requirements.txt:5 numpy<2 ; python_version < "3.12"',
        f"requirements.txt:6 six==1.17.0 --hash={SHA}",
        "requirements.txt:7 tool @ git+https://host/tool.git@v1#subdirectory=python",
        "more.txt:1 idna==3.10",
        "requirements.txt:10 -e .",
    ]
    assert lines(result.constraints) == ["limits.txt:1 certifi<2026"]
