"""Stand-ins of Docker Hub's base images, for machines that cannot reach the Hub.

Each is made from Debian's own packages by mmdebstrap and looks like the image whose name it bears:
the same release, the same Python under /usr/local/bin, pip, the same environment. It is served
where the daemon looks for docker.io, so cogpack sees ordinary names. Where the Hub answers, none is
made.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from . import debian, images
from .builder import Builder
from .layout import SetupError, cache, exclusive, say

__all__ = ["STANDINS", "StandIn", "hub_answers", "provide"]

_HUB = "https://registry-1.docker.io/v2/"
_HUB_SECONDS = 5.0
_SETUP = Path(__file__).with_name("standin.sh")
_EXTRA_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
# What pip, uv, requests and OpenSSL read; pip before 24.2 and uv bring certificates of their own.
_BUNDLE_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
_PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
# 2024-01-01: the same packages give the same bytes, whenever they are unpacked.
_EPOCH = "1704067200"
_PERL = ("-MPod::Usage", "-MMath::BigInt", "-MText::ParseWords", "-MFile::Find", "-e1")


@dataclass(frozen=True)
class StandIn:
    """One image: its repository and tag on the Hub, the Debian release and Python inside, and what
    else is installed. Debian has one Python in a release, so other minor versions have no stand-in.
    """

    repository: str
    tag: str
    suite: str
    python: str
    packages: tuple[str, ...]

    @property
    def reference(self) -> str:
        """The full name, as the compatibility tables write it."""
        return f"docker.io/{self.repository}:{self.tag}"


# The real slim images hold these beside Python and what it links.
_SLIM = ("ca-certificates", "netbase", "tzdata")

STANDINS = (
    StandIn("library/python", "3.11-slim-bookworm", "bookworm", "3.11", _SLIM),
    StandIn("library/python", "3.13-slim-trixie", "trixie", "3.13", _SLIM),
)


def hub_answers() -> bool:
    """Tell whether Docker Hub's registry can be reached from this machine."""
    try:
        with urllib.request.urlopen(_HUB, timeout=_HUB_SECONDS):
            return True
    except urllib.error.HTTPError as answer:
        return answer.code == 401  # it asks who we are: the registry itself
    except (OSError, ssl.SSLError):
        return False


def provide(builder: Builder, wanted: Sequence[StandIn]) -> None:
    """Make the builder resolve these names, by stand-ins where the Hub does not answer.

    Raises SetupError when they cannot be made, or the builder has no way to be given one.
    """
    if hub_answers():
        say("Docker Hub answers: base images come from there")
        return
    for standin in wanted:
        image = _image(standin)
        if builder.own:
            images.push(image, builder.own.registry, standin.repository, standin.tag)
        elif builder.docker:
            _load(builder, standin, image)
        else:
            raise SetupError(
                f"the builder at {builder.buildkit_host} can be given no stand-in of"
                f" {standin.reference}; let it reach Docker Hub, or unset BUILDKIT_HOST"
            )
        say(f"{standin.reference} is a stand-in from Debian {standin.suite}, {image.digest}")


def _load(builder: Builder, standin: StandIn, image: images.Image) -> None:
    """Put the image into the store of a Docker daemon that is not ours."""
    with tempfile.TemporaryDirectory(prefix="cogpack-dev-load-") as scratch:
        file = Path(scratch, "image.tar")
        images.archive(image, standin.reference, file)
        env = {**os.environ, **builder.environment()}
        debian.run([str(builder.docker), "load", "--input", file], env=env)


def _image(standin: StandIn) -> images.Image:
    """Return the image of a stand-in, its layer made on the first call and kept in the cache."""
    certificates = sorted(_EXTRA_CERTIFICATES.glob("**/*.crt"))
    home = cache() / "bases" / f"{standin.tag}-{_key(standin, certificates)}"
    with exclusive(cache() / "bases.lock"):
        record = home / "layer.json"
        if not record.exists():
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True)
            layer = _make(standin, home)
            record.write_text(json.dumps(asdict(layer), default=str), encoding="utf-8")
        facts = json.loads(record.read_text(encoding="utf-8"))
    layer = images.Layer(**{**facts, "file": Path(facts["file"])})
    return images.compose(
        layer, debian.architecture(), _environment(standin, certificates), "python3"
    )


