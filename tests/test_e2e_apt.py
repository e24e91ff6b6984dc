"""System packages of a day, on a real BuildKit: from apt's own knowledge and from a mirror."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cogpack.errors import Failure
from cogpack.plan import model
from devdaemon.builder import Builder
from support.apt_repository import package, repository
from support.hub_server import FileServer, serve_files
from support.images import Cogpack, Docker, build_image, run_shell
from support.llb import plan, stage
from support.projects import planned, stage_of, write_project
from support.wheelhouse import gateway

ROOT = Path(__file__).parent.parent
TRIXIE = "library/python:3.13-slim-trixie"
DAY = "20261101T000000Z"
OVER = "Valid-Until: Mon, 02 Nov 2026 00:00:00 UTC\n"


def archive(server: FileServer, snapshots: str = "") -> None:
    """An archive with gadget 2.0, which had 1.0 on the day."""
    tini = package("tini", "0.19", {"/usr/bin/tini": "#!/bin/sh\nexec true\n"})
    now, then = (
        package("gadget", version, {"/usr/bin/gadget": f"#!/bin/sh\necho {version}\n"})
        for version in ("2.0", "1.0")
    )
    server.files |= repository("/distribution", [tini, now], snapshots)
    server.files |= repository(f"/snapshots/distribution/{DAY}", [tini, then], OVER)


def base(docker: Docker, folder: Path, origin: str, name: str, sources: dict[str, str]) -> str:
    """An image with these sources of apt alone, by path below /etc/apt."""
    image = f"cogpack-test/{name}:1"
    container = docker("create", "--entrypoint", "true", origin).strip()
    try:
        for path, text in sources.items():
            (folder / "sources").write_text(text)
            docker("cp", folder / "sources", f"{container}:/etc/apt/{path}")
        docker("commit", container, image)
    finally:
        docker("rm", "--force", container)
    return image


def project(folder: Path, image: str, *options: str) -> Path:
    root = folder / "project"
    root.mkdir(exist_ok=True)
    lines = "".join(f"  {line}\n" for line in (f"base_image: {image}", *options))
    settings = f'  system_packages: [gadget]\ncogpack:\n  base_python: "3.11"\n{lines}'
    return write_project(root, settings)


def built(builder: Builder, docker: Docker, root: Path, image: str) -> str:
    """What gadget says after the stage of the system packages alone, which is all that matters."""
    apt = stage_of(planned(root), "apt")
    alone = stage("apt", *apt.ops, source=model.ImageInput(ref=f"docker.io/{image}"))
    made = build_image(builder, plan([alone], base=image, runtime=image), root, "apt")
    return run_shell(docker, made, "gadget")


def test_apt_that_knows_snapshots_goes_back_to_a_day(
    builder: Builder, docker: Docker, tmp_path: Path
) -> None:
    with serve_files({}, gateway(docker)) as server:
        archive(server, f"Snapshots: {server.url}/snapshots/distribution/@SNAPSHOTID@/\n")
        line = f"deb [trusted=yes] {server.url}/distribution stable main\n"
        command = [sys.executable, str(ROOT / "dev" / "builder.py"), "base", TRIXIE]
        subprocess.run(command, check=True, capture_output=True)
        origin = TRIXIE.removeprefix("library/")
        image = base(docker, tmp_path, origin, "apt-new", {"sources.list": line})
        assert built(builder, docker, project(tmp_path, image), image) == "2.0"
        day = project(tmp_path, image, "apt_snapshot: 2026-11-01")
        assert built(builder, docker, day, image) == "1.0"
        archive(server)
        line = line.replace("trusted=yes", "trusted=yes arch=amd64")
        image = base(docker, tmp_path, origin, "apt-without", {"sources.list": line})
        with pytest.raises(Failure, match="none of the package sources"):
            built(builder, docker, project(tmp_path, image, "apt_snapshot: 20261101"), image)


def test_a_mirror_of_snapshots_serves_any_apt(
    builder: Builder, cogpack: Cogpack, docker: Docker, tmp_path: Path
) -> None:
    with serve_files({}, gateway(docker)) as server:
        archive(server)
        sources = {
            "sources.list": "# deb http://nowhere.invalid/none stable main\n",
            "sources.list.d/one.sources": (
                f"Types: deb\nURIs: {server.url}/distribution/\nSuites: stable\n"
                "Components: main\nTrusted: yes\n"
            ),
        }
        origin = "python:3.11-slim-bookworm"
        image = base(docker, tmp_path, origin, "apt-old", sources)
        assert built(builder, docker, project(tmp_path, image), image) == "2.0"
        mirror = f"apt_snapshot_mirror: {server.url}/snapshots/@PATH@/@SNAPSHOTID@/"
        day = project(tmp_path, image, "apt_snapshot: 2026-11-01", mirror)
        assert built(builder, docker, day, image) == "1.0"
        listed = run_shell(
            docker, "docker.io/cogpack-test/apt:latest", "cat /etc/apt/sources.list.d/*; ls /tmp"
        )
        assert listed == sources["sources.list.d/one.sources"].strip()
        # Without a mirror this apt cannot, and says what would help.
        refused = cogpack("build", project(tmp_path, image, "apt_snapshot: 2026-11-01"))
    assert refused.returncode == 1
    assert "cog.yaml:3: " in refused.stderr
    assert "set cogpack.apt_snapshot_mirror" in refused.stderr


@pytest.mark.parametrize("sources", ["deb [trusted=yes] http://host.invalid stable main\n"])
def test_a_source_that_has_no_place_in_a_mirror_is_told(
    cogpack: Cogpack, docker: Docker, tmp_path: Path, sources: str
) -> None:
    origin = "python:3.11-slim-bookworm"
    image = base(docker, tmp_path, origin, "apt-odd", {"sources.list": sources})
    mirror = "apt_snapshot_mirror: https://mirror.invalid/@PATH@/@SNAPSHOTID@"
    refused = cogpack("build", project(tmp_path, image, "apt_snapshot: 2026-11-01", mirror))
    assert refused.returncode == 1
    assert "have no path that a snapshot mirror could have:" in refused.stderr
    assert "deb [trusted=yes] http://host.invalid stable main" in refused.stderr
