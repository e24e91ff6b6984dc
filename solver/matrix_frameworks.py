"""Candidates of the frameworks: torch and what is built against it, tensorflow, jax, cog.

A GPU project takes builds with CUDA, a CPU project builds without; see `matrix` for the packages
that say which kind a project is and for the compromises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from ..compat.rows import (
    CogRelease,
    CompanionBuild,
    JaxPlugin,
    JaxRelease,
    Pin,
    Row,
    TensorflowBuild,
    TorchBuild,
    Wheel,
)
from .matrix_facts import (
    ACCELERATOR,
    CUDA_BUILD_WITHOUT_GPU,
    CUDA_MISMATCH,
    CUDNN_MISMATCH,
    UNTESTED_CUDA,
    Matrix,
    cuda_libraries,
    minor_range,
    minor_series,
    range_text,
)
from .universe import Candidate, Relation, Term, constrains, requires

__all__ = [
    "cog",
    "companion",
    "jax",
    "jax_modes",
    "jax_plugin",
    "pinned",
    "tensorflow",
    "tensorflow_modes",
    "torch",
    "wheels",
]

NO_GPU = frozenset({"cpu", "mixed"})
ON_GPU = frozenset({"cuda", "mixed"})
PACKAGES = "and-cuda"
SYSTEM = "system"


def torch(matrix: Matrix) -> Iterator[Candidate]:
    """Each build of torch: a release in a variant."""
    capabilities = tuple(sorted({row.capability for row in matrix.tables.gpus}))
    releases: dict[tuple[str, str, str, str], tuple[Relation, ...]] = {}
    for row in matrix.torch:
        label = str(row.version)
        # What the variants of a release have in common is one fact, told once.
        release = label.partition("+")[0]
        common = (release, row.python, row.glibc, row.triton if row.cuda else "")
        if common not in releases:
            releases[common] = tuple(_torch_release(matrix, row, f"torch {release}"))
        key = f"torch {label}"
        yield Candidate(
            "torch",
            label,
            row.version,
            variant=row.variant,
            index=row.index_url,
            relations=(
                *releases[common],
                *_torch_build(matrix, row, key, capabilities),
                *matrix.withdrawn(row, key),
            ),
            notes=matrix.withdrawal(row, key),
        )


def _torch_release(matrix: Matrix, row: TorchBuild, key: str) -> Iterator[Relation]:
    yield from matrix.python(row, key, row.python)
    yield from matrix.glibc(row, key, row.glibc)
    if row.triton:
        fact = matrix.fact(row, key, f"{key} needs triton {range_text(row.triton)}")
        yield requires(fact, Term("triton", row.triton))


def _torch_build(
    matrix: Matrix, row: TorchBuild, key: str, capabilities: tuple[Version, ...]
) -> Iterator[Relation]:
    if not row.cuda:
        fact = matrix.fact(row, key, f"{key} is a CPU build{matrix.there}")
        yield constrains(fact, ACCELERATOR, labels=NO_GPU)
        return
    series = f"=={row.cuda}.*"
    built = matrix.fact(row, key, f"{key} is built for CUDA {row.cuda}")
    yield requires(built, Term("cuda", series), Term(CUDA_MISMATCH))
    # Within a major wheels and image may differ, across majors torch builds no extensions.
    yield constrains(built, "cuda", f"=={row.cuda.split('.')[0]}.*")
    if row.cudnn:
        fact = matrix.fact(row, key, f"{key} is built for cuDNN {row.cudnn}")
        yield requires(fact, Term("cudnn", f"=={row.cudnn}"), Term(CUDNN_MISMATCH))
    if row.libraries == "packages":
        text = f"{key} brings the libraries of CUDA {row.cuda} as packages"
        libraries = cuda_libraries(row.cuda.split(".")[0])
        yield requires(matrix.fact(row, key, text), Term(libraries, series))
    yield matrix.driver(row, key, row.cuda, [Term(ACCELERATOR, labels=frozenset({"cpu"}))])
    yield requires(
        matrix.fact(row, key, f"{key} is a CUDA build"),
        Term(ACCELERATOR, labels=ON_GPU, absent_ok=True),
        Term(CUDA_BUILD_WITHOUT_GPU),
    )
    if row.kernels:
        text = f"{key} has kernels for compute capability {', '.join(row.kernels)} only"
        fact = matrix.fact(row, key, text)
        yield constrains(fact, "gpu-capability", labels=_devices(row.kernels, capabilities))
    else:
        yield matrix.capability(row, key, row.cuda)


@cache
def _devices(kernels: tuple[str, ...], capabilities: tuple[Version, ...]) -> frozenset[str]:
    built = [(Version(kernel.partition("+")[0]), "+" in kernel) for kernel in kernels]
    return frozenset(str(one) for one in capabilities if _runs(built, one))


def _runs(kernels: Iterable[tuple[Version, bool]], capability: Version) -> bool:
    """Whether kernels run on a device (CUDA programming guide, binary and PTX compatibility).

    A cubin runs on devices of its major whose minor is not lower, PTX on every newer device.
    kernels: what each was built for, and whether it brings PTX.
    """
    return any(
        capability >= built and (ptx or capability.major == built.major) for built, ptx in kernels
    )


def companion(matrix: Matrix, package: str) -> Iterator[Candidate]:
    """torchvision or torchaudio: each release for each variant of the torch that it goes with."""
    for row in matrix.companions(package):
        key = f"{package} {row.version}"
        fact = matrix.fact(row, key, f"{key} goes with torch {range_text(row.torch)}")
        common = (
            *matrix.python(row, key, row.python),
            *matrix.glibc(row, key, row.glibc),
            requires(fact, Term("torch", row.torch)),
            *matrix.withdrawn(row, key),
        )
        notes = matrix.withdrawal(row, key)
        defaults = _default_variants(matrix, row)
        if defaults:
            variant = min(defaults) if len(defaults) == 1 else ""
            relations = (*common, _same_variant(matrix, row, key, defaults))
            yield Candidate(
                package,
                str(row.version),
                row.version,
                variant=variant,
                relations=relations,
                notes=notes,
            )
        for variant in row.variants:
            label = f"{row.version}+{variant}"
            same = _same_variant(matrix, row, f"{package} {label}", frozenset({variant}))
            yield Candidate(
                package,
                label,
                Version(label),
                variant=variant,
                index=matrix.indexes.get(variant, ""),
                relations=(*common, same),
                notes=notes,
            )


def _same_variant(
    matrix: Matrix, row: CompanionBuild, key: str, variants: frozenset[str]
) -> Relation:
    text = f"{key} is built for torch's variant {' or '.join(sorted(variants))}"
    return requires(matrix.fact(row, key, text), Term("torch", variants=variants))


def _default_variants(matrix: Matrix, row: CompanionBuild) -> frozenset[str]:
    """The variants of torch that the companion's build on the default index goes with."""
    builds = matrix.default_torch
    if row.torch.startswith("==") and not row.torch.endswith("*"):
        build = builds.get(row.torch.removeprefix("=="))
        return frozenset({build.variant} if build else ())
    specifiers = SpecifierSet(row.torch)
    return frozenset(
        build.variant for build in builds.values() if specifiers.contains(build.version)
    )


