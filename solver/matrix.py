"""From the tables to the universe: which packages there are, and what a requirement on each means.

Code knows no version numbers: what follows here follows from rows. The packages:

Versions (PEP 440 specifiers):
    python              CPython. `==3.12.*`, `==3.12.4`
    torch               a release in a variant: `==2.7.1`, `==2.7.1+cu128`, `>=2.0,<2.5`
    torchvision, torchaudio, triton, tensorflow, jax, jaxlib, jax-cuda12-plugin, ...
    vllm, xformers, ... every library of pins.csv
    cog, coglet         the runtime of the image
    uv, ...             every tool of tools.csv
    cuda                the CUDA that the project goes by, from the image or from wheels. A user's
                        `cuda: "12.6"` is `==12.6.*` here and of system-cuda
    cudnn               the same for cuDNN: `cudnn: "9"` is `==9.*` here and of system-cudnn
    system-cuda         CUDA in the image: libraries at run time, the toolkit at build time; an
                        empty specifier takes the version of `cuda`
    cuda-toolkit        CUDA's compiler at build time only, for a step that compiles; the same
    system-cudnn        cuDNN in the image, by major only: `==9.*`
    driver              the host's NVIDIA driver; see `options.driver_requirement`
    gpu-capability      the compute capability of the GPU: `==9.0`; see `gpu_capability`
    glibc               of the image
    cuda-libraries-cuN  CUDA's libraries of major N on the package index: one environment holds one
                        minor of them, so two frameworks may clash over it; asked for by rows only
Labels (`==label`, `!=label`):
    accelerator         what the project computes on: `==cpu` for `gpu: false`, `==cuda` for
                        `gpu: true`. A CPU build refuses `cuda`. When the user's own pin names a
                        CPU build (`torch==2.5.1+cpu`) in a GPU project, ask for `!=cpu`: then
                        `mixed` is open, which admits it
    tensorflow-cuda     where tensorflow's CUDA comes from: `and-cuda` (packages, by the extra) or
                        `system` (the image). A GPU project gets one by itself; emit
                        `==and-cuda` when the user wrote the extra
    jax-cuda            which plugin brings CUDA to jax: `cuda12`, `cuda13`; the same
    os                  `debian-12`, `ubuntu-22.04`; one for the build and the runtime image
    compiler            `==gcc`: a C compiler in the build image
    build-image, runtime-image
                        by reference
Compromises (`policy.COMPROMISES`): packages with one candidate, never asked for. A row offers one
as the way out of something that is unwanted but works: wheels with another CUDA than the image
has, a CUDA build in a CPU project, a release that upstream has withdrawn. A policy's first steps
keep them absent as long as there is another way; a chosen one carries the note that tells the user.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from ..compat.rows import Gpu
from ..compat.tables import Tables
from ..errors import UserError
from . import matrix_frameworks as frameworks
from . import matrix_platform as platform_
from .matrix_facts import ACCELERATOR, USUAL, Matrix, cuda_libraries
from .policy import COMPROMISES
from .universe import BUILD_IMAGE, RUNTIME_IMAGE, Candidate, Universe

__all__ = ["DISTRIBUTIONS", "architecture_of", "build_universe", "gpu_capability", "own_names"]

CUDA_IN_IMAGE = frozenset({"cuda-toolkit", "system-cuda", "system-cudnn"})
IMAGES = (BUILD_IMAGE, RUNTIME_IMAGE)
COMPANIONS = ("torchaudio", "torchvision")

DISTRIBUTIONS = frozenset(
    {"cog", "coglet", "jax", "jaxlib", "tensorflow", "torch", "triton", *COMPANIONS}
)
"""Distributions whose releases the tables list in full; the plugins of jax are some more."""

# What a GPU's name says beside its model: how it is mounted, and how much memory of which kind.
_OF_THE_BOARD = re.compile(
    r"(?<![a-z0-9])(sxm\d*|pcie|nvl|hbm\d\w?|\d+ ?gb|generation)(?![a-z0-9])"
)

Builder = Callable[[Matrix], Iterable[Candidate]]

_BUILDERS: dict[str, Builder] = {
    ACCELERATOR: platform_.accelerators,
    "compiler": platform_.compilers,
    "cuda": platform_.cuda,
    "cuda-toolkit": platform_.cuda_toolkits,
    "cudnn": platform_.cudnn,
    "driver": platform_.drivers,
    "glibc": platform_.glibc,
    "gpu-capability": platform_.gpu_capabilities,
    "jax": frameworks.jax,
    "jax-cuda": lambda _: frameworks.jax_modes(),
    "jaxlib": lambda matrix: frameworks.wheels(matrix, "jaxlib", matrix.tables.jaxlib),
    "os": platform_.systems,
    "python": platform_.pythons,
    "system-cuda": platform_.system_cudas,
    "system-cudnn": platform_.system_cudnns,
    "tensorflow": frameworks.tensorflow,
    "tensorflow-cuda": lambda _: frameworks.tensorflow_modes(),
    "torch": frameworks.torch,
    "triton": lambda matrix: frameworks.wheels(matrix, "triton", matrix.tables.triton),
}


def build_universe(
    tables: Tables, *, platform: str = "linux/amd64", roots: Iterable[str] | None = None
) -> Universe:
    """The universe of one platform.

    platform: as OCI has it; of its parts only the architecture matters here.
    roots: the packages that will be asked for; then the universe holds these, the base images,
        and whatever they can bring in. None makes the whole universe, which takes longer.

    Raises UserError for a platform that no table row is about, and what `Tables` raises.
    """
    matrix = Matrix(tables, architecture_of(tables, platform))
    shown = platform if matrix.architecture != USUAL else ""
    if roots is None:
        return replace(Universe.of(_all(matrix)), platform=shown)
    found: dict[str, tuple[Candidate, ...]] = {}
    queue = sorted(roots)
    while queue:
        name = queue.pop()
        if name not in found and name not in IMAGES:
            found[name] = tuple(_candidates(matrix, name))
            queue += sorted(_mentioned(found[name]) - found.keys())
    matrix = Matrix(
        tables,
        matrix.architecture,
        with_cuda_images=not CUDA_IN_IMAGE.isdisjoint(found),
        with_compilers="compiler" in found,
    )
    found[RUNTIME_IMAGE] = tuple(platform_.images(matrix))
    found[BUILD_IMAGE] = tuple(platform_.build_images(found[RUNTIME_IMAGE]))
    for name in sorted(_mentioned(found[RUNTIME_IMAGE]) - found.keys()):
        # Systems, Pythons, glibc and CUDA: what these need in turn is no package of its own.
        found[name] = tuple(_candidates(matrix, name))
    if "os" in found and "glibc" not in found:
        found["glibc"] = tuple(_candidates(matrix, "glibc"))
    everything = (candidate for candidates in found.values() for candidate in candidates)
    partial = _partial(tables, found.keys())
    return replace(Universe.of(everything), platform=shown, partial=partial)


def _partial(tables: Tables, names: Iterable[str]) -> frozenset[str]:
    """Of these packages those with releases before the first one that the tables have.

    Of jax and of libraries that pin frameworks these run on every Python that there is a base for.
    """
    named = frozenset(names)
    others = named - DISTRIBUTIONS - own_names(tables)
    libraries = {row.package for row in tables.pins} if others else set()
    return named & {"jax", "jaxlib", *libraries}


def own_names(tables: Tables) -> frozenset[str]:
    """The packages that are no distributions: parts of an image or a machine, choices, tools.

    On a package index their names mean other things: `cuda-toolkit` is a package there that torch
    needs, and a `uv` among the requirements is not the one that makes the image.
    """
    libraries = {cuda_libraries(str(row.version.major)) for row in tables.cuda}
    tools = {row.tool for row in tables.tools}
    return frozenset({*_BUILDERS, *COMPROMISES, *IMAGES, *libraries, *tools}) - DISTRIBUTIONS


def gpu_capability(tables: Tables, name: str) -> str | None:
    """The compute capability of a GPU (`9.0` for `H100`); None for a name that no row has.

    name: as people or nvidia-smi write it, whatever the case, the separators, the board and its
        memory: `RTX 4090`, `rtx-4090`, `NVIDIA A100-SXM4-80GB`, or a capability itself, `9.0` or
        `sm_90`.
    """
    wanted = _plain_name(name)
    for row in tables.gpus:
        if wanted in _names(row):
            return str(row.capability)
    return None


def _names(row: Gpu) -> Iterator[str]:
    yield from (_plain_name(one) for one in (row.name, *row.aliases))
    yield str(row.capability).replace(".", "")
    yield "sm" + str(row.capability).replace(".", "")


def _plain_name(name: str) -> str:
    told = _OF_THE_BOARD.sub("", name.lower())
    plain = "".join(letter for letter in told if letter.isalnum())
    for vendor in ("nvidia", "geforce", "tesla"):
        plain = plain.removeprefix(vendor)
    return plain


def architecture_of(tables: Tables, platform: str) -> str:
    """The architecture of a platform; raises UserError when no base image is known for it."""
    known = sorted({one for row in tables.base_images for one in row.architectures})
    system, _, rest = platform.partition("/")
    architecture = rest.split("/")[0]
    if system != "linux" or architecture not in known:
        shown = ", ".join(f"linux/{one}" for one in known)
        raise UserError(f"no base image is known for {platform}", f"the platforms are {shown}")
    return architecture


def _all(matrix: Matrix) -> Iterator[Candidate]:
    names = {*_BUILDERS, *COMPANIONS, *COMPROMISES, "cog", "coglet"}
    names |= {row.package for row in matrix.tables.pins}
    names |= {row.package for row in matrix.tables.jax_plugins}
    names |= {row.tool for row in matrix.tables.tools}
    names |= {cuda_libraries(str(row.version.major)) for row in matrix.tables.cuda}
    for name in sorted(names):
        yield from _candidates(matrix, name)
    images = tuple(platform_.images(matrix))
    yield from images
    yield from platform_.build_images(images)


def _candidates(matrix: Matrix, name: str) -> Iterable[Candidate]:
    """The candidates of one package; none for a name that belongs to the open world."""
    builder = _BUILDERS.get(name)
    if builder is not None:
        return builder(matrix)
    if name in COMPANIONS:
        return frameworks.companion(matrix, name)
    if name in COMPROMISES:
        return platform_.compromises(name)
    if name in {"cog", "coglet"}:
        return frameworks.cog(matrix, name)
    libraries = cuda_libraries("")
    if name.startswith(libraries):
        return platform_.cuda_library_minors(matrix, name, name.removeprefix(libraries))
    return _listed(matrix, name)


def _listed(matrix: Matrix, name: str) -> Iterator[Candidate]:
    tools = [tool for tool in matrix.tables.tools if tool.tool == name]
    if tools:
        # No tool is a library too, and the table of those is the longest.
        yield from (Candidate(name, str(tool.version), tool.version) for tool in tools)
        return
    yield from frameworks.pinned(matrix, (row for row in matrix.tables.pins if row.package == name))
    if name.startswith("jax-"):
        yield from frameworks.jax_plugin(matrix, name)


def _mentioned(candidates: Iterable[Candidate]) -> set[str]:
    return {
        term.package
        for candidate in candidates
        for relation in candidate.relations
        for term in relation.any_of
        if not term.absent_ok
    }
