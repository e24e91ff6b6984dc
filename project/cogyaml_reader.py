"""From the bytes of cog.yaml to the model, or to every fault in the file.

pydantic finds the faults of single values; this module says them in the user's words and places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import Fault, UserError
from ..origin import Origin
from .cogyaml import (
    FILE,
    Build,
    CogConfig,
    CogpackOptions,
    Concurrency,
    RunItem,
    SecretMount,
    Weights,
    WeightSource,
    nearest_origin,
)
from .cogyaml_checks import cross_faults, deprecations
from .redact import printable_faults
from .yaml import ListNode, MapNode, Scalar, YamlNode, read_yaml

__all__ = ["ConfigReading", "read_config", "scan_config"]

_SECTIONS: dict[str, type[BaseModel]] = {
    "": CogConfig,
    "build": Build,
    "concurrency": Concurrency,
    "cogpack": CogpackOptions,
    "build.run[]": RunItem,
    "build.pre_install[]": RunItem,
    "build.run[].mounts[]": SecretMount,
    "build.pre_install[].mounts[]": SecretMount,
    "weights[]": Weights,
    "weights[].source": WeightSource,
    "weights[].source[]": WeightSource,
}

# Keys that earlier releases of Cog read and 0.23 ignores: a project that still has them builds.
_RETIRED = {
    "": ("observability", "procedures", "tests"),
    "build": ("cog_runtime", "fast", "python_extra_index_urls", "python_find_links"),
}


@dataclass(frozen=True)
class ConfigReading:
    """What was read of a cog.yaml, faults or not.

    config: the model; None when there is a fault. texts: raw text of each value, by path.
    """

    config: CogConfig | None
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]
    texts: Mapping[str, str]
    origins: Mapping[str, Origin]


def read_config(data: bytes, file: str = FILE) -> CogConfig:
    """The model of a cog.yaml.

    data: its bytes. file: its path relative to the project, for origins.
    Raises UserError with every fault of the file.
    """
    reading = scan_config(data, file)
    if reading.config is None:
        raise UserError(reading.faults)
    return reading.config


def scan_config(data: bytes, file: str = FILE) -> ConfigReading:
    """As `read_config`, but faults are returned; they come in the order of the file."""
    try:
        tree = read_yaml(data, file)
    except UserError as error:
        return ConfigReading(None, printable_faults(error.faults), (), {}, {"": Origin(file)})
    nodes = dict(_walk(tree, ""))
    origins = {path: node.origin for path, node in nodes.items()} | {"": Origin(file)}
    texts = {path: node.text for path, node in nodes.items() if isinstance(node, Scalar)}
    value, warnings = _without_retired(_plain(tree), origins)
    faults = list(cross_faults(texts, origins, nodes))
    config = None
    try:
        config = CogConfig.model_validate(value, context={"origins": origins})
    except ValidationError as error:
        faults += (_fault(details, origins) for details in error.errors(include_url=False))
    faults.sort(key=lambda fault: fault.origin.line if fault.origin else 0)
    warnings += deprecations(nodes, origins)
    told = printable_faults(faults)
    config = None if told else config
    return ConfigReading(config, told, printable_faults(warnings), texts, origins)


def _walk(node: YamlNode, path: str) -> Iterator[tuple[str, YamlNode]]:
    """Every value below a node with its path; a key without a value was not written."""
    if isinstance(node, Scalar) and node.kind == "null":
        return
    if path:
        yield path, node
    if isinstance(node, MapNode):
        for entry in node.entries:
            yield from _walk(entry.value, f"{path}.{entry.key}" if path else entry.key)
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from _walk(item, f"{path}[{index}]")


def _plain(node: YamlNode) -> Any:
    """The tree as pydantic takes it: scalars stay nodes, so that `values` sees their raw text."""
    if isinstance(node, Scalar):
        return None if node.kind == "null" else node
    if isinstance(node, ListNode):
        return [_plain(item) for item in node.items]
    pairs = ((entry.key, _plain(entry.value)) for entry in node.entries)
    return {key: value for key, value in pairs if value is not None}


def _without_retired(value: Any, origins: Mapping[str, Origin]) -> tuple[Any, list[Fault]]:
    if not isinstance(value, dict):
        return value, []
    kept, warnings = dict(value), []
    for section, keys in _RETIRED.items():
        holder = kept.get(section) if section else kept
        if not isinstance(holder, dict):
            continue
        present = [key for key in keys if key in holder]
        for key in present:
            path = f"{section}.{key}" if section else key
            message = f"{path} is ignored: Cog no longer reads it"
            warnings.append(Fault(message, nearest_origin(origins, path), "remove it"))
        rest = {key: item for key, item in holder.items() if key not in present}
        kept = kept | {section: rest} if section else rest
    return kept, warnings


def _fault(details: Any, origins: Mapping[str, Origin]) -> Fault:
    path = _path(details["loc"])
    kind, context = details["type"], details.get("ctx", {})
    origin = nearest_origin(origins, path)
    if kind == "cogpack":
        return Fault(f"{path} {context['message']}", origin, context["hint"])
    if kind == "extra_forbidden":
        return _unknown_key(details["loc"], origins)
    if kind == "missing":
        return Fault(f"{path} is missing", origin, f"add '{details['loc'][-1]}:'")
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        keys = ", ".join(_SECTIONS[_shape(details["loc"])].model_fields)
        return Fault(f"{path} must be a mapping", origin, f"its keys are {keys}")
    return Fault(f"{path}: {details['msg']}", origin)


def _path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        separator = "." if path else ""
        path += f"[{part}]" if isinstance(part, int) else f"{separator}{part}"
    return path


def _shape(location: tuple[int | str, ...]) -> str:
    """The path with every index left out: the name of the section's kind."""
    shape = ""
    for part in location:
        separator = "." if shape else ""
        shape += "[]" if isinstance(part, int) else f"{separator}{part}"
    return shape


def _unknown_key(location: tuple[int | str, ...], origins: Mapping[str, Origin]) -> Fault:
    import difflib

    *above, last = location
    key, path = str(last), _path(location)
    known = list(_SECTIONS[_shape(tuple(above))].model_fields)
    where = f" of {_path(tuple(above))}" if above else ""
    message = f"{path} is not a key that cog.yaml has"
    near = difflib.get_close_matches(key.lower().replace("-", "_"), known, n=1)
    if near:
        hint = f"did you mean '{near[0]}'?"
    elif elsewhere := [name for name in ("build", "", "cogpack") if _has(name, key)]:
        hint = f"move it under '{elsewhere[0]}:'" if elsewhere[0] else "move it to the top level"
    else:
        hint = f"the keys{where} are {', '.join(known)}"
    return Fault(message, nearest_origin(origins, path), hint)


def _has(section: str, key: str) -> bool:
    return key in _SECTIONS[section].model_fields
