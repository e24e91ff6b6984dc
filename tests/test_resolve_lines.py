"""What constraints, markers and odd lines of a project mean for the versions that are chosen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.resolving import packages, resolve

GPU = 'gpu: true\npython_version: "3.12"'


def test_a_constraint_limits_what_another_line_asks_for(tmp_path: Path) -> None:
    found = packages(tmp_path, GPU, "torch\n-c limits.txt\n", limits="torch<2.6\nnumpy<2\n")
    assert found["torch"]["version"] == "2.5.1+cu124"
    assert {"text": "torch<2.6", "file": "limits.txt", "line": 1} in found["torch"]["because"]


def test_a_constraint_limits_what_a_library_needs(tmp_path: Path) -> None:
    found = packages(tmp_path, GPU, "vllm\n-c limits.txt\n", limits="torch==2.6.0\n")
    assert found["torch"]["version"].startswith("2.6.0")
    asked = {one["text"] for one in found["torch"]["because"]}
    assert asked == {"vllm", "torch==2.6.0"}


def test_a_constraint_brings_nothing_in(tmp_path: Path) -> None:
    limits = "torch<2.6\ntensorflow==2.15.0\njax<0.5\n"
    found = packages(tmp_path, GPU, "requests\n-c limits.txt\n", limits=limits)
    assert not {"torch", "tensorflow", "jax"} & found.keys()


def test_a_constraint_in_a_conflict_is_quoted_and_can_be_changed(tmp_path: Path) -> None:
    result = resolve(tmp_path, GPU, "torch==2.7.1\n-c limits.txt\n", limits="torch<2.6\n")
    assert result.exit_code == 1
    assert "torch<2.6 (limits.txt:1)" in result.stdout
    assert "change torch<2.6 to torch<=2.7.1, limits.txt:1" in result.stdout


def test_a_constraint_of_a_package_that_is_not_there_is_in_nobodys_way(tmp_path: Path) -> None:
    limits = "torch==2.4.1\ntorch==2.5.1\n"
    assert resolve(tmp_path, GPU, "requests\n-c limits.txt\n", limits=limits).exit_code == 0


TWO_TORCHES = "torch==2.4.1; python_version < '3.13'\ntorch==2.9.0; python_version >= '3.13'\n"


@pytest.mark.parametrize(
    ("more", "torch", "python"),
    [
        ("", "2.9.0", "3.14."),
        ("tensorflow==2.16.1\n", "2.4.1", "3.12."),
    ],
)
def test_markers_hold_for_the_python_that_is_chosen(
    tmp_path: Path, more: str, torch: str, python: str
) -> None:
    """And not for one that was assumed before anything was chosen."""
    found = packages(tmp_path, "gpu: true", TWO_TORCHES + more)
    assert found["torch"]["version"].partition("+")[0] == torch
    assert found["python"]["version"].startswith(python)
    assert [one["line"] for one in found["torch"]["because"]] == [1 if torch == "2.4.1" else 2]


def test_markers_follow_a_what_if(tmp_path: Path) -> None:
    result = resolve(tmp_path, GPU, TWO_TORCHES, "--json", "--override", "python=3.13")
    found = json.loads(result.stdout)["packages"]
    assert found["torch"]["version"].startswith("2.9.0")


@pytest.mark.parametrize(
    ("marker", "python"),
    [
        ("python_version < '3.12'", "3.11."),
        ("python_version == '3.11'", "3.11."),
        ("python_full_version < '3.12.3'", "3.12.2"),
        ("python_version < '3.12' or python_full_version == '3.12.4'", "3.12.4"),
    ],
)
def test_a_python_is_chosen_for_which_the_projects_line_holds(
    tmp_path: Path, marker: str, python: str
) -> None:
    """A newer one would be no better: the project would go without what it names."""
    found = packages(tmp_path, "gpu: true", f"torch==2.4.1; {marker}\n")
    assert found["torch"]["version"].startswith("2.4.1")
    assert found["python"]["version"].startswith(python)


@pytest.mark.parametrize(
    "marker",
    [
        "python_version < '3.12'",
        "python_version < '3.8'",
        "sys_platform == 'win32'",
        "extra == 'x'",
    ],
)
def test_a_line_whose_marker_does_not_hold_asks_for_nothing(tmp_path: Path, marker: str) -> None:
    found = packages(tmp_path, GPU, f"torch==2.4.1; {marker}\n")
    assert "torch" not in found


def test_a_conflict_of_a_line_with_a_marker(tmp_path: Path) -> None:
    build = 'gpu: true\npython_version: "3.13"'
    result = resolve(tmp_path, build, "torch==2.4.1; python_version > '3.5'\n")
    assert result.exit_code == 1
    assert "set python_version to 3.12, cog.yaml:3" in result.stdout


def test_a_change_of_the_python_may_end_what_a_line_asks_for(tmp_path: Path) -> None:
    """Markers count for a fix, too: with 3.12 the second line would hold in vain."""
    lines = "torch==2.4.1; python_version > '3.12'\ntorch==1.13.1; python_version == '3.12'\n"
    result = resolve(tmp_path, 'gpu: true\npython_version: "3.13"', lines)
    assert result.exit_code == 1
    assert "set python_version to 3.11" in result.stdout or "3.14" in result.stdout
    assert "set python_version to 3.12" not in result.stdout


@pytest.mark.parametrize("extra", ["cuda", "cuda12_pip", "cuda12_local", "cuda12-pip"])
def test_the_other_names_of_jaxs_cuda_extras(tmp_path: Path, extra: str) -> None:
    found = packages(tmp_path, GPU, f"jax[{extra}]==0.4.30\n")
    assert found["jax-cuda"]["version"] == "cuda12"
    assert found["jax-cuda12-plugin"]["version"] == "0.4.30"


def test_an_extra_that_says_nothing_of_cuda_is_in_nobodys_way(tmp_path: Path) -> None:
    assert packages(tmp_path, GPU, "jax[k8s]==0.7.0\n")["jax"]["version"] == "0.7.0"


def test_an_old_plugin_of_jax_is_no_way_around_torchs_cuda(tmp_path: Path) -> None:
    """Its row says nothing of packages; that it is for CUDA 12 is in its name."""
    found = packages(tmp_path, GPU, "jax[cuda12]\ntorch\n")
    assert found["cuda"]["version"].startswith("12.")
    assert found["jax"]["version"] not in ("0.4.28", "0.4.29")


def test_a_line_with_an_extra_can_be_changed_to_another_version(tmp_path: Path) -> None:
    result = resolve(tmp_path, GPU, "jax[cuda13]==0.7.0\n")
    assert result.exit_code == 1
    assert "no jax-cuda13-plugin 0.7.0 is known; 0.7.2 and 0.8.0 are" in result.stdout
    assert "change jax[cuda13]==0.7.0 to jax[cuda13]==0.7.2" in result.stdout


def test_a_cog_that_had_no_coglet_needs_none(tmp_path: Path) -> None:
    found = packages(tmp_path, 'sdk_version: "0.16.0"', "requests\n")
    assert found["cog"]["version"] == "0.16.0"
    assert "coglet" not in found
    later = packages(tmp_path, 'sdk_version: "0.17.0"', "requests\n")
    assert later["coglet"]["version"] == "0.17.0"


def warnings(folder: Path, build: str, requirements: str) -> str:
    """The warnings of the answer, as `--json` has them."""
    result = resolve(folder, build, requirements, "--json")
    assert result.exit_code == 0, result.output
    return "\n".join(json.loads(result.stdout)["warnings"])


def test_a_cpu_build_in_a_gpu_project_is_told(tmp_path: Path) -> None:
    assert "a CPU build is installed though gpu is true" in warnings(
        tmp_path, GPU, "torch==2.5.1+cpu\n"
    )
    assert "CPU build" not in warnings(tmp_path, GPU, "torch==2.5.1\n")


@pytest.mark.parametrize("gpu", ["", "gpu: false\n"])
def test_a_cuda_that_no_gpu_uses_is_told(tmp_path: Path, gpu: str) -> None:
    assert "build.cuda is set, but gpu is not true" in warnings(
        tmp_path, f'{gpu}cuda: "12.4"', "torch==2.5.1\n"
    )
    for word in ("true", "yes", "on"):
        assert "build.cuda" not in warnings(tmp_path, f'gpu: {word}\ncuda: "12.4"', "torch\n")


def test_who_brings_cuda_need_not_be_one_alone(tmp_path: Path) -> None:
    """The libraries of two majors: there is CUDA, though no single one for all."""
    build = 'gpu: true\npython_version: "3.11"'
    told = warnings(tmp_path, build, "tensorflow[and-cuda]==2.19.0\ntorch==2.6.0+cu118\n")
    assert "not all packages are built for the same CUDA" in told
    assert "nothing that the tables know of brings CUDA" not in told


def test_an_image_of_a_cuda_that_is_newer_than_the_tables(tmp_path: Path) -> None:
    """The nearest known image stands for it, and nothing else is asked for on its behalf."""
    build = 'gpu: true\ncuda: "13.99"'
    found = packages(tmp_path, build, "requests\n")
    known = found["system-cuda"]["facts"].removeprefix("as of system-cuda ")
    assert "cuda-toolkit" not in found
    runtime = found["base_image"]["runtime"]
    assert runtime.startswith(f"docker.io/nvidia/cuda:{known}-cudnn-runtime")
    told = warnings(tmp_path, build, "requests\n")
    assert "the image of cuda 13.99 is not in the tables; the facts of the image of cuda" in told
    assert "other packages" not in told


@pytest.mark.parametrize(
    "lines", ["cuda-toolkit==13.0.2\nuv==0.5.0\ndriver==1\naccelerator\nos\n", "-c limits.txt\n"]
)
def test_packages_with_names_of_parts_of_an_image_are_packages(tmp_path: Path, lines: str) -> None:
    """Whoever freezes an environment with torch 2.11 has NVIDIA's package cuda-toolkit in it."""
    limits = "cuda-toolkit==13.0.2\nuv==0.5.0\naccelerator==2\n"
    found = packages(tmp_path, GPU, f"torch==2.11.0\n{lines}", limits=limits)
    assert not {"cuda-toolkit", "system-cuda"} & found.keys()
    assert found["base_image"]["build"] == "docker.io/library/python:3.12-slim-bookworm"
    assert [one["text"] for one in found["uv"]["because"]] != ["uv==0.5.0"]
    assert found["uv"]["version"] != "0.5.0"
    assert found["driver"]["version"] == "580.65.06"


