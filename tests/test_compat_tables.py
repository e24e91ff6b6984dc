"""What the tables of the package promise to everything that builds on them."""

from __future__ import annotations

import re
from datetime import date
from itertools import pairwise
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from cogpack.compat.rows import TABLES
from support.matrices import tables

SPECIFIERS = {
    "cog": ("python", "coglet"),
    "jax": ("python", "jaxlib", "cuda12_plugin", "cuda13_plugin"),
    "jax_plugins": ("python", "cuda_packages", "cudnn_packages"),
    "jaxlib": ("python",),
    "pins": ("python",),
    "tensorflow": ("python", "cuda_packages", "cudnn_packages"),
    "torch": ("python", "triton"),
    "torchaudio": ("python", "torch"),
    "torchvision": ("python", "torch"),
    "triton": ("python",),
}


def rows(name: str) -> tuple[Any, ...]:
    return tables().read_all()[name]


@pytest.mark.parametrize("name", TABLES)
def test_rows_are_sorted_and_none_stands_twice(name: str) -> None:
    keys = [tuple(getattr(row, part) for part in TABLES[name].key) for row in rows(name)]
    assert keys
    assert all(earlier < later for earlier, later in pairwise(keys))


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_a_source_and_a_day(name: str) -> None:
    for row in rows(name):
        assert row.source.strip(), row
        assert date.fromisoformat(row.checked) >= date(2026, 11, 22), row


@pytest.mark.parametrize("name", SPECIFIERS)
def test_specifiers_can_be_read(name: str) -> None:
    for row in rows(name):
        for column in SPECIFIERS[name]:
            SpecifierSet(getattr(row, column))


def test_the_newest_releases_are_known() -> None:
    newest = {name: str(rows(name)[-1].version) for name in ("torch", "torchvision", "tensorflow")}
    assert newest == {"torch": "2.15.0", "torchvision": "0.29.2", "tensorflow": "2.21.0"}
    assert str(rows("jax")[-1].version) == "0.12.0.1"
    libraries = {row.package: str(row.version) for row in rows("pins")}
    assert (libraries["vllm"], libraries["xformers"]) == ("0.33.0", "0.0.35")
    runtime = {row.package: str(row.version) for row in rows("cog")}
    assert runtime == {"cog": "0.23.1", "coglet": "0.23.1"}


def test_patch_releases_of_tensorflow_are_known() -> None:
    known = {str(row.version) for row in rows("tensorflow")}
    assert {"2.9.3", "2.10.1", "2.12.1", "2.15.0.post1", "2.15.1", "2.16.2", "2.17.1"} <= known


def test_a_torch_variant_is_its_local_version_its_index_and_its_cuda() -> None:
    cudas = {f"{row.version.major}.{row.version.minor}" for row in rows("cuda")}
    cudnns = {str(row.version) for row in rows("cudnn")}
    for row in rows("torch"):
        assert bool(row.version.local) == bool(row.index_url), row
        if row.index_url:
            assert row.version.local == row.variant, row
            assert row.index_url.endswith(f"/{row.variant}"), row
        if row.cuda:
            assert row.variant == f"cu{row.cuda.replace('.', '')}", row
            assert row.cuda in cudas, row
            assert row.cudnn in {*cudnns, ""}, row
        else:
            assert (row.variant, row.cudnn, row.triton, row.kernels) == ("cpu", "", "", ()), row
        assert row.libraries in {"", "packages", "wheel"}, row


def test_kernels_are_compute_capabilities() -> None:
    for row in rows("torch"):
        for kernel in row.kernels:
            assert re.fullmatch(r"\d+\.\d(\+PTX)?", kernel), row


@pytest.mark.parametrize("name", ["torchaudio", "torchvision"])
def test_a_companion_goes_with_a_torch_that_exists_in_its_variants(name: str) -> None:
    for row in rows(name):
        matching = [
            build
            for build in rows("torch")
            if build.architecture == row.architecture
            and SpecifierSet(row.torch).contains(build.version.public)
        ]
        assert any(not build.index_url for build in matching), row
        assert set(row.variants) <= {build.variant for build in matching}, row


def test_the_triton_of_a_torch_exists() -> None:
    for row in rows("torch"):
        if row.triton:
            assert any(
                build.architecture == row.architecture
                and SpecifierSet(row.triton).contains(build.version)
                for build in rows("triton")
            ), row


def test_the_jaxlib_of_a_jax_exists() -> None:
    known = [row.version for row in rows("jaxlib")]
    for row in rows("jax"):
        assert any(SpecifierSet(row.jaxlib).contains(version) for version in known), row


def test_a_jax_that_names_plugins_has_one_that_exists() -> None:
    # jax 0.7.0 and 0.7.1 name a plugin for CUDA 13 that was first released with 0.7.2.
    for row in rows("jax"):
        named = {"12": row.cuda12_plugin, "13": row.cuda13_plugin}
        assert not any(named.values()) or any(
            SpecifierSet(named[plugin.cuda_major]).contains(plugin.version)
            for plugin in rows("jax_plugins")
            if named[plugin.cuda_major]
        ), row


def test_pins_are_normalised_and_name_packages_that_have_a_table() -> None:
    for row in rows("pins"):
        assert row.package == canonicalize_name(row.package)
        for text in row.requires.split(";"):
            pinned = Requirement(text)
            assert any(
                pinned.specifier.contains(one.version.public) for one in rows(pinned.name)
            ), row


def test_the_coglet_of_a_cog_exists() -> None:
    known = [row.version for row in rows("cog") if row.package == "coglet"]
    for row in rows("cog"):
        if row.coglet:
            assert any(SpecifierSet(row.coglet).contains(version) for version in known), row


def test_images_stand_on_known_systems_and_bring_known_releases() -> None:
    systems = {row.name for row in rows("os")}
    pythons = {str(row.version) for row in rows("python")}
    toolkits = {row.version for row in rows("cuda")}
    for row in rows("base_images"):
        assert row.os in systems, row
        assert bool(row.python) == bool(row.patch_ref) == bool(row.patch_from), row
        if row.python:
            assert {row.python, row.patch_from} <= pythons, row
            assert Version(row.patch_from) <= Version(row.python), row
            assert row.patch_ref.format(python=row.python).startswith("docker.io/library/python:")
    for row in rows("cuda_images"):
        assert row.os in systems, row
        assert row.cuda in toolkits, row
        assert row.cudnn_tag in {"cudnn", f"cudnn{row.cudnn}"}, row


def test_drivers_are_not_older_than_the_minor_version_floor() -> None:
    for row in rows("cuda"):
        if row.driver:
            assert Version(row.driver) >= Version(row.minimal_driver) or row.version.major == 11, (
                row
            )


def test_a_gpu_name_means_one_capability() -> None:
    seen: dict[str, str] = {}
    for row in rows("gpus"):
        for name in (row.name, *row.aliases):
            assert seen.setdefault(name, str(row.capability)) == str(row.capability), name
