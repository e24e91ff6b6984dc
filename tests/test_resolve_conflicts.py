"""Conflicts of whole projects as `cogpack resolve` tells them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from cogpack.cli.resolve import command
from support.resolving import resolve


def told(folder: Path, build: str, requirements: str, *options: str, **files: str) -> str:
    """What is told of a project whose lines do not go together."""
    result = resolve(folder, build, requirements, *options, **files)
    assert result.exit_code == 1, result.output
    return result.stdout


def clashes(text: str) -> list[list[str]]:
    """The lines of each set that does not go together, without their places."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if line in ("These do not go together:", "This cannot be had:"):
            found.append([])
            inside = True
        elif not line.startswith("  "):
            inside = False
        elif found and inside:
            found[-1].append(line.strip().partition(" (")[0])
    return found


def test_no_clash_has_lines_that_another_does_without(tmp_path: Path) -> None:
    """`cuda:` asks for two packages, and only one of them needs torch to fail."""
    build = 'gpu: true\ncuda: "13.0"\npython_version: "3.12"'
    text = told(tmp_path, build, "torch==2.9.1\n", "--driver", "535")
    assert clashes(text) == [['cuda: "13.0"', "--driver 535"]]
    assert "set cuda to 12.8, cog.yaml:3" in text


def test_what_is_known_of_the_lines_packages_is_told_before_what_they_bring(
    tmp_path: Path,
) -> None:
    text = told(tmp_path, 'gpu: true\npython_version: "3.13"', "torchvision==0.18.0\n")
    assert "  torchvision 0.18.0 has wheels for Python 3.8 to 3.12 [" in text
    assert "torch 2.3.0" not in text


def test_so_it_is_with_better_versions_that_were_refused(tmp_path: Path) -> None:
    text = resolve(tmp_path, "gpu: true", "torchvision<0.20\n", "--why", "python").stdout
    refused = text.partition("not 3.15")[2]
    assert "torchvision 0.12.0 has wheels for Python 3.7 to 3.10" in refused
    assert "torch 2.4.1" not in refused


def test_a_line_that_contradicts_itself_is_one_line(tmp_path: Path) -> None:
    text = told(tmp_path, 'gpu: true\npython_version: "3.12"', "jax[cuda13]==0.4.30\n")
    assert text.startswith("This cannot be had:\n  jax[cuda13]==0.4.30 (requirements.txt:1)\n")


@pytest.mark.parametrize("requirements", ["onnxruntime-gpu\n", "torch==2.5.1\n"])
@pytest.mark.parametrize(
    ("cuda", "reason", "fix"),
    [
        ("12.7", "no cuda 12.7 is known; 12.6 and 12.8 are", "set cuda to 12.8,"),
        ("12.7.1", "no cuda==12.7.1 is known; 12.6.3 and 12.8.0 are", "set cuda to 12.8.0,"),
        ("12.4.0", "no image with cuda==12.4.0 is known; ", "set cuda to 12.4.1,"),
    ],
)
def test_a_cuda_that_there_is_not_is_told_once_with_those_beside_it(
    tmp_path: Path, requirements: str, cuda: str, reason: str, fix: str
) -> None:
    text = told(tmp_path, f'gpu: true\ncuda: "{cuda}"', requirements)
    assert clashes(text) == [[f'cuda: "{cuda}"']]
    assert reason in text
    assert f"{fix} cog.yaml:3" in text


def fixes(text: str) -> list[str]:
    """The ways out that are told."""
    return [line.strip() for line in text.partition("To mend it")[2].splitlines()[1:]]


def test_two_lines_are_changed_rather_than_one_removed(tmp_path: Path) -> None:
    """torch 2.5.0 is the nearest for 3.13, and no torchvision goes with both."""
    lines = "torch==2.4.1\ntorchvision==0.18.0\n"
    text = told(tmp_path, 'gpu: true\npython_version: "3.13"', lines)
    assert not any("remove" in fix for fix in fixes(text))
    assert (
        "change torch==2.4.1 to torch==2.6.0, requirements.txt:1, and "
        "change torchvision==0.18.0 to torchvision==0.21.0, requirements.txt:2"
    ) in fixes(text)