def test_old_releases_of_libraries_are_no_fault_of_the_project(tmp_path: Path) -> None:
    """The tables have pytorch-lightning from 2.0 on, and jax from 0.4.20."""
    build = 'python_version: "3.10"'
    lines = "pytorch-lightning==1.5.10\ntorch==1.12.1\njax==0.4.13\nbitsandbytes<0.42\n"
    found = packages(tmp_path, build, lines)
    assert found["pytorch-lightning"]["version"] == "1.5.10"
    assert found["jax"]["version"] == "0.4.13"
    assert found["torch"]["version"] == "1.12.1+cpu"
    assert "bitsandbytes" not in found
    told = warnings(tmp_path, build, lines)
    assert "pytorch-lightning 1.5.10 is not in the tables, and " in told
    assert "what it needs of other packages is not known here" in told


def test_a_package_that_the_tables_have_not_is_no_mystery(tmp_path: Path) -> None:
    told = resolve(tmp_path, GPU, "numpy<2\n", "--why", "NumPy").stdout
    assert told.startswith("numpy is no part of the tables")
    assert "  numpy<2 (requirements.txt:1)" in told
    assert resolve(tmp_path, GPU, "numpy<2\n", "--why", "scipy").stdout == (
        "scipy is not part of the image: nothing asks for it.\n"
    )


