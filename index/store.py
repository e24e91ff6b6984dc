"""The cache folder: small files, written whole, checked when they are read.

What is in them is the business of others. A file is written elsewhere and renamed into place, so
that a reader in any process sees the old content or the new one, whenever a writer is killed. Each
file ends with its checksum, so that one torn by a power cut counts as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

from ..files import home_folder, read_file

__all__ = ["FORMAT", "Store", "cache_folder"]

# Part of the path: a release that writes other content takes another number and leaves this alone.
FORMAT = "v1"

# Seconds after which a temporary file is a leftover of a process that was killed.
_LEFTOVER_SECONDS = 3600.0

_CHECKSUM_BYTES = 4


def cache_folder(environ: Mapping[str, str]) -> Path | None:
    """The folder of the index cache: `COGPACK_CACHE`/index, else under `XDG_CACHE_HOME`.

    None for a user without a folder, who has no cache.
    """
    if own := environ.get("COGPACK_CACHE"):
        return Path(own, "index")
    if base := environ.get("XDG_CACHE_HOME"):
        return Path(base, "cogpack", "index")
    home = home_folder(environ)
    return home / ".cache" / "cogpack" / "index" if home else None


class Store:
    """A folder of byte strings by kind and key, safe with many threads and processes.

    folder: where it lies; None makes a store that keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._root = folder / FORMAT if folder is not None else None
        self._ready: set[str] = set()

    def read(self, kind: str, key: str) -> bytes | None:
        """What was written under the key; None when nothing whole is there."""
        if self._root is None:
            return None
        try:
            content = read_file(Path(self._path(self._root, kind, key)))
        except OSError:
            return None
        body, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
        return body if checksum == _checksum(body) and content else None

    def write(self, kind: str, key: str, body: bytes) -> None:
        """Keep the bytes; a folder that cannot be written (full, read-only) keeps nothing."""
        if self._root is None:
            return
        try:
            self._write(self._root, kind, key, body)
        except OSError:
            return

    def remove(self, kind: str, key: str) -> None:
        """Forget what is under the key."""
        if self._root is not None:
            with contextlib.suppress(OSError):
                Path(self._path(self._root, kind, key)).unlink()

    def _write(self, root: Path, kind: str, key: str, body: bytes) -> None:
        path = self._path(root, kind, key)
        self._prepare(root, path)
        handle, temporary = tempfile.mkstemp(dir=root / "tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(body)
                file.write(_checksum(body))
            os.replace(temporary, path)  # noqa: PTH105  # the strings are at hand
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise

    def _prepare(self, root: Path, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent in self._ready:
            return
        Path(parent).mkdir(parents=True, exist_ok=True)
        if not self._ready:
            (root / "tmp").mkdir(exist_ok=True)
            _sweep(root / "tmp")
        self._ready.add(parent)

    @staticmethod
    def _path(root: Path, kind: str, key: str) -> str:
        digest = hashlib.sha256(key.encode()).hexdigest()
        return f"{root}/{kind}/{digest[:2]}/{digest[2:40]}"


def _checksum(body: bytes) -> bytes:
    return zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "big")


def _sweep(folder: Path) -> None:
    limit = time.time() - _LEFTOVER_SECONDS
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < limit:
                path.unlink()
