"""Candidates below the frameworks: Python, base images, systems, CUDA, cuDNN, drivers, GPUs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec.structs import replace
from packaging.version import Version

from ..compat.rows import BaseImage, Cuda, CudaImage, Row
from .matrix_facts import (
    ACCELERATOR,
    CUDA_BUILD_WITHOUT_GPU,
    CUDA_MISMATCH,
    CUDNN_MISMATCH,
    OTHER_INDEX,
    SYSTEM_CUDA_MISMATCH,
    UNTESTED_CUDA,
    WITHDRAWN,
    Matrix,
    minor_series,
)
from .universe import BUILD_IMAGE, RUNTIME_IMAGE, Candidate, Relation, Term, constrains, requires

__all__ = [
    "TOOLKITS",
    "accelerators",
    "build_images",
    "compilers",
    "compromises",
    "cuda",
    "cuda_image_refs",
    "cuda_library_minors",
    "cuda_toolkits",
    "cudnn",
    "drivers",
    "glibc",
    "gpu_capabilities",
    "images",
    "pythons",
    "system_cudas",
    "system_cudnns",
    "systems",
]

NVIDIA = "docker.io/nvidia/cuda"
COMPILER = "gcc"

TOOLKITS = ("cuda-toolkit", "system-cuda")

# By rising size, which is all that a rank says: images without CUDA are smaller than all of these.
FLAVOURS = {
    "base": 1000,
    "runtime": 2000,
    "cudnn-runtime": 3000,
    "devel": 4000,
    "cudnn-devel": 5000,
}

# Side by side in the candidates' order: what has the toolkit, what has cuDNN, and what has both
# are then ranges, which the engine handles at least cost.
_IN_A_ROW = ("base", "runtime", "cudnn-runtime", "cudnn-devel", "devel")

MIXED = "a CPU build is installed though gpu is true: a line asks for it, and it uses no GPU"

NOTES = {
    WITHDRAWN: "a release is chosen that upstream has withdrawn, for nothing else will do",
    CUDA_BUILD_WITHOUT_GPU: "a CUDA build is installed though the project uses no GPU: "
    "it works and is larger than a CPU build",
    UNTESTED_CUDA: "tensorflow was tested with an older CUDA than that of the image; "
    "NVIDIA keeps the two compatible",
    SYSTEM_CUDA_MISMATCH: "the CUDA of the image is not the one that the other packages are built "
    "for; those use the libraries that they bring",
    CUDA_MISMATCH: "not all packages are built for the same CUDA; "
    "those that differ use the libraries that they bring",
    CUDNN_MISMATCH: "not all packages are built for the same cuDNN; "
    "those that differ use the libraries that they bring",
    OTHER_INDEX: "torch comes from another index than the project names",
}


def pythons(matrix: Matrix) -> Iterator[Candidate]:
    """Every CPython release."""
    for row in matrix.tables.python:
        yield Candidate("python", str(row.version), row.version)


def glibc(matrix: Matrix) -> Iterator[Candidate]:
    """The versions of glibc that some system has."""
    for text in sorted({row.glibc for row in matrix.tables.os}):
        yield Candidate("glibc", text, Version(text))


def systems(matrix: Matrix) -> Iterator[Candidate]:
    """Operating system releases; each has one glibc."""
    for order, row in enumerate(matrix.tables.os):
        fact = matrix.fact(row, row.title, f"{row.title} has glibc {row.glibc}")
        yield Candidate(
            "os",
            row.name,
            order=order,
            relations=(requires(fact, Term("glibc", f"=={row.glibc}")),),
        )


def build_images(runtime_images: Iterable[Candidate]) -> Iterator[Candidate]:
    """The images that serve to run, as candidates for BUILD_IMAGE."""
    return (replace(one, package=BUILD_IMAGE) for one in runtime_images)


def images(matrix: Matrix) -> Iterator[Candidate]:
    """The images, as candidates for RUNTIME_IMAGE; the same serve as BUILD_IMAGE."""
    cuda_rows = matrix.tables.cuda_images
    if matrix.with_cuda_images:
        for number, cuda_row in enumerate(cuda_rows):
            yield from _cuda_images(matrix, cuda_row, number * len(_IN_A_ROW))
    # Above NVIDIA's, for the engine goes downwards from where it starts, at a small one.
    for order, row in enumerate(matrix.tables.base_images, start=len(cuda_rows) * len(_IN_A_ROW)):
        if COMPILER in row.packages and not matrix.with_compilers:
            continue
        if matrix.architecture in row.architectures:
            yield from _plain_images(matrix, row, order)


def accelerators(_: Matrix) -> Iterator[Candidate]:
    """What the project computes on."""
    for order, label in enumerate(("cpu", "mixed", "cuda")):
        notes = (MIXED,) if label == "mixed" else ()
        yield Candidate(ACCELERATOR, label, order=order, notes=notes)


def compromises(name: str) -> Iterator[Candidate]:
    """The one candidate of a compromise; its note tells the user that it was made."""
    yield Candidate(name, "accepted", notes=(NOTES[name],))


def cuda(matrix: Matrix) -> Iterator[Candidate]:
    """CUDA toolkits, wherever they come from."""
    for row in matrix.tables.cuda:
        yield Candidate("cuda", str(row.version), row.version)


def cuda_library_minors(matrix: Matrix, package: str, major: str) -> Iterator[Candidate]:
    """The minors of CUDA's libraries on the package index; one environment holds one a major."""
    minors = {minor_series(row.version) for row in matrix.tables.cuda}
    for text in sorted(minor for minor in minors if minor.split(".")[0] == major):
        yield Candidate(package, text, Version(text))


