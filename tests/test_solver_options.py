"""What options ask of the solver."""

from __future__ import annotations

import pytest
from packaging.version import Version

from cogpack.errors import UserError
from cogpack.solver.options import (
    driver_requirement,
    gpu_requirement,
    overridden,
    override_requirements,
)
from support.over_tables import tables
from support.toy import gpu, line, python, toy


@pytest.mark.parametrize("name", ["h100", "H100", "NVIDIA H100", "9.0", "sm_90"])
def test_a_gpu_is_its_compute_capability(name: str) -> None:
    wanted = gpu_requirement(name, tables())
    assert (wanted.package, wanted.specifier) == ("gpu-capability", "==9.0")
    assert wanted.origin.where == "--gpu"


def test_an_unknown_gpu_is_refused_with_near_names() -> None:
    with pytest.raises(UserError) as raised:
        gpu_requirement("h1000", tables())
    assert raised.value.faults[0].message == "no GPU 'h1000' is known"
    assert "h100" in raised.value.faults[0].hint


def test_a_branch_of_the_driver_is_its_newest_release() -> None:
    wanted, world = driver_requirement("535", toy())
    assert wanted.package == "driver"
    (driver,) = (one for one in world["driver"].candidates if one.label == "535")
    assert driver.version is not None
    assert Version("535.999") < driver.version < Version("536")


def test_a_known_driver_stands_once() -> None:
    _, world = driver_requirement("525.60.13", toy())
    assert len(world["driver"].candidates) == len(toy()["driver"].candidates)


def test_a_driver_must_be_a_version() -> None:
    with pytest.raises(UserError, match="'latest' is no driver version"):
        driver_requirement("latest", toy())


@pytest.mark.parametrize(
    ("text", "specifier"),
    [
        ("torch=2.4.1", "==2.4.1"),
        ("Torch==2.4.1+cu121", "==2.4.1+cu121"),
        ("torch>=2.4,<2.6", ">=2.4,<2.6"),
        ("torch = 2.4.1", "== 2.4.1"),
    ],
)
def test_overrides(text: str, specifier: str) -> None:
    (wanted,) = override_requirements([text])
    assert (wanted.package, wanted.specifier) == ("torch", specifier)


def test_every_bad_override_is_told() -> None:
    with pytest.raises(UserError) as raised:
        override_requirements(["torch", "torch=", "=2", "torch=abc def"])
    assert len(raised.value.faults) == 4


def test_an_override_takes_the_place_of_what_was_asked() -> None:
    replacing = override_requirements(["torch=2.4.1"])
    lines = [python("3.12"), gpu(), line("torch==2.7.1", 1)]
    found = overridden(lines, replacing, toy())
    assert [str(one.specifier) for one in found if one.package == "torch"] == ["==2.4.1"]
    assert len(found) == 3


def test_an_override_of_an_unknown_package_is_refused() -> None:
    with pytest.raises(UserError, match="know no package 'torhc'") as raised:
        overridden([], override_requirements(["torhc=2.4.1"]), toy())
    assert "torch" in raised.value.faults[0].hint
