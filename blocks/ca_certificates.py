"""Certificates of one's own authorities: the variable COG_CA_CERT of whoever builds."""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from ..errors import Fault, UserError
from ..origin import Origin
from ..plan import parts
from ..project import Project
from ..solver.resolution import Resolution
from .base import Block
from .layout import FIXED_TIME, script

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = ["CaCertificates", "read_certificates"]

VARIABLE = "COG_CA_CERT"

_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_LOCAL = "/usr/local/share/ca-certificates"
_MOUNT = "/run/cogpack-ca"

# What an image with further authorities sets, as Cog's does.
_RUNTIME_ENV = {"REQUESTS_CA_BUNDLE": _BUNDLE, "SSL_CERT_FILE": _BUNDLE}
# pip reads a variable of its own; uv and apt go by the others and by the bundle.
_BUILD_ENV = {"PIP_CERT": _BUNDLE, **_RUNTIME_ENV}

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

# What the base trusts already stays trusted, also what it has in no file that the tool knows.
_INSTALL = script(
    f"mkdir -p {_LOCAL} $(dirname {_BUNDLE})",
    'known="${SSL_CERT_FILE:-}"',
    f'if [ ! -f "$known" ]; then known={_BUNDLE}; fi',
    'if [ -f "$known" ]; then cat "$known" > /tmp/known.crt; else : > /tmp/known.crt; fi',
    f"cp {_MOUNT}/*.crt {_LOCAL}/",
    "{ ! command -v update-ca-certificates >/dev/null || update-ca-certificates >/dev/null; }",
    f"cat /tmp/known.crt {_MOUNT}/*.crt > {_BUNDLE}",
    f"find {_LOCAL} $(dirname {_BUNDLE}) -mmin -60 -exec touch -h -d @{FIXED_TIME} {{}} +",
)


class CaCertificates(Block):
    """Adds the certificates to the image's trust, before anything is fetched.

    As in Cog they stay in the image: what runs there meets the same proxies. They are public; a
    private key among them is refused.

    value: what the variable holds; by default that of the environment.
    """

    name: ClassVar[str] = "ca-certificates"

    def __init__(self, value: str | None = None) -> None:
        self._value = os.environ.get(VARIABLE, "") if value is None else value

    @classmethod
    def detect(cls, project: Project) -> bool:
        del project
        return bool(os.environ.get(VARIABLE, "").strip())

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        origin = Origin(asker=f"${VARIABLE}")
        files = composer.side_stage(
            "base",
            "ca-files",
            "write down the certificates",
            parts.ScratchInput(),
            [
                parts.MkFile(path=f"/cogpack-{number}.crt", content=certificate)
                for number, certificate in enumerate(read_certificates(self._value), 1)
            ],
            because=[origin],
        )
        install = parts.Exec(
            command=_INSTALL,
            mounts=(
                parts.BindMount(source=files, target=_MOUNT),
                parts.TmpfsMount(target="/tmp"),  # noqa: S108  # a path in the image
            ),
        )
        title = "trust the certificates"
        variables = [
            parts.Env(name=name, value=value) for name, value in sorted(_BUILD_ENV.items())
        ]
        stage = composer.stage("base", "ca", title, [install, *variables], because=[origin])
        composer.prepare_environment(
            "base", "environment-ca", title, [install, *variables], because=[origin]
        )
        if composer.one_base:
            composer.export("base", stage)
        else:
            # The bundle is the base's own with ours behind it, so it fits no other base.
            composer.stage("base", "export:ca", title, [install], of="export", because=[origin])
        composer.configure(parts.ExportConfig(env=_RUNTIME_ENV))


def read_certificates(value: str) -> tuple[str, ...]:
    """The certificates of COG_CA_CERT, each once, in PEM form.

    value: a file, a folder with `.crt` and `.pem` files, PEM text, or the same in base64.
    Raises UserError when it is none of them, or holds a private key.
    """
    text = value.strip()
    if _is_place(text):
        path = Path(text)
        sources = sorted(_files(path)) if path.is_dir() else [path]
        if not sources:
            raise _fault(f"is the folder {text}, which has no .crt and no .pem file")
        found = [pem for source in sources for pem in _split(_read(source), f"in {source}")]
    elif text.startswith("-----BEGIN"):
        found = _split(text, "in the text")
    else:
        found = _split(_decoded(text), "in the decoded text")
    return tuple(dict.fromkeys(found))


def _is_place(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # a name that is too long for a path
        return False


def _files(folder: Path) -> list[Path]:
    return [
        one for one in folder.iterdir() if one.suffix.lower() in (".crt", ".pem") and one.is_file()
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise _fault(f"names {path}, which cannot be read: {error.strerror}") from None


def _decoded(text: str) -> str:
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        raise _fault("is no file, no folder, no certificate and no base64 of one") from None


def _split(text: str, where: str) -> list[str]:
    """The certificates of a PEM text; what stands between them is comment."""
    if "PRIVATE KEY-----" in text:
        raise _fault(f"has a private key {where}", "give the certificate alone")
    found = []
    for piece in text.split(_BEGIN)[1:]:
        body, end, _ = piece.partition(_END)
        words = "".join(body.split())
        try:
            if not end or not base64.b64decode(words, validate=True):
                raise ValueError
        except (binascii.Error, ValueError):
            raise _fault(f"has a damaged certificate {where}") from None
        lines = [words[start : start + 64] for start in range(0, len(words), 64)]
        found.append("\n".join([_BEGIN, *lines, _END, ""]))
    if not found:
        raise _fault(f"has no certificate {where}", f"it must contain {_BEGIN}")
    return found


def _fault(message: str, hint: str = "") -> UserError:
    known = "set it to a file, a folder, PEM text or base64 of that, or unset it"
    return UserError(Fault(f"{VARIABLE} {message}", Origin(asker=f"${VARIABLE}"), hint or known))
