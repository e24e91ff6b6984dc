"""What keys of cog.yaml may not stand together, and which spellings are deprecated.

These checks read the raw tree, not the model, so that they also speak when a value is wrong.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping

from ..errors import Fault
from ..origin import Origin
from .cogyaml import nearest_origin
from .values import MAX_DIGITS, PYTHON_FLOOR
from .yaml import ListNode, MapNode, Scalar, YamlNode

__all__ = ["CONCURRENCY_PYTHON_FLOOR", "cross_faults", "deprecations"]

CONCURRENCY_PYTHON_FLOOR = (3, 11)
"""The oldest Python on which Cog runs predictions concurrently."""

_EXCLUSIVE = (
    ("predict", "run", "keep 'run'; 'predict' is its old spelling"),
    ("image", "model", "keep 'model' if you push weights with Cog, else 'image'"),
    (
        "build.python_packages",
        "build.python_requirements",
        "move the packages into the requirements file",
    ),
)

_DEPRECATED = {
    "predict": "use 'run'",
    "concurrency.max": "use @cog.concurrent(max=…) on the async method",
    "build.python_packages": "use 'python_requirements' with a requirements file",
    "build.pre_install": "use 'run'",
}


# Variables by which pip, which Cog installs with, chooses what it installs.
_PIP_VARIABLES = frozenset(
    f"PIP_{name}"
    for name in (
        *("CONSTRAINT", "EXTRA_INDEX_URL", "FIND_LINKS", "INDEX_URL", "NO_BINARY", "NO_INDEX"),
        *("ONLY_BINARY", "PRE", "TRUSTED_HOST"),
    )
)

# However a flag is written, in YAML 1.1 and by Cog's reader.
_YES = frozenset({"y", "yes", "true", "on"})


def cross_faults(
    texts: Mapping[str, str], origins: Mapping[str, Origin], nodes: Mapping[str, YamlNode]
) -> Iterator[Fault]:
    """The faults between values.

    texts, origins, nodes: of each value that was written, by path.
    """
    for first, second, hint in _EXCLUSIVE:
        if _has_content(nodes.get(first)) and _has_content(nodes.get(second)):
            message = f"{second} and {first} are both set; only one of them can be"
            yield Fault(message, nearest_origin(origins, second), hint)
    yield from _concurrency(texts, origins)
    yield from _environment(texts, origins)
    yield from _weights(texts, origins)
    yield from _mounts(nodes, origins)
    if "cogpack.apt_snapshot_mirror" in nodes and "cogpack.apt_snapshot" not in nodes:
        origin = nearest_origin(origins, "cogpack.apt_snapshot_mirror")
        message = "cogpack.apt_snapshot_mirror stands without apt_snapshot"
        yield Fault(message, origin, "add 'apt_snapshot: 2026-11-01', the day that you mean")


def deprecations(nodes: Mapping[str, YamlNode], origins: Mapping[str, Origin]) -> list[Fault]:
    """The warnings of a file: keys that Cog wants to be rid of, and those that help nobody."""
    warnings = [
        Fault(f"{path} is deprecated", nearest_origin(origins, path), hint)
        for path, hint in _DEPRECATED.items()
        if _has_content(nodes.get(path))
    ]
    if _has_content(nodes.get("weights")) and "model" not in nodes:
        origin = nearest_origin(origins, "weights")
        message = "weights stand without 'model': cogpack builds them, Cog does not"
        warnings.append(Fault(message, origin, "add 'model' if Cog must read the project too"))
    return [*warnings, *_cuda_without_gpu(nodes, origins), *_pip_variables(nodes, origins)]


def _cuda_without_gpu(
    nodes: Mapping[str, YamlNode], origins: Mapping[str, Origin]
) -> Iterator[Fault]:
    gpu = nodes.get("build.gpu")
    uses_it = isinstance(gpu, Scalar) and gpu.text.lower() in _YES
    if _has_content(nodes.get("build.cuda")) and not uses_it:
        message = "build.cuda is set, but gpu is not true: frameworks are CPU builds"
        yield Fault(message, nearest_origin(origins, "build.cuda"), "add 'gpu: true', or remove it")


def _pip_variables(nodes: Mapping[str, YamlNode], origins: Mapping[str, Origin]) -> Iterator[Fault]:
    installer = nodes.get("cogpack.installer")
    if isinstance(installer, Scalar) and installer.text == "pip":
        return
    for path, node in nodes.items():
        text = node.text if isinstance(node, Scalar) and path.startswith("environment[") else ""
        name, equals, _ = text.partition("=")
        if equals and name in _PIP_VARIABLES:
            message = f"{path} sets {name}, which uv, the installer, does not read"
            hint = "write the option into the requirements file, or add 'cogpack: {installer: pip}'"
            yield Fault(message, nearest_origin(origins, path), hint)


def _has_content(node: YamlNode | None) -> bool:
    if isinstance(node, ListNode):
        return bool(node.items)
    if isinstance(node, MapNode):
        return bool(node.entries)
    return isinstance(node, Scalar) and bool(node.text)


def _concurrency(texts: Mapping[str, str], origins: Mapping[str, Origin]) -> Iterator[Fault]:
    written = texts.get("concurrency.max", "")
    digits = written.removeprefix("-")
    if not (written.isascii() and digits.isdigit()) or len(digits) > MAX_DIGITS:
        return
    origin = nearest_origin(origins, "concurrency.max")
    count = int(written)
    if count < 1:
        yield Fault(f"concurrency.max is {count}, but must be at least 1", origin)
    python = texts.get("build.python_version", "").strip()
    parts = [part for part in python.split(".")[:2] if part.isascii() and part.isdigit()]
    numbers = [int(part) for part in parts if len(part) <= MAX_DIGITS]
    floor = ".".join(str(number) for number in CONCURRENCY_PYTHON_FLOOR)
    if count > 1 and PYTHON_FLOOR <= tuple(numbers) < CONCURRENCY_PYTHON_FLOOR:
        where = nearest_origin(origins, "build.python_version").where
        message = f"concurrency.max is {count}, which needs Python {floor}; build.python_version"
        hint = f"set python_version to {floor} or newer, or concurrency.max to 1"
        yield Fault(f'{message} is "{python}" ({where})', origin, hint)


def _environment(texts: Mapping[str, str], origins: Mapping[str, Origin]) -> Iterator[Fault]:
    seen: dict[str, str] = {}
    for path, text in texts.items():
        name, equals, _ = text.partition("=")
        if not (equals and path.startswith("environment[") and path.endswith("]")):
            continue
        if name in seen:
            first = nearest_origin(origins, seen[name]).line
            message = f"{path} sets {name}, which is set on line {first} already"
            yield Fault(message, nearest_origin(origins, path), "keep one of them")
        seen.setdefault(name, path)


def _weights(texts: Mapping[str, str], origins: Mapping[str, Origin]) -> Iterator[Fault]:
    names: dict[str, str] = {}
    targets: dict[str, str] = {}
    for path, text in texts.items():
        if not path.startswith("weights["):
            continue
        if path.endswith("].name"):
            if text in names:
                message = f'{path} is "{text}", the name of {names[text]} too'
                yield Fault(message, nearest_origin(origins, path), "give it another name")
            names.setdefault(text, path.removesuffix(".name"))
        elif path.endswith("].target") and text.startswith("/"):
            yield from _weight_target(path, text, targets, origins)


def _weight_target(
    path: str, text: str, targets: dict[str, str], origins: Mapping[str, Origin]
) -> Iterator[Fault]:
    clean = "/" + posixpath.normpath(text).strip("/")
    origin = nearest_origin(origins, path)
    if clean == "/":
        yield Fault(f"{path} is the root of the image", origin, "use a folder of its own")
    for other, owner in targets.items():
        if clean == other or clean.startswith(f"{other}/") or other.startswith(f"{clean}/"):
            message = f'{path} is "{text}", which overlaps "{other}" of {owner}'
            yield Fault(message, origin, "give each weights a folder of its own")
    targets.setdefault(clean, path.removesuffix(".target"))


def _is_given(node: YamlNode | None) -> bool:
    return node is not None and not (isinstance(node, Scalar) and node.kind == "null")


def _mounts(nodes: Mapping[str, YamlNode], origins: Mapping[str, Origin]) -> Iterator[Fault]:
    places: dict[tuple[str, str], str] = {}
    for path, node in nodes.items():
        if not (isinstance(node, MapNode) and ".mounts[" in path and path.endswith("]")):
            continue
        ways = [key for key in ("target", "env") if _is_given(node.get(key))]
        origin = nearest_origin(origins, path)
        if len(ways) > 1:
            yield Fault(f"{path} has both 'target' and 'env'", origin, "keep one of them")
        elif not ways:
            hint = "add 'target: /run/secrets/NAME'"
            yield Fault(f"{path} does not say where the secret appears", origin, hint)
        elif isinstance(value := node.get(ways[0]), Scalar):
            place = (path.rpartition("[")[0], _mount_place(ways[0], value.text))
            if place in places:
                message = f"{path} has the {ways[0]} {value.text} of {places[place]}"
                yield Fault(message, origin, "give each secret a place of its own")
            places.setdefault(place, path)


def _mount_place(way: str, text: str) -> str:
    return text if way == "env" else posixpath.normpath(f"/{text.strip().lstrip('/')}")
