"""A base image that moves, on a real BuildKit: what is locked is not installed again."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cogpack import pipeline
from cogpack.compat.tables import overlaid
from cogpack.llb.capabilities import Capabilities
from cogpack.llb.client import Client, Export, SolveOptions, find_daemon, parse_output
from cogpack.llb.graph import File, Image
from cogpack.llb.images import ResolvedImage
from cogpack.pipeline import Request, build_plan, daemon_facts
from cogpack.plan.model import MkFile, Plan
from cogpack.solver.lock import read_lock
from cogpack.stacks.compose import make_plan
from cogpack.stacks.locking import load_as_locked, resolution_to_build
from cogpack.stacks.said import Said
from devdaemon.builder import Builder
from support.client_builds import BASE, PLATFORM, define, fresh
from support.images import Cogpack, Docker, build, layers, run_shell
from support.projects import PREDICTOR
from support.registry import serve

CONFIG = """\
build:
  python_version: "3.11"
  python_requirements: requirements.txt
  run:
    - cp /etc/base-release /opt/seen
cogpack:
  base_image: {reference}
run: "predict.py:Predictor"
"""


@pytest.fixture
def reference(builder: Builder) -> Iterator[str]:
    """Name and tag of a base image on a registry of this process."""
    with serve() as registry:
        yield f"{registry.address}/team/base:3.11"


def push(client: Client, reference: str, release: str) -> str:
    """Push the base of the tests with a release noted in it; its digest."""
    base = client.resolve_image(BASE, "linux/amd64")
    note = MkFile(path="/etc/base-release", content=release)
    noted = File(Image(BASE, PLATFORM), (note,), 0)
    options = SolveOptions(
        exports=(parse_output(f"type=registry,name={reference}"),), image_config=base.config
    )
    return client.solve(define(noted), options).digest


def describe(folder: Path, reference: str) -> Path:
    """Tables that know the image as they know the one that it is made of."""
    folder.mkdir()
    with (Path(pipeline.__file__).parent / "compat" / "base_images.csv").open() as file:
        [row] = [row for row in csv.DictReader(file) if row["ref"] == BASE]
    row |= {"ref": reference, "patch_ref": "", "patch_from": ""}
    with (folder / "base_images.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    return folder


def outcomes(log: str) -> dict[str, str]:
    """What became of each step of a build, by its title: `DONE 1.2s` or `CACHED`."""
    titles: dict[str, str] = {}
    found = {}
    for line in log.splitlines():
        number, _, text = line.partition(" ")
        if re.fullmatch(r"#\d+", number):
            if number not in titles:
                titles[number] = text
            elif text.startswith(("DONE", "CACHED")):
                found[titles[number]] = text
    return found


def write(folder: Path, reference: str, *needs: str, by_uv: bool = False) -> Path:
    """A project on a base, with these packages. by_uv: they stand in a uv.lock."""
    folder.mkdir()
    config = CONFIG.format(reference=reference)
    (folder / "predict.py").write_text(PREDICTOR)
    if by_uv:
        config = config.replace("  python_requirements: requirements.txt\n", "")
        listed = ", ".join(f'"{need}"' for need in needs)
        (folder / "pyproject.toml").write_text(
            '[project]\nname = "mine"\nversion = "0"\nrequires-python = "==3.11.*"\n'
            f"dependencies = [{listed}]\n"
        )
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "lock", "--quiet"], cwd=folder, check=True)
    else:
        (folder / "requirements.txt").write_text("".join(f"{need}\n" for need in needs))
    (folder / "cog.yaml").write_text(config)
    return folder


@pytest.mark.parametrize("by_uv", [False, True], ids=["requirements", "uv.lock"])
def test_a_new_base_installs_nothing_again(
    cogpack: Cogpack, docker: Docker, client: Client, reference: str, tmp_path: Path, by_uv: bool
) -> None:
    releases = [fresh(), fresh()]
    first = push(client, reference, releases[0])
    tables = describe(tmp_path / "tables", reference)
    folder = write(tmp_path / "project", reference, "numpy==2.3.5", "six==1.17.0", by_uv=by_uv)
    overlay = {"COGPACK_COMPAT": str(tables)}
    locked = cogpack("resolve", folder, "--lock", **overlay)
    assert locked.returncode == 0, locked.stderr
    one = build(cogpack, folder, "base-1", "--locked", **overlay)
    second = push(client, reference, releases[1])
    stays = cogpack("resolve", folder, "--lock", **overlay)
    assert "changed" not in stays.stderr
    moved = cogpack("resolve", folder, "--upgrade", "base_image", **overlay)
    assert f"changed base-image {first} to {second}\n" in moved.stderr
    lock = read_lock(folder)
    assert lock is not None
    images = lock.resolution.base_images
    assert (images.build.digest, images.runtime.digest) == (first, second)

    two = "cogpack-test/base-2"
    built = cogpack("build", folder, "-t", two, "--locked", **overlay)
    assert built.returncode == 0, built.stderr
    steps = outcomes(built.stderr)
    installs = {title: told for title, told in steps.items() if _installs_packages(title)}
    assert len(installs) > 4
    assert {title: told for title, told in installs.items() if told != "CACHED"} == {}
    assert steps["run cp /etc/base-release /opt/seen"].startswith("DONE")

    before, after = layers(docker, one), layers(docker, two)
    assert len(before) == len(after)
    kept = [old == new for old, new in zip(before, after, strict=True)]
    # The base's own, what the command made, and the source with the lock. The system packages were
    # installed anew, over the new base, and came out the same.
    assert kept.count(False) == 3
    assert next(told for title, told in steps.items() if "system packages" in title) != "CACHED"
    look = "cat /etc/base-release /opt/seen; python -c 'import numpy, six'"
    assert run_shell(docker, two, look) == 2 * releases[1]


def test_a_package_of_uv_lock_is_the_layer_that_others_have(
    cogpack: Cogpack, docker: Docker, client: Client, reference: str, tmp_path: Path
) -> None:
    push(client, reference, fresh())
    overlay = {"COGPACK_COMPAT": str(describe(tmp_path / "tables", reference))}
    images = {}
    for name, needs, by_uv in (
        ("requirements", ("numpy==2.3.5", "six==1.17.0"), False),
        ("uv", ("numpy==2.3.5", "idna==3.11"), True),
    ):
        folder = write(tmp_path / name, reference, *needs, by_uv=by_uv)
        assert cogpack("resolve", folder, "--lock", **overlay).returncode == 0
        built = build(cogpack, folder, f"shared-{name}", "--locked", **overlay)
        plan = json.loads(cogpack("plan", "--json", folder, **overlay).stdout)
        exported = [stage for phase in plan["export_phases"] for stage in phase["stages"]]
        stages = [stage["id"].removeprefix("export:") for stage in exported]
        images[name] = dict(zip(reversed(stages), reversed(layers(docker, built)), strict=False))
        run_shell(docker, built, "python -c 'import numpy, cog'")
    one, other = images["requirements"], images["uv"]
    for name in ("python", "wheels:numpy", "wheels:coglet"):
        assert one[name] == other[name], name
    assert one["source"] != other["source"]


def test_without_merge_a_new_base_is_built_upon_in_one_line(
    cogpack: Cogpack,
    docker: Docker,
    client: Client,
    builder: Builder,
    reference: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    push(client, reference, "1")
    tables = describe(tmp_path / "tables", reference)
    folder = write(tmp_path / "project", reference, "six==1.17.0")
    overlay = {"COGPACK_COMPAT": str(tables)}
    assert cogpack("resolve", folder, "--lock", **overlay).returncode == 0
    push(client, reference, "2")
    assert cogpack("resolve", folder, "--upgrade", "base_image", **overlay).returncode == 0
    with overlaid([tables]):
        composition = load_as_locked(folder, Said())
        plan = make_plan(composition, resolution_to_build(composition, locked=True))

    def poor(asked: Plan, on: Client) -> tuple[dict[str, ResolvedImage], Capabilities]:
        images, able = daemon_facts(asked, on)
        return images, replace(able, merge=False, diff=False)

    monkeypatch.setattr(pipeline, "daemon_facts", poor)
    name = "docker.io/cogpack-test/base-linear:latest"
    with Client(find_daemon(None, builder.environment())) as connected:
        build_plan(plan, Request(folder, (Export("image", {"name": name}),)), connected)
    look = "cat /etc/base-release /opt/seen; python -c 'import six, cog'"
    assert run_shell(docker, name, look) == "22"


def _installs_packages(title: str) -> bool:
    """Whether a step runs an installer; putting its layer on the others is another step."""
    if "system packages" in title or title.endswith(("[changes]", "[layer]")):
        return False
    return title.startswith(("install ", "fetch uv", "make the virtual"))
