"""The reference of cog.yaml is in step with the model."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.project.cogyaml import (
    Build,
    CogConfig,
    CogpackOptions,
    Concurrency,
    RunItem,
    SecretMount,
    Weights,
    WeightSource,
)
from cogpack.project.cogyaml_reader import read_config
from cogpack.project.ignore import ALWAYS_EXCLUDED
from cogpack.project.section import Section, keys
from cogpack.project.values import RESERVED_PREFIXES, RESERVED_VARIABLES

TEXT = (Path(__file__).parent.parent / "docs" / "cog-yaml.md").read_text()


@pytest.mark.parametrize(
    "section",
    [
        *(Build, CogConfig, CogpackOptions, Concurrency),
        *(RunItem, SecretMount, Weights, WeightSource),
    ],
)
def test_every_key_is_described(section: type[Section]) -> None:
    for key in keys(section):
        assert f"`{key}`" in TEXT or f"{key}:" in TEXT


def test_every_reserved_variable_and_excluded_path_is_named() -> None:
    names = (*RESERVED_VARIABLES, *RESERVED_PREFIXES)
    for name in (*names, *(pattern.removeprefix("**/") for pattern in ALWAYS_EXCLUDED)):
        assert f"`{name}`" in TEXT


def test_the_examples_are_accepted() -> None:
    examples = [part.partition("```")[0] for part in TEXT.split("```yaml\n")[1:]]
    assert len(examples) == 2
    for example in examples:
        read_config(example.encode())
