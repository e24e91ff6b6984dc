"""Versions that no table knows, read from a package index: what is told, and from where."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cogpack.solver.conflict import Conflict
from cogpack.solver.matrix import build_universe
from cogpack.solver.text import conflict_text, resolution_text, why_text
from cogpack.solver.why import Why, why
from support.distributions import Dist
from support.index_server import IndexServer, serve
from support.new_releases import NEW, Asker, lines, moved_tables, put_variants
from support.nowhere import nowhere
from support.small_tables import torch_wheels, variant_wheels
from support.upstream import Upstream, upstream

GPU, CPU, PY312 = "accelerator==cuda", "accelerator==cpu", "python==3.12.*"
READ = "is not in the tables: its facts were read from its metadata on the index"
REFRESH = "refresh the tables with cogpack compat update"


@pytest.fixture
def index() -> Iterator[IndexServer]:
    with serve(NEW) as server:
        yield server


@pytest.fixture
def variants() -> Iterator[Upstream]:
    """torch's own index; it has nothing until something is put there."""
    with upstream() as server:
        yield server


@pytest.fixture
def asker(tmp_path: Path, index: IndexServer, variants: Upstream) -> Asker:
    return Asker(tmp_path, moved_tables(tmp_path / "tables", f"{variants.url}/whl"), index.url)


