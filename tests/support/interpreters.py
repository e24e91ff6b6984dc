"""An interpreter as uv downloads it, and images that are without one: made of a Python image.

uv's own builds come from one place that not every machine reaches. What is made here has their
layout (`python/bin/python3.X`, `python/lib/python3.X`), finds its library by where it stands, and
is listed in the form that uv reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "Interpreter",
    "commit_without_python",
    "container_of",
    "lay_out_mirror",
    "pack_interpreter",
]

# A mirror takes the place of this in the URLs of a list.
UPSTREAM = "https://github.com/astral-sh/python-build-standalone/releases/download"

# Headers stand in two places in Debian, and its wrapper looks for the second in the system's.
_PACK = """\
set -eu
prefix=$(python3 -c 'import sys; print(sys.base_prefix)')
python=python$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
mkdir -p /pack/python/bin /pack/python/lib /pack/python/include && cd /pack
cp "$prefix/bin/$python" python/bin/
ln -s "$python" python/bin/python3 && ln -s "$python" python/bin/python
cp -R "$prefix/lib/$python" python/lib/
rm -rf python/lib/*/sitecustomize.py python/lib/*/site-packages
if ls "$prefix"/lib/lib$python.so* >/dev/null 2>&1; then
  cp -P "$prefix"/lib/lib$python.so* python/lib/
fi
if [ -d "$prefix/include/$python" ]; then
  cp -R "$prefix/include/$python" python/include/
  if ls /usr/include/*-linux-gnu/$python/pyconfig.h >/dev/null 2>&1; then
    cp /usr/include/*-linux-gnu/$python/pyconfig.h "python/include/$python/"
  fi
fi
find python -name __pycache__ -prune -exec rm -rf {} +
find python -exec touch -h -d @1704067200 {} +
tar --sort=name --owner=0 --group=0 --numeric-owner -cf - python | gzip -n > /python.tar.gz
rm -rf /pack
python3 -c 'import platform; print(platform.python_version())'
"""

_REMOVE = """\
set -eu
rm -rf /usr/bin/python3* /usr/lib/python3* /usr/include/python3* /python.tar.gz
rm -rf /usr/local/bin/python* /usr/local/bin/pip*
rm -rf /usr/local/lib/*python3* /usr/local/include/python3*
! command -v python3
"""


@dataclass(frozen=True)
class Interpreter:
    """A packed interpreter: its version in full, and the archive."""

    version: str
    archive: Path

    @property
    def path(self) -> str:
        """Where the archive is below a mirror, as it is upstream."""
        return f"20240101/cpython-{self.version}-x86_64-unknown-linux-gnu-install_only.tar.gz"


@contextmanager
def container_of(docker: Callable[..., str], image: str) -> Iterator[str]:
    """A container of an image that waits for commands."""
    container = docker("run", "--detach", "--entrypoint", "sleep", image, "600").strip()
    try:
        yield container
    finally:
        docker("rm", "--force", container)


def pack_interpreter(docker: Callable[..., str], container: str, folder: Path) -> Interpreter:
    """Pack the python3 of a container, with its headers where it has them."""
    version = docker("exec", container, "sh", "-c", _PACK).strip()
    archive = folder / "python.tar.gz"
    docker("cp", f"{container}:/python.tar.gz", archive)
    return Interpreter(version, archive)


def commit_without_python(
    docker: Callable[..., str], container: str, image: str, *changes: str
) -> None:
    """Keep a container as an image, all but its Python. changes: as `ENV NAME=value`."""
    docker("exec", container, "sh", "-c", _REMOVE)
    options = [word for change in changes for word in ("--change", change)]
    docker("commit", *options, container, image)


def lay_out_mirror(interpreter: Interpreter, folder: Path) -> Path:
    """A mirror that has the interpreter alone; returns the list, which lies in it too.

    The list is in the form of uv's own, with the URL upstream: a mirror takes its place.
    """
    content = interpreter.archive.read_bytes()
    place = folder / interpreter.path
    place.parent.mkdir(parents=True)
    place.write_bytes(content)
    major, minor, patch = map(int, interpreter.version.split("."))
    entry = {
        "name": "cpython",
        "arch": {"family": "x86_64", "variant": None},
        "os": "linux",
        "libc": "gnu",
        "major": major,
        "minor": minor,
        "patch": patch,
        "prerelease": "",
        "url": f"{UPSTREAM}/{interpreter.path}",
        "sha256": hashlib.sha256(content).hexdigest(),
        "variant": None,
        "build": "20240101",
    }
    listed = folder / "downloads.json"
    listed.write_text(json.dumps({f"cpython-{interpreter.version}-linux-x86_64-gnu": entry}))
    return listed
