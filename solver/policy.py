"""Which of all solutions is the best one: a policy, and policies are data.

A policy is a list of steps. The solver takes them in order; each step keeps only the solutions in
which its package does as well as it can, so an earlier step is never traded for a later one.
How the optimum is found is `sat`'s subject.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct

from .universe import Candidate, Package, Universe

__all__ = ["COMPROMISES", "POLICIES", "Policy", "Preference", "Step", "complete", "ranking"]

Preference = Literal[
    "newest", "newest-release", "oldest", "oldest-release", "smallest", "absent", "present"
]
"""newest, oldest: by version (or by `order` of an opaque label).
newest-release, oldest-release: by version without its local part, so `2.7.1+cpu` and `2.7.1+cu128`
are equally good and a later step decides between them.
smallest: by size, unknown sizes last.
absent: only whether the package is there at all.
present: that it is there, for the sake of a line that asks for it on some Pythons only; no policy
has such a step, it is the first where there is such a line.
"""


class Step(Struct, frozen=True):
    """One wish about one package; absence is better than any candidate, but for `present`."""

    package: str
    prefer: Preference = "newest"


class Policy(Struct, frozen=True):
    """Steps in order of importance."""

    steps: tuple[Step, ...]


def complete(policy: Policy, universe: Universe) -> Policy:
    """The policy with a step for every package of the universe, so that its optimum is unique.

    Packages that the policy does not name come last by name, newest; a package whose steps leave
    ties (`smallest`, `newest-release`) gets a last step that breaks them.
    """
    total = {step.package for step in policy.steps if step.prefer in {"newest", "oldest"}}
    rest = (Step(name) for name in sorted(universe.packages) if name not in total)
    return Policy((*policy.steps, *rest))


def ranking(package: Package, prefer: Preference) -> tuple[tuple[int, ...], ...]:
    """Groups of positions of equally good candidates, best group first.

    A pre-release is worse than every final release (PEP 440: taken only when nothing else will do).
    """
    return package.once(("ranking", prefer), lambda: _ranking(package, prefer))


def _ranking(package: Package, prefer: Preference) -> tuple[tuple[int, ...], ...]:
    candidates = package.candidates
    if prefer in {"absent", "present"}:
        return (tuple(range(len(candidates))),)
    key = _KEYS.get(prefer)
    keys: list[Any] = [key(candidate) for candidate in candidates] if key else []
    order = list(range(len(candidates)))
    if prefer == "smallest":
        order.sort(key=lambda i: (keys[i], -i))
    elif prefer.startswith("newest"):
        order.reverse()
    early = [] if package.opaque else [i for i in order if _is_prerelease(candidates[i])]
    if early:
        order = [*(i for i in order if not _is_prerelease(candidates[i])), *early]
    if key is None:
        return tuple((position,) for position in order)
    groups: list[list[int]] = []
    for position in order:
        if groups and keys[groups[-1][0]] == keys[position]:
            groups[-1].append(position)
        else:
            groups.append([position])
    return tuple(tuple(group) for group in groups)


def _is_prerelease(candidate: Candidate) -> bool:
    return candidate.version is not None and candidate.version.is_prerelease


def _release(candidate: Candidate) -> str:
    return candidate.version.public if candidate.version else candidate.label


def _size(candidate: Candidate) -> tuple[bool, int]:
    return (candidate.size == 0, candidate.size)


# By what candidates are equally good; the others go by their labels, which are all different.
_KEYS: Mapping[str, Callable[[Candidate], Any]] = {
    "newest-release": _release,
    "oldest-release": _release,
    "smallest": _size,
}


FRAMEWORKS = ("torch", "tensorflow", "jax")
COMPANIONS = ("torchvision", "torchaudio", "jaxlib", "triton")

COMPROMISES = (
    "withdrawn-release",
    "cuda-build-without-gpu",
    "untested-cuda",
    "system-cuda-mismatch",
    "cuda-mismatch",
    "cudnn-mismatch",
    "other-index",
)
"""What works though nobody wants it (see `matrix`), the worst first: only if nothing else does."""

_COMPROMISES = tuple(Step(name, "absent") for name in COMPROMISES)

# How a GPU is used: at all, and by libraries from packages before those of the image.
_MODES = tuple(Step(name, "newest") for name in ("accelerator", "tensorflow-cuda", "jax-cuda"))

_IMAGES = (Step("runtime-image", "smallest"), Step("build-image", "smallest"))


def _frameworks(prefer: Preference) -> tuple[Step, ...]:
    return tuple(Step(name, prefer) for name in (*FRAMEWORKS, *COMPANIONS))


# Frameworks before CUDA: a newer framework is worth more than a newer toolkit. CUDA before the
# frameworks' variants: the variant follows from it. Python after all that limits it, the base after
# Python because it has to bring it, the driver last because it only tells how old a one will do.
_REST = (
    Step("cuda", "newest"),
    Step("cudnn", "newest"),
    *_frameworks("newest"),
    Step("python", "newest"),
    *_IMAGES,
    Step("driver", "oldest"),
)

POLICIES: Mapping[str, Policy] = {
    "newest": Policy((*_COMPROMISES, *_frameworks("newest-release"), *_MODES, *_REST)),
    "oldest": Policy(
        (
            *_COMPROMISES,
            *_frameworks("oldest-release"),
            *_MODES,
            Step("cuda", "oldest"),
            Step("cudnn", "oldest"),
            *_frameworks("oldest"),
            Step("python", "oldest"),
            *_IMAGES,
            Step("driver", "oldest"),
        )
    ),
    "smallest": Policy((*_COMPROMISES, *_IMAGES, *_frameworks("newest-release"), *_MODES, *_REST)),
    "stable-driver": Policy(
        (
            *_COMPROMISES,
            *_frameworks("newest-release"),
            Step("driver", "oldest"),
            *_MODES,
            *_REST,
        )
    ),
}
"""The policies that `--prefer` names."""
