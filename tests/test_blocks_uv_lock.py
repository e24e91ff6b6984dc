"""A locked project: what the solver is asked, which layers there are, what repeats them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.blocks.wheels import locked_wheels
from cogpack.plan import model
from cogpack.solver.lock_package import LockedPackage
from cogpack.stacks.compose import load
from cogpack.stacks.solve import solved
from support.projects import PREDICTOR, planned, stage_of
from support.uv_locks import TORCH_INDEX, digest, locked, write_locked

BIG = 5_000_000
TAGS = "cp312-cp312-manylinux_2_28_x86_64"
TORCH = locked(
    "torch",
    "2.7.1+cu128",
    ['{ name = "sympy" }', '{ name = "triton" }'],
    source=f'{{ registry = "{TORCH_INDEX}" }}',
    wheels=(TAGS, TAGS.replace("312", "313")),
    size=BIG,
)
OTHERS = (
    locked("sympy"),
    locked("triton", "3.3.1", source=f'{{ registry = "{TORCH_INDEX}" }}', size=BIG),
    locked("tester"),
)
SIX = locked("six")
FLAT = '[[tool.uv.index]]\nname = "f"\nurl = "https://flat.invalid/files"\nformat = "flat"\n'
LINKS = '[tool.uv]\nfind-links = ["https://links.invalid/l"]\n'
GUARDED = '[[tool.uv.index]]\nname = "g"\nurl = "https://me:pw@guarded.invalid/simple"\n'


def write(
    folder: Path,
    *,
    source: str = '{ virtual = "." }',
    six: str = "",
    head: str = "",
    package: str = SIX,
) -> Path:
    root = locked(
        "mine",
        "0",
        ['{ name = "torch" }', '{ name = "six" }'],
        source=source,
        more='[package.dev-dependencies]\ndev = [{ name = "tester" }]\n'
        "[package.metadata]\nrequires-dist = ["
        f'{{ name = "torch" }}, {{ name = "six"{f", specifier = {six!r}" if six else ""} }}]\n',
    )
    write_locked(folder, ["torch", f"six{six}"], TORCH, *OTHERS, package, root, head=head)
    (folder / "predict.py").write_text(PREDICTOR)
    return folder


def command(plan: model.Plan, name: str) -> str:
    return "\n".join(op.command for op in stage_of(plan, name).ops if isinstance(op, model.Exec))


def mounts(plan: model.Plan, name: str) -> list[model.Mount]:
    return [m for op in stage_of(plan, name).ops if isinstance(op, model.Exec) for m in op.mounts]


def stages(plan: model.Plan) -> list[str]:
    return [stage.id for phase in plan.build_phases for stage in phase.stages]


def lists(plan: model.Plan) -> dict[str, str]:
    """The lists of wheels, by the name of their group."""
    written = [op for op in stage_of(plan, "wheel-lists").ops if isinstance(op, model.MkFile)]
    return {op.path.removeprefix("/").removesuffix("-0.txt"): op.content for op in written}


def hashes(name: str) -> str:
    return f"--hash={digest(name, TAGS if name == 'torch' else 'py3-none-any')}"


def secrets(plan: model.Plan, stage: str) -> dict[str | None, bool]:
    found = [one for one in mounts(plan, stage) if isinstance(one, model.SecretMount)]
    return {one.env: one.required for one in found}


def test_the_solver_takes_the_locked_builds(tmp_path: Path) -> None:
    found = solved(load(write(tmp_path)))
    torch = found["torch"]
    assert (torch.version, torch.variant) == ("2.7.1+cu128", "cu128")
    assert ("uv.lock", "torch==2.7.1+cu128") in {(one.file, one.text) for one in torch.because}
    assert found["triton"].version == "3.3.1"


def test_a_locked_package_may_have_the_name_of_a_part_of_the_image(tmp_path: Path) -> None:
    """NVIDIA's cuda-toolkit, that torch needs from 2.11 on, is no compiler in the base image."""
    needs = ['{ name = "cuda-toolkit" }', '{ name = "uv" }']
    others = locked("cuda-toolkit", "13.0.2") + locked("uv", "0.5.0")
    found = solved(load(write(tmp_path, package=locked("six", needs=needs) + others)))
    assert "cuda-toolkit" not in found
    assert "nvidia" not in found.base_images.build.ref
    assert found["uv"].version != "0.5.0"


