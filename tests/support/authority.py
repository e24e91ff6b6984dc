"""A certificate authority of a test's own, made by openssl, and servers that it vouches for."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Authority", "make_authority"]

_NEW = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
_OPTIONS = ("-nodes", "-days", "2")


@dataclass(frozen=True)
class Authority:
    """An authority that nothing trusts as yet. certificate, key: its files."""

    certificate: Path
    key: Path

    def server(self, host: str) -> ssl.SSLContext:
        """What a server at this address needs to be believed by whoever trusts the authority."""
        key, certificate = self.key.with_name("server.key"), self.key.with_name("server.crt")
        _openssl(
            *("-CA", self.certificate, "-CAkey", self.key),
            *("-keyout", key, "-out", certificate, "-subj", f"/CN={host}"),
            *("-addext", f"subjectAltName=IP:{host}"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            *("-addext", "extendedKeyUsage=serverAuth"),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


def make_authority(folder: Path) -> Authority:
    """A new authority, its files in a folder of their own."""
    folder.mkdir()
    made = Authority(folder / "authority.crt", folder / "authority.key")
    _openssl(
        *("-keyout", made.key, "-out", made.certificate, "-subj", "/CN=cogpack test authority"),
        *("-addext", "keyUsage=critical,keyCertSign"),
    )
    return made


def _openssl(*words: str | Path) -> None:
    command = [*_NEW, *_OPTIONS, *words]
    subprocess.run(command, check=True, capture_output=True)
