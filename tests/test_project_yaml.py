"""YAML with positions: raw text, lines, and a clear word for everything that cannot be read."""

from __future__ import annotations

import pytest

from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.project.yaml import ListNode, MapNode, Scalar, read_yaml


def tree(text: str) -> MapNode:
    return read_yaml(text.encode(), "cog.yaml")


def faults(data: str | bytes) -> list[str]:
    with pytest.raises(UserError) as caught:
        read_yaml(data.encode() if isinstance(data, str) else data, "cog.yaml")
    return [f"{fault} | {fault.hint}" for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("written", "text", "kind"),
    [
        ("3.10", "3.10", "float"),
        ('"3.10"', "3.10", "str"),
        ("0o17", "0o17", "str"),
        ("1_000", "1_000", "int"),
        ("Yes", "Yes", "bool"),
        ("2024-01-02", "2024-01-02", "str"),
        ("~", "~", "null"),
        ("", "", "null"),
        ("|\n  a\n  b", "a\nb", "str"),
        ("'it''s'", "it's", "str"),
    ],
)
def test_a_scalar_keeps_its_raw_text(written: str, text: str, kind: str) -> None:
    value = tree(f"key: {written}").get("key")
    assert isinstance(value, Scalar)
    assert (value.text, value.kind) == (text, kind)


def test_every_value_and_key_knows_its_line_and_words() -> None:
    root = tree('# top\nbuild:\n  python_version: "3.12"\n  run:\n    - echo hi\nimage:\n  name\n')
    build, run = root.get("build"), None
    assert isinstance(build, MapNode)
    run = build.get("run")
    assert isinstance(run, ListNode)
    assert root.entries[0].origin == Origin("cog.yaml", 2, "build")
    assert build.entries[0].value.origin == Origin("cog.yaml", 3, 'python_version: "3.12"')
    assert run.origin == Origin("cog.yaml", 4, "run")
    assert run.items[0].origin == Origin("cog.yaml", 5, "echo hi")
    assert root.entries[1].value.origin == Origin("cog.yaml", 7, "image: name")
    assert root.entries[1].origin.line == 6


def test_words_of_more_than_one_line_are_cut() -> None:
    run = tree("run:\n  - |\n    first\n    second\n").get("run")
    assert isinstance(run, ListNode)
    assert run.items[0].origin == Origin("cog.yaml", 2, "first …")


def test_words_hold_no_credentials() -> None:
    value = tree("run: curl https://me:secret@host/x?token=abc").get("run")
    assert isinstance(value, Scalar)
    assert value.origin.text == "run: curl https://****@host/x?token=****"


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "~\n", "null"])
def test_an_empty_file_is_an_empty_mapping(text: str) -> None:
    assert tree(text) == MapNode((), Origin("cog.yaml"))


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert read_yaml(b"\xef\xbb\xbfkey: 1\n", "cog.yaml").entries[0].key == "key"


def test_aliases_and_merges_are_expanded() -> None:
    root = tree(
        "a: &x {one: 1, two: 2}\nb: *x\nc:\n  <<: *x\n  two: 3\nd:\n  <<: [*x, {four: 4}]\n"
    )
    values = {
        entry.key: {item.key: getattr(item.value, "text", "") for item in entry.value.entries}
        for entry in root.entries
        if isinstance(entry.value, MapNode)
    }
    assert values["b"] == {"one": "1", "two": "2"}
    assert values["c"] == {"two": "3", "one": "1"}
    assert values["d"] == {"one": "1", "two": "2", "four": "4"}


