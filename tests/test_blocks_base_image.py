"""The user's own base image: pinned where the tables know it, taken at its word where not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.llb.client import ImageNotFound
from cogpack.pipeline import _missing_image
from cogpack.plan import model
from cogpack.references import split_digest
from cogpack.solver.resolution import Resolution
from cogpack.stacks.compose import load, make_plan
from cogpack.stacks.solve import ConflictError, solved
from support.projects import PREDICTOR, planned, stage_of

DIGEST = "sha256:" + "1" * 64
OWN = "registry.invalid/team/base:7"
SLIM = "docker.io/library/python:3.12-slim-bookworm"
CUDA = "docker.io/nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04"


def project(folder: Path, cogpack: str, build: str = "build: {}") -> Path:
    (folder / "cog.yaml").write_text(f"{build}\nrun: predict.py:Predictor\ncogpack:\n{cogpack}")
    (folder / "predict.py").write_text(PREDICTOR)
    return folder


def resolved(folder: Path, option: str = "") -> Resolution:
    return solved(load(folder, base_image=option))


def command(stage: model.Stage) -> str:
    return "\n".join(op.command for op in stage.ops if isinstance(op, model.Exec))


@pytest.mark.parametrize("written", [SLIM, "python:3.12-slim-bookworm"])
def test_an_image_of_the_tables_is_pinned_with_all_that_is_known_of_it(
    tmp_path: Path, written: str
) -> None:
    found = resolved(project(tmp_path, f"  base_image: {written}\n"))
    images = found.base_images
    assert images.build == images.runtime
    assert (images.runtime.ref, images.runtime.provides["os"]) == (SLIM, "debian-12")
    assert found["python"].version.startswith("3.12.")
    assert found.warnings == ()


def test_an_unknown_image_has_no_python_until_the_user_says_so(tmp_path: Path) -> None:
    folder = project(tmp_path, f"  base_image: {OWN}\n")
    found = resolved(folder)
    assert found.base_images.runtime.ref == OWN
    assert not found.base_images.runtime.provides
    assert len(found.warnings) == 2
    assert all(OWN in warning for warning in found.warnings)
    assert "cogpack.base_python" in "".join(found.warnings)
    assert "python install --no-bin" in command(stage_of(planned(folder), "python"))


def test_what_is_not_known_of_an_image_is_not_told_as_a_choice(tmp_path: Path) -> None:
    build = "build:\n  python_packages: [torch==2.7.1]"
    found = resolved(project(tmp_path, f"  base_image: {OWN}\n", build))
    assert "torch" in found
    assert not {"glibc", "os"} & {choice.package for choice in found}


def test_the_python_that_the_user_names_is_used_and_checked(tmp_path: Path) -> None:
    folder = project(tmp_path, f'  base_image: {OWN}\n  base_python: "3.12"\n')
    found = resolved(folder)
    assert found["python"].version.startswith("3.12.")
    [warning] = found.warnings
    assert "glibc" in warning
    plan = planned(folder)
    python = stage_of(plan, "python")
    assert "python3 -m venv" in command(python)
    assert "sys.version_info[:2]" in command(python)
    assert ("cog.yaml", 4) in {(why.file, why.line) for why in python.reasons}
    # Whether the image has a pip, nobody said.
    assert isinstance(stage_of(plan, "uv").source, model.ImageInput)
    assert "command -v apt-get" in command(stage_of(plan, "apt"))


def test_two_words_on_the_python_are_a_conflict_with_both_lines(tmp_path: Path) -> None:
    build = 'build:\n  python_version: "3.11"'
    folder = project(tmp_path, f'  base_image: {OWN}\n  base_python: "3.12"\n', build)
    with pytest.raises(ConflictError) as caught:
        resolved(folder)
    text = str(caught.value)
    assert "(cog.yaml:2)" in text
    assert "(cog.yaml:5)" in text
    assert f"{OWN} has Python 3.12, as the project says" in text


def test_a_digest_of_the_reference_pins_and_a_tag_is_not_needed(tmp_path: Path) -> None:
    folder = project(tmp_path, f"  base_image: {SLIM}@{DIGEST}\n")
    image = resolved(folder).base_images.runtime
    assert (image.ref, image.digest) == (SLIM, DIGEST)
    plan = planned(folder)
    assert plan.base.build == plan.base.runtime == f"{SLIM}@{DIGEST}"
    assert plan.config.labels["org.opencontainers.image.base.digest"] == DIGEST
    bare = f"registry.invalid/team/base@{DIGEST}"
    assert split_digest(bare) == ("registry.invalid/team/base", DIGEST)
    composition = load(folder, base_image=bare)
    assert make_plan(composition, solved(composition)).base.runtime == bare


def test_the_option_takes_the_place_of_the_key(tmp_path: Path) -> None:
    folder = project(tmp_path, f"  base_image: {SLIM}\n")
    composition = load(folder, base_image="python:3.11-slim-bookworm")
    found = solved(composition)
    assert found.base_images.runtime.ref == "docker.io/library/python:3.11-slim-bookworm"
    assert found["python"].version.startswith("3.11.")
    reasons = make_plan(composition, found).packages["base-image"].because
    assert reasons[0].text == "--base-image python:3.11-slim-bookworm"


def test_an_option_that_is_no_image_name_is_told(tmp_path: Path) -> None:
    folder = project(tmp_path, f"  base_image: {SLIM}\n")
    with pytest.raises(UserError, match="--base-image 'NOT an image'"):
        load(folder, base_image="NOT an image")


@pytest.mark.parametrize("system_cuda", ["", "  system_cuda: false\n"])
def test_an_image_of_nvidia_is_taken_as_it_is(tmp_path: Path, system_cuda: str) -> None:
    build = (
        'build:\n  gpu: true\n  python_version: "3.12"\n  cuda: "12.4"\n'
        "  python_packages: [torch==2.6.0]\n  run: [nvcc --version]"
        if not system_cuda
        else 'build:\n  python_version: "3.12"'
    )
    found = resolved(project(tmp_path, f"  base_image: {CUDA}\n{system_cuda}", build))
    assert found.base_images.build.ref == found.base_images.runtime.ref == CUDA
    assert "system-cuda" not in found
    if not system_cuda:
        assert found["torch"].variant == "cu124"


def test_cuda_that_is_asked_for_must_be_in_the_image(tmp_path: Path) -> None:
    build = 'build:\n  gpu: true\n  cuda: "12.4"\n  python_version: "3.12"'
    folder = project(tmp_path, f"  base_image: {SLIM}\n  system_cuda: true\n", build)
    with pytest.raises(ConflictError) as caught:
        resolved(folder)
    assert "(cog.yaml:7)" in str(caught.value)
    assert "only images of NVIDIA bring CUDA 12.4.1" in str(caught.value)


def test_a_base_of_the_users_that_is_missing_is_told_with_its_line(tmp_path: Path) -> None:
    plan = planned(project(tmp_path, f"  base_image: {OWN}\n"))
    failure = _missing_image(ImageNotFound(OWN, "not found"), plan)
    assert isinstance(failure, UserError)
    [fault] = failure.faults
    assert fault.origin is not None
    assert (fault.origin.file, fault.origin.line) == ("cog.yaml", 4)
    assert OWN in fault.message
    other = ImageNotFound("docker.io/library/python:3.14-slim", "not found")
    assert _missing_image(other, plan) is other
