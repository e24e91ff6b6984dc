"""Results read off a signature, models in other files, and the document around them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cogpack.errors import UserError
from support.signatures import (
    ANY,
    HEAD,
    POINT,
    TEXT,
    URI,
    document,
    fault,
    result,
    schemas,
    target,
)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ("str", TEXT),
        ("Path", URI),
        ("dict", ANY),
        ("Any", ANY),
        ("list", {"type": "array", "items": ANY}),
        ("list[Path]", {"type": "array", "items": URI}),
        ("dict[str, int]", ANY | {"additionalProperties": {"type": "integer"}}),
        (
            "dict[str, list[dict[str, str]]]",
            ANY
            | {
                "additionalProperties": {
                    "type": "array",
                    "items": ANY | {"additionalProperties": TEXT},
                }
            },
        ),
        ("Iterator[str]", {"type": "array", "items": TEXT, "x-cog-array-type": "iterator"}),
        ("AsyncIterator[Path]", {"type": "array", "items": URI, "x-cog-array-type": "iterator"}),
        (
            "ConcatenateIterator[str]",
            {
                "type": "array",
                "items": TEXT,
                "x-cog-array-type": "iterator",
                "x-cog-array-display": "concatenate",
            },
        ),
        ("Annotated[str, 'words']", TEXT),
        ("Annotated[list[Whatever], Opaque]", {"type": "array", "items": ANY}),
        ("'Point'", POINT),
        ("list[Point]", {"type": "array", "items": POINT}),
    ],
)
def test_a_result(tmp_path: Path, returns: str, expected: dict[str, Any]) -> None:
    assert result(tmp_path, returns, "class Point(BaseModel):\n    x: int\n") == expected


def test_the_fields_of_a_model(tmp_path: Path) -> None:
    before = """
        class Base(cog.BaseModel):
            name: str
            kind: "typing.ClassVar[str]" = "x"

        class Node(Base):
            score: float = 0.5
            file_name: Optional[Path]
            tags: dict[str, list[int]]
            raw: Annotated[Tensor | None, Opaque]
            children: "list[Node]"
            limit: int | None = None
    """
    found = result(tmp_path, "Node", before)
    assert found["properties"] == {
        "name": {"type": "string", "title": "Name"},
        "score": {"type": "number", "title": "Score"},
        "file_name": URI | {"nullable": True, "title": "File Name"},
        "tags": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "integer"}},
            "title": "Tags",
        },
        "raw": ANY | {"nullable": True, "title": "Raw"},
        "children": {"type": "array", "items": ANY, "title": "Children"},
        "limit": {"type": "integer", "nullable": True, "title": "Limit"},
    }
    assert found["required"] == ["name", "tags", "children"]


def test_the_keys_of_a_typed_dictionary(tmp_path: Path) -> None:
    before = """
        class Loose(TypedDict, total=False):
            note: str

        class Item(Loose):
            label: str
            score: NotRequired[float]
            maybe: Optional[str]
    """
    found = result(tmp_path, "Item", before)
    assert list(found["properties"]) == ["note", "label", "score", "maybe"]
    assert found["required"] == ["label", "maybe"]


def test_names_come_from_other_files_of_the_project(tmp_path: Path) -> None:
    found = schemas(
        tmp_path,
        """
        from app import shapes as s
        from app.base import Base

        class Predictor(Base):
            pass
        """,
        app__base="""
        from cog import BasePredictor, Input
        from .shapes import Output as Answer
        from .constants import *
        from .constants import SIZES, WORD

        class Base(BasePredictor):
            async def predict(
                self, text: str = WORD, size: str = Input(choices=SIZES)
            ) -> Answer: ...
        """,
        app__constants="WORD = 'hello'\nSIZES = ['s', 'm']\n",
        app__shapes="""
        import pydantic
        from . import more

        class Output(pydantic.BaseModel):
            inner: more.Inner
        """,
        app__more="from pydantic import BaseModel as M\n\nclass Inner(M):\n    n: int\n",
    )
    assert found["Input"]["properties"]["text"]["default"] == "hello"
    assert found["size"]["enum"] == ["s", "m"]
    assert found["Output"]["properties"]["inner"]["properties"] == {
        "n": {"type": "integer", "title": "N"}
    }


def test_files_that_import_one_another_end(tmp_path: Path) -> None:
    found = schemas(
        tmp_path,
        "from a import Out\n\ndef Predictor(x: str) -> Out: ...\n",
        a="from b import Out, Lost\n",
        b="from a import Lost\nfrom cog import BaseModel\n\nclass Out(BaseModel):\n    x: int\n",
    )
    assert found["Output"]["required"] == ["x"]


def test_run_is_served_before_predict_and_functions_are_found(tmp_path: Path) -> None:
    both = f"""{HEAD}
