"""Wheels and sdists made on the fly for tests: valid, small, the same bytes each time."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from dataclasses import dataclass, replace
from functools import lru_cache

from packaging.utils import canonicalize_name
from packaging.version import Version

__all__ = ["BACKEND", "Dist", "file_bytes", "sdist_bytes", "wheel_bytes"]


@dataclass(frozen=True)
class Dist:
    """One file of a release; what is not said is ordinary.

    requires: `Requires-Dist` lines. tag: the wheel's, `py3-none-any`; `sdist` makes it an sdist.
    yanked: None, or the reason (may be empty). upload_time: ISO 8601; empty: the index says none.
    sibling: whether `.metadata` is served. announce: whether the page says so (PEP 658).
    metadata: replaces the text of METADATA and PKG-INFO. dynamic: `Dynamic` fields.
    padding: bytes of incompressible data after .dist-info, so that METADATA is far from the end.
    module: import name, when it is not the project's. code: what the module has besides.
    pyproject: of an sdist, in place of one with a build backend of its own; empty: it has none.
    """

    version: str
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    extras: tuple[str, ...] = ()
    tag: str = "py3-none-any"
    yanked: str | None = None
    upload_time: str = "2024-01-01T00:00:00Z"
    sibling: bool = True
    announce: bool = False
    metadata: str | None = None
    metadata_version: str = "2.2"
    dynamic: tuple[str, ...] = ()
    padding: int = 0
    module: str = ""
    build: str = ""
    code: str = ""
    pyproject: str | None = None

    @property
    def is_sdist(self) -> bool:
        """Whether it is an sdist."""
        return self.tag == "sdist"

    def filename(self, name: str) -> str:
        """The file's name by the rules of packaging."""
        stem = f"{canonicalize_name(name).replace('-', '_')}-{Version(self.version)}"
        if self.is_sdist:
            return f"{stem}.tar.gz"
        return f"{stem}-{self.build}-{self.tag}.whl" if self.build else f"{stem}-{self.tag}.whl"

    def metadata_text(self, name: str) -> str:
        """METADATA or PKG-INFO."""
        if self.metadata is not None:
            return self.metadata
        lines = [f"Metadata-Version: {self.metadata_version}", f"Name: {name}"]
        lines.append(f"Version: {self.version}")
        lines.extend(f"Dynamic: {item}" for item in self.dynamic)
        if self.requires_python:
            lines.append(f"Requires-Python: {self.requires_python}")
        lines.extend(f"Provides-Extra: {item}" for item in self.extras)
        lines.extend(f"Requires-Dist: {item}" for item in self.requires)
        return "\n".join(lines) + "\n\nA package of the tests.\n"


@lru_cache(maxsize=4096)
def file_bytes(name: str, dist: Dist) -> bytes:
    """The wheel or sdist."""
    return sdist_bytes(name, dist) if dist.is_sdist else wheel_bytes(name, dist)


def wheel_bytes(name: str, dist: Dist) -> bytes:
    """A wheel that pip and uv install: one module, METADATA, WHEEL and RECORD."""
    module = dist.module or canonicalize_name(name).replace("-", "_")
    info = f"{canonicalize_name(name).replace('-', '_')}-{Version(dist.version)}.dist-info"
    files = {
        f"{info}/METADATA": dist.metadata_text(name).encode(),
        f"{info}/WHEEL": _wheel_file(dist.tag if not dist.is_sdist else "py3-none-any"),
        f"{module}.py": f"__version__ = {dist.version!r}\n{dist.code}".encode(),
    }
    if dist.padding:
        noise = hashlib.shake_128(name.encode()).digest(dist.padding)
        files[f"{module}_data.bin"] = noise
    record = "".join(f"{path},{_record_hash(body)},{len(body)}\n" for path, body in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, body in files.items():
            wheel.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), body)
    return out.getvalue()


def sdist_bytes(name: str, dist: Dist) -> bytes:
    """An sdist with PKG-INFO and a build backend that hands out a ready wheel."""
    wheel = replace(dist, tag="py3-none-any")
    top = f"{canonicalize_name(name).replace('-', '_')}-{Version(dist.version)}"
    files = {
        "pyproject.toml": _PYPROJECT.encode(),
        "backend.py": _BACKEND.format(wheel=wheel.filename(name)).encode(),
        "ready.whl": wheel_bytes(name, wheel),
        "PKG-INFO": dist.metadata_text(name).encode(),
    }
    if dist.pyproject is not None:
        del files["backend.py"], files["pyproject.toml"]
        files |= {"pyproject.toml": dist.pyproject.encode()} if dist.pyproject else {}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for path, body in files.items():
            member = tarfile.TarInfo(f"{top}/{path}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return out.getvalue()


_PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""

_BACKEND = """\
import pathlib, shutil

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    shutil.copy("ready.whl", pathlib.Path(wheel_directory, {wheel!r}))
    return {wheel!r}

def build_sdist(sdist_directory, config_settings=None):
    raise NotImplementedError
"""


BACKEND = """
import pathlib, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    fields = dict(line.split(": ", 1) for line in open("PKG-INFO") if ": " in line)
    name = fields["Name"].strip().replace("-", "_")
    wheel = f"{name}-{fields['Version'].strip()}-py3-none-any.whl"
    with (
        zipfile.ZipFile("ready.whl") as ready,
        zipfile.ZipFile(pathlib.Path(wheel_directory, wheel), "w") as built,
    ):
        for path in ready.namelist():
            more = f"{name}_built.py,,\\n".encode() if path.endswith("/RECORD") else b""
            built.writestr(path, more + ready.read(path))
        built.writestr(f"{name}_built.py", f"BACKEND = {__version__!r}\\n")
    return wheel
"""
"""Code of a module that is a build backend: the wheel that it hands out names its version."""


def _wheel_file(tag: str) -> bytes:
    python, abi, platforms = tag.split("-")
    tags = "".join(
        f"Tag: {one}-{abi}-{platform}\n"
        for one in python.split(".")
        for platform in platforms.split(".")
    )
    pure = "true" if platforms == "any" else "false"
    return f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: {pure}\n{tags}".encode()


def _record_hash(body: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"
