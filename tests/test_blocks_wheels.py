"""Locked wheels in layers: which share one, and what the stage of a group depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogpack.blocks.labels import Labels
from cogpack.blocks.wheel_groups import LARGE_BYTES, MOST_LAYERS, Wheel, group_wheels, lines
from cogpack.blocks.wheels import Wheels, locked_wheels
from cogpack.origin import Origin
from cogpack.plan import model
from cogpack.plan.composer import Composer
from cogpack.plan.render import render
from cogpack.project import Options, Project, RequirementsFile, read_project
from cogpack.project.redact import Url
from cogpack.project.requirements import IndexUrl
from cogpack.solver.lock import Lock, LockedPackage
from cogpack.solver.resolution import BaseImage, BaseImages, Choice, Resolution
from cogpack.stacks.compose import load, make_plan
from cogpack.stacks.solve import solved
from support.projects import write_project

BASE = "docker.io/library/python:3.12-slim-bookworm"
DEFAULT = "https://index.invalid/simple"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
CU128 = "https://index.invalid/cu128"


def _locked(name: str, version: str, size: int, index: str = DEFAULT) -> LockedPackage:
    return LockedPackage(
        name,
        version,
        "wheel",
        f"{name}-{version}-py3-none-any.whl",
        f"{index}/{name}-{version}-py3-none-any.whl",
        hashes=(("sha256", (name[0] * 64)),),
        size=size,
        index=index,
    )


TORCH = _locked("torch", "2.7.1+cu128", 800_000_000, CU128)
CUBLAS = _locked("nvidia-cublas-cu12", "12.8.3.14", 600_000_000)
SIX = _locked("six", "1.17.0", 11_000)
IDNA = _locked("idna", "3.10", 70_000)
SDIST = LockedPackage("old", "1.0", "sdist", "old-1.0.tar.gz", hashes=(("sha256", "0" * 64),))
FOLDER = LockedPackage("lib", "", "directory", path="lib", editable=True)

_wheels = st.lists(
    st.builds(
        Wheel,
        name=st.text("abcdef", min_size=1, max_size=4),
        version=st.just("1"),
        line=st.just("x"),
        size=st.integers(0, 3 * LARGE_BYTES),
    ),
    unique_by=lambda wheel: wheel.name,
)


def test_large_wheels_are_alone_and_small_ones_spread_by_name() -> None:
    groups = group_wheels(locked_wheels([SIX, TORCH, IDNA, CUBLAS, SDIST, FOLDER]), 16)
    assert [(group.name, [wheel.name for wheel in group.wheels]) for group in groups] == [
        ("torch", ["torch"]),
        ("nvidia-cublas-cu12", ["nvidia-cublas-cu12"]),
        ("packages-4", ["idna"]),
        ("packages-7", ["six"]),
    ]


@given(_wheels, st.integers(1, 8))
def test_every_wheel_is_in_one_group_and_there_are_not_too_many(
    wheels: list[Wheel], most: int
) -> None:
    groups = group_wheels(wheels, most)
    assert sorted(wheel for group in groups for wheel in group.wheels) == sorted(wheels)
    assert len(groups) <= most
    assert group_wheels(wheels[::-1], most) == groups
    assert len({group.name for group in groups}) == len(groups)


@given(_wheels)
def test_a_small_wheel_more_changes_one_group_alone(wheels: list[Wheel]) -> None:
    more = Wheel("zz-small", "1", "zz-small==1", 1000)
    before = {group.name: group for group in group_wheels(wheels, 50)}
    after = {group.name: group for group in group_wheels([*wheels, more], 50)}
    [changed] = [name for name in after if after[name] != before.get(name)]
    assert more in after[changed].wheels
    assert changed.startswith("packages-")


@given(_wheels, st.integers(4, 12))
def test_small_and_large_wheels_share_no_layer(wheels: list[Wheel], most: int) -> None:
    for group in group_wheels(wheels, most):
        assert len({wheel.size >= LARGE_BYTES for wheel in group.wheels}) == 1, group


def test_of_too_many_large_wheels_the_smaller_ones_share_layers() -> None:
    wheels = [Wheel(f"large{n}", "1", "x", (n + 1) * LARGE_BYTES) for n in range(45)]
    wheels += [Wheel(f"small{n}", "1", "x", 1000) for n in range(30)]
    groups = group_wheels(wheels, 19)
    names = [group.name for group in groups]
    assert names[:11] == [f"large{n}" for n in range(44, 33, -1)]
    assert names[11:] == [f"{kind}packages-{n}" for kind in ("large-", "") for n in (1, 2, 3, 4)]


def test_wheels_without_a_size_are_guessed_by_their_names() -> None:
    plain = replace(SIX, size=None)
    native = replace(IDNA, size=None, filename="idna-3.10-cp312-cp312-manylinux_2_28_x86_64.whl")
    wheels = locked_wheels([plain, native, replace(TORCH, size=None)], {"torch"})
    assert [group.name for group in group_wheels(wheels, 19)] == ["torch", "idna", "packages-7"]


def test_lines_are_sorted_and_hashed() -> None:
    assert lines(locked_wheels([SIX, IDNA])) == (
        f"idna==3.10 --hash=sha256:{'i' * 64}\nsix==1.17.0 --hash=sha256:{'s' * 64}\n"
    )


def _project(requirements: RequirementsFile) -> Project:
    return Project(Path(), "x", None, requirements, "")


def _plan(
    packages: Sequence[LockedPackage], most_layers: int = 24, project: Project | None = None
) -> model.Plan:
    composer = Composer("linux/amd64", BASE, BASE)
    base = model.PhaseInput(name="base")
    composer.side_stage("runtime", "uv", "", base, [model.Exec(command="uv")])
    composer.side_stage("runtime", "python", "", base, [model.Exec(command="venv")])
    project = project or _project(RequirementsFile())
    image = BaseImage(BASE)
    resolution = Resolution((), BaseImages(image, image))
    lock = Lock(tuple(sorted(packages)), resolution, "", "linux/amd64", "x86_64")
    Wheels(most_layers).plan(project, replace(resolution, lock=lock), composer)
    return composer.finish()


def _stage(plan: model.Plan, name: str) -> model.Stage:
    stages = (stage for phase in plan.build_phases for stage in phase.stages)
    return next(stage for stage in stages if stage.id == name)


def test_groups_stand_side_by_side_on_the_bare_environment() -> None:
    plan = _plan([TORCH, CUBLAS, SIX])
    for name in ("wheels:torch", "wheels:nvidia-cublas-cu12", "wheels:packages-7"):
        assert _stage(plan, name).source == model.StageInput(id="python")
    shown = render(plan).partition("layers over the base\n")[2]
    assert [line.split()[1] for line in shown.splitlines()] == [
        "wheels:torch",
        "wheels:nvidia-cublas-cu12",
        "wheels:packages-7",
    ]


def test_a_group_is_installed_from_its_index_with_hashes_and_without_dependencies() -> None:
    plan = _plan([TORCH, SIX])
    [install] = _stage(plan, "wheels:torch").ops
    assert isinstance(install, model.Exec)
    assert "--no-deps --require-hashes --requirement" in install.command
    [file_op] = [
        op
        for op in _stage(plan, "wheel-lists").ops
        if isinstance(op, model.MkFile) and op.path == "/torch-0.txt"
    ]
    assert file_op.content.splitlines() == [
        f"--index-url {CU128}",
        f"torch==2.7.1+cu128 --hash=sha256:{'t' * 64}",
    ]
    [file] = [mount for mount in install.mounts if mount.target.endswith("torch-0.txt")]
    assert isinstance(file, model.BindMount)


@pytest.mark.parametrize("name", ["wheels:torch", "wheels:nvidia-cublas-cu12"])
def test_a_small_package_more_leaves_the_stage_of_a_large_one_as_it_is(name: str) -> None:
    assert _stage(_plan([TORCH, CUBLAS, SIX]), name) == _stage(
        _plan([TORCH, CUBLAS, SIX, IDNA]), name
    )


def test_the_cap_on_layers_decides_the_grouping() -> None:
    plan = _plan([TORCH, CUBLAS, SIX], most_layers=4)
    names = [stage.id for phase in plan.export_phases for stage in phase.stages]
    assert names == ["export:wheels:torch", "export:wheels:packages-1"]


ALL_LAYERS = """\
  python_packages: [old]
  system_packages: [tree]
  pre_install: ["true"]
  run: ["true", "false"]
