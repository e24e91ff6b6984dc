"""From the bytes of cog.yaml to the model, or to every fault in the file.

The sections find the faults of single values; this module gives them their places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from ..errors import Fault, UserError
from ..origin import Origin
from .cogyaml import FILE, Build, CogConfig, CogpackOptions, nearest_origin
from .cogyaml_checks import cross_faults, deprecations
from .redact import printable_faults
from .section import Refusal, RefusedError, Section, keys, path_text, section
from .yaml import ListNode, MapNode, Scalar, YamlNode, read_yaml

__all__ = ["ConfigReading", "read_config", "scan_config"]

_CONFIG = section(CogConfig)

# Where a key is looked for that stands in a section that does not have it, by their paths.
_SECTIONS = {"build": Build, "": CogConfig, "cogpack": CogpackOptions}

# Keys that earlier releases of Cog read and 0.23 ignores: a project that still has them builds.
_RETIRED = {
    "": ("observability", "procedures", "tests"),
    "build": ("cog_runtime", "fast", "python_extra_index_urls", "python_find_links"),
}

# Keys of the user's own at the top level, as in Compose files: a place for anchors and notes.
_OWN_PREFIX = "x-"

# Keys of which Cog takes an empty text for none at all.
_MAY_BE_EMPTY = {
    "": ("image", "model", "predict", "run", "train"),
    "build": ("cuda", "cudnn", "python_requirements", "sdk_version"),
}


class ConfigReading(Struct, frozen=True):
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
    value, warnings = _without_retired(_without_empty(_without_own(_plain(tree))), origins)
    faults = list(cross_faults(texts, origins, nodes))
    config = None
    try:
        config = _CONFIG.read(value).located(origins)
    except RefusedError as error:
        faults += (_fault(refusal, origins) for refusal in error.refusals)
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
    """The tree as sections take it: scalars stay nodes, so that `values` sees their raw text."""
    if isinstance(node, Scalar):
        return None if node.kind == "null" else node
    if isinstance(node, ListNode):
        return [_plain(item) for item in node.items]
    pairs = ((entry.key, _plain(entry.value)) for entry in node.entries)
    return {key: value for key, value in pairs if value is not None}


def _without_own(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: item for key, item in value.items() if not key.startswith(_OWN_PREFIX)}


def _without_empty(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kept = dict(value)
    for name, keys_of in _MAY_BE_EMPTY.items():
        holder = kept.get(name) if name else kept
        if isinstance(holder, dict):
            rest = {
                key: item for key, item in holder.items() if key not in keys_of or _is_said(item)
            }
            kept = kept | {name: rest} if name else rest
    return kept


def _is_said(item: object) -> bool:
    return not (isinstance(item, Scalar) and item.text == "")


def _without_retired(value: Any, origins: Mapping[str, Origin]) -> tuple[Any, list[Fault]]:
    if not isinstance(value, dict):
        return value, []
    kept, warnings = dict(value), []
    for name, retired in _RETIRED.items():
        holder = kept.get(name) if name else kept
        if not isinstance(holder, dict):
            continue
        present = [key for key in retired if key in holder]
        for key in present:
            path = f"{name}.{key}" if name else key
            message = f"{path} is ignored: Cog no longer reads it"
            warnings.append(Fault(message, nearest_origin(origins, path), "remove it"))
        rest = {key: item for key, item in holder.items() if key not in present}
        kept = kept | {name: rest} if name else rest
    return kept, warnings


def _fault(refusal: Refusal, origins: Mapping[str, Origin]) -> Fault:
    steps = _as_written(refusal.path, origins)
    path = path_text(steps)
    if refusal.unknown_to is not None:
        return _unknown_key(steps, refusal.unknown_to, origins)
    return Fault(f"{path} {refusal.message}", nearest_origin(origins, path), refusal.hint)


def _as_written(
    path: tuple[int | str, ...], origins: Mapping[str, Origin]
) -> tuple[int | str, ...]:
    """The path of a value without the index of a list that was written as its one item alone."""
    found: tuple[int | str, ...] = ()
    for step in path[:-1]:
        if step != 0 or path_text((*found, step)) in origins:
            found = (*found, step)
    return (*found, *path[-1:])


def _unknown_key(
    path: tuple[int | str, ...], holder: type[Section], origins: Mapping[str, Origin]
) -> Fault:
    import difflib

    *above, last = path
    name, known = str(last), keys(holder)
    where = f" of {path_text(above)}" if above else ""
    near = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1)
    elsewhere = [path for path, other in _SECTIONS.items() if name in keys(other)]
    if near:
        hint = f"did you mean '{near[0]}'?"
    elif elsewhere:
        hint = f"move it under '{elsewhere[0]}:'" if elsewhere[0] else "move it to the top level"
    else:
        own = "" if above else f"; keys of your own begin with '{_OWN_PREFIX}'"
        hint = f"the keys{where} are {', '.join(known)}{own}"
    written = path_text(path)
    message = f"{written} is not a key that cog.yaml has"
    return Fault(message, nearest_origin(origins, written), hint)
