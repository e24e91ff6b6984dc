"""What pip's configuration says about indexes: its files and its `PIP_*` variables.

Read as pip documents it: global, user and site files, then `PIP_CONFIG_FILE`, then the environment;
the last one that sets a key counts.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..files import home_folder, read_file

__all__ = ["PipConfig", "Setting", "read_pip"]

# Sections that count for `pip install`, the later one over the earlier.
_SECTIONS = ("global", "install")

_KEYS = (
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "cert",
    "timeout",
    "trusted-host",
)

_TRUE = frozenset({"1", "y", "yes", "t", "true", "on"})


@dataclass(frozen=True)
class Setting:
    """A value and where it stands, for messages: `PIP_INDEX_URL`, `index-url in /etc/pip.conf`."""

    text: str
    origin: str


@dataclass(frozen=True)
class PipConfig:
    """pip's settings by key, as in its files (`index-url`)."""

    settings: Mapping[str, Setting]

    def one(self, key: str) -> Setting | None:
        """A setting with a single value; None when it is unset or empty."""
        found = self.settings.get(key)
        return found if found and found.text.strip() else None

    def many(self, key: str) -> tuple[Setting, ...]:
        """A setting with several values, separated by blanks or line ends."""
        found = self.settings.get(key)
        return tuple(Setting(word, found.origin) for word in found.text.split()) if found else ()

    def flag(self, key: str) -> bool:
        """Whether a switch is on."""
        found = self.settings.get(key)
        return found is not None and found.text.strip().lower() in _TRUE


def read_pip(
    environ: Mapping[str, str], *, system: Path = Path("/etc"), prefix: str = sys.prefix
) -> PipConfig:
    """pip's configuration.

    environ: the environment (`PIP_*`, `HOME`, `XDG_CONFIG_HOME`, `XDG_CONFIG_DIRS`).
    system: the folder of the machine's own `pip.conf`.
    prefix: the folder of the environment whose `pip.conf` is the site file.

    Raises UserError when a file is malformed.
    """
    settings: dict[str, Setting] = {}
    for path in _files(environ, system, prefix):
        settings.update(_read_file(path))
    for key in _KEYS:
        variable = "PIP_" + key.upper().replace("-", "_")
        if variable in environ:
            settings[key] = Setting(environ[variable], variable)
    return PipConfig(settings)


def _files(environ: Mapping[str, str], system: Path, prefix: str) -> Iterator[Path]:
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return
    home = home_folder(environ)
    for folder in (environ.get("XDG_CONFIG_DIRS") or str(system / "xdg")).split(os.pathsep):
        yield Path(folder, "pip", "pip.conf")
    yield system / "pip.conf"
    if home:
        yield home / ".pip" / "pip.conf"
    if config := environ.get("XDG_CONFIG_HOME") or (home and home / ".config"):
        yield Path(config) / "pip" / "pip.conf"
    yield Path(prefix, "pip.conf")
    if named:
        yield Path(named)


def _read_file(path: Path) -> dict[str, Setting]:
    try:
        text = read_file(path).decode()
    except (OSError, UnicodeDecodeError):
        return {}
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text, source=str(path))
    except configparser.Error as error:
        line = getattr(error, "lineno", None)
        where = f"{path}:{line}" if isinstance(line, int) else str(path)
        raise UserError(
            f"{where}: pip's configuration cannot be read ({type(error).__name__})",
            hint="correct the file, or set PIP_CONFIG_FILE=/dev/null to leave it out",
        ) from error
    found: dict[str, Setting] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            for key, value in parser.items(section):
                name = key.lower().replace("_", "-").removeprefix("--")
                if name in _KEYS:
                    found[name] = Setting(value, f"{name} in {path}")
    return found