def test_a_merged_value_keeps_the_line_where_it_was_written() -> None:
    root = tree("a: &x\n  one: 1\nc:\n  <<: *x\n")
    merged = root.get("c")
    assert isinstance(merged, MapNode)
    assert merged.entries[0].value.origin.line == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "a: 1\nb: 2\na: 3\n",
            "cog.yaml:3: a is written twice, first on line 1 | keep one of them",
        ),
        (
            "build:\n\tgpu: true\n",
            "cog.yaml:2: a tab indents this line | indent with spaces, YAML has no tabs",
        ),
        (
            "build:\n  gpu: true\n cuda: 12\n",
            (
                "cog.yaml:3: not valid YAML: expected <block end>, but found "
                "'<block mapping start>' while parsing a block mapping"
                " | check the indentation, the brackets and the quotes up to this line"
            ),
        ),
        (
            "a: b: c\n",
            (
                "cog.yaml:1: not valid YAML: mapping values are not allowed here"
                " | check the indentation; a text that contains ': ' needs quotes"
            ),
        ),
        (
            "a: 1\nb\nc: 2\n",
            (
                "cog.yaml:3: not valid YAML: could not find expected ':' while scanning a simple "
                "key | a key ends with a colon and a space"
            ),
        ),
        (
            "a: @x\n",
            (
                "cog.yaml:1: not valid YAML: found character '@' that cannot start any token "
                "while scanning for the next token | put the value in quotes"
            ),
        ),
        (
            "a: [1,\n",
            (
                "cog.yaml:1: not valid YAML: expected the node content, but the file ends "
                "while parsing a flow node"
                " | check the indentation, the brackets and the quotes up to this line"
            ),
        ),
        (
            "a: 1\nb: 'x\nc: 2\n",
            (
                "cog.yaml:2: not valid YAML: found unexpected end of stream "
                "while scanning a quoted scalar | close the quote"
            ),
        ),
        ("a: *x\n", "cog.yaml:1: not valid YAML: found undefined alias 'x' | "),
        (
            "- a\n",
            "cog.yaml:1: cog.yaml must hold keys and values, not a list | ",
        ),
        (
            "just words\n",
            "cog.yaml:1: cog.yaml must hold keys and values, not the text 'just words' | ",
        ),
        (
            "a: 1\n---\nb: 2\n",
            (
                "cog.yaml:2: not valid YAML: expected a single document in the stream, "
                "but found another document | keep one document, without '---' lines in between"
            ),
        ),
        (
            "a: !!python/object/apply:os.system [ls]\n",
            (
                "cog.yaml:1: the tag 'tag:yaml.org,2002:python/object/apply:os.system' "
                "is not supported | remove the tag"
            ),
        ),
        (
            "? [a]\n: 1\n",
            "cog.yaml:1: a key must be a word, not a list or a mapping | ",
        ),
        (
            "a: &x [*x]\n",
            "cog.yaml:1: a[0] contains itself through an alias | write the value out",
        ),
        ('a: "\\ud800"\n', "cog.yaml:1: an escape in this text names half a character | "),
        (
            'a: "\\UFFFFFFFF"\n',
            "cog.yaml: not valid YAML: an escape in a quoted text names no character | ",
        ),
        ("a: \x07\n", "cog.yaml:1: the character U+0007 is not allowed in YAML | remove it"),
        ("<<: 1\n", "cog.yaml:1: '<<' merges mappings only | refer to a mapping"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, expected: str) -> None:
    (found,) = faults(text)
    assert found.startswith(expected)


def test_all_faults_are_told_at_once() -> None:
    assert faults("a: 1\na: 2\nb: !x 1\n") == [
        "cog.yaml:2: a is written twice, first on line 1 | keep one of them",
        "cog.yaml:3: the tag '!x' is not supported | remove the tag",
    ]


def test_text_in_another_encoding_is_refused() -> None:
    assert faults("a: 1\nb: ü\n".encode("latin-1")) == [
        "cog.yaml:2: cog.yaml is not UTF-8 text | save it as UTF-8"
    ]


def test_aliases_cannot_blow_up() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    (found,) = faults("\n".join(levels))
    assert "cog.yaml has more than 10000 values once its aliases are expanded" in found


def test_depth_and_size_are_bounded() -> None:
    assert faults("a: " + "[" * 5000) == [
        "cog.yaml:1: the values are nested more than 50 levels deep | "
    ]
    assert faults(b"#" * (1 << 21)) == [
        (
            "cog.yaml: cog.yaml is 2097152 bytes long; the limit is 1048576"
            " | check that this is the project file"
        )
    ]