def test_a_lower_bound_is_written_as_the_user_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "app"\nversion = "1"\n'
        'requires-python = ">=3.13"\ndependencies = ["torch==2.4.1"]\n'
        '[project.scripts]\napp = "app:main"\n',
        encoding="utf-8",
    )
    result = CliRunner().invoke(command, [str(tmp_path), "--offline"])
    assert result.exit_code == 1, result.output
    assert fixes(result.stdout)[0] == (
        'change requires-python = ">=3.13" to requires-python = ">=3.12", pyproject.toml:4'
    )


def test_an_option_is_left_out_before_a_line_is_removed(tmp_path: Path) -> None:
    build = 'gpu: true\npython_version: "3.12"'
    found = fixes(told(tmp_path, build, "torch==2.4.1\n", "--gpu", "b200"))
    assert found[:2] == [
        "change torch==2.4.1 to torch==2.7.0, requirements.txt:1",
        "leave out --gpu b200",
    ]


def test_what_needs_no_compromise_is_the_first_way_out(tmp_path: Path) -> None:
    """12.8 is as near as 12.4, and this torch has no build for it."""
    found = fixes(told(tmp_path, 'gpu: true\ncuda: "12.7"', "torch==2.5.1\n"))
    assert found[:2] == ["set cuda to 12.4, cog.yaml:3", "set cuda to 12.8, cog.yaml:3"]


def test_a_conflict_says_whose_facts_are_assumed(tmp_path: Path) -> None:
    """Else its reasons would be of a release that no line names."""
    text = told(tmp_path, 'gpu: true\npython_version: "3.10"', "torch==2.99.0\n")
    assert "\nbecause\n  torch 2.99.0 is not in the tables" in text
    assert "the nearest known release, are assumed" in text
    assert "has wheels for Python 3.11 to" in text


def test_beside_a_version_as_text_stand_those_of_its_number(tmp_path: Path) -> None:
    """`===` compares text, and the release is named 2.5.0."""
    text = told(tmp_path, "gpu: true", "torch===2.5\n")
    assert "no torch===2.5 is known; 2.5.0 and 2.5.1 are" in text
    assert fixes(text)[0] == "change torch===2.5 to torch==2.5.0, requirements.txt:1"


def test_another_number_in_a_url_is_no_other_file(tmp_path: Path) -> None:
    url = "https://x.invalid/torch-2.4.1-cp312-cp312-linux_x86_64.whl"
    found = fixes(told(tmp_path, "gpu: true", f"torch @ {url}\ntorchvision==0.20.1\n"))
    assert found == [
        "change torchvision==0.20.1 to torchvision==0.19.1, requirements.txt:2",
        f"remove torch @ {url}, requirements.txt:1",
        "remove torchvision==0.20.1, requirements.txt:2",
    ]


def test_without_the_line_that_asks_for_a_cpu_build_the_gpu_counts(tmp_path: Path) -> None:
    """Then torch would have to be one for CUDA, which does not go with the rest here."""
    build = 'gpu: true\ncuda: "12.4"\npython_version: "3.12"'
    lines = "tensorflow==2.17.0\ntorch==2.4.1+cpu\ntorchaudio==2.6.0\njax[cuda12]==0.8.0\n"
    found = fixes(told(tmp_path, build, lines))
    assert "change torch==2.4.1+cpu to torch==2.6.0+cpu, requirements.txt:2" in found
    assert "remove torch==2.4.1+cpu, requirements.txt:2" not in found
    alone = fixes(told(tmp_path, 'gpu: true\npython_version: "3.13"', "torch==2.4.1+cpu\n"))
    assert "remove torch==2.4.1+cpu, requirements.txt:1" in alone