class TestReading:
    def test_what_is_known_asks_nobody(self, asker: Asker, index: IndexServer) -> None:
        found = asker.resolved(PY312, GPU, "torch==2.8.0", "torchvision==0.23.0")
        assert found.warnings == ()
        assert (asker.opened, index.requests) == (0, [])

    def test_torch_and_what_belongs_to_it(self, asker: Asker) -> None:
        found = asker.resolved(PY312, GPU, "torch==2.9.0", "torchvision==0.24.0")
        versions = {one.package: one.version for one in found}
        assert versions["torch"] == "2.9.0"
        assert versions["torchvision"] == "0.24.0"
        assert versions["triton"] == "3.5.0"
        assert versions["cuda"].startswith("12.8.")
        assert versions["cudnn"] == "9.10.2.21"
        assert found["torch"].facts == "index metadata"
        torch, vision = sorted(found.warnings)
        assert torch.startswith(f"torch 2.9.0 {READ}; ")
        assert "the GPUs that it runs on are all those of CUDA 12.8 in the tables" in torch
        assert torch.endswith(REFRESH)
        assert vision == f"torchvision 0.24.0 {READ}; {REFRESH}"
        assert "2.9.0" in resolution_text(found)
        assert "torch==2.9.0 (requirements.txt:3); facts: index metadata" in resolution_text(found)

    def test_a_companion_without_a_version_follows_torch(self, asker: Asker) -> None:
        found = asker.resolved(PY312, GPU, "torch==2.9.0", "torchvision", "torchaudio")
        assert (found["torchvision"].version, found["torchaudio"].version) == ("0.24.0", "2.9.0")

    def test_torch_follows_a_companion(self, asker: Asker) -> None:
        assert (
            asker.resolved(PY312, GPU, "torchvision==0.24.0", "torch")["torch"].version == "2.9.0"
        )

    def test_a_companion_for_another_torch_is_a_conflict_of_both_lines(
        self, asker: Asker, index: IndexServer
    ) -> None:
        index.packages["torch"] += torch_wheels("2.10.0", "12.8.90", "9.10.2.21", "3.5.0", (12,))
        found = asker.outcome(PY312, GPU, "torch==2.10.0", "torchvision==0.24.0")
        assert isinstance(found, Conflict)
        text = conflict_text(found)
        assert "These do not go together:\n  torch==2.10.0" in text
        assert "torchvision 0.24.0 goes with torch 2.9.0 [index metadata of torchvision" in text

    def test_tensorflow(self, asker: Asker) -> None:
        found = asker.resolved(PY312, GPU, "tensorflow==2.20.0")
        assert found["tensorflow"].version == "2.20.0"
        assert found["tensorflow-cuda"].version == "and-cuda"
        (warning,) = found.warnings
        assert "tensorflow 2.20.0 is not in the tables" in warning
        assert "the CUDA and cuDNN that it was tested with are read off its extra" in warning

    def test_jax_its_jaxlib_and_its_plugin(self, asker: Asker) -> None:
        found = asker.resolved(PY312, GPU, "jax==0.8.0", "jax-cuda==cuda12")
        versions = [found[one].version for one in ("jax", "jaxlib", "jax-cuda12-plugin")]
        assert versions == ["0.8.0"] * 3
        assert [text.partition(" is ")[0] for text in found.warnings] == ["jax 0.8.0"]

    def test_jax_without_a_gpu_needs_no_plugin(self, asker: Asker, index: IndexServer) -> None:
        found = asker.resolved(PY312, CPU, "jax==0.8.0")
        assert found["jaxlib"].version == "0.8.0"
        assert not index.count("plugin/")

    def test_of_a_range_the_newest_that_is_there(self, asker: Asker, index: IndexServer) -> None:
        index.packages["torch"] += torch_wheels("2.9.1", "12.8.90", "9.10.2.21", "3.5.0", (12, 13))
        index.packages["torch"] += torch_wheels("2.10.0rc1", "12.8.90", "9.10.2.21", "3.5.0")
        assert asker.resolved(PY312, GPU, "torch>=2.9")["torch"].version == "2.9.1"
        assert asker.resolved(PY312, GPU, "torch>2.8.0,<2.9.1")["torch"].version == "2.9.0"

    def test_the_wheels_say_which_python_fits(self, asker: Asker, index: IndexServer) -> None:
        index.packages["torch"] = torch_wheels("2.9.0", "12.8.90", "9.10.2.21", "3.5.0", (13,))
        found = asker.outcome(PY312, GPU, "torch==2.9.0")
        assert isinstance(found, Conflict)
        text = conflict_text(found)
        assert "torch 2.9.0 has wheels for Python 3.13 [index metadata of torch 2.9.0]" in text
        assert "set python" in text or "change python==3.12.* to" in text

    def test_an_upper_bound_of_requires_python_counts(
        self, asker: Asker, index: IndexServer
    ) -> None:
        wheels = torch_wheels("2.9.0", "12.8.90", "9.10.2.21", "3.5.0", (11, 12))
        index.packages["torch"] = [replace(one, requires_python=">=3.9,<3.12") for one in wheels]
        found = asker.outcome(PY312, GPU, "torch==2.9.0")
        assert isinstance(found, Conflict)
        assert "torch 2.9.0 has wheels for Python 3.11 [" in conflict_text(found)

    def test_why(self, asker: Asker) -> None:
        wanted = lines(PY312, GPU, "torch==2.9.0")
        universe = build_universe(asker.tables, roots={one.package for one in wanted})
        told = why("triton", wanted, universe, source=asker.source())
        assert isinstance(told, Why)
        assert "torch 2.9.0 needs triton 3.5.0 [index metadata of torch 2.9.0]" in why_text(told)

    def test_a_cuda_that_no_table_has(self, asker: Asker, index: IndexServer) -> None:
        index.packages["torch"] = torch_wheels("2.9.0", "12.99.1", "9.99.0.1", "3.5.0", (12,))
        found = asker.resolved(PY312, GPU, "torch==2.9.0")
        assert (found["cuda"].version, found["cudnn"].version) == ("12.99.0", "9.99.0.1")
        assert any(
            "CUDA 12.99 is not in the tables: the driver and the GPUs that it needs are assumed as "
            "of CUDA 12.9" in text
            for text in found.warnings
        )

    def test_metadata_in_the_wheel_alone_is_read_by_ranges(
        self, asker: Asker, index: IndexServer
    ) -> None:
        for name in ("torch", "torchvision"):
            index.packages[name] = [replace(one, sibling=False) for one in index.packages[name]]
        found = asker.resolved(PY312, GPU, "torch==2.9.0", "torchvision==0.24.0")
        assert found["cudnn"].version == "9.10.2.21"
        assert any("range" in request.headers for request in index.requests)

    def test_few_requests_and_none_the_second_time(self, asker: Asker, index: IndexServer) -> None:
        project = (PY312, GPU, "torch==2.9.0", "torchvision==0.24.0")
        first = asker.resolved(*project)
        assert len(index.requests) <= 5
        index.forget()
        assert asker.resolved(*project) == first
        assert asker.resolved(*project, offline=True) == first
        assert index.requests == []


