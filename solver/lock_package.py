"""One package of a lock and the file that it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["LockedPackage"]


@dataclass(frozen=True, order=True)
class LockedPackage:
    """One package and the file that it comes from.

    name: PEP 503 normalised. version: empty for a folder that does not tell.
    kind: `wheel` or `sdist` of an index, `archive` by URL or path, `directory` of the project.
    filename: empty for a directory. url: without credentials. path: relative to the project.
    hashes: (algorithm, hex digest), sorted; empty for a directory only.
    size: bytes; None when the index does not tell. index: URL of the package index.
    requires: names of the packages that it needs, sorted. extras: that are installed with it.
    is_matrix: whether the matrix decided its version.
    """

    name: str
    version: str
    kind: Literal["wheel", "sdist", "archive", "directory"]
    filename: str = ""
    url: str = ""
    path: str = ""
    hashes: tuple[tuple[str, str], ...] = ()
    size: int | None = None
    index: str = ""
    requires: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    is_matrix: bool = False
    editable: bool = False

    @property
    def sha256(self) -> str:
        """The SHA-256 as hexadecimal digits; empty when only another hash is known."""
        return dict(self.hashes).get("sha256", "")

    @property
    def is_built(self) -> bool:
        """Whether it comes as no wheel and is built inside the image."""
        is_wheel = self.kind == "wheel" or (
            self.kind == "archive" and self.filename.endswith(".whl")
        )
        return not is_wheel

    @property
    def is_direct(self) -> bool:
        """Whether it comes from a URL or a path and not from an index."""
        return self.kind in ("archive", "directory")

    def line(self, folder: str) -> str:
        """The package as a line of a requirements file, for `--no-deps --require-hashes`.

        A directory has no hash: it is installed by itself. folder: where the installer finds the
        project.
        """
        if self.kind in ("archive", "directory"):
            wanted = f"{self.name} @ {self.url or f'file://{folder}/{self.path}'}"
        else:
            wanted = f"{self.name}=={self.version}"
        return wanted + "".join(f" --hash={kind}:{digest}" for kind, digest in self.hashes)
