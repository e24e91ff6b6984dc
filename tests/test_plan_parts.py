"""The parts of a plan by their short names: the model's own, loaded when they are first used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cogpack.plan import model, parts


@pytest.mark.parametrize("name", model.__all__)
def test_every_name_of_the_model_is_there(name: str) -> None:
    assert getattr(parts, name) is getattr(model, name)


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Exce'"):
        getattr(parts, "Exce")  # noqa: B009  # a type checker would refuse it too


def test_the_model_is_loaded_at_the_first_use() -> None:
    program = (
        "import sys\n"
        "from cogpack.plan import parts\n"
        "assert 'cogpack.plan.model' not in sys.modules\n"
        "assert parts.Exec(command='true').command == 'true'\n"
        "assert 'cogpack.plan.model' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