class TestLibraries:
    """Libraries that pin frameworks: pins.csv has those that are known."""

    @pytest.fixture
    def vllm(self, index: IndexServer) -> list[Dist]:
        requires = ("torch==2.9.0", "torchvision==0.24.0", "numpy", "jax>=9; extra == 'jax'")
        dists = [Dist("0.12.0", requires, ">=3.10,<3.14", tag="cp38-abi3-manylinux1_x86_64")]
        index.packages["vllm"] = dists
        index.names["vllm"] = "vllm"
        return dists

    def test_what_it_pins_is_read_and_what_no_table_has_of_that(
        self, asker: Asker, vllm: list[Dist]
    ) -> None:
        found = asker.resolved(PY312, GPU, "vllm==0.12.0")
        versions = {one.package: one.version for one in found}
        assert (versions["vllm"], versions["torch"]) == ("0.12.0", "2.9.0")
        assert (versions["torchvision"], versions["triton"]) == ("0.24.0", "3.5.0")
        assert f"vllm 0.12.0 {READ}; {REFRESH}" in found.warnings

    def test_it_clashes_by_what_it_says_itself(self, asker: Asker, vllm: list[Dist]) -> None:
        found = asker.outcome(PY312, GPU, "vllm==0.12.0", "torch==2.8.0")
        assert isinstance(found, Conflict)
        text = conflict_text(found)
        assert "vllm 0.12.0 needs torch 2.9.0 [index metadata of vllm 0.12.0]" in text
        assert "change torch==2.8.0 to torch==2.9.0" in text or "vllm==0.11.0" in text

    def test_python_counts(self, asker: Asker, vllm: list[Dist], index: IndexServer) -> None:
        index.packages["vllm"] = [replace(vllm[0], requires_python=">=3.13")]
        assert isinstance(asker.outcome(PY312, GPU, "vllm==0.12.0"), Conflict)

    def test_of_a_range_the_newest_that_is_there(self, asker: Asker, vllm: list[Dist]) -> None:
        assert asker.resolved(PY312, GPU, "vllm>0.11.0")["vllm"].version == "0.12.0"

    @pytest.mark.parametrize("asked", ["==0.3.0", "<0.5", "~=0.3.0"])
    def test_releases_before_those_of_the_tables_are_read_as_well(
        self, asker: Asker, vllm: list[Dist], index: IndexServer, asked: str
    ) -> None:
        index.packages["vllm"] = [*vllm, replace(vllm[0], version="0.3.0", requires=("torch<2.8",))]
        found = asker.resolved(PY312, GPU, f"vllm{asked}")
        assert (found["vllm"].version, found["vllm"].facts) == ("0.3.0", "index metadata")
        assert found["torch"].version.startswith("2.7.1")

    def test_one_that_pins_nothing_limits_nothing(
        self, asker: Asker, vllm: list[Dist], index: IndexServer
    ) -> None:
        index.packages["vllm"] = [Dist("0.12.0", ("torch", "numpy"), ">=3.10")]
        found = asker.resolved(PY312, GPU, "vllm==0.12.0", "torch==2.7.1")
        assert found["torch"].version.startswith("2.7.1")

    @pytest.mark.parametrize("tag", ["sdist", "cp312-cp312-win_amd64"])
    def test_files_for_others_tell_it_too(
        self, asker: Asker, vllm: list[Dist], index: IndexServer, tag: str
    ) -> None:
        index.packages["vllm"] = [replace(vllm[0], tag=tag)]
        assert asker.resolved(PY312, GPU, "vllm==0.12.0")["torch"].version == "2.9.0"

    def test_without_metadata_the_nearest_release_counts(
        self, asker: Asker, vllm: list[Dist], index: IndexServer
    ) -> None:
        index.packages["vllm"] = [replace(vllm[0], tag="sdist", metadata_version="2.1")]
        found = asker.resolved(PY312, GPU, "vllm==0.12.0")
        assert found["torch"].version.startswith("2.8.0")
        assert any("the metadata of vllm 0.12.0 do not tell (" in one for one in found.warnings)


