"""What Cog gets wrong, each fault by its number, and the plans of projects with more than packages.

Here is what shows in a plan; what the choice of versions alone shows is in
test_solver_real_projects, what only a built image shows in the end-to-end tests.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.plan import model
from support.projects import PREDICTOR, planned, stage_of

WHEELS = "https://download.pytorch.org/whl"
SHA = f"sha256:{'a' * 64}"


def plan_of(
    folder: Path, build: str, requirements: str = "", files: dict[str, str] | None = None
) -> model.Plan:
    """The plan of a project. build: lines of `build:`, each indented by two blanks."""
    folder.mkdir(exist_ok=True)
    if requirements:
        build += "\n  python_requirements: requirements.txt"
    (folder / "cog.yaml").write_text(f"build:\n{build}\nrun: predict.py:Predictor\n")
    named = {"predict.py": PREDICTOR, "requirements.txt": requirements, **(files or {})}
    for name, content in named.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return planned(folder)


def gpu(version: str = "3.12", cuda: str = "") -> str:
    """The lines of a GPU project."""
    pin = f'\n  cuda: "{cuda}"' if cuda else ""
    return f'  gpu: true\n  python_version: "{version}"{pin}'


def cpu(version: str = "3.12") -> str:
    """The lines of a CPU project."""
    return f'  python_version: "{version}"'


def written(plan: model.Plan) -> dict[str, str]:
    """The requirement files that the installer gets."""
    ops = stage_of(plan, "requirements").ops
    return {op.path: op.content for op in ops if isinstance(op, model.MkFile)}


def commands(plan: model.Plan, stage: str) -> str:
    return "\n".join(op.command for op in stage_of(plan, stage).ops if isinstance(op, model.Exec))


def stages(plan: model.Plan) -> list[str]:
    return [stage.id for phase in plan.build_phases for stage in phase.stages]


def test_fault_1_no_line_of_a_requirements_file_is_bent_or_lost(tmp_path: Path) -> None:
    """Fault 1: ranges, markers, hashes, dotted names, #subdirectory=, -r, -c and -e."""
    plan = plan_of(
        tmp_path,
        cpu(),
        "ruamel.yaml==0.18.6\nidna>=3,<4\nnumpy<2 ; python_version < '3.13'\n"
        "colorama ; sys_platform == 'win32'\n"
        "tool @ git+https://example.com/tool.git@v1#subdirectory=python\n"
        "-r more.txt\n-c limits.txt\n-e ./own\n",
        {
            "more.txt": "certifi!=2024.2.2\n",
            "limits.txt": "urllib3<3\n",
            "own/pyproject.toml": '[project]\nname = "own"\nversion = "1"\n',
        },
    )
    files = written(plan)
    for line in (
        "ruamel-yaml==0.18.6",
        "idna<4,>=3",
        'numpy<2 ; python_version < "3.13"',
        "tool @ git+https://example.com/tool.git@v1#subdirectory=python",
        "certifi!=2024.2.2",
    ):
        assert line in files["/requirements.txt"].splitlines()
    assert files["/constraints.txt"] == "urllib3<3\n"
    assert "-e ./own" in files["/local.txt"].splitlines()
    assert "own" not in files["/requirements.txt"]


def test_fault_1_hashes_reach_the_installer(tmp_path: Path) -> None:
    """Fault 1: hashes."""
    plan = plan_of(tmp_path, cpu(), f"six==1.17.0 --hash={SHA}\n")
    assert written(plan)["/requirements.txt"] == f"six==1.17.0 --hash={SHA}\n"


@pytest.mark.parametrize("text", ["torch>=2.0", "torch<2.5", "torch!=2.7.1", "torch~=2.2"])
def test_fault_1_a_range_is_no_pin(tmp_path: Path, text: str) -> None:
    """Fault 1: ranges of a framework."""
    from packaging.specifiers import SpecifierSet

    chosen = plan_of(tmp_path, gpu("3.11"), f"{text}\n").packages["torch"].version
    assert SpecifierSet(text.removeprefix("torch")).contains(chosen)


def test_fault_2_torch_may_be_unpinned(tmp_path: Path) -> None:
    """Fault 2: a GPU project with an unpinned torch, and with torchvision alone pinned."""
    free = plan_of(tmp_path / "free", gpu(), "torch\n")
    assert free.packages["torch"].variant.startswith("cu")
    plan = plan_of(tmp_path / "vision", gpu(), "torch\ntorchvision==0.20.1\n")
    assert plan.packages["torch"].version.startswith("2.5.1+")
    assert f"torchvision=={plan.packages['torchvision'].version}" in commands(plan, "torch")