def test_wheels_are_installed_by_content_and_uv_syncs_nothing(tmp_path: Path) -> None:
    plan = planned(write(tmp_path))
    assert {"wheels:torch", "wheels:triton"} <= {*stages(plan)}
    assert not {"packages", "local-packages", "requirements", "torch"} & {*stages(plan)}
    text = command(plan, "wheels:torch")
    assert "--no-deps --require-hashes" in text
    assert stage_of(plan, "wheels:torch").source == model.StageInput(id="python")
    found = lists(plan)
    assert found["torch"] == f"--index-url {TORCH_INDEX}\ntorch==2.7.1+cu128 {hashes('torch')}\n"
    assert f"six==1.0 {hashes('six')}\n" in "".join(found.values())
    # The server stands on them: it must get along with what is there.
    assert stages(plan).index("cog") > stages(plan).index("layer:torch")
    assert "export:wheels:torch" in [one.id for one in plan.export_phases[2].stages]


def test_a_layer_is_that_of_a_project_which_cogpack_has_locked(tmp_path: Path) -> None:
    torch = locked_wheels(
        [
            LockedPackage(
                "torch",
                "2.7.1+cu128",
                "wheel",
                filename="torch-2.7.1+cu128-cp312-cp312-manylinux_2_28_x86_64.whl",
                hashes=(("sha256", digest("torch", TAGS).removeprefix("sha256:")),),
                size=BIG,
                index=TORCH_INDEX,
            )
        ]
    )
    plan = planned(write(tmp_path))
    [op] = [
        op
        for op in stage_of(plan, "wheel-lists").ops
        if isinstance(op, model.MkFile) and op.path == "/torch-0.txt"
    ]
    assert op.content == f"--index-url {TORCH_INDEX}\n{torch[0].line}\n"


def test_another_package_leaves_the_other_layers_as_they_are(tmp_path: Path) -> None:
    before = planned(write(tmp_path))
    after = planned(write(tmp_path, six="==1.0"))
    assert stage_of(before, "wheels:torch") == stage_of(after, "wheels:torch")
    assert lists(before)["torch"] == lists(after)["torch"]


@pytest.mark.parametrize(
    ("six", "head"),
    [
        (locked("six", wheels=()), ""),
        (locked("six", wheels=("cp311-cp311-manylinux_2_17_x86_64",)), ""),
        (locked("six", wheels=("py3-none-macosx_11_0_arm64",)), ""),
        (locked("six", wheels=("cp312-cp312-manylinux_2_99_x86_64",)), ""),
        (locked("six").replace(digest("six"), ""), ""),
        (locked("six", source='{ git = "https://x.invalid/six?rev=1#abc" }'), ""),
        (locked("six", source='{ url = "https://x.invalid/six-1.0-py3-none-any.whl" }'), ""),
        (locked("six", source='{ registry = "https://flat.invalid/files" }'), FLAT),
        (locked("six", source='{ registry = "https://links.invalid/l" }'), LINKS),
        (locked("six", source='{ registry = "https://guarded.invalid/simple" }'), GUARDED),
        (locked("six"), '[tool.uv]\nno-binary-package = ["Six"]\n'),
    ],
    ids=[
        "no-wheel",
        "other-python",
        "other-system",
        "newer-glibc",
        "no-hash",
        "git",
        "url",
        "flat-index",
        "find-links",
        "credential-in-the-index",
        "no-binary",
    ],
)
def test_what_is_no_wheel_of_an_index_is_left_to_uv(tmp_path: Path, six: str, head: str) -> None:
    plan = planned(write(tmp_path, package=six, head=head))
    assert "uv sync --project /src --frozen --inexact" in command(plan, "packages")
    assert "--no-install-project" in command(plan, "packages")
    assert stage_of(plan, "packages").title == "install as locked by uv: six"
    assert [one.text for one in stage_of(plan, "packages").reasons] == ["six==1.0"]
    contexts = [
        mount.source
        for mount in mounts(plan, "packages")
        if isinstance(mount, model.BindMount) and isinstance(mount.source, model.LocalInput)
    ]
    assert contexts == [model.LocalInput(include=("pyproject.toml", "uv.lock"))]
    assert not any("six" in content for content in lists(plan).values())
    assert "torch" in lists(plan)
    assert stages(plan).index("packages") > stages(plan).index("layer:torch")


def test_where_other_packages_exclude_one_another_uv_installs_all(tmp_path: Path) -> None:
    folder = write(tmp_path)
    lock = folder / "uv.lock"
    lock.write_text(
        lock.read_text().replace(
            "revision = 3\n",
            'revision = 3\nconflicts = [[{ package = "other", extra = "a" }, '
            '{ package = "mine", extra = "b" }]]\n',
        )
    )
    plan = planned(folder)
    assert "uv sync" in command(plan, "packages")
    assert "wheel-lists" not in stages(plan)