def _release(
    matrix: Matrix, package: str, version: Version, row: Row, relations: tuple[Relation, ...]
) -> Candidate:
    """The candidate of a release that has no variants."""
    label = str(version)
    notes = matrix.withdrawal(row, f"{package} {label}")
    return Candidate(package, label, version, relations=relations, notes=notes)


def wheels(matrix: Matrix, package: str, rows: Iterable[Wheel]) -> Iterator[Candidate]:
    """Releases that only ask for a Python and a glibc."""
    for row in rows:
        if row.architecture == matrix.architecture:
            key = f"{package} {row.version}"
            relations = (
                *matrix.python(row, key, row.python),
                *matrix.glibc(row, key, row.glibc),
                *matrix.withdrawn(row, key),
            )
            yield _release(matrix, package, row.version, row, relations)


def tensorflow(matrix: Matrix) -> Iterator[Candidate]:
    """Each release of tensorflow; where its CUDA comes from is `tensorflow_modes`' choice."""
    for row in matrix.tensorflow:
        key = f"tensorflow {row.version}"
        cuda = _tensorflow_cuda(matrix, row, key) if row.cuda else _without_gpu(matrix, row, key)
        relations = (
            *matrix.python(row, key, row.python),
            *matrix.glibc(row, key, row.glibc),
            *cuda,
            *matrix.withdrawn(row, key),
        )
        yield _release(matrix, "tensorflow", row.version, row, relations)


