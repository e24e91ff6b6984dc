"""The project that `bench_layers` builds, what becomes of it, and where it gets torch from."""

from __future__ import annotations

import csv
import functools
import hashlib
import http.server
import random
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cogpack

__all__ = ["FRAMEWORK", "WEIGHTS", "Project", "overlay", "torch_index"]

FRAMEWORK = "torch==2.13.0"
# Where pip finds no CPU wheel of torch: of comparable size together.
_OTHERS = ("scikit-learn", "numpy", "pandas", "scipy", "opencv-python-headless")

WEIGHTS = "weights/model.bin"
_WEIGHTS_BYTES = 30_000_000

_PREDICTOR = """import {module}
from cog import BaseRunner


class Predictor(BaseRunner):
    def setup(self) -> None:
        self.version = {module}.__version__

    def run(self, text: str) -> str:
        return text + self.version
"""


@dataclass(frozen=True)
class Project:
    """A folder with a project.

    index: serves torch; empty when the default index serves all. base: the image it stands on,
    of which the bench makes another one later.
    """

    folder: Path
    index: str
    base: str

    @property
    def framework(self) -> str:
        """The large requirement, which a hand-made split puts into a layer of its own."""
        return FRAMEWORK if self.index else _OTHERS[0]

    @property
    def system_packages(self) -> tuple[str, ...]:
        """What of apt the project asks for."""
        return ("tree",) if "[tree]" in (self.folder / "cog.yaml").read_text() else ()

    @property
    def has_weights(self) -> bool:
        """Whether there are weights by now."""
        return (self.folder / WEIGHTS).exists()

    def write(self) -> None:
        """Write it as it is at first: without weights and with tini as only system package."""
        self.folder.mkdir(parents=True)
        module = "torch" if self.index else "sklearn"
        (self.folder / "predict.py").write_text(_PREDICTOR.format(module=module))
        names = (FRAMEWORK,) if self.index else _OTHERS
        (self.folder / "requirements.txt").write_text("".join(f"{name}\n" for name in names))
        (self.folder / "cog.yaml").write_text(
            'build:\n  python_version: "3.11"\n  python_requirements: requirements.txt\n'
            'run: "predict.py:Predictor"\n'
        )
        (self.folder / ".dockerignore").write_text("pylock.cogpack.toml\n")

    def edit(self) -> None:
        """Change the code."""
        _append(self.folder / "predict.py", "# changed")

    def add_dependency(self, requirement: str = "six==1.17.0") -> None:
        """Ask for one small package more."""
        _append(self.folder / "requirements.txt", requirement)

    def add_system_package(self) -> None:
        """Ask for a package of apt."""
        config = self.folder / "cog.yaml"
        config.write_text(config.read_text().replace("run:", "  system_packages: [tree]\nrun:", 1))

    def set_weights(self, seed: int) -> None:
        """Write weights that no compression makes smaller: the same for the same seed."""
        path = self.folder / WEIGHTS
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(random.Random(seed).randbytes(_WEIGHTS_BYTES))  # noqa: S311


def _append(path: Path, line: str) -> None:
    path.write_text(f"{path.read_text()}{line}\n")


@contextmanager
def torch_index(folder: Path, address: str) -> Iterator[str]:
    """The URL of an index that serves the CPU wheel of torch; empty where there is no such wheel.

    folder: for the wheel. address: to listen on, that build steps reach.
    """
    pages = folder / "torch"
    pages.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(pages)]
    # Elsewhere the default index has a CUDA build of several GB, and pip must not fetch that.
    kinds = ["--only-binary", ":all:", "--python-version", "3.11", "--no-index", FRAMEWORK]
    subprocess.run([*command, *kinds], check=False, capture_output=True)
    wheel = next(pages.glob("torch-*+cpu-cp311-*.whl"), None)
    if wheel is None:
        yield ""
        return
    _write_page(pages, wheel)
    handler = functools.partial(_Quiet, directory=str(folder))
    with _Server((address, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{address}:{server.server_port}"
        server.shutdown()


def _write_page(pages: Path, wheel: Path) -> None:
    """The page of one wheel, with its hash and its metadata beside it."""
    with zipfile.ZipFile(wheel) as archive:
        inside = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(inside)
    Path(f"{wheel}.metadata").write_bytes(metadata)
    with wheel.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    seal = hashlib.sha256(metadata).hexdigest()
    (pages / "index.html").write_text(
        f'<!DOCTYPE html><html><body><a href="{wheel.name.replace("+", "%2B")}#sha256={digest}" '
        f'data-core-metadata="sha256={seal}">{wheel.name}</a></body></html>'
    )


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: uv hangs up where it has read enough of a wheel."""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def overlay(folder: Path, base: str, like: str, index: str) -> Path:
    """Tables as a platform team writes them: their own base image, and where their torch lies.

    folder: where they are made. base: an image of which `like`, an image of cogpack's own tables,
    says what is in it. index: as `Project.index`.
    """
    folder.mkdir()
    with (Path(cogpack.__file__).parent / "compat" / "base_images.csv").open() as file:
        [row] = [row for row in csv.DictReader(file) if row["ref"] == like]
    with (folder / "base_images.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow({**row, "ref": base, "patch_ref": "", "patch_from": ""})
    if index:
        (folder / "torch.csv").write_text(
            "version,variant,architecture,python,glibc,cuda,cudnn,triton,kernels,libraries,"
            "index_url,withdrawn,source,checked\n"
            f'{FRAMEWORK.partition("==")[2]}+cpu,cpu,amd64,">=3.10,<3.15",2.28,,,,,,{index},,'
            "bench,2026-01-01\n"
        )
    return folder