def system_cudas(matrix: Matrix) -> Iterator[Candidate]:
    """CUDA in the image: libraries at run time, the toolkit at build time."""
    yield from _toolkits(
        matrix, "system-cuda", ("runtime", "cudnn-runtime", "devel", "cudnn-devel")
    )


def cuda_toolkits(matrix: Matrix) -> Iterator[Candidate]:
    """CUDA's compiler at build time, and nothing of it asked for at run time."""
    yield from _toolkits(matrix, "cuda-toolkit", tuple(FLAVOURS))


def system_cudnns(matrix: Matrix) -> Iterator[Candidate]:
    """cuDNN in the image, by major: the images do not tell more."""
    first: dict[str, CudaImage] = {}
    for row in matrix.tables.cuda_images:
        first.setdefault(row.cudnn, row)
    for major, row in first.items():
        key = f"cuDNN {major}"
        having = [one for one in matrix.tables.cuda_images if one.cudnn == major]
        cudas = sorted({one.cuda for one in having})
        build = matrix.fact(
            row, key, f"only NVIDIA's cudnn images of CUDA {cudas[0]} to {cudas[-1]} have {key}"
        )
        yield Candidate(
            "system-cudnn",
            major,
            Version(major),
            relations=(
                requires(build, Term(BUILD_IMAGE, labels=_refs(having, ("cudnn-devel",)))),
                requires(
                    build,
                    Term(RUNTIME_IMAGE, labels=_refs(having, ("cudnn-runtime", "cudnn-devel"))),
                ),
                requires(
                    matrix.fact(row, key, f"the image's cuDNN is of version {major}"),
                    Term("cudnn", f"=={major}.*"),
                    Term(CUDNN_MISMATCH),
                ),
            ),
        )


def cudnn(matrix: Matrix) -> Iterator[Candidate]:
    """cuDNN releases, wherever they come from."""
    for row in matrix.tables.cudnn:
        yield Candidate("cudnn", str(row.version), row.version)