def test_fault_3_the_users_variant_wins_and_has_its_index(tmp_path: Path) -> None:
    """Fault 3: +cu126 beside cuda: "12.8", and +cpu."""
    plan = plan_of(tmp_path / "gpu", gpu(cuda="12.8"), "torch==2.7.1+cu126\n")
    assert f"--index-url {WHEELS}/cu126 torch==2.7.1+cu126" in commands(plan, "torch")
    assert "cuda:12.8" in plan.base.build
    plan = plan_of(tmp_path / "cpu", cpu(), "torch==2.5.1+cpu\n")
    assert f"--index-url {WHEELS}/cpu torch==2.5.1+cpu" in commands(plan, "torch")


@pytest.mark.parametrize("version", ["2.16.1", "2.17.0", "2.17.1"])
def test_fault_4_tensorflow_never_asks_for_an_image_that_is_not_there(
    tmp_path: Path, version: str
) -> None:
    """Fault 4: TF 2.16.1 and 2.17, and a patch release."""
    plan = plan_of(tmp_path, gpu("3.11"), f"tensorflow=={version}\n")
    assert "nvidia/cuda" not in plan.base.build + plan.base.runtime
    assert f"tensorflow[and-cuda]=={version}" in "\n".join(
        [*(commands(plan, stage) for stage in stages(plan)), *written(plan).values()]
    )


def test_fault_5_torch_and_tensorflow_are_solved_together(tmp_path: Path) -> None:
    """Fault 5: neither wins over the other; both go by one CUDA."""
    plan = plan_of(tmp_path, gpu("3.11"), "torch\ntensorflow\n")
    series = plan.packages["cuda-libraries-cu12"].version
    assert plan.packages["torch"].variant == f"cu{series.replace('.', '')}"
    assert plan.packages["cuda"].version.startswith(f"{series}.")
    assert "tensorflow" in plan.packages


def test_fault_6_a_python_without_wheels_is_told_before_anything_is_built(tmp_path: Path) -> None:
    """Fault 6: python 3.13 with torch 2.4.1."""
    with pytest.raises(UserError) as caught:
        plan_of(tmp_path, gpu("3.13"), "torch==2.4.1\n")
    assert "torch 2.4.1 has wheels for Python 3.8 to 3.12" in str(caught.value)
    assert "torch==2.4.1 (requirements.txt:1)" in str(caught.value)


def test_fault_7_wheels_that_bring_cuda_stand_on_a_slim_base(tmp_path: Path) -> None:
    """Fault 7: no devel image, unless a step compiles, and then to build only."""
    slim = plan_of(tmp_path / "slim", gpu(), "torch==2.7.1\n")
    assert "slim" in slim.base.build
    assert "slim" in slim.base.runtime
    asked = plan_of(tmp_path / "asked", gpu(cuda="12.8"), "torch==2.7.1\n")
    assert "-devel-" in asked.base.build
    assert "-devel-" not in asked.base.runtime


def test_fault_8_a_small_change_leaves_the_framework_layer_alone(tmp_path: Path) -> None:
    """Fault 8: torch is a stage and a layer of its own."""
    before = plan_of(tmp_path, gpu(), "torch==2.7.1\nsix==1.16.0\n")
    after = plan_of(tmp_path, gpu(), "torch==2.7.1\nsix==1.17.0\n")
    assert stage_of(before, "torch") == stage_of(after, "torch")
    assert before.export_phases == after.export_phases
    assert stage_of(before, "requirements") != stage_of(after, "requirements")
    order = stages(after)
    assert order.index("torch") < order.index("packages")
    exported = [stage.id for phase in after.export_phases for stage in phase.stages]
    assert {"export:torch", "export:packages"} <= set(exported)


def test_fault_9_the_order_of_lines_changes_no_framework_layer(tmp_path: Path) -> None:
    """Fault 9: the same lines in another order; hash seeds are test_resolve_bytes' subject."""
    lines = ["torch==2.7.1\n", "torchvision\n", "jax\n", "tensorflow\n"]
    one = plan_of(tmp_path, gpu("3.11"), "".join(lines))
    other = plan_of(tmp_path, gpu("3.11"), "".join(reversed(lines)))
    assert stage_of(one, "torch").ops == stage_of(other, "torch").ops
    versions = [{name: it.version for name, it in plan.packages.items()} for plan in (one, other)]
    assert versions[0] == versions[1]


def test_fault_10_ubuntu_only_for_cuda_and_never_its_python(tmp_path: Path) -> None:
    """Fault 10: no Ubuntu without a reason, and no system Python under the packages."""
    plain = plan_of(tmp_path / "plain", gpu(), "torch==2.7.1\n")
    assert "ubuntu" not in plain.base.build + plain.base.runtime
    on_cuda = plan_of(tmp_path / "cuda", gpu(cuda="12.8"), "torch==2.7.1\n")
    assert "ubuntu" in on_cuda.base.runtime
    everything = "\n".join(commands(on_cuda, stage) for stage in stages(on_cuda))
    assert "python install --no-bin 3.12." in everything
    assert "uv venv" in everything or " venv " in everything
    assert "--break-system-packages" not in everything