def _key(standin: StandIn, certificates: Sequence[Path]) -> str:
    """Return what a kept layer depends on: the table's row, the setup and the certificates."""
    hashing = hashlib.sha256(repr((standin, debian.mirror(), _EPOCH)).encode())
    for file in (_SETUP, *certificates):
        hashing.update(file.read_bytes())
    return hashing.hexdigest()[:12]


def _environment(standin: StandIn, certificates: Sequence[Path]) -> dict[str, str]:
    """Return the real image's variables, and the certificates' where those are needed."""
    env = {"PATH": _PATH, "LANG": "C.UTF-8", "PYTHON_VERSION": standin.python}
    return env | (dict.fromkeys(_BUNDLE_VARIABLES, _BUNDLE) if certificates else {})


def _make(standin: StandIn, home: Path) -> images.Layer:
    """Bootstrap the root file system in memory where there is room, and pack it into `home`."""
    say(f"making a stand-in of {standin.reference} from Debian {standin.suite} (about a minute)")
    memory = Path("/dev/shm")  # noqa: S108  # a folder of our own is made in it
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 << 30
    with tempfile.TemporaryDirectory(dir=memory if roomy else home) as scratch:
        tar = Path(scratch, "rootfs.tar")
        command, env = _mmdebstrap()
        python = f"python{standin.python}"
        include = ",".join([python, f"{python}-venv", *standin.packages])
        debian.run(
            [
                *command,
                "--quiet",
                "--mode=root",
                "--variant=minbase",
                "--dpkgopt=force-unsafe-io",
                *(f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("doc", "man", "locale")),
                "--aptopt=Acquire::Languages none",
                f"--include={include}",
                f"--customize-hook={_SETUP}",
                standin.suite,
                str(tar),
                *_sources(standin.suite),
            ],
            env={
                **env,
                "TMPDIR": scratch,
                "SOURCE_DATE_EPOCH": _EPOCH,
                "STANDIN_PYTHON": standin.python,
                "STANDIN_CERTIFICATES": str(_EXTRA_CERTIFICATES),
            },
        )
        return images.compress(tar, home / "layer.tar.gz")


def _sources(suite: str) -> list[str]:
    """Return the apt sources of a release, on the archives that the machine itself uses."""
    main = debian.mirror()
    signed = f"deb [signed-by={debian.KEYRING}]"
    return [
        f"{signed} {main} {suite} main",
        f"{signed} {main} {suite}-updates main",
        f"{signed} {main}-security {suite}-security main",
    ]


def _mmdebstrap() -> tuple[list[str], dict[str, str]]:
    """Return command and environment of mmdebstrap: the machine's own, else an unpacked one."""
    if found := shutil.which("mmdebstrap"):
        return [found], dict(os.environ)
    tree = cache() / "mmdebstrap" / debian.host_suite()
    if not (tree / "complete").exists():
        shutil.rmtree(tree, ignore_errors=True)
        debian.unpack(["mmdebstrap", *_perl_packages()], debian.host_suite(), tree)
        (tree / "complete").touch()
    libraries = [*tree.glob("usr/share/perl/*.*"), *tree.glob("usr/lib/*/perl/*.*")]
    path = f"{tree / 'usr/bin'}:{os.environ.get('PATH', os.defpath)}"
    env = {**os.environ, "PATH": path, "PERL5LIB": ":".join(map(str, libraries))}
    return ["perl", str(tree / "usr/bin/mmdebstrap")], env


def _perl_packages() -> list[str]:
    """Return the packages of Perl's library that a machine with only perl-base is without."""
    if subprocess.run(["perl", *_PERL], capture_output=True, check=False).returncode == 0:
        return []
    version = debian.run(["perl", "-e", 'printf "%vd", $^V']).rsplit(".", 1)[0]
    return [f"libperl{version}", f"perl-modules-{version}"]