def test_of_several_wheels_all_that_fit_may_be_taken(tmp_path: Path) -> None:
    tags = ("cp312-cp312-manylinux_2_17_x86_64", "cp312-abi3-musllinux_1_2_x86_64", "py3-none-any")
    plan = planned(write(tmp_path, package=locked("six", wheels=tags)))
    wanted = sorted(digest("six", tag) for tag in (tags[0], tags[2]))
    line = f"six==1.0 --hash={wanted[0]} --hash={wanted[1]}\n"
    assert line in "".join(lists(plan).values())


def test_without_sizes_what_is_made_for_one_platform_counts_as_large(tmp_path: Path) -> None:
    six = locked("six", wheels=("cp312-cp312-manylinux_2_17_x86_64",), size=0)
    found = lists(planned(write(tmp_path, package=six)))
    assert "six" in found
    pure = lists(planned(write(tmp_path, package=locked("six", size=0))))
    assert "six" not in pure


def test_markers_count_for_the_python_that_is_chosen(tmp_path: Path) -> None:
    """Nothing names a Python, and torch has wheels for 3.11 alone."""
    edges = [
        '{ name = "torch" }',
        """{ name = "old", marker = "python_full_version < '3.12'" }""",
        """{ name = "new", marker = "python_full_version >= '3.12'" }""",
    ]
    metadata = '[package.metadata]\nrequires-dist = [{ name = "torch" }, { name = "x" }]\n'
    root = locked("mine", "0", edges, source='{ virtual = "." }', more=metadata)
    others = (locked("torch", "1.13.1"), locked("old"), locked("new"))
    folder = write_locked(tmp_path, ["torch", "x"], *others, root)
    (folder / "cog.yaml").write_text("run: predict.py:Predictor\n")
    (folder / "predict.py").write_text(PREDICTOR)
    plan = planned(folder)
    assert plan.packages["python"].version.startswith("3.11")
    text = "".join(lists(plan).values())
    assert "old==1.0" in text
    assert "new==1.0" not in text


def test_the_project_is_installed_last_when_uv_installs_it(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("*.lock\n")
    plan = planned(write(tmp_path, source='{ editable = "." }'))
    assert stages(plan).index("cog") < stages(plan).index("local-packages")
    [context] = [
        mount
        for mount in mounts(plan, "local-packages")
        if isinstance(mount, model.BindMount) and isinstance(mount.source, model.LocalInput)
    ]
    assert context.writable
    assert isinstance(context.source, model.LocalInput)
    assert context.source.include == ("**",)
    assert context.source.exclude.index("!uv.lock") > context.source.exclude.index("*.lock")


def test_credentials_of_a_named_index_are_secrets_that_need_not_be_given(tmp_path: Path) -> None:
    head = f'[[tool.uv.index]]\nname = "pytorch-cu"\nurl = "{TORCH_INDEX}/"\n'
    plan = planned(write(tmp_path, head=head))
    assert secrets(plan, "wheels:torch") == {
        "UV_INDEX_PYTORCH_CU_PASSWORD": False,
        "UV_INDEX_PYTORCH_CU_USERNAME": False,
    }
    assert f"--default-index pytorch-cu={TORCH_INDEX}" in command(plan, "wheels:torch")
    assert "--index-url" not in lists(plan)["torch"]
    [others] = [name for name in stages(plan) if name.startswith("wheels:packages-")][:1]
    assert secrets(plan, others) == {}
    synced = planned(write(tmp_path, package=locked("six", wheels=()), head=head))
    assert secrets(synced, "packages") == secrets(plan, "wheels:torch")


def test_default_groups_are_those_of_uv(tmp_path: Path) -> None:
    with_dev = {one.package for one in load(write(tmp_path)).requirements}
    none = "[tool.uv]\ndefault-groups = []\n"
    without = {one.package for one in load(write(tmp_path, head=none)).requirements}
    assert with_dev - without == {"tester"}


def test_pip_takes_the_dependencies_for_requirements(tmp_path: Path) -> None:
    folder = write(tmp_path)
    with (folder / "cog.yaml").open("a") as file:
        file.write("cogpack:\n  installer: pip\n")
    plan = planned(folder)
    assert "python -m pip install" in command(plan, "packages")
    assert "requirements" in stages(plan)
