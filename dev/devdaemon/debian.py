"""Debian packages unpacked into private folders; the machine's own apt and dpkg state stays as is.

apt runs with lists, cache and status of its own, and checks the archive's signature as always. This
file knows packages and suites, not what is done with the files in them.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from .layout import SetupError

__all__ = ["KEYRING", "architecture", "host_suite", "mirror", "run", "unpack"]

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# A closure over an empty dpkg status names these too. Every Debian has them, and a second C library
# beside the machine's own would not match its loader.
_EVERYWHERE = ("libc6_", "libgcc-s1_", "gcc-", "netbase_")


def run(
    argv: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run a program, in a folder and with an environment if given; return its standard output.

    Raises SetupError with the program's last words when it fails or is not there.
    """
    try:
        done = subprocess.run(argv, check=True, text=True, capture_output=True, cwd=cwd, env=env)
    except FileNotFoundError as error:
        raise SetupError(f"{argv[0]} is not on this machine: {error}") from error
    except subprocess.CalledProcessError as error:
        words = (error.stderr or error.stdout or "").strip().splitlines()[-8:]
        raise SetupError(
            "\n  ".join([f"{argv[0]} failed ({error.returncode}):", *words])
        ) from error
    return str(done.stdout)


def host_suite() -> str:
    """Return the code name of the machine's Debian release, such as `bookworm`."""
    release = Path("/etc/os-release")
    text = release.read_text(encoding="utf-8") if release.exists() else ""
    facts = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    if facts.get("ID", "").strip('"') != "debian" or not KEYRING.exists():
        raise SetupError(
            "this machine is not Debian, so the builder cannot be made from Debian's packages;"
            " start a Docker or BuildKit daemon and set DOCKER_HOST or BUILDKIT_HOST"
        )
    return facts.get("VERSION_CODENAME", "sid").strip('"')


def architecture() -> str:
    """Return dpkg's name of the machine's architecture, such as `amd64`."""
    return run(["dpkg", "--print-architecture"]).strip()


def mirror() -> str:
    """Return the address of the Debian archive that the machine's apt itself uses."""
    uris = run(["apt-get", "indextargets", "--format", "$(REPO_URI)"]).split()
    for uri in uris:
        if uri.rstrip("/").endswith("/debian"):
            return uri.rstrip("/")
    raise SetupError("apt on this machine has no Debian archive among its sources")


def unpack(
    packages: Sequence[str], suite: str, target: Path, *, dependencies: bool = False
) -> list[str]:
    """Download packages of a suite and unpack them, without their scripts, into `target`.

    packages: their names; dependencies: also what they depend on, less what every Debian has.
    Returns the file names of the packages, sorted; they tell the versions.
    """
    with tempfile.TemporaryDirectory(prefix="cogpack-dev-apt-") as scratch:
        private = Path(scratch)
        options = _private_apt(private, suite)
        run(["apt-get", *options, "update"])
        if dependencies:
            install = ["install", "--download-only", "--no-install-recommends", "-y"]
            run(["apt-get", *options, *install, *packages])
        else:
            archives = private / "cache/archives"
            run(["apt-get", *options, "download", *packages], cwd=archives)
        found = sorted((private / "cache/archives").glob("*.deb"))
        kept = [deb for deb in found if not deb.name.startswith(_EVERYWHERE)]
        target.mkdir(parents=True, exist_ok=True)
        for deb in kept:
            run(["dpkg-deb", "--extract", deb, target])
        return [deb.name for deb in kept]


def _private_apt(private: Path, suite: str) -> list[str]:
    """Lay out an apt state of its own in `private` and return the options that make apt use it."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (private / folder).mkdir(parents=True)
    (private / "status").touch()
    (private / "sources.list").write_text(
        f"deb [arch={architecture()} signed-by={KEYRING}] {mirror()} {suite} main\n",
        encoding="utf-8",
    )
    settings = {
        "Dir::Etc::sourcelist": private / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": private,
        "Dir::State::lists": private / "lists",
        "Dir::State::status": private / "status",
        "Dir::Cache": private / "cache",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        "Debug::NoLocking": "1",
    }
    return ["-qq", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]
