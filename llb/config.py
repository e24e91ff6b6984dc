"""The config of the image: the plan's, laid over the one of the base that it runs on.

Layers are not here, nor when each was made: the daemon writes that when it exports.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..errors import BuilderError
from ..plan.model import ExportConfig
from .graph import Platform
from .images import ResolvedImage

__all__ = ["DEFAULT_PATH", "BaseConfig", "base_config", "image_config", "prepended"]

# What BuildKit gives a process whose image sets no PATH (util/system/path.go).
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What an image hands on to one that stands on it; OnBuild and the legacy fields are not among it.
_INHERITED = (
    "Env",
    "Entrypoint",
    "Cmd",
    "WorkingDir",
    "User",
    "Labels",
    "ExposedPorts",
    "Volumes",
    "StopSignal",
    "Healthcheck",
    "Shell",
)


@dataclass(frozen=True)
class BaseConfig:
    """What a build step takes over from an image, and all that another image inherits.

    env: in the image's order, PATH always set. workdir: `/` when the image names none.
    history: what made its layers; None where it is unknown or does not tell of each of them.
    """

    env: Mapping[str, str]
    workdir: str
    inherited: Mapping[str, Any]
    history: tuple[Mapping[str, Any], ...] | None = None


def base_config(image: ResolvedImage | None) -> BaseConfig:
    """The config of a base image; of an image that nobody asked for, and of scratch, the default.

    Raises BuilderError when the registry's answer is no image config.
    """
    inherited: dict[str, Any] = {}
    history = None
    if image is not None:
        try:
            document = json.loads(image.config)
            stored = document.get("config") or {}
            inherited = {key: stored[key] for key in _INHERITED if stored.get(key)}
            history = _history(document)
        except (ValueError, AttributeError, TypeError) as error:
            raise BuilderError(
                f"the config of image {image.ref} cannot be read: {error}",
                hint="the registry's copy may be damaged: try another tag or mirror",
            ) from error
    env = dict(_variable(item) for item in inherited.get("Env", ()))
    env.setdefault("PATH", DEFAULT_PATH)
    return BaseConfig(env, inherited.get("WorkingDir") or "/", inherited, history)


def _history(document: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...] | None:
    """The history of an image when it has an entry for each layer: others belong to none."""
    entries = document.get("history") or []
    layers = (document.get("rootfs") or {}).get("diff_ids") or []
    told = sum(not entry.get("empty_layer") for entry in entries)
    return tuple(entries) if told == len(layers) else None


def image_config(
    config: ExportConfig,
    platform: Platform,
    base: BaseConfig,
    created: int | None = None,
    layers: Sequence[str] | None = None,
) -> bytes:
    """The OCI image config as JSON: same arguments, same bytes.

    created: seconds since 1970; None leaves it to the daemon.
    layers: what each layer over the base is; the history says so. None leaves it to the daemon,
        which writes down the commands with all their mounts.
    An entrypoint of the plan also ends the base's command, as ENTRYPOINT does in a Dockerfile.
    """
    merged = dict(base.inherited)
    merged["Env"] = [f"{name}={value}" for name, value in _env(base.env, config)]
    if config.entrypoint:
        merged["Entrypoint"] = list(config.entrypoint)
        merged.pop("Cmd", None)
    if config.cmd:
        merged["Cmd"] = list(config.cmd)
    if config.workdir:
        merged["WorkingDir"] = config.workdir
    if config.user:
        merged["User"] = config.user
    if config.labels:
        merged["Labels"] = {**merged.get("Labels", {}), **config.labels}
    if config.ports:
        merged["ExposedPorts"] = {**merged.get("ExposedPorts", {}), **_ports(config.ports)}
    document: dict[str, Any] = {
        "architecture": platform.architecture,
        "config": merged,
        "os": platform.os,
        "rootfs": {"type": "layers", "diff_ids": []},
    }
    if layers is not None and base.history is not None:
        document["history"] = [*base.history, *({"created_by": title} for title in layers)]
    if platform.variant:
        document["variant"] = platform.variant
    if created is not None:
        moment = datetime.fromtimestamp(created, UTC)
        document["created"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _variable(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return name, value


def prepended(value: str, before: str | None) -> str:
    """A list of folders with `value` put before what it held, as in PATH."""
    return f"{value}:{before}" if before else value


def _env(base: Mapping[str, str], config: ExportConfig) -> list[tuple[str, str]]:
    """The base's variables in its order, then the plan's new ones by name."""
    env = dict(base) | {name: config.env[name] for name in sorted(config.env)}
    if config.path:
        env["PATH"] = prepended(":".join(config.path), env.get("PATH"))
    return list(env.items())


def _ports(ports: Sequence[str]) -> dict[str, dict[str, str]]:
    return {port if "/" in port else f"{port}/tcp": {} for port in ports}