class TestDates:
    """`--exclude-newer`: what is newer, or may be, is not there, on any of the indexes."""

    @pytest.fixture
    def asker(self, tmp_path: Path, index: IndexServer, variants: Upstream) -> Asker:
        tables = moved_tables(tmp_path / "tables", f"{variants.url}/whl")
        moment = datetime(2024, 6, 1, tzinfo=UTC)
        return Asker(tmp_path, tables, index.url, exclude_newer=moment)

    def test_a_release_that_is_too_new_is_not_read(self, asker: Asker, index: IndexServer) -> None:
        for name in ("torch", "triton"):
            dists = index.packages[name]
            index.packages[name] = [replace(one, upload_time="2024-06-01") for one in dists]
        found = asker.resolved(PY312, GPU, "torch==2.9.0")
        (warning,) = found.warnings
        assert (
            "torch 2.9.0 is not in the tables, and there is no torch==2.9.0 to read: "
            f"{index.url} has torch 2.9.0, too new for exclude-newer; the facts of torch 2.8.0"
        ) in warning

    @pytest.mark.parametrize("moment", ["2024-06-01T00:00:00Z", ""])
    def test_variants_that_are_too_new_or_without_a_date_are_left_out(
        self, asker: Asker, variants: Upstream, moment: str
    ) -> None:
        dists = [*variant_wheels("2.9.0+cpu"), *variant_wheels("2.9.0+cu128")]
        put_variants(variants, "torch", [replace(one, upload_time=moment) for one in dists])
        found = asker.resolved(PY312, CPU, "torch==2.9.0")
        assert found["torch"].version == "2.9.0"
        (warning,) = (one for one in found.warnings if "not in the tables" in one)
        told = f"{variants.url}/whl/ gives no upload time of torch-2.9.0+cu128-"
        assert (told in warning) == (not moment)
        assert warning.endswith(REFRESH)

    def test_variants_of_that_day_are_read(self, asker: Asker, variants: Upstream) -> None:
        put_variants(variants, "torch", variant_wheels("2.9.0+cpu"))
        found = asker.resolved(PY312, CPU, "torch==2.9.0")
        assert found["torch"].version == "2.9.0+cpu"
        assert found.warnings == (f"torch 2.9.0 {READ}; {REFRESH}",)

    def test_a_local_version_without_a_date(self, asker: Asker, variants: Upstream) -> None:
        cu130 = torch_wheels("2.9.0+cu130", "13.0.48", "9.13.0.50", "3.5.0", (12,), upload_time="")
        put_variants(variants, "torch", cu130)
        (warning,) = asker.resolved(PY312, GPU, "torch==2.9.0+cu130").warnings
        assert f"{variants.url}/whl/cu130/ gives no upload time of torch-2.9.0+cu130-" in warning
        assert "the facts of torch 2.8.0, the nearest known release, are assumed" in warning


class TestVariants:
    def test_those_of_torchs_own_index(self, asker: Asker, variants: Upstream) -> None:
        put_variants(
            variants, "torch", [*variant_wheels("2.9.0+cpu"), *variant_wheels("2.9.0+cu128")]
        )
        found = asker.resolved(PY312, CPU, "torch==2.9.0")
        assert found["torch"].version == "2.9.0+cpu"
        assert found["torch"].index == f"{variants.url}/whl/cpu"
        (warning,) = found.warnings
        assert warning == f"torch 2.9.0 {READ}; {REFRESH}"

    def test_without_that_index_those_of_the_nearest_release(self, asker: Asker) -> None:
        found = asker.resolved(PY312, GPU, "torch==2.9.0+cu128")
        assert found["torch"].index.endswith("/whl/cu128")
        (warning,) = found.warnings
        assert "torch 2.8.0, the nearest known release, are assumed" in warning

    def test_a_local_version_comes_from_its_own_index(
        self, asker: Asker, variants: Upstream
    ) -> None:
        cu130 = torch_wheels("2.9.0+cu130", "13.0.48", "9.13.0.50", "3.5.0", (12,))
        put_variants(variants, "torch", cu130)
        found = asker.resolved(PY312, GPU, "torch==2.9.0+cu130")
        assert found["torch"].version == "2.9.0+cu130"
        assert found["torch"].index == f"{variants.url}/whl/cu130"
        assert found["cuda"].version.startswith("13.0.")
        assert found["cudnn"].version == "9.13.0.50"
        assert not variants.asked("/whl/torch/")

    def test_a_variant_whose_metadata_cannot_be_had(self, asker: Asker, variants: Upstream) -> None:
        dists = torch_wheels("2.9.0+cu130", "13.0.48", "9.13.0.50", "3.5.0", (12,))
        variants.put_wheels("/whl/cu130/torch/", "torch", dists, metadata=False)
        found = asker.resolved(PY312, GPU, "torch==2.9.0+cu130")
        assert found["cuda"].version.startswith("13.0.")
        assert found.get("triton") is None
        assert "its cuDNN and triton are not known" in found.warnings[0]

    def test_what_the_index_has_comes_before_what_is_assumed(self, asker: Asker) -> None:
        found = asker.resolved(PY312, GPU, "torch==2.9.0", "torchvision==0.24.0")
        assert (found["torch"].index, found["torchvision"].index) == ("", "")