def tensorflow_modes() -> Iterator[Candidate]:
    """Where tensorflow's CUDA comes from: the image, or packages by its extra."""
    for order, label in enumerate((SYSTEM, PACKAGES)):
        yield Candidate("tensorflow-cuda", label, order=order)


def _tensorflow_cuda(matrix: Matrix, row: TensorflowBuild, key: str) -> Iterator[Relation]:
    mode = "tensorflow-cuda"
    of_major = row.cuda.split(".")[0]
    wants = matrix.fact(row, key, f"{key} uses a GPU only with the libraries of CUDA {of_major}")
    yield requires(wants, Term(ACCELERATOR, labels=NO_GPU, absent_ok=True), Term(mode))
    from_packages = Term(mode, labels=frozenset({PACKAGES}), absent_ok=True)
    yield from _tensorflow_system_cuda(matrix, row, key, from_packages)
    if not row.cuda_packages:
        text = f"{key} takes CUDA {of_major} from the image, it has no packages for it"
        yield constrains(matrix.fact(row, key, text), mode, labels=frozenset({SYSTEM}))
        return
    from_image = Term(mode, labels=frozenset({SYSTEM}), absent_ok=True)
    minors = minor_range(row.cuda_packages)
    text = f"{key} takes the CUDA libraries {row.cuda_packages} as packages"
    fact = matrix.fact(row, key, text)
    yield requires(fact, from_image, Term(cuda_libraries(of_major), minors))
    yield requires(fact, from_image, Term("cuda", minors), Term(CUDA_MISMATCH))
    if row.cudnn_packages:
        text = f"{key} takes cuDNN {row.cudnn_packages} as a package"
        fact = matrix.fact(row, key, text)
        yield requires(fact, from_image, Term("cudnn", row.cudnn_packages), Term(CUDNN_MISMATCH))
    yield matrix.driver(row, key, row.cuda, [from_image])
    yield matrix.capability(row, key, row.cuda, [from_image])


def _tensorflow_system_cuda(
    matrix: Matrix, row: TensorflowBuild, key: str, unless: Term
) -> Iterator[Relation]:
    """What the CUDA and cuDNN of the image have to be, for libraries that are taken from there."""
    text = f"{key} was built and tested with CUDA {row.cuda} and cuDNN {row.cudnn}"
    tested = matrix.fact(row, key, text)
    same = Term("system-cuda", f"=={row.cuda}.*")
    if releases := matrix.stand_ins(row.cuda):
        last = minor_series(releases[-1])
        spanned = row.cuda if last == row.cuda else f"{row.cuda} to {last}"
        text = f"{key} works with the libraries of CUDA {spanned} alone, if the image brings them"
        usable = Term("system-cuda", labels=frozenset(map(str, releases)))
        yield requires(matrix.fact(row, key, text), unless, usable)
        yield requires(tested, unless, same, Term(UNTESTED_CUDA))
    else:
        yield requires(tested, unless, same)
    major = row.cudnn.split(".")[0]
    yield requires(tested, unless, Term("system-cudnn", f"=={major}.*"))


def _without_gpu(matrix: Matrix, row: Row, key: str) -> Iterator[Relation]:
    fact = matrix.fact(row, key, f"{key} has no GPU support on {matrix.architecture}")
    yield constrains(fact, ACCELERATOR, labels=NO_GPU)


def jax(matrix: Matrix) -> Iterator[Candidate]:
    """Each release of jax; its CUDA comes with a plugin, see `jax_modes`."""
    for row in matrix.tables.jax:
        key = f"jax {row.version}"
        fact = matrix.fact(row, key, f"{key} goes with jaxlib {range_text(row.jaxlib)}")
        relations = (
            *matrix.python(row, key, row.python),
            requires(fact, Term("jaxlib", row.jaxlib)),
            *_jax_cuda(matrix, row, key),
            *matrix.withdrawn(row, key),
        )
        yield _release(matrix, "jax", row.version, row, relations)


def jax_modes() -> Iterator[Candidate]:
    """Which plugin brings CUDA to jax."""
    for order, label in enumerate(("cuda12", "cuda13")):
        yield Candidate("jax-cuda", label, order=order)