def test_fault_10_a_pinned_system_package_decides_about_nothing_else(tmp_path: Path) -> None:
    """Fault 10: an apt pin is handed on as it was written."""
    plan = plan_of(tmp_path, cpu() + "\n  system_packages: ['ffmpeg=7:5.1.6-0+deb12u1']")
    assert "ffmpeg=7:5.1.6-0+deb12u1" in commands(plan, "apt")


def test_fault_11_only_torch_comes_from_the_pytorch_index(tmp_path: Path) -> None:
    """Fault 11: no other package is looked for there."""
    plan = plan_of(tmp_path, gpu(), "torch==2.7.1+cu128\ntorchvision\nnumpy\nsix\n")
    asking = [
        part
        for stage in stages(plan)
        for part in commands(plan, stage).split(" && ")
        if WHEELS in part
    ]
    assert asking
    for part in asking:
        assert "--no-deps" in part
        assert "numpy" not in part
        assert "six" not in part
    assert WHEELS not in "".join(written(plan).values())


def test_row_6_python_3_9_is_refused_by_key_value_and_floor(tmp_path: Path) -> None:
    """Row 6: the key, the value, the floor, and the line."""
    with pytest.raises(UserError) as caught:
        plan_of(tmp_path, cpu("3.9"))
    [fault] = caught.value.faults
    assert fault.origin is not None
    assert (fault.origin.file, fault.origin.line) == ("cog.yaml", 2)
    told = f"{fault.message} {fault.hint}"
    assert "python_version" in told
    assert "3.9" in told
    assert "3.10" in told


def test_row_7_cpu_torch_and_ffmpeg(tmp_path: Path) -> None:
    """Row 7: the +cpu build, a slim base, a layer of apt."""
    plan = plan_of(tmp_path, cpu() + "\n  system_packages: [ffmpeg]", "torch==2.5.1\n")
    assert plan.packages["torch"].version == "2.5.1+cpu"
    assert f"--index-url {WHEELS}/cpu torch==2.5.1+cpu" in commands(plan, "torch")
    assert "slim" in plan.base.runtime
    assert "ffmpeg" in commands(plan, "apt")
    exported = [stage.id for phase in plan.export_phases for stage in phase.stages]
    assert "export:apt" in exported or "apt" in exported


def test_row_8_local_wheel_sdist_and_a_zip_with_blanks_in_its_name(tmp_path: Path) -> None:
    """Row 8: all three are mounted for one install; that they import is an end-to-end test."""
    names = ("one-1.0-py3-none-any.whl", "two-1.0.tar.gz", "three or four.zip")
    plan = plan_of(
        tmp_path, cpu(), "".join(f"./{name}\n" for name in names), dict.fromkeys(names, "")
    )
    local = written(plan)["/local.txt"]
    for name in ("one-1.0-py3-none-any.whl", "two-1.0.tar.gz", "three or four.zip"):
        assert name in local.replace("%20", " ")
    [install] = [op for op in stage_of(plan, "local-packages").ops if isinstance(op, model.Exec)]
    [mount] = [
        one
        for one in install.mounts
        if isinstance(one, model.BindMount) and isinstance(one.source, model.LocalInput)
    ]
    assert isinstance(mount.source, model.LocalInput)
    assert set(mount.source.include) == set(names)


def test_row_9_secrets_are_mounted_by_id_and_nothing_of_them_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 9: `run:` with a file secret and an env secret; values never enter the plan."""
    monkeypatch.setenv("token", "s3cr3t-value")
    run = """
  run:
    - command: grep -q licensed /run/secrets/licence
      mounts:
        - {type: secret, id: licence, target: /run/secrets/licence}
    - command: test -n "$DOWNLOAD_TOKEN"
      mounts:
        - {type: secret, id: token, env: DOWNLOAD_TOKEN}"""
    plan = plan_of(tmp_path, cpu() + run)
    mounts = {
        mount
        for stage in stages(plan)
        for op in stage_of(plan, stage).ops
        if isinstance(op, model.Exec)
        for mount in op.mounts
        if isinstance(mount, model.SecretMount)
    }
    assert mounts == {
        model.SecretMount(id="licence", target="/run/secrets/licence"),
        model.SecretMount(id="token", env="DOWNLOAD_TOKEN"),
    }
    assert "s3cr3t-value" not in model.dump(plan)
