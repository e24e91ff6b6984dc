"""The JSON of `cogpack resolve --json` keeps to its published schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cogpack.errors import Fault
from cogpack.origin import Origin
from cogpack.solver.conflict import Conflict
from cogpack.solver.report import (
    conflict_data,
    dumps,
    invalid_data,
    resolution_data,
    versions_data,
    why_data,
)
from cogpack.solver.requirement import Requirement
from cogpack.solver.resolution import Resolution
from cogpack.solver.solve import all_versions, resolve
from cogpack.solver.why import Why, why
from support.toy import gpu, line, python, toy

SCHEMA = json.loads(
    (Path(__file__).parent.parent / "docs" / "resolve.schema.json").read_text(encoding="utf-8")
)
DRIVER = Requirement("driver", "<500", Origin(asker="--driver", text="--driver 470"))
GOOD = (python("3.12"), gpu(), line("torch==2.7.1", 1))
BAD = (python("3.13"), DRIVER, line("torch==2.4.1+cu124", 1), line("torchvision==9.9", 2))


def checked(data: dict[str, object]) -> Any:
    Draft202012Validator.check_schema(SCHEMA)
    text = dumps(data)
    found = json.loads(text)
    Draft202012Validator(SCHEMA).validate(found)
    assert text.endswith("}\n")
    return found


def test_a_resolution() -> None:
    outcome = resolve(GOOD, toy())
    assert isinstance(outcome, Resolution)
    found = checked(resolution_data(outcome))
    assert found["status"] == "resolved"
    assert found["packages"]["torch"] == {
        "version": "2.7.1+cu128",
        "variant": "cu128",
        "index": "https://download.pytorch.org/whl/cu128",
        "because": [{"text": "torch==2.7.1", "file": "requirements.txt", "line": 1}],
    }
    image = "docker.io/library/python:3.12.11-slim"
    assert found["packages"]["base_image"] == {"build": image, "runtime": image}


def test_a_conflict() -> None:
    outcome = resolve([python("3.13"), line("torch==2.4.1", 1)], toy())
    assert isinstance(outcome, Conflict)
    found = checked(conflict_data(outcome))
    (clash,) = found["conflicts"]
    assert [one["file"] for one in clash["requirements"]] == ["cog.yaml", "requirements.txt"]
    assert clash["facts"] == [
        {
            "text": "torch 2.4.1 has wheels for Python 3.8 to 3.12",
            "table": "compat/torch.csv",
            "row": 3,
        }
    ]
    assert clash["fixes"][0] == {
        "changes": [
            {"package": "python", "from": "3.13", "to": "3.12", "file": "cog.yaml", "line": 3}
        ]
    }
    assert clash["fixes"][-1]["changes"][0]["to"] is None


def test_several_conflicts() -> None:
    outcome = resolve(BAD, toy())
    assert isinstance(outcome, Conflict)
    assert len(checked(conflict_data(outcome))["conflicts"]) > 1


def test_invalid_input() -> None:
    faults = [Fault("no", Origin("cog.yaml", 3, "x"), "write y"), Fault("nowhere")]
    found = checked(invalid_data(faults))
    assert found["errors"][0] == {"message": "no", "file": "cog.yaml", "line": 3, "hint": "write y"}


@pytest.mark.parametrize("package", ["torch", "cuda", "driver", "python", "runtime-image", "tf"])
def test_reasons(package: str) -> None:
    outcome = why(package, GOOD, toy())
    assert isinstance(outcome, Why)
    assert checked(why_data(outcome))["package"] == package


def test_versions() -> None:
    found = checked(versions_data("torch", all_versions("torch", GOOD, toy())))
    assert [one["variant"] for one in found["versions"]] == ["cu128", "cu126", "cu118"]


def test_the_schema_refuses_what_is_none() -> None:
    validator = Draft202012Validator(SCHEMA)
    assert not validator.is_valid({"status": "resolved", "packages": {}, "warnings": []})
    assert not validator.is_valid({"status": "conflict", "conflicts": []})
    assert not validator.is_valid({"status": "else"})
