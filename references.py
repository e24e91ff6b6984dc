"""Image references in the full form that BuildKit wants, as Docker completes them.

The grammar is that of github.com/distribution/reference; whether an image exists is for the
daemon to say.
"""

from __future__ import annotations

__all__ = ["BASE_DIGEST", "BASE_NAME", "is_same_image", "pinned", "qualified", "split_digest"]

# Labels with the reference of an image's base (annotations of the OCI image specification).
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"

_DEFAULT_HOST = "docker.io"


def qualified(reference: str) -> str:
    """`python:3.12-slim` as `docker.io/library/python:3.12-slim`; no tag and no digest: `latest`.

    A full reference comes back as it is.
    """
    name, _, digest = reference.partition("@")
    first, slash, _ = name.partition("/")
    # The first component is a host when nothing else could look like it.
    has_host = bool(slash) and (
        first == "localhost" or "." in first or ":" in first or first != first.lower()
    )
    if not has_host:
        name = f"{_DEFAULT_HOST}/{name}"
    host, _, path = name.partition("/")
    if host == "index.docker.io":
        host = _DEFAULT_HOST
    if host == _DEFAULT_HOST and "/" not in path:
        path = f"library/{path}"
    if not digest and ":" not in path:
        path += ":latest"
    return f"{host}/{path}@{digest}" if digest else f"{host}/{path}"


def pinned(reference: str, digest: str) -> str:
    """The reference, qualified, at `digest`; as it is when it has a digest or none is known."""
    full = qualified(reference)
    return full if not digest or "@" in full else f"{full}@{digest}"


def split_digest(reference: str) -> tuple[str, str]:
    """The reference, qualified, without its digest, and the digest; empty when it has none.

    A reference with a digest needs no tag, and gets none.
    """
    name, _, digest = qualified(reference).partition("@")
    return name, digest


def is_same_image(one: str, other: str) -> bool:
    """Whether two references have one name and tag, whatever their digests."""
    return split_digest(one)[0] == split_digest(other)[0]