def drivers(matrix: Matrix) -> Iterator[Candidate]:
    """The NVIDIA drivers that some toolkit names."""
    rows = matrix.tables.cuda
    known = {text for row in rows for text in (row.driver, row.minimal_driver) if text}
    for version, text in sorted((Version(text), text) for text in known):
        yield Candidate("driver", text, version)


def gpu_capabilities(matrix: Matrix) -> Iterator[Candidate]:
    """The compute capabilities that some GPU has."""
    for version in sorted({row.capability for row in matrix.tables.gpus}):
        yield Candidate("gpu-capability", str(version), version)


def compilers(matrix: Matrix) -> Iterator[Candidate]:
    """A C compiler in the build image."""
    rows = matrix.tables.base_images
    labels = {ref for row in rows if COMPILER in row.packages for ref, _ in _tags(matrix, row)}
    labels |= _refs(matrix.tables.cuda_images, ("devel", "cudnn-devel"))
    row = next(row for row in rows if COMPILER in row.packages)
    fact = matrix.fact(row, row.ref, f"the full images have {COMPILER}, the slim ones have none")
    yield Candidate(
        "compiler",
        COMPILER,
        relations=(requires(fact, Term(BUILD_IMAGE, labels=frozenset(labels))),),
    )


def _toolkits(matrix: Matrix, package: str, flavours: tuple[str, ...]) -> Iterator[Candidate]:
    toolkits = {row.version: row for row in matrix.tables.cuda}
    having: dict[Version, list[CudaImage]] = {}
    for image in matrix.tables.cuda_images:
        having.setdefault(image.cuda, []).append(image)
    for version, rows in sorted(having.items()):
        row, key = rows[0], f"CUDA {version}"
        devel = matrix.fact(row, key, f"the devel images of NVIDIA have the {key} toolkit")
        runtime = matrix.fact(row, key, f"only images of NVIDIA bring {key}")
        same = matrix.fact(row, key, f"CUDA in the image is {key}")
        yield Candidate(
            package,
            str(version),
            version,
            relations=(
                requires(devel, Term(BUILD_IMAGE, labels=_refs(rows, ("devel", "cudnn-devel")))),
                requires(runtime, Term(RUNTIME_IMAGE, labels=_refs(rows, flavours))),
                requires(
                    same,
                    Term("cuda", labels=frozenset({str(version)})),
                    Term(SYSTEM_CUDA_MISMATCH),
                ),
                *_toolkit_limits(matrix, toolkits.get(version)),
            ),
        )


def _toolkit_limits(matrix: Matrix, row: Cuda | None) -> Iterator[Relation]:
    """The drivers and the GPUs that a toolkit runs on."""
    if row is not None:
        key = f"CUDA {row.version}"
        text = f"{key} needs NVIDIA driver {row.minimal_driver} or newer"
        yield requires(matrix.fact(row, key, text), Term("driver", f">={row.minimal_driver}"))
        text = f"{key} knows no compute capability below {row.oldest_capability}"
        fact = matrix.fact(row, key, text)
        yield constrains(fact, "gpu-capability", f">={row.oldest_capability}")


def _tags(matrix: Matrix, row: BaseImage) -> Iterator[tuple[str, str]]:
    """The tags that a row stands for, each with the specifier of the Python in it.

    The tag of a minor moves on with every patch, so it also serves patches that are newer than
    the row; the tag of a patch stays. An image without tags for patches has the one Python.
    """
    if not row.python:
        yield row.ref, ""
        return
    newest = Version(row.python)
    if not row.patch_ref:
        yield row.ref, f"=={newest}"
        return
    yield row.ref, f">={newest},=={newest.major}.{newest.minor}.*"
    oldest = Version(row.patch_from)
    for version in matrix.patches[newest.release[:2]]:
        if oldest <= version < newest:
            yield row.patch_ref.format(python=version), f"=={version}"


