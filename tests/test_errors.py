"""The foreseen failures: what they say and the exit code that each class has."""

from __future__ import annotations

import pytest

from cogpack.errors import (
    BuilderError,
    CogpackError,
    Failure,
    Fault,
    RetryableError,
    UserError,
)
from cogpack.origin import Origin


@pytest.mark.parametrize(
    ("failure", "code"),
    [(UserError, 1), (BuilderError, 3), (CogpackError, 70), (RetryableError, 75)],
)
def test_each_class_has_its_exit_code(failure: type[Failure], code: int) -> None:
    assert failure("it broke").exit_code == code


def test_a_failure_tells_every_fault_with_its_place() -> None:
    faults = [
        Fault(
            "unknown key `gpus`", Origin("cog.yaml", 4, "gpus: true"), hint="did you mean `gpu`?"
        ),
        Fault("no such file", Origin("requirements.txt")),
        Fault("nothing to build"),
    ]
    assert str(UserError(faults)).splitlines() == [
        "cog.yaml:4: unknown key `gpus`",
        "requirements.txt: no such file",
        "nothing to build",
    ]