class TestSilence:
    def test_an_index_without_the_version(self, asker: Asker) -> None:
        found = asker.resolved(PY312, GPU, "torch==2.99.0")
        assert found["torch"].version.startswith("2.99.0")
        assert found["torch"].facts == "as of torch 2.8.0"
        (warning,) = found.warnings
        assert warning == (
            "torch 2.99.0 is not in the tables, and the index has no torch==2.99.0, its newest is "
            "2.9.0; the facts of torch 2.8.0, the nearest known release, are assumed"
        )

    def test_an_index_without_the_package(self, asker: Asker, index: IndexServer) -> None:
        del index.packages["tensorflow"]
        (warning,) = asker.resolved(PY312, GPU, "tensorflow==2.99.0").warnings
        assert "the index has no tensorflow at all; the facts of tensorflow 2.19.0" in warning

    def test_no_index_at_all(self, tmp_path: Path, variants: Upstream) -> None:
        tables = moved_tables(tmp_path / "tables", f"{variants.url}/whl")
        with nowhere() as url:
            asker = Asker(tmp_path, tables, f"{url}/simple/")
            found = asker.resolved(PY312, GPU, "torch==2.9.0", "torchvision==0.24.0")
        assert found["torch"].version == "2.9.0+cu128"
        for name, text in zip(("torch 2.9.0", "torchvision 0.24.0"), found.warnings, strict=True):
            assert text.startswith(f"{name} is not in the tables, and the index cannot be read (")
            assert "no connection" in text

    def test_offline_without_a_cache(self, asker: Asker, index: IndexServer) -> None:
        (warning,) = asker.resolved(PY312, GPU, "tensorflow==2.20.0", offline=True).warnings
        assert "the index cannot be read (offline, and the page " in warning
        assert index.requests == []

    @pytest.mark.parametrize("patience", [0.0, 0.2])
    def test_an_index_that_falls_silent_holds_nobody_up(
        self, tmp_path: Path, variants: Upstream, patience: float
    ) -> None:
        tables = moved_tables(tmp_path / "tables", f"{variants.url}/whl")
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen()
            url = f"http://127.0.0.1:{deaf.getsockname()[1]}/simple/"
            asker = Asker(tmp_path, tables, url, patience=patience)
            (warning,) = asker.resolved(PY312, GPU, "tensorflow==2.20.0").warnings
        told = f"and the index did not answer within {patience:g} s; the facts of tensorflow"
        assert told in warning

    def test_one_part_that_fails_spoils_no_other(self, asker: Asker, index: IndexServer) -> None:
        index.fail("/triton/", status=500)
        found = asker.resolved(PY312, GPU, "torch==2.9.0")
        assert found["torch"].facts == "index metadata"
        assert found["triton"].version == "3.5.0"
        assert any("triton 3.5.0 is not in the tables, and the index" in w for w in found.warnings)

    def test_metadata_that_cannot_be_had(self, asker: Asker, index: IndexServer) -> None:
        broken = [replace(one, metadata="Name: other") for one in index.packages["torch"]]
        index.packages["torch"] = broken
        found = asker.resolved(PY312, GPU, "torch==2.9.0")
        (warning,) = found.warnings
        assert "its CUDA, cuDNN and triton are assumed as of torch 2.8.0" in warning
        assert found["triton"].version == "3.4.0"

    def test_no_wheel_for_the_platform(self, asker: Asker, index: IndexServer) -> None:
        index.packages["tensorflow"] = [Dist("2.20.0", tag="cp312-cp312-win_amd64")]
        (warning,) = asker.resolved(PY312, GPU, "tensorflow==2.20.0").warnings
        assert "the index has no wheel of tensorflow 2.20.0 for linux/amd64; the facts" in warning

    def test_a_yanked_release_that_is_pinned(self, asker: Asker, index: IndexServer) -> None:
        yanked = [replace(one, yanked="it eats disks") for one in index.packages["tensorflow"]]
        index.packages["tensorflow"] = yanked
        (warning,) = asker.resolved(PY312, GPU, "tensorflow==2.20.0").warnings
        assert "its author has taken it back (it eats disks)" in warning

    def test_what_lies_between_known_versions_is_still_refused(
        self, asker: Asker, index: IndexServer
    ) -> None:
        assert isinstance(asker.outcome(PY312, GPU, "torch==2.7.0"), Conflict)
        assert index.requests == []

    def test_a_credential_is_never_shown(self, tmp_path: Path, variants: Upstream) -> None:
        tables = moved_tables(tmp_path / "tables", f"{variants.url}/whl")
        with serve(NEW, auth=("me", "s3cret")) as server:
            wrong = Asker(tmp_path, tables, server.with_credential("me", "wr0ng"))
            refused = wrong.resolved(PY312, GPU, "torch==2.9.0")
            right = Asker(tmp_path, tables, server.with_credential("me", "s3cret"))
            known = right.resolved(PY312, GPU, "torch==2.9.0")
        assert known["torch"].facts == "index metadata"
        assert "refused" in refused.warnings[0]
        assert "wr0ng" not in repr(refused)
        assert "s3cret" not in repr(known)
