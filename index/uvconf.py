"""What uv's configuration says about indexes: its `UV_*` variables, user and system `uv.toml`.

A project's own `[tool.uv]` is part of the project and is read there.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..files import home_folder, read_file
from .pipconf import Setting

__all__ = ["UvConfig", "read_uv"]


@dataclass(frozen=True)
class UvConfig:
    """uv's index settings; a text may be `name=URL`.

    default: the default index. extra: further ones, first one first. find_links: flat ones.
    no_index: whether no index at all is to be used.
    """

    default: Setting | None = None
    extra: tuple[Setting, ...] = ()
    find_links: tuple[Setting, ...] = ()
    no_index: bool = False


def read_uv(environ: Mapping[str, str], *, system: Path = Path("/etc")) -> UvConfig:
    """uv's configuration; a variable counts before a file, the user's file before the system's.

    system: the folder of the machine's own `uv/uv.toml`.

    Raises UserError when a file is malformed.
    """
    config = UvConfig()
    if environ.get("UV_NO_CONFIG", "") in {"", "0", "false"}:
        for path in _files(environ, system):
            config = _over(config, _from_file(path))
    return _over(_from_environ(environ), config)


def _from_environ(environ: Mapping[str, str]) -> UvConfig:
    default = next(
        (
            Setting(environ[name], name)
            for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL")
            if environ.get(name)
        ),
        None,
    )
    extra = tuple(
        Setting(word, name)
        for name in ("UV_INDEX", "UV_EXTRA_INDEX_URL")
        for word in environ.get(name, "").split()
    )
    links = environ.get("UV_FIND_LINKS", "").replace(",", " ").split()
    return UvConfig(default, extra, tuple(Setting(word, "UV_FIND_LINKS") for word in links))


def _over(first: UvConfig, second: UvConfig) -> UvConfig:
    """The settings of the first; those of the second where the first has none."""
    return UvConfig(
        first.default or second.default,
        first.extra or second.extra,
        first.find_links or second.find_links,
        first.no_index or second.no_index,
    )


def _files(environ: Mapping[str, str], system: Path) -> Iterator[Path]:
    named = environ.get("UV_CONFIG_FILE")
    if named:
        yield Path(named)
        return
    home = home_folder(environ)
    if config := environ.get("XDG_CONFIG_HOME") or (home and home / ".config"):
        yield Path(config) / "uv" / "uv.toml"
    for folder in (environ.get("XDG_CONFIG_DIRS") or str(system / "xdg")).split(os.pathsep):
        yield Path(folder, "uv", "uv.toml")
    yield system / "uv" / "uv.toml"


def _from_file(path: Path) -> UvConfig:
    try:
        data = tomllib.loads(read_file(path).decode())
    except OSError:
        return UvConfig()
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"{path}: uv's configuration is no TOML ({error})",
            hint="correct the file, or set UV_NO_CONFIG=1 to leave it out",
        ) from error
    top = _from_table(data, str(path))
    pip = data.get("pip")
    return _over(_from_table(pip, f"[pip] in {path}"), top) if isinstance(pip, dict) else top


def _from_table(table: Mapping[str, Any], where: str) -> UvConfig:
    default = _text(table.get("index-url"), f"index-url in {where}")
    extra: list[Setting] = []
    links = [*_texts(table.get("find-links"), f"find-links in {where}")]
    for entry in _tables(table.get("index")):
        setting = Setting(_named(entry), f"index in {where}")
        if entry.get("default") is True:
            default = setting
        elif entry.get("format") == "flat":
            links.append(setting)
        elif entry.get("explicit") is not True:
            # An explicit index serves only what a project's [tool.uv.sources] takes from it.
            extra.append(setting)
    extra.extend(_texts(table.get("extra-index-url"), f"extra-index-url in {where}"))
    return UvConfig(default, tuple(extra), tuple(links), table.get("no-index") is True)


def _named(entry: Mapping[str, Any]) -> str:
    name = entry.get("name")
    return f"{name}={entry['url']}" if isinstance(name, str) and name else str(entry["url"])


def _tables(value: object) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict) and isinstance(item.get("url"), str)]


def _text(value: object, origin: str) -> Setting | None:
    return Setting(value, origin) if isinstance(value, str) and value else None


def _texts(value: object, origin: str) -> tuple[Setting, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(Setting(item, origin) for item in items if isinstance(item, str) and item)