class Predictor(BaseRunner):
    def predict(self, old: int) -> int: ...
    def run(self, new: str) -> str: ...
"""
    assert list(schemas(tmp_path, both)["Input"]["properties"]) == ["new"]
    plain = "def Predictor(text: str = 'x') -> str: ...\n"
    assert list(schemas(tmp_path, plain)["Input"]["properties"]) == ["text"]


def test_streaming_is_marked(tmp_path: Path) -> None:
    source = f"""{HEAD}
from cog import streaming as stream

class Predictor(BaseRunner):
    @stream
    def run(self) -> Iterator[str]: ...
"""
    (tmp_path / "predict.py").write_text(source)
    assert document(tmp_path)["paths"]["/predictions"]["post"]["x-cog-streaming"] is True
    (tmp_path / "predict.py").write_text(source.replace("Iterator[str]", "str"))
    with pytest.raises(UserError, match="iterator"):
        document(tmp_path)
    (tmp_path / "predict.py").write_text(source.replace("from cog import", "from other import"))
    assert "x-cog-streaming" not in document(tmp_path)["paths"]["/predictions"]["post"]


def test_training_stands_beside_prediction(tmp_path: Path) -> None:
    (tmp_path / "predict.py").write_text("def Predictor(text: str) -> str: ...\n")
    (tmp_path / "train.py").write_text(
        "from cog import BaseModel, Path\n\n\nclass Done(BaseModel):\n    weights: Path\n\n\n"
        "def train(rounds: int = 3) -> Done: ...\n"
    )
    found = document(tmp_path, target("train.py", "train"))
    assert set(found["paths"]) == {
        "/",
        "/health-check",
        "/predictions",
        "/predictions/{prediction_id}/cancel",
        "/trainings",
        "/trainings/{training_id}/cancel",
    }
    parts = found["components"]["schemas"]
    assert parts["TrainingInput"]["properties"]["rounds"]["default"] == 3
    assert parts["TrainingInput"]["title"] == "TrainingInput"
    assert parts["TrainingOutput"]["properties"]["weights"] == URI | {"title": "Weights"}
    assert parts["Input"]["required"] == ["text"]
    references = json.dumps(found).split('"#/components/schemas/')[1:]
    assert {name.partition('"')[0] for name in references} <= set(parts)


@pytest.mark.parametrize(
    ("returns", "told"),
    [
        ("Optional[str]", "cannot be None"),
        ("str | None", "cannot be None"),
        ("Annotated[Union[W, None], Opaque]", "cannot be None"),
        ("str | int", "cannot be a union"),
        ("ConcatenateIterator[int]", "must be str"),
        ("None", "`None`"),
        ("Unheard", "`Unheard`"),
        ("dict[str, Unheard]", "`Unheard`"),
        ("torch.Tensor", "which comes from torch"),
        ("Holder", "field `inner` of Holder: `Unheard`"),
    ],
)
def test_a_result_that_cannot_be_described(tmp_path: Path, returns: str, told: str) -> None:
    before = "import torch\n\nclass Holder(BaseModel):\n    inner: Unheard\n"
    assert told in fault(tmp_path, "", returns, before)


def test_a_missing_annotation_of_the_result(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no return type"):
        schemas(tmp_path, "def Predictor(text: str): ...\n")