cogpack: {user: app}"""


@pytest.mark.parametrize(
    ("settings", "most"),
    [("", MOST_LAYERS), (ALL_LAYERS, MOST_LAYERS), ("cogpack: {max_layers: 40}", 40)],
)
def test_whatever_a_project_asks_for_the_cap_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str, most: int
) -> None:
    monkeypatch.setenv("COG_CA_CERT", CERTIFICATE if settings == ALL_LAYERS else "")
    composition = load(write_project(tmp_path, settings))
    resolution = solved(composition)
    packages = [_locked(f"large{n}", "1", 3 * LARGE_BYTES) for n in range(45)]
    packages += [_locked(f"small{n}", "1", 1000) for n in range(40)]
    lock = Lock(
        tuple(sorted([*packages, SDIST] if settings == ALL_LAYERS else packages)),
        resolution,
        "",
        "linux/amd64",
        "x86_64",
    )
    plan = make_plan(composition, replace(resolution, lock=lock))
    exported = [stage for phase in plan.export_phases for stage in phase.stages]
    assert len(exported) == most
    shown = render(plan).partition("layers over the base\n")[2]
    assert len(shown.splitlines()) == most


def test_what_has_to_be_built_comes_last_and_by_itself() -> None:
    plan = _plan([SIX, SDIST, FOLDER])
    built = _stage(plan, "built-packages")
    [command] = [op.command for op in built.ops if isinstance(op, model.Exec)]
    assert "--no-deps" in command
    assert "--editable ./lib" in command
    assert built.source == model.StageInput(id="layer:packages-7")


def test_what_is_built_comes_from_its_own_index_and_its_tools_from_any() -> None:
    private, default = "https://private.invalid/simple", "https://u:${DEFAULT}@index.invalid/simple"
    at = Origin("requirements.txt", 1)
    options = Options(
        index_url=IndexUrl(Url(default), at),
        extra_index_urls=(IndexUrl(Url("https://u:${OWN}@private.invalid/simple"), at),),
    )
    sdist = replace(SDIST, index=private)
    plan = _plan([SIX, sdist, FOLDER], project=_project(RequirementsFile(options=options)))
    texts = {
        op.path: op.content
        for op in _stage(plan, "wheel-lists").ops
        if isinstance(op, model.MkFile)
    }
    assert texts["/built-0-0.txt"] == (
        "--extra-index-url https://u:${OWN}@private.invalid/simple\n"
        f"--index-url {default}\n"
        f"old==1.0 --hash=sha256:{'0' * 64}\n"
    )
    [build] = [op for op in _stage(plan, "built-packages").ops if isinstance(op, model.Exec)]
    secrets = [mount.id for mount in build.mounts if isinstance(mount, model.SecretMount)]
    assert secrets == ["DEFAULT", "OWN"]
    assert f'--index-url "{default}" --editable ./lib' in build.command


def test_a_wheel_of_the_project_is_a_layer_like_any_other(tmp_path: Path) -> None:
    wheel = LockedPackage(
        "own", "1", "archive", "own.whl", path="wheels/own.whl", hashes=(("sha256", "1" * 64),)
    )
    plan = _plan([wheel])
    [name] = [stage.id for phase in plan.export_phases for stage in phase.stages]
    [install] = _stage(plan, name.removeprefix("export:")).ops
    assert isinstance(install, model.Exec)
    local = [
        mount.source.include
        for mount in install.mounts
        if isinstance(mount, model.BindMount) and isinstance(mount.source, model.LocalInput)
    ]
    assert local == [("wheels/own.whl",)]


def test_without_a_lock_there_is_nothing_to_do() -> None:
    composer = Composer("linux/amd64", BASE, BASE)
    image = BaseImage(BASE)
    project = _project(RequirementsFile())
    Wheels().plan(project, Resolution((), BaseImages(image, image)), composer)
    assert not [stage for phase in composer.finish().build_phases for stage in phase.stages]


def test_the_credential_of_an_index_is_a_secret_of_its_groups_alone() -> None:
    raw = "https://user:${INDEX_TOKEN}@index.invalid/simple"
    options = Options(index_url=IndexUrl(Url(raw), Origin("requirements.txt", 1)))
    plan = _plan([SIX, TORCH], project=_project(RequirementsFile(options=options)))
    groups = {name: _stage(plan, name).ops[0] for name in ("wheels:packages-7", "wheels:torch")}
    secrets = {
        name: [mount.id for mount in op.mounts if isinstance(mount, model.SecretMount)]
        for name, op in groups.items()
        if isinstance(op, model.Exec)
    }
    assert secrets == {"wheels:packages-7": ["INDEX_TOKEN"], "wheels:torch": []}
    texts = [op.content for op in _stage(plan, "wheel-lists").ops if isinstance(op, model.MkFile)]
    assert any(f"--index-url {raw}\n" in text for text in texts)


def test_a_locked_image_says_what_is_installed(tmp_path: Path) -> None:
    (tmp_path / "cog.yaml").write_text("build:\n  python_version: '3.12'\n")
    project = read_project(tmp_path)
    composer = Composer("linux/amd64", BASE, BASE)
    image = BaseImage(BASE)
    resolution = Resolution((Choice("cog", "0.23.1"),), BaseImages(image, image))
    lock = Lock((IDNA, SIX), resolution, "", "linux/amd64", "x86_64")
    Labels().plan(project, replace(resolution, lock=lock), composer)
    labels = composer.finish().config.labels
    assert labels["run.cog.pip_freeze"] == "idna==3.10\nsix==1.17.0"
