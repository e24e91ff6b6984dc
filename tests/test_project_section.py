"""Sections: keys read by their kinds, every fault at once, frozen values."""

from __future__ import annotations

from copy import copy

import pytest

from cogpack.errors import UserError
from cogpack.project.section import (
    Kind,
    RefusedError,
    Section,
    as_data,
    key,
    keys,
    path_text,
    refuse,
    section,
    written,
)
from cogpack.project.values import TEXT, WHOLE_NUMBER, items


class Inner(Section):
    """One item."""

    size: int = key(WHOLE_NUMBER)
    note: str | None = key(TEXT, default=None)


class Outer(Section):
    """A list of items."""

    name: str = key(TEXT)
    inner: tuple[Inner, ...] = key(items(section(Inner)), default=())


OUTER = section(Outer)


def refusals(value: object) -> list[str]:
    with pytest.raises(RefusedError) as caught:
        OUTER.read(value)
    return [f"{path_text(one.path)} {one.message}" for one in caught.value.refusals]


def test_a_mapping_is_read_and_shown() -> None:
    read = OUTER.read({"name": "a https://u:p@host/", "inner": [{"size": "3"}]})
    assert read == Outer(name="a https://u:p@host/", inner=(Inner(size=3),))
    assert as_data(read) == {
        "name": "a https://****@host/",
        "inner": [{"size": 3, "note": None}],
    }
    assert keys(Outer) == ("name", "inner")
    assert written(read.inner[0]) == {"size"}


def test_every_fault_is_told_with_its_path_in_the_order_of_the_keys() -> None:
    assert refusals({"inner": [{"size": "x", "z": 1}, {}, 5], "more": 1}) == [
        "name is missing",
        'inner[0].size is "x", not a whole number',
        "inner[0].z is no key",
        "inner[1].size is missing",
        "inner[2] must be a mapping",
        "more is no key",
    ]


def test_none_stands_for_what_is_not_written_only_where_that_is_none() -> None:
    assert Inner(size=1, note=None) == Inner(size=1)
    assert refusals({"name": None}) == ["name is empty"]


def test_a_section_is_made_as_it_is_read() -> None:
    with pytest.raises(UserError, match=r"size is missing"):
        Inner()  # type: ignore[call-arg]
    made = Inner(size=2)
    assert OUTER.read({"name": "a", "inner": [made]}).inner[0] is made


def test_sections_are_values() -> None:
    one = Inner(size=1)
    assert {one, copy(one)} == {Inner(size=1, note=None)}
    assert one != Inner(size=2)
    assert repr(one) == "Inner(size=1, note=None)"
    with pytest.raises(AttributeError, match="frozen"):
        one.size = 2  # type: ignore[misc]


def test_what_stands_in_place_of_a_mapping_can_be_prepared() -> None:
    short = section(Inner, lambda value: {"size": value} if isinstance(value, int) else value)
    assert short.read(4) == Inner(size=4)


def test_a_kind_shows_its_value_as_it_is_unless_it_says_more() -> None:
    assert Kind(lambda value: value).shown("x") == "x"
    with pytest.raises(RefusedError, match="no"):
        refuse("no", "hint")
