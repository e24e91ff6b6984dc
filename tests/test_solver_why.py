"""What `--why` says of projects over the real tables: the reason that matters, told once."""

from __future__ import annotations

from cogpack.origin import Origin
from cogpack.solver.options import driver_requirement
from cogpack.solver.report import why_data
from cogpack.solver.requirement import Requirement
from cogpack.solver.text import conflict_text, why_text
from cogpack.solver.universe import Universe
from cogpack.solver.why import Why, why
from support.over_tables import gpu, refused, universe
from support.toy import line, python, user

# One line that asks for two packages, as the project's blocks make it of the extra.
AND_CUDA = "tensorflow[and-cuda]==2.19.0"
TWO_CUDAS = (
    gpu(),
    line("torch==2.6.0", 1),
    user("tensorflow", "==2.19.0", "requirements.txt", 2, AND_CUDA),
    user("tensorflow-cuda", "==and-cuda", "requirements.txt", 2, AND_CUDA),
)


def told(package: str, *requirements: Requirement) -> Why:
    wanted = (*requirements, Requirement("python", "", Origin(asker="block python-version")))
    found = why(package, wanted, universe(*wanted))
    assert isinstance(found, Why), found
    return found


def test_a_build_with_cuda_is_refused_for_the_cuda_in_it() -> None:
    text = why_text(told("torch", gpu(False), line("torch==2.14.1", 1)))
    lines = text.splitlines()
    below = lines[lines.index("not 2.14.1+cu132, 2.14.1+cu130, 2.14.1+cu126, because") + 1 :]
    assert below[0].strip().startswith("gpu: false")
    assert "torch 2.14.1+cu126 is a CUDA build" in text
    assert "it would only do with a compromise: a CUDA build is installed though" in text
    assert "without triton" not in text


def test_what_a_line_leaves_no_choice_of_is_no_preference() -> None:
    text = why_text(told("cuda", gpu(), line("tensorflow==2.21.0", 1)))
    assert "gpu: true" in text
    assert "the newest accelerator" not in text


def test_versions_that_fail_alike_are_told_together() -> None:
    driver = driver_requirement("470.82.01", Universe.of([]))[0]
    wanted = (gpu(), line("torch", 1), driver)
    found = why("torch", wanted, driver_requirement("470.82.01", universe(*wanted))[1])
    assert isinstance(found, Why)
    assert len(found.refusals) > 40
    text = why_text(found)
    assert len(text.splitlines()) < 20
    assert " more like these, to torch 2.15.0 [compat/torch.csv]" in text


def test_one_line_is_told_once() -> None:
    text = why_text(told("torch", *TWO_CUDAS))
    assert text.count(f"{AND_CUDA} (requirements.txt:2)\n  tensorflow 2.19.0 takes") == 1
    assert f"{AND_CUDA} (requirements.txt:2)\n  {AND_CUDA}" not in text


def test_a_line_of_two_packages_stands_once_in_a_clash() -> None:
    pinned = line("torch==2.6.0+cu126", 1)
    text = conflict_text(refused(python("3.12"), *TWO_CUDAS[:1], pinned, *TWO_CUDAS[2:]))
    assert text.count(f"  {AND_CUDA} (requirements.txt:2)\n") == 1


def test_a_package_that_is_spoken_of_and_not_there() -> None:
    found = told("cuda", *TWO_CUDAS)
    lines = [one.partition(" [")[0] for one in why_text(found).splitlines()]
    assert lines == [
        "cuda is not part of the image: what speaks of it is met in another way",
        "  tensorflow 2.19.0 takes the CUDA libraries ==12.5.82 as packages",
        "  torch 2.6.0+cu118 is built for CUDA 11.8",
    ]
    data = why_data(found)
    assert data["version"] is None
    assert isinstance(data["because"], list)
    assert len(data["because"]) == 2