def _jax_cuda(matrix: Matrix, row: JaxRelease, key: str) -> Iterator[Relation]:
    plugins = {"cuda12": row.cuda12_plugin, "cuda13": row.cuda13_plugin}
    known = {label: specifier for label, specifier in plugins.items() if specifier}
    if not known:
        yield from _without_gpu(matrix, row, key)
        return
    wants = matrix.fact(row, key, f"{key} uses a GPU only with a plugin: {', '.join(known)}")
    labels = frozenset(known)
    yield requires(
        wants, Term(ACCELERATOR, labels=NO_GPU, absent_ok=True), Term("jax-cuda", labels=labels)
    )
    yield constrains(wants, "jax-cuda", labels=labels)
    for label, specifier in known.items():
        others = Term("jax-cuda", labels=frozenset(plugins) - {label}, absent_ok=True)
        name = f"jax-{label}-plugin"
        fact = matrix.fact(row, key, f"{key} goes with {name} {range_text(specifier)}")
        yield requires(fact, others, Term(name, specifier))


def jax_plugin(matrix: Matrix, package: str) -> Iterator[Candidate]:
    """Each release of one CUDA plugin of jax."""
    for row in matrix.tables.jax_plugins:
        if row.package == package and row.architecture == matrix.architecture:
            key = f"{package} {row.version}"
            relations = (
                *matrix.python(row, key, row.python),
                *matrix.glibc(row, key, row.glibc),
                *_plugin_cuda(matrix, row, key),
                *matrix.withdrawn(row, key),
            )
            yield _release(matrix, package, row.version, row, relations)


def _plugin_cuda(matrix: Matrix, row: JaxPlugin, key: str) -> Iterator[Relation]:
    oldest = next(
        minor for minor in matrix.minimal_drivers if minor.split(".")[0] == row.cuda_major
    )
    yield matrix.driver(row, key, oldest, [])
    yield matrix.capability(row, key, oldest)
    series = f"=={row.cuda_major}.*"
    if row.cuda_packages:
        minors = minor_range(row.cuda_packages)
        fact = matrix.fact(row, key, f"{key} needs the CUDA libraries {row.cuda_packages}")
        yield requires(fact, Term(cuda_libraries(row.cuda_major), minors))
        yield requires(fact, Term("cuda", f"{minors},{series}"), Term(CUDA_MISMATCH))
    else:
        fact = matrix.fact(row, key, f"{key} is for CUDA {row.cuda_major}")
        yield requires(fact, Term("cuda", series), Term(CUDA_MISMATCH))
    if row.cudnn_packages:
        fact = matrix.fact(row, key, f"{key} needs cuDNN {row.cudnn_packages}")
        yield requires(fact, Term("cudnn", row.cudnn_packages), Term(CUDNN_MISMATCH))


def pinned(matrix: Matrix, rows: Iterable[Pin]) -> Iterator[Candidate]:
    """Releases of a library that pins frameworks."""
    for row in rows:
        key = f"{row.package} {row.version}"
        relations = [*matrix.python(row, key, row.python), *matrix.withdrawn(row, key)]
        # A release that was read from an index may pin nothing.
        for text in filter(None, row.requires.split(";")):
            name, specifier = _dependency(text)
            fact = matrix.fact(row, key, f"{key} needs {name} {range_text(specifier)}".rstrip())
            relations.append(requires(fact, Term(name, specifier)))
        yield _release(matrix, row.package, row.version, row, tuple(relations))


@cache
def _dependency(text: str) -> tuple[str, str]:
    """Name and specifier of a requirement; many rows have the same."""
    # Few projects have such a library, and the parser takes its time to load.
    from packaging.requirements import Requirement as Dependency

    found = Dependency(text)
    return found.name, str(found.specifier)


def cog(matrix: Matrix, package: str) -> Iterator[Candidate]:
    """Releases of cog or coglet."""
    for row in matrix.tables.cog:
        if row.package == package and matrix.architecture in row.architectures:
            key = f"{package} {row.version}"
            relations = (
                *_runs_on(matrix, row, key),
                *matrix.glibc(row, key, row.glibc),
                *_coglet(matrix, row, key),
                *matrix.withdrawn(row, key),
            )
            yield _release(matrix, package, row.version, row, relations)


def _runs_on(matrix: Matrix, row: CogRelease, key: str) -> Iterator[Relation]:
    fact = matrix.fact(row, key, f"{key} runs on Python {range_text(row.python)}")
    yield requires(fact, Term("python", row.python))


def _coglet(matrix: Matrix, row: CogRelease, key: str) -> Iterator[Relation]:
    if row.coglet:
        fact = matrix.fact(row, key, f"{key} goes with coglet {range_text(row.coglet)}")
        yield requires(fact, Term("coglet", row.coglet))
