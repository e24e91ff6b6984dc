"""Conflicts and reasons read well to somebody who has never heard of a solver."""

from __future__ import annotations

import re
from textwrap import dedent

import pytest
from msgspec.structs import replace

from cogpack.origin import Origin
from cogpack.solver.conflict import Conflict
from cogpack.solver.requirement import Requirement
from cogpack.solver.resolution import Resolution
from cogpack.solver.solve import all_versions, resolve
from cogpack.solver.text import conflict_text, resolution_text, versions_text, why_text
from cogpack.solver.why import Why, why
from support.toy import gpu, line, python, toy

DRIVER = Requirement("driver", "<500", Origin(asker="--driver", text="--driver 470"))

JARGON = re.compile(
    r"\b(sat|unsat\w*|core|clause|literal|solver|candidate|universe|constraint|assum\w*|none|null)\b",
    re.IGNORECASE,
)


def conflict(*requirements: Requirement) -> str:
    outcome = resolve(requirements, toy())
    assert isinstance(outcome, Conflict)
    text = conflict_text(outcome)
    assert not JARGON.search(text)
    return text


def reasons(package: str, *requirements: Requirement) -> str:
    outcome = why(package, requirements, toy())
    assert isinstance(outcome, Why)
    text = why_text(outcome)
    assert not JARGON.search(text)
    return text


def expected(text: str) -> str:
    return dedent(text).lstrip("\n")


def test_a_python_that_a_framework_does_not_know() -> None:
    assert conflict(python("3.13"), gpu(), line("torch==2.4.1", 1)) == expected(
        """
        These do not go together:
          python_version: 3.13 (cog.yaml:3)
          torch==2.4.1 (requirements.txt:1)
        because
          torch 2.4.1 has wheels for Python 3.8 to 3.12 [compat/torch.csv:3]

        To mend it, one of:
          set python_version to 3.12, cog.yaml:3
          change torch==2.4.1 to torch==2.5.0, requirements.txt:1
          remove python_version: 3.13, cog.yaml:3
          remove torch==2.4.1, requirements.txt:1
        """
    )


def test_a_driver_that_is_too_old() -> None:
    assert conflict(DRIVER, gpu(), line("torch==2.7.1+cu128", 1)) == expected(
        """
        These do not go together:
          torch==2.7.1+cu128 (requirements.txt:1)
          --driver 470
        because
          CUDA 12.8 needs driver 525.60.13 or newer [compat/cuda.csv:6]
          torch 2.7.1+cu128 is built for CUDA 12.8 [compat/torch.csv:6]

        To mend it, one of:
          change torch==2.7.1+cu128 to torch==2.7.1+cu118, requirements.txt:1
          leave out --driver 470
          remove torch==2.7.1+cu128, requirements.txt:1
        """
    )


def test_a_version_that_does_not_exist() -> None:
    assert conflict(line("torch==2.6.0", 7)) == expected(
        """
        This cannot be had:
          torch==2.6.0 (requirements.txt:7)
        because
          no torch==2.6.0 is known; 2.5.1 and 2.7.1 are

        To mend it, one of:
          change torch==2.6.0 to torch==2.5.1, requirements.txt:7
          change torch==2.6.0 to torch==2.7.1, requirements.txt:7
          remove torch==2.6.0, requirements.txt:7
        """
    )


def test_a_variant_that_does_not_exist() -> None:
    text = conflict(gpu(), line("torch==2.7.1+cu999", 1))
    known = "2.7.1+cpu, 2.7.1+cu118, 2.7.1+cu126 and 2.7.1+cu128 are"
    assert f"no torch==2.7.1+cu999 is known; {known}" in text
    assert "change torch==2.7.1+cu999 to torch==2.7.1+cu128, requirements.txt:1" in text


def test_a_line_that_contradicts_itself() -> None:
    text = conflict(line("torch==2.5.1,==2.7.1", 1))
    assert "This cannot be had:\n  torch==2.5.1,==2.7.1 (requirements.txt:1)" in text
    assert "no known version of torch meets all of ==2.5.1, ==2.7.1" in text


def test_what_is_missing_for_one_platform_is_said_of_it() -> None:
    universe = replace(toy(), platform="linux/arm64")
    outcome = resolve([line("torch==2.6.0", 7)], universe)
    assert isinstance(outcome, Conflict)
    assert "no torch==2.6.0 is known for linux/arm64; 2.5.1" in conflict_text(outcome)


def test_the_users_lines_come_in_the_order_of_the_files_and_options_last() -> None:
    text = conflict(DRIVER, gpu(), line("torch==2.7.1+cu128", 1), python("3.12"))
    assert text.index("requirements.txt:1") < text.index("--driver 470")
    text = conflict(line("torch<2.4", 2), line("torch>=2.5", 1))
    assert text.index("torch>=2.5 (requirements.txt:1)") < text.index("torch<2.4 (requirements")


def test_a_lock_of_uv_is_changed_by_uv() -> None:
    locked = Requirement("torch", "===2.4.1", Origin("uv.lock", 5, "torch==2.4.1"))
    text = conflict(python("3.13"), locked)
    assert "  torch==2.4.1 (uv.lock:5)\n" in text
    assert (
        "  lock torch==2.5.0 in place of torch==2.4.1: "
        "uv lock --upgrade-package torch==2.5.0, uv.lock:5\n" in text
    )
    assert "  do without torch==2.4.1 and lock anew with uv, uv.lock:5\n" in text