def _plain_images(matrix: Matrix, row: BaseImage, order: int) -> Iterator[Candidate]:
    system = _on(matrix, row, row.ref, f"{row.ref} stands on", row.os)
    size = _size(matrix, row.rank, row.os)
    brings = {
        "os": row.os,
        "glibc": matrix.systems[row.os].glibc,
        **dict.fromkeys(row.packages, ""),
    }
    for ref, specifier in _tags(matrix, row):
        provides = dict(brings)
        if specifier:
            provides["python"] = specifier.removeprefix("==") if ref != row.ref else row.python
            fact = matrix.fact(row, ref, f"{ref} has Python {provides['python']}")
            has = requires(fact, Term("python", specifier))
        else:
            has = _managed(matrix, row, ref, f"{ref} brings")
        yield Candidate(
            RUNTIME_IMAGE,
            ref,
            order=order,
            size=size,
            provides=provides,
            relations=(system, has, *matrix.withdrawn(row, ref)),
            notes=matrix.withdrawal(row, ref),
        )


def _cuda_images(matrix: Matrix, row: CudaImage, order: int) -> Iterator[Candidate]:
    """The images of a row. order: of the first one."""
    version = str(row.cuda)
    key = f"NVIDIA's images of CUDA {version} on {row.os}"
    fact = matrix.fact(row, key, f"{key} are for projects that need CUDA {version} in the image")
    ending = row.os.replace("-", "")
    relations = (
        _on(matrix, row, key, f"the images of CUDA {version} ending in -{ending} stand on", row.os),
        requires(fact, *(Term(name, labels=frozenset({version})) for name in TOOLKITS)),
        _managed(matrix, row, key, f"{key} bring"),
        *matrix.withdrawn(row, key),
    )
    common = {"os": row.os, "glibc": matrix.systems[row.os].glibc, "cuda": version}
    for place, flavour in enumerate(_IN_A_ROW):
        provides = dict(common)
        if flavour.startswith("cudnn"):
            provides["cudnn"] = row.cudnn
        if flavour.endswith("devel"):
            provides[COMPILER] = ""
        yield Candidate(
            RUNTIME_IMAGE,
            _ref(row, version, flavour),
            order=order + place,
            size=_size(matrix, FLAVOURS[flavour], row.os),
            provides=provides,
            relations=relations,
            notes=matrix.withdrawal(row, key),
        )


def _size(matrix: Matrix, rank: int, system: str) -> int:
    """What the policy `smallest` goes by: the rank, and the system among images of one rank."""
    return rank * 10 + matrix.systems[system].preference


def _on(matrix: Matrix, row: Row, key: str, begin: str, system: str) -> Relation:
    """begin: of the fact's sentence, up to the name of the system."""
    fact = matrix.fact(row, key, f"{begin} {matrix.systems[system].title}")
    return requires(fact, Term("os", labels=frozenset({system})))


def _managed(matrix: Matrix, row: Row, key: str, begin: str) -> Relation:
    """An image without a Python needs one that uv can fetch. begin: of the fact's sentence."""
    text = f"{begin} no Python, and uv has no build of every release"
    return requires(matrix.fact(row, key, text), Term("python", matrix.managed_pythons))


def _refs(rows: Iterable[CudaImage], flavours: Iterable[str]) -> frozenset[str]:
    wanted = tuple(flavours)
    return frozenset(
        _ref(row, version, flavour)
        for row, version in [(row, str(row.cuda)) for row in rows]
        for flavour in wanted
    )


def cuda_image_refs(row: CudaImage) -> tuple[str, ...]:
    """The images that a row of cuda_images.csv stands for, the smallest first."""
    version = str(row.cuda)
    return tuple(_ref(row, version, flavour) for flavour in FLAVOURS)


def _ref(row: CudaImage, version: str, flavour: str) -> str:
    """version: of the row's CUDA, as text, which takes its time to make."""
    kind = flavour.replace("cudnn", row.cudnn_tag)
    return f"{NVIDIA}:{version}-{kind}-{row.os.replace('-', '')}"
