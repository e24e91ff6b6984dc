"""Which indexes a run uses, and how: what the project says, then uv, then pip, then a constant.

Host names of public indexes are not written here: the default is pypi-simple's constant.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import UserError
from .client import DEFAULT_FRESHNESS, CachePolicy, IndexClient
from .credentials import CredentialBook
from .http import Fetcher, HttpSettings
from .indexset import Sources
from .location import Kind, Location, parse_location
from .pipconf import PipConfig, Setting, read_pip
from .store import cache_folder
from .uvconf import read_uv

__all__ = [
    "IndexOptions",
    "default_index_url",
    "find_sources",
    "http_settings",
    "hurried",
    "open_client",
    "patience",
]

# Seconds that a command waits for an answer that it can do without.
_PATIENCE = 10.0
_PATIENCE_VARIABLE = "COGPACK_PATIENCE"

# A server that is there accepts a connection within this part of it, however slow it then is.
_TO_CONNECT = 0.3

# A day; sockets take no time limit of years, nor an infinite one.
_LONGEST_SECONDS = 86_400.0

# Of a freshness in seconds: three hundred years.
_MAX_DIGITS = 10


@dataclass(frozen=True)
class IndexOptions:
    """What the project (requirements files, cog.yaml, the command line) says about indexes.

    index_url: `-i`; it counts before any configuration.
    extra_index_urls: `--extra-index-url`, in order. find_links: `-f`, in order.
    no_index: `--no-index`. base: folder that relative paths start from.
    trusted_hosts: `--trusted-host`.
    """

    index_url: Setting | None = None
    extra_index_urls: tuple[Setting, ...] = ()
    find_links: tuple[Setting, ...] = ()
    no_index: bool = False
    base: Path | None = None
    trusted_hosts: tuple[str, ...] = ()


def find_sources(
    environ: Mapping[str, str],
    options: IndexOptions | None = None,
    *,
    system: Path = Path("/etc"),
) -> Sources:
    """The indexes that a project is resolved against.

    The default index is the project's, else uv's (`UV_DEFAULT_INDEX`, `UV_INDEX_URL`), else pip's
    (`PIP_INDEX_URL`, its files), else that of `uv.toml`, else pypi-simple's constant. Extra
    indexes are the project's, then uv's, then pip's.

    A folder of this machine that only a configuration of the machine names is left out, with a
    note: the packages are installed inside an image, where it does not exist.

    environ: the environment of the user. system: the folder of the machine's configuration.

    Raises UserError when a location or a configuration file is malformed.
    """
    options = options or IndexOptions()
    uv, pip = read_uv(environ, system=system), read_pip(environ, system=system)
    uv_first = uv.default is not None and uv.default.origin.startswith("UV_")
    configured = (uv.default or pip.one("index-url")) if uv_first else None
    configured = configured or pip.one("index-url") or uv.default
    no_index = options.no_index or uv.no_index or pip.flag("no-index")
    notes: list[str] = []
    reader = _Reader(environ, options.base, notes)
    default = None
    if options.index_url is not None:
        default = reader.own([options.index_url], "simple")[0]
    elif configured is not None:
        default = next(iter(reader.configured([configured], "simple")), None)
    if default is None:
        default = parse_location(default_index_url(), origin="the default")
    extra = reader.own(options.extra_index_urls, "simple")
    extra += reader.configured([*uv.extra, *pip.many("extra-index-url")], "simple")
    links = reader.own(options.find_links, "flat")
    links += reader.configured([*uv.find_links, *pip.many("find-links")], "flat")
    return Sources(
        default=None if no_index else default,
        extra=() if no_index else tuple(item for item in dict.fromkeys(extra) if item != default),
        find_links=tuple(dict.fromkeys(links)),
        notes=tuple(notes),
    )


def http_settings(
    environ: Mapping[str, str], pip: PipConfig, trusted_hosts: Iterable[str] = ()
) -> HttpSettings:
    """How requests are made: certificates, time limits and trusted hosts as pip and uv take them.

    `SSL_CERT_FILE` and the proxy variables are read by httpx itself.
    """
    ca_file = None
    if not environ.get("SSL_CERT_FILE"):
        cert = pip.one("cert")
        named = cert.text if cert else environ.get("REQUESTS_CA_BUNDLE") or ""
        ca_file = Path(os.path.expanduser(named)) if named else None  # noqa: PTH111
    trusted = (*trusted_hosts, *(item.text for item in pip.many("trusted-host")))
    seconds = HttpSettings.read_seconds
    asked = pip.one("timeout")
    if asked is not None:
        try:
            seconds = min(max(1.0, float(asked.text)), _LONGEST_SECONDS)
        except ValueError as error:
            raise UserError(
                f"{asked.origin}: {asked.text!r} is no number of seconds",
                hint=f"pip's default is {HttpSettings.connect_seconds:g}",
            ) from error
    return HttpSettings(
        read_seconds=seconds,
        total_seconds=max(HttpSettings.total_seconds, 2 * seconds),
        ca_file=ca_file,
        trusted_hosts=tuple(dict.fromkeys(trusted)),
    )


def open_client(
    environ: Mapping[str, str],
    sources: Sources,
    *,
    offline: bool = False,
    refresh: bool = False,
    options: IndexOptions | None = None,
    patience: float | None = None,
) -> IndexClient:
    """A client for these indexes, with the cache folder and the settings of the environment.

    patience: seconds that a request may take, as `hurried` has it.
    `COGPACK_INDEX_FRESHNESS` is the freshness of pages in seconds.

    Raises UserError when a setting is malformed.
    """
    pip = read_pip(environ)
    trusted = options.trusted_hosts if options else ()
    book = CredentialBook(sources.all, environ)
    settings = http_settings(environ, pip, trusted)
    if patience is not None:
        settings = hurried(settings, patience)
    fetcher = Fetcher(settings, book)
    policy = CachePolicy(_freshness(environ), offline, refresh)
    return IndexClient(cache_folder(environ), policy, fetcher)


def hurried(settings: HttpSettings, seconds: float) -> HttpSettings:
    """The settings for who would rather do without an answer than wait for it.

    seconds: that a request may take; it is made once, and a server that does not even connect is
        given up sooner.
    """
    return replace(
        settings,
        connect_seconds=min(settings.connect_seconds, seconds * _TO_CONNECT),
        read_seconds=min(settings.read_seconds, seconds / 2),
        total_seconds=min(settings.total_seconds, seconds),
        attempts=1,
    )


def patience(environ: Mapping[str, str]) -> float:
    """Seconds to wait for an answer that a command can do without: COGPACK_PATIENCE, else 10.

    Raises UserError when the variable holds no number above 0.
    """
    text = environ.get(_PATIENCE_VARIABLE, "").strip()
    if not text:
        return _PATIENCE
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        message = f"{_PATIENCE_VARIABLE}: {text!r} is no number of seconds"
        raise UserError(message, hint=f"the default is {_PATIENCE:g}")
    return seconds


def default_index_url() -> str:
    """The URL of the public index, as pypi-simple knows it.

    The constant is read out of the library's source: importing it loads requests and bs4, a fifth
    of a second that every run would pay.
    """
    name, package = "PYPI_SIMPLE_ENDPOINT", "pypi_simple"
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.origin:
        for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.AnnAssign | ast.Assign):
                targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
                named = any(isinstance(item, ast.Name) and item.id == name for item in targets)
                if named and isinstance(node.value, ast.Constant):
                    return str(node.value.value)
    return str(getattr(importlib.import_module(package), name))


class _Reader:
    """Turns settings into locations; what a configuration names and an image lacks is noted."""

    def __init__(self, environ: Mapping[str, str], base: Path | None, notes: list[str]) -> None:
        self._environ = environ
        self._base = base
        self._notes = notes

    def own(self, settings: Iterable[Setting], kind: Kind) -> list[Location]:
        """Locations that the project names."""
        return [
            parse_location(
                item.text, kind=kind, origin=item.origin, base=self._base, environ=self._environ
            )
            for item in settings
        ]

    def configured(self, settings: Iterable[Setting], kind: Kind) -> list[Location]:
        """Locations that the machine's configuration names."""
        found = []
        for item in settings:
            location = parse_location(item.text, kind=kind, origin=item.origin)
            if location.is_local:
                self._notes.append(
                    f"{item.origin} names {urlsplit(location.url).path}, a folder of this machine: "
                    "left out, it does not exist in the image"
                )
            else:
                found.append(location)
        return found


def _freshness(environ: Mapping[str, str]) -> int:
    text = environ.get("COGPACK_INDEX_FRESHNESS", "").strip()
    if not text:
        return DEFAULT_FRESHNESS
    if not text.isdecimal() or len(text) > _MAX_DIGITS:
        raise UserError(
            f"COGPACK_INDEX_FRESHNESS: {text!r} is no number of seconds",
            hint=f"the default is {DEFAULT_FRESHNESS}",
        )
    return int(text)
