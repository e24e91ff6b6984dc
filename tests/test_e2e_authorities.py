"""COG_CA_CERT on a real BuildKit: pip, uv, apt and the image trust a private authority."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.authority import Authority, make_authority
from support.distributions import Dist, wheel_bytes
from support.images import Cogpack, Docker, build, run_python, run_shell
from support.interpreters import container_of
from support.projects import write_project
from support.wheelhouse import folder_served, gateway, served

PYTHON = "python:3.11-slim-bookworm"
BASE = "cogpack-test/private-apt:1"

CONTROL = """\
Package: private-tool
Version: 1.0
Architecture: all
Maintainer: Tests <tests@example.com>
Description: a package that one server alone has
"""


@dataclass(frozen=True)
class Private:
    """Servers that only the authority vouches for. index: of Python packages."""

    authority: Authority
    index: str


@pytest.fixture(scope="module")
def private(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Private]:
    """A package index, and an archive of apt's that the image BASE has among its sources."""
    folder = tmp_path_factory.mktemp("private")
    authority, host = make_authority(folder / "authority"), gateway(docker)
    wheel = folder / Dist("1.0").filename("secluded")
    wheel.write_bytes(wheel_bytes("secluded", Dist("1.0")))
    make_archive(folder / "apt")
    tls = authority.server(host)
    with (
        served({"secluded": wheel}, folder / "index", host, tls) as index,
        folder_served(folder / "apt", host, tls) as archive,
    ):
        source = f"deb [trusted=yes] {archive} ./"
        with container_of(docker, PYTHON) as container:
            add = f"echo '{source}' > /etc/apt/sources.list.d/private.list"
            docker("exec", container, "sh", "-c", add)
            docker("commit", container, BASE)
        yield Private(authority, index)


def make_archive(folder: Path) -> None:
    """A flat archive with one package."""
    tree = folder / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(CONTROL)
    (tree / "opt").mkdir()
    (tree / "opt" / "private-tool").write_text("here\n")
    command = ["dpkg-deb", "--root-owner-group", "--build", "tree", "private-tool.deb"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    content = (folder / "private-tool.deb").read_bytes()
    (folder / "Packages").write_text(
        f"{CONTROL}Filename: ./private-tool.deb\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )


FORMS: dict[str, Callable[[Path], str]] = {
    "file": str,
    "folder": lambda file: str(file.parent / "trusted"),
    "text": Path.read_text,
    "base64": lambda file: base64.b64encode(file.read_bytes()).decode(),
}


@pytest.mark.parametrize(
    ("installer", "form"), [("uv", "file"), ("uv", "base64"), ("pip", "folder"), ("pip", "text")]
)
def test_what_is_fetched_over_tls_is_believed(
    cogpack: Cogpack, docker: Docker, private: Private, tmp_path: Path, installer: str, form: str
) -> None:
    certificate = private.authority.certificate
    trusted = certificate.parent / "trusted"
    trusted.mkdir(exist_ok=True)
    (trusted / "one.pem").write_text(certificate.read_text())
    folder = project(tmp_path, private, installer)
    image = build(cogpack, folder, f"authority-{form}", COG_CA_CERT=FORMS[form](certificate))
    look = (
        "import secluded, ssl, urllib.request; "
        f"print(urllib.request.urlopen({private.index!r}).status)"
    )
    assert run_python(docker, image, look) == "200"
    assert run_shell(docker, image, "cat /opt/private-tool") == "here"


def test_without_it_the_build_fails_and_says_why(
    cogpack: Cogpack, private: Private, tmp_path: Path
) -> None:
    folder = project(tmp_path, private, "uv", base=PYTHON)
    failed = cogpack("build", folder, COG_CA_CERT="")
    assert failed.returncode == 1
    assert "certificate" in failed.stderr
    assert "Traceback" not in failed.stderr


def project(folder: Path, private: Private, installer: str, base: str = BASE) -> Path:
    """A project with packages of both servers, or of the index alone on another base."""
    packages = "  system_packages: [private-tool]\n" if base == BASE else ""
    settings = (
        f"{packages}  python_requirements: requirements.txt\n"
        f"cogpack:\n  base_image: {base}\n  base_python: '3.11'\n  installer: {installer}"
    )
    requirements = f"--extra-index-url {private.index}\nsecluded\n"
    return write_project(folder, settings, {"requirements.txt": requirements})
