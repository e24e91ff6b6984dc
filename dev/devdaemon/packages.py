"""The programs of the builder: which Debian packages hold them, and one folder with all of them.

Nothing is started here.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import debian
from .layout import SetupError, cache, exclusive, say

__all__ = ["Programs", "programs"]

# BuildKit comes inside dockerd. Testing's is 0.25, which has every file action; stable's is 0.13,
# which cannot make symlinks in a FileOp, and serves where testing's needs a newer C library.
_DAEMON = ("containerd", "docker-cli", "docker-registry", "docker.io")
_DAEMON_PACKAGES = {"forky": (*_DAEMON, "tini-static"), "trixie": (*_DAEMON, "tini")}
# runc is bound to the C library of its own suite, so it comes from the machine's.
_HOST_PACKAGES = ("runc",)
_PROGRAMS = {
    "containerd": ("usr/bin/containerd",),
    "containerd-shim-runc-v2": ("usr/bin/containerd-shim-runc-v2",),
    "docker": ("usr/bin/docker",),
    "docker-init": ("usr/bin/tini-static",),
    "docker-proxy": ("usr/sbin/docker-proxy", "usr/bin/docker-proxy"),
    "docker-registry": ("usr/bin/docker-registry",),
    "dockerd": ("usr/sbin/dockerd", "usr/bin/dockerd"),
    "runc": ("usr/sbin/runc", "usr/bin/runc"),
}
_MUST_RUN = ("dockerd", "containerd", "runc", "docker", "docker-registry")
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FLAVOURS = ("nft", "legacy")


@dataclass(frozen=True)
class Programs:
    """The unpacked programs: `bin` holds one entry for each, `suite` says where dockerd is from."""

    bin: Path
    suite: str

    @property
    def path(self) -> str:
        """The PATH on which dockerd finds its own helpers before the machine's."""
        return f"{self.bin}:{_SYSTEM_PATH}"


def programs() -> Programs:
    """Return the builder's programs, fetched on the first call and kept in the cache.

    Raises SetupError when no suite's programs run on this machine.
    """
    recipe = repr((_DAEMON_PACKAGES, _HOST_PACKAGES, _PROGRAMS, debian.host_suite()))
    home = cache() / "programs" / hashlib.sha256(recipe.encode()).hexdigest()[:12]
    with exclusive(cache() / "programs.lock"):
        marker = home / "suite"
        if not marker.exists():
            # Nothing runs from an older recipe's folder: this is asked before a daemon is started.
            shutil.rmtree(home.parent, ignore_errors=True)
            marker.write_text(_fetch(home), encoding="utf-8")
        return Programs(home / "bin", marker.read_text(encoding="utf-8"))


def _fetch(home: Path) -> str:
    """Unpack everything into `home`; return the suite whose dockerd runs here."""
    refusals = []
    for suite, packages in _DAEMON_PACKAGES.items():
        shutil.rmtree(home, ignore_errors=True)
        say(f"unpacking dockerd of Debian {suite} into {home}")
        names = debian.unpack(packages, suite, home / "tree")
        names += debian.unpack(_HOST_PACKAGES, debian.host_suite(), home / "tree")
        names += debian.unpack(
            ["iptables"], debian.host_suite(), home / "iptables", dependencies=True
        )
        (home / "packages.txt").write_text("\n".join(names) + "\n", encoding="utf-8")
        _link(home)
        refusal = _refusal(home / "bin")
        if not refusal:
            return suite
        refusals.append(f"{suite}: {refusal}")
    raise SetupError("dockerd does not run on this machine:\n  " + "\n  ".join(refusals))


def _link(home: Path) -> None:
    """Fill `home/bin`: a link for each program, a wrapper for each name of iptables."""
    (home / "bin").mkdir()
    for name, places in _PROGRAMS.items():
        for place in places:
            if (home / "tree" / place).exists():
                (home / "bin" / name).symlink_to(home / "tree" / place)
                break
    if shutil.which("iptables", path=_SYSTEM_PATH):
        return
    for name in ("iptables", "ip6tables"):
        _wrap_iptables(home, name)


def _wrap_iptables(home: Path, name: str) -> None:
    """Write a wrapper that runs the unpacked iptables, on the backend that the kernel has."""
    tree = home / "iptables"
    libraries = sorted({file.parent for file in tree.rglob("lib*.so.*")})
    extensions = next(tree.rglob("xtables"), tree)
    flavour = next((f for f in _FLAVOURS if _has_nat(tree, libraries, extensions, f)), "nft")
    wrapper = home / "bin" / name
    wrapper.write_text(
        "#!/bin/sh\n"
        f'export LD_LIBRARY_PATH="{":".join(map(str, libraries))}"\n'
        f'export XTABLES_LIBDIR="{extensions}"\n'
        f'exec "{tree}/usr/sbin/xtables-{flavour}-multi" {name} "$@"\n',
        encoding="utf-8",
    )
    wrapper.chmod(0o755)


def _has_nat(tree: Path, libraries: list[Path], extensions: Path, flavour: str) -> bool:
    """Tell whether the kernel serves a NAT table to this flavour of iptables."""
    done = subprocess.run(
        [tree / f"usr/sbin/xtables-{flavour}-multi", "iptables", "-t", "nat", "-S"],
        env={
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
            "XTABLES_LIBDIR": str(extensions),
        },
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _refusal(folder: Path) -> str:
    """Return why the programs do not run here (a C library too old, a missing file), or nothing."""
    for name in _MUST_RUN:
        if not (folder / name).exists():
            return f"the packages hold no {name}"
        done = subprocess.run(
            [folder / name, "--version"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            return f"{name}: {(done.stderr or done.stdout).strip()[:300]}"
    return ""
