"""A root file system as a one-layer OCI image: its documents, pushed to a registry or archived.

The formats are those of the OCI image and distribution specifications 1.1.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from .layout import SetupError

__all__ = ["Image", "Layer", "archive", "compose", "compress", "push"]

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_INDEX = "application/vnd.oci.image.index.v1+json"
_EPOCH = "1970-01-01T00:00:00Z"
_CHUNK = 1 << 20
_SECONDS = 60.0


@dataclass(frozen=True)
class Layer:
    """A gzipped tar: its file, digests of the packed and the unpacked bytes, bytes when packed."""

    file: Path
    digest: str
    diff_id: str
    size: int


@dataclass(frozen=True)
class Image:
    """A manifest and its config, as the bytes that their digests are of, and the one layer."""

    manifest: bytes
    config: bytes
    layer: Layer

    @property
    def digest(self) -> str:
        """The manifest's digest, by which the image is pinned."""
        return _digest(self.manifest)


def compress(tar: Path, packed: Path) -> Layer:
    """Gzip `tar` into `packed`, fast and without a time stamp, and take the digests on the way."""
    plain, whole = hashlib.sha256(), hashlib.sha256()
    with (
        tar.open("rb") as source,
        packed.open("wb") as sink,
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=sink, mtime=0) as squeezed,
    ):
        while chunk := source.read(_CHUNK):
            plain.update(chunk)
            squeezed.write(chunk)
    with packed.open("rb") as source:
        while chunk := source.read(_CHUNK):
            whole.update(chunk)
    digest, diff_id = (f"sha256:{hashing.hexdigest()}" for hashing in (whole, plain))
    return Layer(packed, digest, diff_id, packed.stat().st_size)


def compose(layer: Layer, architecture: str, env: Mapping[str, str], command: str) -> Image:
    """Return the image of one layer with this environment and default command."""
    config = _bytes(
        {
            "architecture": architecture,
            "os": "linux",
            "created": _EPOCH,
            "config": {"Env": [f"{k}={v}" for k, v in env.items()], "Cmd": [command]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
            "history": [{"created": _EPOCH, "created_by": "cogpack dev/builder.py base"}],
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, "digest": _digest(config), "size": len(config)},
        "layers": [{"mediaType": _LAYER, "digest": layer.digest, "size": layer.size}],
    }
    return Image(_bytes(manifest), config, layer)


def push(image: Image, registry: str, repository: str, tag: str) -> None:
    """Push to a registry without TLS at `host:port`; blobs that it has are not sent again.

    Raises SetupError when the registry refuses.
    """
    try:
        with contextlib.closing(http.client.HTTPConnection(registry, timeout=_SECONDS)) as wire:
            _push_blob(wire, repository, _digest(image.config), io.BytesIO(image.config))
            with image.layer.file.open("rb") as packed:
                _push_blob(wire, repository, image.layer.digest, packed)
            path = f"/v2/{repository}/manifests/{tag}"
            _ask(wire, "PUT", path, image.manifest, {"Content-Type": _MANIFEST})
    except (OSError, http.client.HTTPException) as error:
        raise SetupError(f"the registry {registry} does not take {repository}: {error}") from error


def _push_blob(
    wire: http.client.HTTPConnection, repository: str, digest: str, body: io.BufferedIOBase
) -> None:
    """Send one blob in a single request, unless the registry has it."""
    wire.request("HEAD", f"/v2/{repository}/blobs/{digest}")
    answer = wire.getresponse()
    answer.read()
    if answer.status == http.HTTPStatus.OK:
        return
    location = urlsplit(_ask(wire, "POST", f"/v2/{repository}/blobs/uploads/", b"", {}))
    query = "&".join(filter(None, [location.query, f"digest={quote(digest)}"]))
    size = body.seek(0, io.SEEK_END)
    body.seek(0)
    head = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
    _ask(wire, "PUT", f"{location.path}?{query}", body, head)


def _ask(
    wire: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | io.BufferedIOBase,
    headers: Mapping[str, str],
) -> str:
    """Send a request that must succeed; return the answer's Location, or an empty string."""
    wire.request(method, path, body, headers)
    answer = wire.getresponse()
    text = answer.read().decode(errors="replace")
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        raise http.client.HTTPException(f"{method} {path}: {answer.status} {text[:200]}")
    return answer.getheader("Location", "")


def archive(image: Image, reference: str, file: Path) -> None:
    """Write an OCI archive that `docker load` reads and stores under `reference`."""
    index = {
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [
            {
                "mediaType": _MANIFEST,
                "digest": image.digest,
                "size": len(image.manifest),
                "annotations": {"io.containerd.image.name": reference},
            }
        ],
    }
    members = {
        "oci-layout": _bytes({"imageLayoutVersion": "1.0.0"}),
        "index.json": _bytes(index),
        _blob(_digest(image.config)): image.config,
        _blob(image.digest): image.manifest,
    }
    with tarfile.open(file, "w") as tar:
        for name, content in members.items():
            _add(tar, name, len(content), io.BytesIO(content))
        with image.layer.file.open("rb") as packed:
            _add(tar, _blob(image.layer.digest), image.layer.size, packed)


def _add(tar: tarfile.TarFile, name: str, size: int, content: io.BufferedIOBase) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    tar.addfile(member, content)


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _bytes(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
