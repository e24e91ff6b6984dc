"""Every fault of a requirements file in the words that the user reads, with its line and remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cogpack.errors import UserError
from support.requirements_folder import SHA, make_folder, read


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_folder(tmp_path)


def told(root: Path, text: str | bytes, **others: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        read(root, text, **others)
    return [f"{fault} | {fault.hint}" for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("torch=2.1", '"torch=2.1" is not a requirement | did you mean "torch==2.1"?'),
        ("torch=>2.1", '"torch=>2.1" is not a requirement | did you mean "torch>=2.1"?'),
        ("torch 2.1", '"torch 2.1" is not a requirement | did you mean "torch==2.1"?'),
        ("torch:2.1", '"torch:2.1" is not a requirement | did you mean "torch==2.1"?'),
        ("torch@2.1", '"torch@2.1" is not a requirement | did you mean "torch==2.1"?'),
        ("torch>=2.0.*", '"torch>=2.0.*" is not a requirement | did you mean "torch>=2.0"?'),
        ("'torch==2.1'", "\"'torch==2.1'\" is not a requirement | did you mean \"torch==2.1\"?"),
        (
            "torch torchvision six",
            ('"torch torchvision six" is not a requirement: Expected semicolon (after name with '
            "no version specifier) or end | write NAME, NAME==VERSION or NAME @ URL"),
        ),
        (
            "torch==${VERSION}",
            ("${VERSION} stands where the text itself is needed; only URLs may hold variables"
            " | write the value"),
        ),
        (
            "torch; python_versoin < '3'",
            ("the marker \"python_versoin < '3'\" is not valid: Expected a marker variable or "
            'quoted string | write it as: ; python_version < "3.12"'),
        ),
        (
            "torch --hash=md5:aa",
            ('--hash="md5:aa" is not of the form ALGORITHM:DIGITS'
            " | the algorithms are sha256, sha384, sha512"),
        ),
        (
            "torch --hash=sha256:xyz",
            'a sha256 hash has 64 hexadecimal digits, unlike "xyz" | copy the hash again',
        ),
        (
            f"--hash={SHA}",
            ("--hash stands without a requirement"
            " | put a backslash at the end of the line before"),
        ),
        ("torch --no-hash", "--no-hash is no option of a requirements file | did you mean --hash?"),
        ("--foo", "--foo is no option of a requirements file | "),
        ("--index-url", ("cannot read the options of this line: --index-url option requires "
         "1 argument | write the value behind it")),
        ("-i host/simple", 'the index "host/simple" is not a URL | write it with https://'),
        ("--no-index six", ('"six" stands behind the options of this line'
         " | put a requirement first; put a path or a requirement with spaces in quotes")),
        ("-e ./pkg -e .", "this line includes more than one thing | give it a line of its own"),
        ("six -r a.txt", "--requirement stands behind a requirement | give it a line of its own"),
        ("-e 'six", "a quote on this line is not closed | close it, or remove it"),
        ("-r missing.txt", ('there is no file "missing.txt" in the project'
         " | create it, or correct the path")),
        ("-r ../x.txt", 'the path "../x.txt" leaves the project | copy the file into the project'),
        ("-c https://host/c.txt", ('"https://host/c.txt" is not in the project'
         " | save it in the project and include it from there")),
        ("-r ${FILE}", '"${FILE}" names a file by a variable | write the path itself'),
        ("-r requirements.txt", ("requirements.txt includes itself: requirements.txt -> "
         "requirements.txt | remove this line")),
        ("-r reqs", "reqs cannot be read: Is a directory | "),
        ("./gone", ('there is no file or folder "./gone" in the project'
         " | correct the path, or remove the line")),
        ("gone-1.0.tar.gz", ('there is no file or folder "gone-1.0.tar.gz" in the project'
         " | correct the path, or remove the line")),
        ("../other", ('the path "../other" leaves the project'
         " | copy it into the project: only the project's files reach the builder")),
        ("/etc/passwd", ('the path "/etc/passwd" leaves the project'
         " | copy it into the project: only the project's files reach the builder")),
        ("./empty", ('the folder "./empty" is no Python project'
         " | it needs a pyproject.toml or a setup.py")),
        ("./requirements.txt", ('"./requirements.txt" is neither a wheel nor a source archive'
         " | use -r for a requirements file")),
        ("wheels/bad.whl", ('"bad.whl" is not the file name of a wheel'
         " | a wheel is named NAME-VERSION-PYTHON-ABI-PLATFORM.whl; keep the name it had")),
        ("foo @ file:wheels/six-1.17.0-py2.py3-none-any.whl",
         ('"foo @ file:wheels/six-1.17.0-py2.py3-none-any.whl" asks for "foo", but the wheel holds '
         '"six" | write "six @ …"')),
        ("-e wheels/thing-2.0.tar.gz", ('-e "wheels/thing-2.0.tar.gz" is neither a folder of the '
         "project nor a repository | remove -e")),
        ("-e git+https://host/r.git", ('-e "git+https://host/r.git" does not say which package the '
         "repository holds | write -e 'NAME @ URL'")),
        ("git+git@host:team/r.git", ('"git+git@host:team/r.git" is not a URL'
         ' | write "git+ssh://git@host/team/r.git"')),
        ("https:///x.zip", 'the URL "https:///x.zip" names no host | '),
        ("a @ file://other/x.zip", ('"file://other/x.zip" names the host "other"'
         " | write file:PATH for a path of the project")),
        ("-f gone", 'there is no folder "gone" in the project | create it, or correct the path'),
        ("--require-hashes\nsix==1", ('"six==1" has no --hash, but --require-hashes is set'
         " | add its hashes")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_a_remedy(root: Path, text: str, expected: str) -> None:
    line = text.count("\n") + 1
    assert told(root, text) == [f"requirements.txt:{line}: {expected}"]


def test_all_faults_of_all_files_are_told_at_once(root: Path) -> None:
    found = told(root, "torch=2\n-r more.txt\nsix=1\n", more="\nnumpy=1\n-c gone.txt\n")
    assert [line.partition(": ")[0] for line in found] == [
        "requirements.txt:1",
        "more.txt:2",
        "more.txt:3",
        "requirements.txt:3",
    ]


def test_a_cycle_names_its_way(root: Path) -> None:
    assert told(root, "-r a.txt\n", a="\n-r b.txt\n", b="-r a.txt\n") == [
        "b.txt:1: a.txt includes itself: a.txt -> b.txt -> a.txt | remove this line"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-e ./pkg", "a constraint cannot be editable"),
        ("./pkg", "a constraint needs the name of a package"),
        ("uvicorn[standard]<1", "a constraint cannot have extras"),
    ],
)
def test_what_cannot_be_a_constraint(root: Path, text: str, message: str) -> None:
    assert told(root, "-c limits.txt\n", limits=text) == [
        f"limits.txt:1: {message} | move the line into the requirements"
    ]


def test_a_link_that_leaves_the_project_is_refused(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "setup.py").write_text("")
    (outside / "more.txt").write_text("six\n")
    (root / "link").symlink_to(outside)
    assert told(root, "./link\n-r link/more.txt\n") == [
        (
            'requirements.txt:1: the path "./link" leaves the project'
            " | copy it into the project: only the project's files reach the builder"
        ),
        (
            'requirements.txt:2: the path "link/more.txt" leaves the project'
            " | copy the file into the project"
        ),
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            b"six\n\xff\n",
            (
                "requirements.txt:2: requirements.txt is not utf-8 text | save it as UTF-8, or "
                "name its encoding on the first line: # -*- coding: latin-1 -*-"
            ),
        ),
        (
            b"# coding: klingon\n",
            (
                'requirements.txt:1: requirements.txt declares the encoding "klingon", which is '
                "unknown | save the file as UTF-8"
            ),
        ),
        (
            b"# coding: rot13\n",
            (
                'requirements.txt:1: requirements.txt declares the encoding "rot13", which is '
                "unknown | save the file as UTF-8"
            ),
        ),
    ],
)
def test_text_that_cannot_be_decoded(root: Path, data: bytes, expected: str) -> None:
    assert told(root, data) == [expected]


def test_credentials_do_not_leak_through_faults(root: Path) -> None:
    found = told(
        root,
        "a @ https://me:pw@host/a b.zip\n-e https://me:pw@host/x.zip\n-r https://me:pw@host/r.txt\n"
        "--find-link https://me:pw@host/ --nope https://me:pw@host/\n"
        "six --index-url https://me:pw@host/ -r x\n",
    )
    assert len(found) >= 4
    assert "pw@" not in "\n".join(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app==" + "9" * 5000, "has a number of more than 4300 digits"),
        ("app; python_version > '" + "9" * 5000 + "'", "has a number of more than 4300 digits"),
        ("app; " + "(" * 3000 + "os_name == 'x'" + ")" * 3000, "is nested too deeply"),
        ("-e '" + "x" * 100_000 + "'", "has quotes and 100005 characters; the limit is 65536"),
    ],
)
def test_what_would_take_for_ever_or_end_in_the_middle_is_told(
    root: Path, text: str, expected: str
) -> None:
    [fault] = told(root, f"six\n{text}\n")
    assert fault.startswith("requirements.txt:2: ")
    assert expected in fault
    assert len(fault) < 500


def test_files_that_include_one_another_for_ever_long(root: Path) -> None:
    files = {f"f{one}": f"-r f{one + 1}.txt\n" for one in range(400)}
    [fault] = told(root, "-r f0.txt\n", **files, f400="six\n")
    assert "is included more than 50 files deep | include it from the first file" in fault


def test_a_file_that_is_none(root: Path) -> None:
    (root / "zero.txt").symlink_to("/dev/zero")
    os.mkfifo(root / "pipe.txt")
    [fault] = told(root, "-r pipe.txt\n")
    assert "pipe.txt cannot be read: it is no regular file" in fault


def test_an_option_that_is_none_names_those_that_there_are(root: Path) -> None:
    [fault] = told(root, "-x\n")
    assert "no such option: -x | the options are --requirement, " in fault
