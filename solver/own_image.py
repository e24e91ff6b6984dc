"""The user's own base image: one that the tables describe, or one of which only the name is known.

No claim is made from a name. What runs on an unknown image is assumed to fit (its system, its
glibc); its Python counts only when the user says which one it has.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from ..compat.tables import Tables
from ..origin import Origin
from .matrix import architecture_of
from .matrix_facts import Matrix
from .matrix_platform import TOOLKITS, images
from .universe import (
    BUILD_IMAGE,
    RUNTIME_IMAGE,
    Candidate,
    Fact,
    Relation,
    Term,
    Universe,
    requires,
)

__all__ = ["OwnImage", "with_own_image"]


class OwnImage(Struct, frozen=True):
    """The image that the user wants to stand on.

    ref: fully qualified, without digest. digest: `sha256:...`, or empty. python: the version of
    the Python in it (`3.12`, `3.12.4`) as the user says, or empty. origin: the user's line.
    """

    ref: str
    digest: str
    python: str
    origin: Origin


def with_own_image(universe: Universe, tables: Tables, platform: str, own: OwnImage) -> Universe:
    """The universe with the user's image among the base images; it is for requirements to pin it.

    platform: as OCI has it. Raises UserError for a platform that no table row is about.
    """
    matrix = Matrix(tables, architecture_of(tables, platform))
    known = next((image for image in images(matrix) if image.label == own.ref), None)
    image = _unknown(matrix, own) if known is None else _asked_for(known, own)
    return universe.extended(
        replace(image, package=package) for package in (BUILD_IMAGE, RUNTIME_IMAGE)
    )


def _asked_for(known: Candidate, own: OwnImage) -> Candidate:
    """An image of the tables; NVIDIA's need no other reason to be there than the user's wish."""
    relations = [one for one in known.relations if not _is_justification(one)]
    provides = dict(known.provides)
    if own.python:
        provides.setdefault("python", own.python)
        relations = [*relations, _has_python(own)]
    return replace(
        known, digest=own.digest or known.digest, provides=provides, relations=tuple(relations)
    )


def _unknown(matrix: Matrix, own: OwnImage) -> Candidate:
    return Candidate(
        RUNTIME_IMAGE,
        own.ref,
        digest=own.digest,
        provides={"python": own.python} if own.python else {},
        relations=(_has_python(own) if own.python else _brings_none(matrix, own),),
        notes=tuple(_notes(own)),
    )


def _is_justification(relation: Relation) -> bool:
    return all(term.package in TOOLKITS for term in relation.any_of)


def _has_python(own: OwnImage) -> Relation:
    exact = own.python.count(".") > 1
    term = Term("python", f"=={own.python}" if exact else f"=={own.python}.*")
    return requires(_fact(own, f"{own.ref} has Python {own.python}, as the project says"), term)


def _brings_none(matrix: Matrix, own: OwnImage) -> Relation:
    text = f"nothing says that {own.ref} has a Python, and uv has no build of every release"
    return requires(_fact(own, text), Term("python", matrix.managed_pythons))


def _fact(own: OwnImage, text: str) -> Fact:
    return Fact(own.origin.file or own.origin.asker, own.origin.line, own.ref, text)


def _notes(own: OwnImage) -> Iterator[str]:
    yield (
        f"nothing is known of the base image {own.ref}: its system and its glibc are taken to fit "
        "what is installed"
    )
    if not own.python:
        yield (
            f"no Python is taken to be in the base image {own.ref}: the interpreter comes from uv; "
            "if the image has one, set cogpack.base_python to its version"
        )