def test_two_ranges_without_a_common_version() -> None:
    text = conflict(line("torch>=2.5", 1), line("torch<2.4", 2))
    assert "no known version of torch is in all of these ranges" in text
    assert "change torch<2.4 to torch<=2.5.0, requirements.txt:2" in text
    assert "change torch>=2.5 to torch>=2.3, requirements.txt:1" in text


def test_many_alike_facts_are_counted() -> None:
    text = conflict(python("3.14"), line("torch>=2.3", 1))
    assert "torch 2.5.0 has wheels for Python 3.9 to 3.13 [compat/torch.csv:4]\n" in text
    assert "and 2 more like these, to torch 2.7.1 [compat/torch.csv]\n" in text


def test_independent_problems_are_told_at_once() -> None:
    universe = [python("3.13"), line("torch==2.4.1", 1), DRIVER]
    other = Requirement("driver", ">=550", Origin("cog.yaml", 9, "driver>=550"))
    assert conflict(*universe, other) == expected(
        """
        Problem 1 of 2
        These do not go together:
          driver>=550 (cog.yaml:9)
          --driver 470
        because
          no known version of driver is in all of these ranges

        To mend it, one of:
          change driver>=550 to driver>=450.80, cog.yaml:9
          leave out --driver 470
          remove driver>=550, cog.yaml:9

        Problem 2 of 2
        These do not go together:
          python_version: 3.13 (cog.yaml:3)
          torch==2.4.1 (requirements.txt:1)
        because
          torch 2.4.1 has wheels for Python 3.8 to 3.12 [compat/torch.csv:3]

        To mend it, one of:
          set python_version to 3.12, cog.yaml:3
          change torch==2.4.1 to torch==2.5.0, requirements.txt:1
          remove python_version: 3.13, cog.yaml:3
          remove torch==2.4.1, requirements.txt:1
        """
    )


def test_two_lines_may_have_to_change_together() -> None:
    text = conflict(python("3.13"), line("torch==2.4.1", 1), line("torchvision==0.19.1", 2))
    assert "set python_version to 3.12, cog.yaml:3\n" in text


def test_the_table_of_a_resolution() -> None:
    outcome = resolve([python("3.12"), gpu(), line("torch==2.7.1", 1)], toy())
    assert isinstance(outcome, Resolution)
    image = "docker.io/library/python:3.12.11-slim"
    index = "https://download.pytorch.org/whl/cu128"
    assert resolution_text(outcome).splitlines() == [
        "package  version      from  because of",
        "cuda     12.8         -     gpu: true (cog.yaml:2)",
        "driver   525.60.13    -     gpu: true (cog.yaml:2)",
        "python   3.12.11      -     python_version: 3.12 (cog.yaml:3)",
        "torch    2.7.1+cu128  [1]   torch==2.7.1 (requirements.txt:1)",
        "",
        f"[1] {index}",
        "",
        f"base image: {image}",
    ]


def test_why_names_what_ruled_out_the_better_ones() -> None:
    assert reasons("cuda", gpu(), line("torch>=2.3", 1), DRIVER).startswith(
        expected(
            """
            cuda 11.8
              gpu: true (cog.yaml:2)
              torch 2.7.1+cu118 is built for CUDA 11.8 [compat/torch.csv:6]
              torch: torch>=2.3 (requirements.txt:1)
            not 12.8 to 12.1 (4 of them), because
              --driver 470
              CUDA 12.1 needs driver 525.60.13 or newer [compat/cuda.csv:3]
              CUDA 12.4 needs driver 525.60.13 or newer [compat/cuda.csv:4]
              CUDA 12.6 needs driver 525.60.13 or newer [compat/cuda.csv:5]
              CUDA 12.8 needs driver 525.60.13 or newer [compat/cuda.csv:6]
            """
        )
    )


def test_why_names_what_mattered_more() -> None:
    text = reasons("driver", gpu(), line("torch==2.7.1", 1))
    assert "not 450.80.2, because" in text
    assert "the newest cuda is preferred to it: 12.8" in text


def test_why_of_the_best_and_of_the_absent() -> None:
    assert "Nothing better is known." in reasons("torch", gpu(), line("torch", 1))
    assert reasons("torchvision", gpu()) == (
        "torchvision is not part of the image: nothing asks for it.\n"
    )


def test_all_versions_are_those_with_a_solution() -> None:
    wanted = [python("3.13"), gpu()]
    found = all_versions("torch", wanted, toy())
    labels = [one.label for one in found]
    assert labels[0] == "2.7.1+cu128"
    assert labels[-1] == "2.5.0+cu118"
    assert not any("2.4.1" in label or "cpu" in label for label in labels)
    assert versions_text("torch", found).startswith("2.7.1+cu128  https://download.pytorch.org")
    assert versions_text("torch", ()) == "No version of torch goes with this project.\n"


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("torch==2.4.1  # pinned", "change torch==2.4.1  # pinned to torch==2.5.0  # pinned"),
        ("torch == 2.4.1", "change torch == 2.4.1 to torch == 2.5.0"),
    ],
)
def test_edits_keep_the_way_the_user_writes(text: str, change: str) -> None:
    requirement = Requirement("torch", "==2.4.1", Origin("requirements.txt", 4, text))
    assert f"{change}, requirements.txt:4" in conflict(python("3.13"), requirement)
