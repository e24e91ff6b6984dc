"""Metadata on an index that are odd, or wrong: an answer comes of them, or a conflict, no crash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cogpack.solver.conflict import Conflict
from cogpack.solver.text import conflict_text
from support.distributions import Dist
from support.index_server import IndexServer, serve
from support.new_releases import NEW, Asker, moved_tables
from support.upstream import upstream

GPU, CPU, PY312 = "accelerator==cuda", "accelerator==cpu", "python==3.12.*"
WHEEL = "cp312-cp312-manylinux_2_28_x86_64"
ASSUMED = "its CUDA, cuDNN and triton are assumed as of torch 2.8.0"


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with serve(NEW) as server:
        yield server


@pytest.fixture
def asker(tmp_path: Path, index: IndexServer) -> Iterator[Asker]:
    with upstream() as variants:
        yield Asker(tmp_path, moved_tables(tmp_path / "tables", f"{variants.url}/whl"), index.url)


def of_torch(index: IndexServer, *requires: str, python: str = ">=3.9") -> None:
    index.packages["torch"] = [Dist("2.9.0", requires, python, tag=WHEEL)]


def of_tensorflow(index: IndexServer, *requires: str) -> None:
    lines = tuple(f"{one}; extra == 'and-cuda'" for one in requires)
    index.packages["tensorflow"] = [Dist("2.20.0", lines, ">=3.10", ("and-cuda",), tag=WHEEL)]


class TestTorch:
    @pytest.mark.parametrize(
        ("requires", "cuda", "cudnn"),
        [
            (["cuda-toolkit==12.8.*", "nvidia-cudnn-cu12==9.10.2.21"], "12.8.", "9.10.2.21"),
            (["cuda-toolkit>=12.8,<13", "nvidia-cudnn-cu12==9.10.2.21"], "12.8.", "9.10.2.21"),
            (["cuda-toolkit==12.8.90", "nvidia-cudnn-cu12==9.*"], "12.8.", ""),
            (["cuda-toolkit==13", "nvidia-cudnn-cu13>=9"], "13.0.", ""),
            (["cuda-toolkit==99.1.2"], "99.1.", ""),
        ],
    )
    def test_the_cuda_that_it_names(
        self, asker: Asker, index: IndexServer, requires: list[str], cuda: str, cudnn: str
    ) -> None:
        of_torch(index, *requires)
        found = asker.resolved(PY312, GPU, "torch==2.9.0")
        assert found["torch"].version == "2.9.0"
        assert found["cuda"].version.startswith(cuda)
        named = found.get("cudnn")
        assert (named.version if named else "") == cudnn

    @pytest.mark.parametrize(
        "requires",
        [
            "cuda-toolkit",
            "cuda-toolkit==13.*",
            "cuda-toolkit===weird",
            "nvidia-cudnn-cu12==9.1.0.2",
        ],
    )
    def test_a_cuda_build_that_does_not_tell_of_which(
        self, asker: Asker, index: IndexServer, requires: str
    ) -> None:
        of_torch(index, requires)
        found = asker.resolved(PY312, GPU, "torch==2.9.0")
        assert (found["torch"].version, found["cuda"].version[:5]) == ("2.9.0", "12.8.")
        assert ASSUMED in found.warnings[0]

    @pytest.mark.parametrize(
        "cuda", ["cuda-toolkit==13.0rc1", "cuda-toolkit==1!13.0.2", "cuda-toolkit==13.0+odd"]
    )
    def test_a_cuda_that_nobody_numbers_so(
        self, asker: Asker, index: IndexServer, cuda: str
    ) -> None:
        of_torch(index, cuda)
        assert ASSUMED in asker.resolved(PY312, GPU, "torch==2.9.0").warnings[0]

    def test_a_triton_below_3(self, asker: Asker, index: IndexServer) -> None:
        of_torch(index, "cuda-toolkit==12.8.1", "triton<3.0")
        found = asker.outcome(PY312, GPU, "torch==2.9.0")
        assert isinstance(found, Conflict)
        assert "torch 2.9.0 needs triton below 3.0 [" in conflict_text(found)

    @pytest.mark.parametrize(
        "python", ["===foo", "===3.12", "==3.12.*", "<=3.12,>2", "what", ">=4"]
    )
    def test_any_requires_python(self, asker: Asker, index: IndexServer, python: str) -> None:
        of_torch(index, "cuda-toolkit==12.8.90", python=python)
        asker.outcome(PY312, GPU, "torch==2.9.0")

    def test_a_fact_of_the_index_is_in_no_table(self, asker: Asker, index: IndexServer) -> None:
        of_torch(index, "numpy", python=">=3.13")
        found = asker.outcome(PY312, GPU, "torch==2.9.0")
        assert isinstance(found, Conflict)
        assert "torch.csv" not in conflict_text(found)


class TestTensorflow:
    @pytest.mark.parametrize(
        ("requires", "cuda"),
        [
            (["nvidia-cuda-runtime-cu12~=12.5", "nvidia-cudnn-cu12~=9.3"], "12.9."),
            (["nvidia-cuda-runtime-cu12==12.5.*", "nvidia-cudnn-cu12==9.*"], "12.5."),
            (["nvidia-cuda-runtime-cu12>=12,<12.6.77", "nvidia-cudnn-cu12>=9,<10"], "12.6."),
            (["nvidia-cuda-runtime-cu12==12.*", "nvidia-cudnn-cu12==9.*"], "12.9."),
            (["nvidia-cuda-runtime-cu12===12.5.82", "nvidia-cudnn-cu12===9.3.0.75"], "12.5."),
            (["nvidia-cuda-runtime-cu12!=12.9.0,<13,>=12.5", "nvidia-cudnn-cu12<10,>=9"], "12.9."),
            (["nvidia-cuda-runtime-cu12==12.5.82"], "12.5."),
        ],
    )
    def test_the_packages_of_its_extra(
        self, asker: Asker, index: IndexServer, requires: list[str], cuda: str
    ) -> None:
        of_tensorflow(index, *requires)
        found = asker.resolved(PY312, GPU, "tensorflow==2.20.0", "tensorflow-cuda==and-cuda")
        assert found["cuda"].version.startswith(cuda)

    @pytest.mark.parametrize("requires", [[], ["nvidia-cuda-runtime-cu12==12.5rc1"]])
    def test_what_it_does_not_tell_is_assumed(
        self, asker: Asker, index: IndexServer, requires: list[str]
    ) -> None:
        of_tensorflow(index, *requires)
        (warning,) = asker.resolved(PY312, CPU, "tensorflow==2.20.0").warnings
        assert "CUDA and cuDNN are assumed as of tensorflow 2.19.0" in warning


class TestJax:
    @pytest.mark.parametrize(
        "jaxlib", ["jaxlib===0.8foo", "jaxlib", "jaxlib @ http://x.invalid/j.whl"]
    )
    def test_an_odd_jaxlib(self, asker: Asker, index: IndexServer, jaxlib: str) -> None:
        index.packages["jax"] = [Dist("0.8.0", (jaxlib,), ">=3.11", ("cuda12",))]
        asker.outcome(PY312, GPU, "jax==0.8.0")


def test_a_yanked_release_is_none_for_a_range(asker: Asker, index: IndexServer) -> None:
    index.packages["tensorflow"] = [
        replace(one, yanked="it eats disks") for one in NEW["tensorflow"]
    ]
    found = asker.outcome(PY312, GPU, "tensorflow>=2.20")
    told = conflict_text(found) if isinstance(found, Conflict) else "\n".join(found.warnings)
    assert "facts were read" not in told
    assert "the index has no tensorflow>=2.20" in told
