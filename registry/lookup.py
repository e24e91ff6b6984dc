"""From an image reference to the digest that its registry has for it now.

Which registry that is, with which address and login, is decided here; the questions are `reader`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from ..errors import RetryableError, UserError
from ..index.client import DEFAULT_FRESHNESS
from ..index.credentials import CredentialBook
from ..index.http import Fetcher
from ..index.location import Location, parse_location
from ..index.pagecache import PageCache
from ..index.pipconf import read_pip
from ..index.settings import http_settings, hurried, patience
from ..index.store import Store, cache_folder
from .access import Access
from .docker_config import Credential, credential, load_config
from .errors import UnreachedError
from .reader import Registry

__all__ = ["MIRRORS", "Registries"]

MIRRORS = "COGPACK_REGISTRY_MIRRORS"
"""Variable with addresses to ask in place of registries: `docker.io=https://mirror.example.com`,
several with spaces between them."""

# The registry's own name differs from the one in references (docker's own special case).
_HUB, _HUB_HOST = "docker.io", "registry-1.docker.io"


class Registries:
    """Asks registries for digests; what they answer is believed for as long as index pages are.

    environ: the environment, for proxies, certificates, the cache, logins and mirrors.
    offline: answer from the cache alone.

    Raises UserError when a setting is malformed.
    """

    def __init__(self, environ: Mapping[str, str], *, offline: bool = False) -> None:
        settings = http_settings(environ, read_pip(environ))
        self._mirrors = _mirrors(environ)
        self._fetcher = Fetcher(
            # A lock that waits long for a registry is worse than one without a digest, of which
            # it warns.
            hurried(settings, patience(environ)),
            CredentialBook(self._mirrors.values(), use_keyring=False),
        )
        freshness = None if offline else DEFAULT_FRESHNESS
        self._cache = PageCache(Store(cache_folder(environ)), freshness)
        self._environ = environ
        self._offline = offline
        self._known: dict[str, Registry] = {}
        self._silent: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._fetcher.close()

    def digest(self, reference: str, *, refresh: bool = False) -> str:
        """The digest of an image, of all its platforms together.

        reference: fully qualified, with a tag. refresh: ask although the cache knows.

        Raises UnreachedError when it cannot be had.
        """
        host, _, path = reference.partition("/")
        repository, _, tag = path.partition(":")
        if host in self._silent:
            raise UnreachedError(f"{host} did not answer just now")
        try:
            found = self._registry(host).digest(repository, tag, refresh=refresh)
        except UnreachedError as error:
            if isinstance(error.__cause__, RetryableError):
                self._silent.add(host)
            raise
        if found is None:
            raise UnreachedError(f"{host} has no image {repository}:{tag}")
        return found

    def _registry(self, host: str) -> Registry:
        if host not in self._known:
            mirror = self._mirrors.get(host)
            address = mirror.url if mirror else _address(host)
            own = _HUB_HOST if host == _HUB else host
            asked = urlsplit(address).netloc if mirror else own

            def login() -> Credential | None:
                return credential(load_config(self._environ), asked, self._environ)

            access = Access(address, self._fetcher, login, offline=self._offline)
            self._known[host] = Registry(access, self._cache)
        return self._known[host]


def _address(host: str) -> str:
    name = host.rpartition(":")[0] or host
    # As docker has it: only a registry of this machine may do without TLS unasked.
    is_here = name in ("localhost", "[::1]") or name.startswith("127.")
    return f"{'http' if is_here else 'https'}://{_HUB_HOST if host == _HUB else host}"


def _mirrors(environ: Mapping[str, str]) -> dict[str, Location]:
    found = {}
    for text in environ.get(MIRRORS, "").split():
        host, equals, url = text.partition("=")
        if not equals or not url.startswith(("http://", "https://")):
            shown = host if "@" not in host else "****"
            message = f"{MIRRORS}: {shown} is not HOST=URL"
            raise UserError(message, hint="write it as docker.io=https://mirror.example.com")
        found[host] = parse_location(url.rstrip("/"), kind="flat", origin=MIRRORS, environ=environ)
    return found