def test_a_line_that_does_not_hold_is_told_by_why(tmp_path: Path) -> None:
    told = resolve(tmp_path, GPU, "torch; python_version < '3.12'\n", "--why", "torch").stdout
    assert told.startswith("torch is not part of the image: what speaks of it")
    assert "torch; python_version < '3.12' (requirements.txt:1)" in told


def test_the_base_image_has_reasons_too(tmp_path: Path) -> None:
    told = resolve(tmp_path, GPU, "torch==2.5.1\n", "--why", "base_image").stdout
    assert told.startswith("runtime-image docker.io/library/python:3.12-slim")


def test_versions_of_what_the_project_does_not_have(tmp_path: Path) -> None:
    assert "2.5.1+cu124" in resolve(tmp_path, GPU, "requests\n", "--all", "torch").stdout


def test_versions_of_what_nobody_knows(tmp_path: Path) -> None:
    result = resolve(tmp_path, GPU, "torch\n", "--all", "torhc", "--json")
    assert result.exit_code == 1
    (error,) = json.loads(result.stdout)["errors"]
    assert error["message"] == "the tables know no package 'torhc'"
    assert error["hint"] == "did you mean torch?"


def test_a_what_if_of_a_series(tmp_path: Path) -> None:
    build = f'{GPU}\ncuda: "12.4"'
    result = resolve(
        tmp_path, build, "torch==2.5.1\n", "--json",
        "--override", "python=3.11", "--override", "cuda=12.6",
    )  # fmt: skip
    found = json.loads(result.stdout)["packages"]
    assert found["python"]["version"] not in ("3.11.0", "3.12.0")
    assert found["python"]["version"].startswith("3.11.")
    assert found["base_image"]["runtime"].startswith("docker.io/nvidia/cuda:12.6.3-")


def test_a_table_fits_a_terminal(tmp_path: Path) -> None:
    lines = "torch==2.7.1+cu128\ntorchvision\n"
    told = resolve(tmp_path, f'{GPU}\ncuda: "12.8"', lines, "--gpu", "h100").stdout
    assert all(len(line.partition(" and 1 more")[0]) <= 80 for line in told.splitlines())
    assert "[1] https://download.pytorch.org/whl/cu128" in told
    assert "--gpu h100" in told


def test_an_old_name_of_tensorflow_needs_the_same_image(tmp_path: Path) -> None:
    build = 'gpu: true\npython_version: "3.10"'
    found = packages(tmp_path, build, "tensorflow-gpu==2.10.0\n")
    assert found["base_image"]["runtime"].startswith("docker.io/nvidia/cuda:11.2.2-cudnn8-runtime")
    assert found["tensorflow"]["because"][0]["text"] == "tensorflow-gpu==2.10.0"


def test_another_version_of_it_is_asked_for_by_its_name_of_today(tmp_path: Path) -> None:
    build = 'gpu: true\npython_version: "3.11"'
    result = resolve(tmp_path, build, "tensorflow-gpu==2.10.0\n", "--json")
    assert result.exit_code == 1
    ((clash,),) = (json.loads(result.stdout)["conflicts"],)
    changes = [fix["changes"][0] for fix in clash["fixes"]]
    assert {"from": "tensorflow-gpu==2.10.0", "to": "tensorflow==2.12.0"} in [
        {"from": one["from"], "to": one["to"]} for one in changes
    ]
