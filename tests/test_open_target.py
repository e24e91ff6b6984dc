"""Tags and markers are those of the image, whatever machine runs cogpack."""

from __future__ import annotations

import pytest
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, parse_tag
from packaging.version import Version

from cogpack.solver.open_target import Target

PYTHON = Version("3.12.4")
DEBIAN = Target(PYTHON, (2, 36), "x86_64")


def fits(target: Target, text: str) -> bool:
    return any(tag in target.ranks for tag in parse_tag(text))


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("cp312-cp312-manylinux_2_28_x86_64", True),
        ("cp312-cp312-manylinux_2_36_x86_64", True),
        ("cp312-cp312-manylinux_2_37_x86_64", False),
        ("cp312-cp312-manylinux2014_x86_64", True),
        ("cp312-cp312-manylinux1_x86_64", True),
        ("cp312-cp312-manylinux_2_28_aarch64", False),
        ("cp312-cp312-musllinux_1_2_x86_64", False),
        ("cp312-cp312-linux_x86_64", True),
        ("cp313-cp313-manylinux_2_28_x86_64", False),
        ("cp313-cp313t-manylinux_2_28_x86_64", False),
        ("cp38-abi3-manylinux_2_28_x86_64", True),
        ("cp313-abi3-manylinux_2_28_x86_64", False),
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("py2-none-any", False),
        ("py312-none-any", True),
        ("py313-none-any", False),
        ("py3-none-manylinux_2_17_x86_64", True),
        ("py3-none-macosx_11_0_arm64", False),
        ("pp310-pypy310_pp73-manylinux_2_28_x86_64", False),
    ],
)
def test_wheels_fit_by_their_tags(tag: str, expected: bool) -> None:
    assert fits(DEBIAN, tag) is expected


def test_arm_has_no_wheels_older_than_its_first_manylinux() -> None:
    arm = Target(PYTHON, (2, 36), "aarch64")
    assert fits(arm, "cp312-cp312-manylinux2014_aarch64")
    assert not fits(arm, "cp312-cp312-manylinux_2_5_aarch64")


def test_without_a_known_glibc_only_wheels_without_one_fit() -> None:
    bare = Target(PYTHON, None, "x86_64")
    assert fits(bare, "py3-none-any")
    assert not fits(bare, "cp312-cp312-manylinux_2_5_x86_64")


def test_the_most_specific_wheel_is_the_best() -> None:
    texts = (
        "cp312-cp312-manylinux_2_28_x86_64",
        "cp312-cp312-manylinux_2_17_x86_64",
        "cp311-abi3-manylinux_2_28_x86_64",
        "py3-none-any",
    )
    (tags,) = zip(*(parse_tag(text) for text in texts), strict=True)
    ranks = [DEBIAN.ranks[tag] for tag in tags if isinstance(tag, Tag)]
    assert ranks == sorted(ranks)
    assert len(ranks) == len(texts)


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("python_version == '3.12'", True),
        ("python_full_version >= '3.12.5'", False),
        ("sys_platform == 'linux' and platform_machine == 'x86_64'", True),
        ("platform_system == 'Windows' or os_name == 'nt'", False),
        ("implementation_name == 'cpython'", True),
        ("platform_release == ''", True),
        ("extra == 'gpu'", False),
    ],
)
def test_markers_speak_of_the_image(marker: str, expected: bool) -> None:
    assert DEBIAN.applies(Marker(marker)) is expected


def test_an_extra_makes_its_marker_true() -> None:
    assert DEBIAN.applies(Marker("extra == 'gpu'"), "gpu")


@pytest.mark.parametrize(
    ("specifier", "expected"), [(">=3.9", True), (">=3.9,<3.12", False), ("<3.13", True)]
)
def test_upper_bounds_of_requires_python_count(specifier: str, expected: bool) -> None:
    assert DEBIAN.admits_python(SpecifierSet(specifier)) is expected
