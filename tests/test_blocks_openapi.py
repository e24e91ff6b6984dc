"""Parameters read off a signature: the same as Cog's own reader makes of them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogpack.errors import UserError
from cogpack.project.openapi.literals import UNKNOWN, Scope, json_value
from cogpack.project.openapi.modules import Module, Modules
from support.signatures import (
    ANY,
    TEXT,
    URI,
    fault,
    signature,
)


def one(root: Path, parameter: str, before: str = "", **files: str) -> dict[str, Any]:
    """The schema of one parameter, without its title and order; whether it is required inside."""
    taken = signature(root, parameter, before=before, **files)["Input"]
    ((name, found),) = taken["properties"].items()
    rest = {key: value for key, value in found.items() if key not in ("title", "x-order")}
    return rest | {"required": name in taken.get("required", ())}


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("x: str", TEXT | {"required": True}),
        ("x: int", {"type": "integer", "required": True}),
        ("x: float", {"type": "number", "required": True}),
        ("x: bool", {"type": "boolean", "required": True}),
        ("x: Path", URI | {"required": True}),
        ("x: File", URI | {"required": True}),
        (
            "x: Secret",
            TEXT
            | {"format": "password", "writeOnly": True, "x-cog-secret": True, "required": True},
        ),
        ("x: Any", ANY | {"required": True}),
        ("x: dict", ANY | {"required": True}),
        ("x: dict[str, int] = {'a': 1}", ANY | {"default": {"a": 1}, "required": False}),
        ("x: list[str]", {"type": "array", "items": TEXT, "required": True}),
        ("x: List[Path]", {"type": "array", "items": URI, "required": True}),
        ("x: typing.List[int]", {"type": "array", "items": {"type": "integer"}, "required": True}),
        ("x: list[dict[str, str]]", {"type": "array", "items": ANY, "required": True}),
        ("x: Optional[str]", TEXT | {"nullable": True, "required": False}),
        ("x: Path | None = None", URI | {"nullable": True, "default": None, "required": False}),
        ("x: Union[str, None]", TEXT | {"nullable": True, "required": False}),
        ("x: 'str | None'", TEXT | {"nullable": True, "required": False}),
        (
            "x: list[Path] | None = Input(default=None)",
            {"type": "array", "items": URI, "nullable": True, "default": None, "required": False},
        ),
        ("x: str | float", {"anyOf": [TEXT, {"type": "number"}], "required": True}),
        (
            "x: str | float | None",
            {
                "anyOf": [TEXT | {"nullable": True}, {"type": "number", "nullable": True}],
                "nullable": True,
                "required": True,
            },
        ),
        ("x: Annotated[str, 'words']", TEXT | {"required": True}),
        ("x: Annotated[Whatever, Opaque]", ANY | {"required": True}),
        ("x: Annotated[list[Whatever], Opaque]", {"type": "array", "items": ANY, "required": True}),
        ("x: Annotated[W | None, Opaque]", ANY | {"nullable": True, "required": False}),
        ("x: str = 'a\\nb'", TEXT | {"default": "a\nb", "required": False}),
        ("x: int = -1", {"type": "integer", "default": -1, "required": False}),
        ("x: bool = False", {"type": "boolean", "default": False, "required": False}),
        ("x: float = Input(0.5)", {"type": "number", "default": 0.5, "required": False}),
        ("x: int = None", {"type": "integer", "required": True}),
        ("x: int = Input(default=roll())", {"type": "integer", "required": True}),
        (
            "x: Secret = Input(default=None)",
            TEXT
            | {
                "format": "password",
                "writeOnly": True,
                "x-cog-secret": True,
                "nullable": True,
                "default": None,
                "required": False,
            },
        ),
        (
            "x: float = cog.Input(description='how warm', ge=0, le=2.5, default=1)",
            {
                "type": "number",
                "description": "how warm",
                "minimum": 0,
                "maximum": 2.5,
                "default": 1,
                "required": False,
            },
        ),
        (
            "x: str = Input(min_length=1, max_length=9, regex=r'^\\d+$', deprecated=True)",
            TEXT
            | {
                "minLength": 1,
                "maxLength": 9,
                "pattern": r"^\d+$",
                "deprecated": True,
                "required": True,
            },
        ),
        ("x: Path = Input(accept='image/*')", URI | {"x-cog-accept": "image/*", "required": True}),
        ("x: str = WORDS", TEXT | {"default": "from the module", "required": False}),
        ("x: Shape", ANY | {"required": True}),
        (
            "x: list[Shape] | None",
            {"type": "array", "items": ANY, "nullable": True} | {"required": False},
        ),
        ("*, x: str", TEXT | {"required": True}),
    ],
)
def test_a_parameter(tmp_path: Path, parameter: str, expected: dict[str, Any]) -> None:
    before = 'WORDS = "from the module"\n\nclass Shape(TypedDict):\n    side: int\n'
    assert one(tmp_path, parameter, before) == expected


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ("['red', 'green']", ["red", "green"]),
        ("('red', 'green')", ["red", "green"]),
        ("COLOURS", ["r", "g"]),
        ("list(SIZES.keys())", ["small", "large"]),
        ("list(SIZES)", ["small", "large"]),
        ("list(SIZES.values())", [256, 1024]),
        ("list(SIZES.keys()) + ['custom'] + COLOURS", ["small", "large", "custom", "r", "g"]),
    ],
)
def test_choices_are_an_enumeration(tmp_path: Path, choices: str, expected: list[object]) -> None:
    before = "COLOURS = ['r', 'g']\nSIZES = {'small': 256, 'large': 1024}\n"
    found = signature(tmp_path, f"what_for: str = Input(choices={choices})", before=before)
    assert found["Input"]["properties"]["what_for"] == {
        "x-order": 0,
        "allOf": [{"$ref": "#/components/schemas/what_for"}],
    }
    assert found["what_for"] == {
        "title": "what_for",
        "description": "An enumeration.",
        "enum": expected,
        "type": "string",
    }


def test_whole_numbers_to_choose_from(tmp_path: Path) -> None:
    found = signature(tmp_path, "steps: int = Input(choices=[1, 2], default=2)")
    assert (found["steps"]["type"], found["steps"]["enum"]) == ("integer", [1, 2])
    assert found["Input"]["properties"]["steps"]["default"] == 2
    assert "required" not in found["Input"]


def test_inputs_that_are_kept_in_a_class(tmp_path: Path) -> None:
    before = """
        RATIOS = {"1:1": (1024, 1024), "16:9": (1344, 768)}

        class Inputs:
            ratio = Input(description="Aspect ratio", choices=list(RATIOS.keys()), default="1:1")

            @staticmethod
            def guidance(default: float, le=None) -> Input:
                return Input(description="Guidance", ge=0.0, le=20.0, default=default)
    """
    parameters = "ratio: str = Inputs.ratio, scale: float = Inputs.guidance(7.5, le=9)"
    found = signature(tmp_path, parameters, before=before)
    assert found["ratio"]["enum"] == ["1:1", "16:9"]
    scale = found["Input"]["properties"]["scale"]
    assert scale["default"] == 7.5
    assert (scale["minimum"], scale["maximum"], scale["description"]) == (0, 9, "Guidance")


@pytest.mark.parametrize(
    ("parameter", "told"),
    [
        ("x", "it has no type"),
        ("x='hello'", "it has no type"),
        ("x: Tensor", "`Tensor`"),
        ("x: Point", "a class"),
        ("x: tuple[int, int]", "not a type that an input can have"),
        ("x: list[list[int]]", "a list of something"),
        ("x: list[str | None]", "a list of something"),
        ("x: Path | str", "Path cannot be in a union"),
        ("x: str | float = Input(ge=1)", "neither choices nor bounds"),
        ("x: str = compute()", "`compute()` cannot be read"),
        ("x: str = UNDEFINED", "`UNDEFINED` cannot be read"),
        ("x: str = Input(choices=compute())", "`compute()` cannot be read"),
        ("x: str = Input(choices=[f'{i}' for i in range(3)])", "cannot be read"),
        ("x: str = Input(choices=NO_LIST)", "cannot be read"),
        ("x: list[str] = Input(default_factory=list)", "default_factory"),
        ("x: list", "does not say of what"),
        ("x: str = Input(accept='image/*')", "for files only"),
        ("x: typing.Literal['a']", "Literal"),
        ("x: int = Input(default=1, ge=2)", "its default is 1, below the minimum of 2"),
        ("x: float = Input(default=3, le=2.5)", "its default is 3, above the maximum of 2.5"),
        ("x: int = Input(default='many')", "its default is 'many', not of the type integer"),
        ("x: int = 1.5", "its default is 1.5, not of the type integer"),
        ("x: bool = 1", "its default is 1, not of the type boolean"),
        ("x: str = Input(default='c', choices=['a', 'b'])", "is 'c', not one of the choices"),
        ("x: str = Input(default='ab', min_length=3)", "has 2 characters, fewer than 3"),
        ("x: str = Input(default='ab', max_length=1)", "has 2 characters, more than 1"),
        ("x: str = Input(default='ab', regex='^c')", "'ab', which does not match '^c'"),
        ("x: list[int] = [1, 'a']", "its default has an item that is 'a', not of the type integer"),
        ("x: str | float = []", "its default is [], of none of its types"),
    ],
)
def test_a_parameter_that_is_no_input_is_told_with_its_line(
    tmp_path: Path, parameter: str, told: str
) -> None:
    before = "NO_LIST = 'oops'\n\nclass Point(BaseModel):\n    x: int\n"
    message = fault(tmp_path, parameter, before=before)
    assert message.startswith("predict.py:")
    assert "parameter `x` of run()" in message
    assert told in message


@pytest.mark.parametrize(
    "parameter",
    [
        "x: int = Input(default=2, ge=2, le=2)",
        "x: float = 1",
        "x: int = 2.0",
        "x: int = Input(default=None, ge=2)",
        "x: str = Input(default='ab', regex='(?P<é')",
        "x: str = Input(default='a', choices=['a', 'b'])",
        "x: str | float = 1",
        "x: dict = {}",
        "x: list[str] = []",
        "x: Any = {}",
    ],
)
def test_defaults_that_fit(tmp_path: Path, parameter: str) -> None:
    assert (
        "x"
        in signature(tmp_path, parameter, before="from typing import Any")["Input"]["properties"]
    )


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        signature(tmp_path, "a, b: Tensor, c: str", "None")
    assert len(raised.value.faults) == 3


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(_json)
def test_every_literal_of_json_is_read_as_it_is(value: object) -> None:
    scope = Scope(Modules(Path("/nowhere")), Module("predict.py"))
    assert json_value(scope.value(ast.parse(repr(value), mode="eval").body)) == value


@pytest.mark.parametrize("text", ["f'{x}'", "[1, x]", "{'a': x()}", "x.y", "1 + 1", "b'a'", "..."])
def test_what_only_running_could_tell_is_unknown(text: str) -> None:
    scope = Scope(Modules(Path("/nowhere")), Module("predict.py"))
    assert json_value(scope.value(ast.parse(text, mode="eval").body)) is UNKNOWN


def test_the_schema_is_valid_for_what_it_describes(tmp_path: Path) -> None:
    taken = signature(tmp_path, "a: str, b: int = Input(ge=1, default=1), c: list[str] = []")
    jsonschema.Draft4Validator.check_schema(taken["Input"])
    check = jsonschema.Draft4Validator(taken["Input"])
    assert check.is_valid({"a": "x", "b": 3, "c": ["y"]})
    assert not check.is_valid({"b": 3})
    assert not check.is_valid({"a": "x", "b": 0})
