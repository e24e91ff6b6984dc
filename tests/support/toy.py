"""A small matrix, written by hand, whose answers fit in one's head."""

from __future__ import annotations

from packaging.version import Version

from cogpack.origin import Origin
from cogpack.solver.requirement import Requirement
from cogpack.solver.universe import (
    BUILD_IMAGE,
    RUNTIME_IMAGE,
    Candidate,
    Fact,
    Relation,
    Term,
    Universe,
    constrains,
    requires,
)

INDEX = "https://download.pytorch.org/whl"

# torch: Pythons as people and as specifiers say it, CUDA variants, torchvision.
TORCH = {
    "2.3.1": ("3.8 to 3.12", ">=3.8,<3.13", ("cu118", "cu121"), "0.18.1"),
    "2.4.1": ("3.8 to 3.12", ">=3.8,<3.13", ("cu118", "cu121", "cu124"), "0.19.1"),
    "2.5.0": ("3.9 to 3.13", ">=3.9,<3.14", ("cu118", "cu121", "cu124"), "0.20.0"),
    "2.5.1": ("3.9 to 3.13", ">=3.9,<3.14", ("cu118", "cu121", "cu124"), "0.20.1"),
    "2.7.1": ("3.9 to 3.13", ">=3.9,<3.14", ("cu118", "cu126", "cu128"), "0.22.1"),
}
PYTHONS = ("3.9.23", "3.10.18", "3.11.13", "3.12.10", "3.12.11", "3.13.5", "3.14.0rc1")
DRIVERS = {"11.8": "450.80.2", "12.1": "525.60.13", "12.4": "525.60.13", "12.6": "525.60.13",
           "12.8": "525.60.13"}  # fmt: skip


def user(package: str, specifier: str, file: str, line: int, text: str = "") -> Requirement:
    """A requirement that a line of a file makes."""
    return Requirement(package, specifier, Origin(file, line, text or f"{package}{specifier}"))


def line(text: str, number: int) -> Requirement:
    """`torch==2.4.1` on a line of requirements.txt."""
    cut = next((i for i, letter in enumerate(text) if letter in "=<>!~"), len(text))
    return user(text[:cut].strip(), text[cut:].strip(), "requirements.txt", number, text)


def python(version: str, number: int = 3) -> Requirement:
    """`python_version` of cog.yaml: a series or an exact release."""
    specifier = f"=={version}" if version.count(".") > 1 else f"=={version}.*"
    return user("python", specifier, "cog.yaml", number, f"python_version: {version}")


def gpu(number: int = 2) -> Requirement:
    """`gpu: true` of cog.yaml."""
    return user("cuda", "", "cog.yaml", number, "gpu: true")


def toy() -> Universe:
    """torch with its variants, torchvision, python, cuda, driver and base images."""
    return Universe.of([*_torch(), *_torchvision(), *_cuda(), *_plain(), *_images()])


def _torch() -> list[Candidate]:
    found = []
    for row, (release, (words, pythons, variants, _)) in enumerate(TORCH.items(), 2):
        key = f"torch {release}"
        fact = Fact("compat/torch.csv", row, key, f"{key} has wheels for Python {words}")
        needs_python = requires(fact, Term("python", pythons))
        found += [
            Candidate(
                "torch",
                f"{release}+{variant}",
                Version(f"{release}+{variant}"),
                variant=variant,
                index=f"{INDEX}/{variant}",
                relations=(needs_python, _cuda_of(release, variant, row)),
            )
            for variant in ("cpu", *variants)
        ]
    return found


def _cuda_of(release: str, variant: str, row: int) -> Relation:
    key = f"torch {release}+{variant}"
    if variant == "cpu":
        text = f"{key} is built without CUDA"
        return constrains(Fact("compat/torch.csv", row, key, text), "cuda", labels=frozenset())
    cuda = f"{variant[2:-1]}.{variant[-1]}"
    text = f"{key} is built for CUDA {cuda}"
    return requires(Fact("compat/torch.csv", row, key, text), Term("cuda", f"=={cuda}"))


def _torchvision() -> list[Candidate]:
    found = []
    for row, (release, (_, _, _, version)) in enumerate(TORCH.items(), 2):
        key = f"torchvision {version}"
        fact = Fact("compat/torchvision.csv", row, key, f"{key} is built against torch {release}")
        needs_torch = requires(fact, Term("torch", f"=={release}"))
        found.append(Candidate("torchvision", version, Version(version), relations=(needs_torch,)))
    return found


def _cuda() -> list[Candidate]:
    found = []
    for row, (cuda, driver) in enumerate(DRIVERS.items(), 2):
        key = f"CUDA {cuda}"
        fact = Fact("compat/cuda.csv", row, key, f"{key} needs driver {driver} or newer")
        needs_driver = requires(fact, Term("driver", f">={driver}"))
        found.append(Candidate("cuda", cuda, Version(cuda), relations=(needs_driver,)))
    return found


def _plain() -> list[Candidate]:
    drivers = sorted({*DRIVERS.values(), "580.65.6"})
    return [
        *(Candidate("python", label, Version(label)) for label in PYTHONS),
        *(Candidate("driver", label, Version(label)) for label in drivers),
    ]


def _images() -> list[Candidate]:
    found = []
    for order, version in enumerate(PYTHONS):
        for flavour, size in (("slim", 50), ("full", 400)):
            ref = f"docker.io/library/python:{version}-{flavour}"
            text = f"the image {ref} has Python {version}"
            fact = Fact("compat/base_images.csv", 2 * order + (flavour == "full") + 2, ref, text)
            found += [
                Candidate(
                    package,
                    ref,
                    order=order,
                    size=size,
                    provides={"python": version},
                    relations=(requires(fact, Term("python", f"=={version}")),),
                )
                for package in (BUILD_IMAGE, RUNTIME_IMAGE)
            ]
    return found
