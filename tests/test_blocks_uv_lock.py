"""A locked project: what the solver is asked, which layers there are, what repeats them."""

from __future__ import annotations

from pathlib import Path

from cogpack.plan import model
from cogpack.stacks.compose import load
from cogpack.stacks.solve import solved
from support.projects import PREDICTOR, planned, stage_of
from support.uv_locks import INDEX, TORCH_INDEX, locked, write_locked

TORCH = locked(
    "torch",
    "2.7.1+cu128",
    ['{ name = "sympy" }', '{ name = "triton" }'],
    source=f'{{ registry = "{TORCH_INDEX}" }}',
)
OTHERS = (
    locked("sympy"),
    locked("triton", "3.3.1", source=f'{{ registry = "{TORCH_INDEX}" }}'),
    locked("six"),
    locked("tester"),
)


def write(
    folder: Path, *, source: str = '{ virtual = "." }', six: str = "", head: str = ""
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
    write_locked(folder, ["torch", f"six{six}"], TORCH, *OTHERS, root, head=head)
    (folder / "predict.py").write_text(PREDICTOR)
    return folder


def command(plan: model.Plan, name: str) -> str:
    return "\n".join(op.command for op in stage_of(plan, name).ops if isinstance(op, model.Exec))


def mounts(plan: model.Plan, name: str) -> list[model.Mount]:
    return [m for op in stage_of(plan, name).ops if isinstance(op, model.Exec) for m in op.mounts]


def stages(plan: model.Plan) -> list[str]:
    return [stage.id for phase in plan.build_phases for stage in phase.stages]


def test_the_solver_takes_the_locked_builds(tmp_path: Path) -> None:
    found = solved(load(write(tmp_path)))
    torch = found["torch"]
    assert (torch.version, torch.variant) == ("2.7.1+cu128", "cu128")
    assert ("uv.lock", "torch==2.7.1+cu128") in {(one.file, one.text) for one in torch.because}
    assert found["triton"].version == "3.3.1"


def test_uv_installs_the_lock_and_reads_two_files_only(tmp_path: Path) -> None:
    plan = planned(write(tmp_path))
    assert "uv sync --project /src --frozen --inexact" in command(plan, "packages")
    assert "--no-install-project" in command(plan, "packages")
    contexts = [
        mount.source
        for mount in mounts(plan, "packages")
        if isinstance(mount, model.BindMount) and isinstance(mount.source, model.LocalInput)
    ]
    assert contexts == [model.LocalInput(include=("pyproject.toml", "uv.lock"))]
    assert "requirements" not in stages(plan)
    assert "local-packages" not in stages(plan)


def test_a_framework_and_what_it_needs_have_a_layer_with_hashes(tmp_path: Path) -> None:
    plan = planned(write(tmp_path))
    text = command(plan, "torch")
    assert text.count("--no-deps --require-hashes") == 2
    assert f"--default-index {TORCH_INDEX} " in text
    assert f"--default-index {INDEX} " in text
    lists = {
        op.path: op.content for op in stage_of(plan, "locked").ops if isinstance(op, model.MkFile)
    }
    first, second = (lists[name].split() for name in sorted(lists))
    assert first[0] == "torch==2.7.1+cu128"
    assert first[1].startswith("--hash=sha256:")
    assert second[0] == "sympy==1.0"
    assert not any("six" in content for content in lists.values())


def test_another_package_leaves_the_framework_layer_as_it_is(tmp_path: Path) -> None:
    before = planned(write(tmp_path))
    after = planned(write(tmp_path, six="==1.0"))
    assert stage_of(before, "torch") == stage_of(after, "torch")
    assert stage_of(before, "locked") == stage_of(after, "locked")


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
    head = f'[[tool.uv.index]]\nname = "pytorch-cu"\nurl = "{TORCH_INDEX}"\n'
    plan = planned(write(tmp_path, head=head))
    names = {
        mount.env: mount.required
        for mount in mounts(plan, "packages")
        if isinstance(mount, model.SecretMount)
    }
    assert names == {
        "UV_INDEX_PYTORCH_CU_PASSWORD": False,
        "UV_INDEX_PYTORCH_CU_USERNAME": False,
    }
    assert f"--default-index pytorch-cu={TORCH_INDEX}" in command(plan, "torch")


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
