"""A repository of Debian packages as files by path: small packages, made here, and their lists."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping, Sequence

__all__ = ["package", "repository"]

DATE = "Sun, 01 Nov 2026 00:00:00 UTC"


def package(name: str, version: str, files: Mapping[str, str]) -> tuple[str, bytes]:
    """A package for every architecture: its control fields, and the .deb.

    files: scripts by absolute path.
    """
    control = (
        f"Package: {name}\nVersion: {version}\nArchitecture: all\n"
        f"Maintainer: Tests <tests@example.com>\nDescription: {name} of the tests\n"
    )
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": _archive({"./control": control}, 0o644),
        "data.tar.gz": _archive({f".{path}": text for path, text in files.items()}, 0o755),
    }
    # ar(5): a header of 60 bytes before each member, which begins at an even place.
    deb = b"!<arch>\n"
    for member, body in members.items():
        head = f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n"
        deb += head.encode() + body + b"\n" * (len(body) % 2)
    return control, deb


def repository(
    root: str, packages: Sequence[tuple[str, bytes]], release: str = ""
) -> dict[str, bytes]:
    """The files of a repository with the suite `stable` and the component `main`.

    root: the path that it is under. release: further lines of the Release file.
    """
    files, lists = {}, ""
    for control, deb in packages:
        digest = hashlib.sha256(deb).hexdigest()
        files[f"{root}/pool/{digest}.deb"] = deb
        lists += f"{control}Filename: pool/{digest}.deb\nSize: {len(deb)}\nSHA256: {digest}\n\n"
    digest = hashlib.sha256(lists.encode()).hexdigest()
    index = "main/binary-amd64/Packages"
    files[f"{root}/dists/stable/{index}"] = lists.encode()
    files[f"{root}/dists/stable/Release"] = (
        f"Origin: Tests\nLabel: Tests\nSuite: stable\nCodename: stable\nDate: {DATE}\n"
        f"Architectures: amd64\nComponents: main\n{release}"
        f"SHA256:\n {digest} {len(lists)} {index}\n"
    ).encode()
    return files


def _archive(files: Mapping[str, str], mode: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        folders = {"/".join(path.split("/")[:end]) for path in files for end in _depths(path)}
        for folder in sorted(folders):
            entry = tarfile.TarInfo(f"{folder}/")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for path, text in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), mode
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), mtime=0)


def _depths(path: str) -> range:
    return range(1, path.count("/") + 1)
