"""Docker's pattern rules: https://docs.docker.com/build/concepts/context/#dockerignore-files."""

import pytest

from cogpack.patterns import PatternError, PatternSet, parse_ignore_file


@pytest.mark.parametrize(
    ("patterns", "covered", "free"),
    [
        (["*/temp*"], ["somedir/temporary.txt", "somedir/temp"], ["temp", "a/b/temp"]),
        (["*/*/temp*"], ["somedir/subdir/temporary.txt"], ["somedir/temporary.txt"]),
        (["temp?"], ["tempa", "tempb", "tempa/inside"], ["temp", "tempab", "x/tempa"]),
        (["**/*.go"], ["main.go", "a/b/c.go"], ["main.gob", "a/go"]),
        (["*.md", "!README.md"], ["notes.md"], ["README.md", "docs/notes.md"]),
        (
            ["*.md", "!README*.md", "README-secret.md"],
            ["notes.md", "README-secret.md"],
            ["README.md", "README-public.md"],
        ),
        (
            ["*.md", "README-secret.md", "!README*.md"],
            ["notes.md"],
            ["README.md", "README-secret.md"],
        ),
        (["foo"], ["foo", "foo/bar", "foo/bar/baz"], ["foobar", "a/foo"]),
        (["foo/"], ["foo", "foo/bar"], ["foot"]),
        (["./foo/../bar/"], ["bar", "bar/x"], ["foo"]),
        (["foo/**"], ["foo/bar", "foo/bar/baz"], ["foo", "foobar"]),
        (["foo**"], ["foo", "foobar", "foo/bar"], ["fo"]),
        (["**"], ["a", "a/b"], []),
        (["**/node_modules"], ["node_modules/x", "a/b/node_modules"], ["my_node_modules"]),
        (["**cache"], ["cache", "mycache", "a/b.cache"], ["caches"]),
        (["a/**/z"], ["a/z", "a/b/z", "a/b/c/z"], ["az", "b/a/z"]),
        (["*"], ["a", "a/b"], []),
        (["*", "!src"], ["a", "a/b"], ["src", "src/x"]),
        (["src", "!src/keep"], ["src", "src/drop"], ["src/keep", "src/keep/x"]),
        (["src", "!src/keep", "src/keep/not"], ["src/keep/not"], ["src/keep/yes"]),
        (["[a-c]x"], ["ax", "cx"], ["dx", "-x"]),
        (["[^a-c]x"], ["dx"], ["ax"]),
        (["[!a]x"], ["!x", "ax"], ["bx"]),
        ([r"[\]]x"], ["]x"], [r"\x"]),
        ([r"a\*b"], ["a*b"], ["axb"]),
        (["a.b"], ["a.b"], ["axb"]),
        (["a+(b)|{c}$^"], ["a+(b)|{c}$^"], []),
        (["  spaced  ", ""], ["spaced"], [""]),
        (["[[]x"], ["[x"], ["]x"]),
    ],
)
def test_documented_rules(patterns: list[str], covered: list[str], free: list[str]) -> None:
    matcher = PatternSet(patterns)
    assert [path for path in covered if not matcher.covers(path)] == []
    assert [path for path in free if matcher.covers(path)] == []


@pytest.mark.parametrize(
    "pattern", ["[", "[]", "[a", "[a-", "[a-]", "a\\", "!", "[-x]", "[x-", "[z-a]"]
)
def test_malformed_patterns_are_named(pattern: str) -> None:
    with pytest.raises(PatternError) as caught:
        PatternSet([pattern])
    assert pattern in str(caught.value)


def test_folders_that_cannot_hold_a_match_are_known() -> None:
    excludes = PatternSet(["data", "!data/keep/this"])
    assert excludes.may_except_below("data")
    assert excludes.may_except_below("data/keep")
    assert not excludes.may_except_below("data/other")
    assert not PatternSet(["data"]).may_except_below("data")
    assert PatternSet(["data", "!**/keep"]).may_except_below("data/other")


def test_includes_know_where_to_look() -> None:
    includes = PatternSet(["src/app/*", "tools"])
    assert includes.may_match_below("src")
    assert includes.may_match_below("src/app")
    assert not includes.may_match_below("docs")
    assert not includes.may_match_below("src/application")


def test_ignore_file() -> None:
    text = "\ufeff# a comment\n\n  *.pyc  \n/abs/path/\n! /kept\n //x/./y/../z\n#not\n\\#file\n"
    assert parse_ignore_file(text) == ("*.pyc", "abs/path", "!kept", "x/z", "\\#file")
