"""Where things are in an image, and the shell phrases that more than one block needs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from ..plan import parts

__all__ = [
    "BARE_ENVIRONMENT",
    "FIXED_TIME",
    "PIP",
    "PIP_ENV",
    "PIP_FOLDER",
    "PYTHON",
    "PYTHON_HOME",
    "SOURCE",
    "STEADY_PYTHON",
    "UV",
    "UV_CACHE",
    "UV_ENV",
    "UV_STAGE",
    "VENV",
    "forget_times",
    "pip_cache",
    "pip_mounts",
    "quoted",
    "script",
    "settle_environment",
    "settle_times",
    "uv_cache",
    "uv_mounts",
]

VENV = "/opt/venv"
PYTHON = f"{VENV}/bin/python"
PYTHON_HOME = "/opt/python"
SOURCE = "/src"
UV = "/run/cogpack/uv/bin/uv"
UV_CACHE = "/root/.cache/uv"
UV_STAGE = "uv"

# The base with an empty virtual environment, and nothing else on it: what is installed over it
# need not be installed again when system packages change.
BARE_ENVIRONMENT = "python"

PIP = "pip"
PIP_FOLDER = "/opt/pip"

# The virtual environment has no pip of its own; a mounted copy installs into it all the same.
PIP_ENV = {
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_PYTHON": PYTHON,
    "PIP_ROOT_USER_ACTION": "ignore",
    "PYTHONPATH": PIP_FOLDER,
}

# An interpreter that runs in a build writes down the byte code of what it imports, with the clock's
# time, into a layer that has nothing to do with it. And Python 3.10 writes sets into byte code in
# the order of their hashes.
STEADY_PYTHON = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}

# The interpreter is the image's own. Whether uv compiles is decided in `bytecode`.
UV_ENV = {
    **STEADY_PYTHON,
    "UV_LINK_MODE": "copy",
    "UV_NO_PROGRESS": "1",
    "UV_PYTHON_DOWNLOADS": "never",
}

# 1980-01-01T00:00:00Z, the earliest time that a zip archive can hold: tools that pack files of an
# image stumble over earlier ones.
FIXED_TIME = 315532800


def script(*commands: str) -> str:
    """Shell commands that run one after another and stop at the first that fails."""
    return " && \\\n".join(commands)


def settle_times(*folders: str) -> str:
    """A command that gives every changed file below `folders` the fixed time.

    Lower layers were settled too, so only what this layer wrote is newer, and nothing that it did
    not write is touched (touching would copy it into the layer).
    """
    places = " ".join(map(shlex.quote, folders))
    return f"find {places} -newermt @{FIXED_TIME} -exec touch -h -d @{FIXED_TIME} {{}} +"


def settle_environment() -> str:
    """The commands that end each install: without uv's own lock, and with the fixed time."""
    return script(f"rm -f {VENV}/.lock", settle_times(VENV))


def forget_times() -> str:
    """A command that removes what uv notes of the times of local packages.

    They are those of the machine that builds: two machines would make two layers of one project.
    """
    return (
        f"find {VENV} -name uv_cache.json -newermt @{FIXED_TIME} | while read -r file; do "
        'rm "$file"; sed -i "/uv_cache[.]json,/d" "$(dirname "$file")/RECORD"; done'
    )


def pip_cache() -> parts.CacheMount:
    """pip's own cache, shared by every build on the builder."""
    return parts.CacheMount(id="cogpack-pip", target="/root/.cache/pip")


def pip_mounts() -> tuple[parts.Mount, ...]:
    """The copy of pip and its cache; it works with the variables of PIP_ENV."""
    pip = parts.StageInput(id=PIP)
    return (pip_cache(), parts.BindMount(source=pip, source_path=PIP_FOLDER, target=PIP_FOLDER))


def uv_cache() -> parts.CacheMount:
    """uv's own cache, shared by every build on the builder."""
    return parts.CacheMount(id="cogpack-uv", target=UV_CACHE)


def uv_mounts() -> tuple[parts.Mount, ...]:
    """uv, its cache and a /tmp for one command: none of them is in any layer."""
    return (
        uv_cache(),
        parts.BindMount(
            source=parts.StageInput(id=UV_STAGE), source_path="/opt/uv", target="/run/cogpack/uv"
        ),
        parts.TmpfsMount(target="/tmp"),  # noqa: S108  # a path in the image
    )


def quoted(words: Iterable[str]) -> str:
    """Words as a shell reads them back."""
    return " ".join(map(shlex.quote, words))
