"""Asks servers what a source of `weights` holds, and says refusals in the words of the project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Literal
from urllib.parse import quote, urlsplit

from ..errors import Fault, RetryableError, UserError
from ..project.weight_places import WrittenSource
from ..project.weight_sources import HttpUri, HubUri, RemoteFile
from .http import Client, RefusedError
from .hub import TOKEN, Hub, NothingSelectedError, endpoint, find_token, setting_faults
from .pins import Pin, PinnedFile

__all__ = ["Finder"]

# What the addresses of files have in them; others are of pages for people.
_HUB_FILES = frozenset({"raw", "resolve"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Finder:
    """The servers of weights; a connection is made when the first is asked.

    environ: HF_ENDPOINT, HF_TOKEN and their kin. token: the hub's, in place of the environment's.
    """

    def __init__(self, environ: Mapping[str, str], token: str | None = None) -> None:
        self._hub_url = endpoint(environ)
        self._token = find_token(environ) if token is None else token.strip()
        self._opened: Client | None = None

    def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def check(self, source: WrittenSource, uri: HubUri | HttpUri) -> None:
        """Raise UserError when a source's server, or its address there, cannot be used.

        So it is with a source that would be sent the hub's token though it is not the hub: the
        builder knows the server that a token is for by its host alone.
        """
        if isinstance(uri, HubUri):
            if faults := tuple(setting_faults(self._hub_url, self._token)):
                raise UserError(faults)
            return
        if any(setting_faults(self._hub_url, "")) or _host(uri.url) != _host(self._hub_url):
            return
        path = uri.url.removeprefix(f"{self._hub_url}/")
        if path != uri.url and _HUB_FILES.isdisjoint(path.split("/")):
            message = f"{uri.shown} is a page of the hub, not a file"
            hint = "write hf://team/model; the address of one file has /resolve/ in it"
            raise UserError(Fault(message, source.origin, hint))
        if self._token and _origin(uri.url) != _origin(self._hub_url):
            message = (
                f"{uri.shown} is on the hub's host but not the hub: it would get the hub's token"
            )
            raise UserError(Fault(message, source.origin, f"write it with {self._hub_url}"))

    def pin(
        self, source: WrittenSource, uri: HubUri | HttpUri, told: Callable[[str], object] = str
    ) -> Pin:
        """What a source holds now. told: gets a line when a large file has to be read for it.

        Raises UserError when there is nothing or the server refuses, RetryableError when the
        network fails.
        """
        if isinstance(uri, HttpUri):
            return self._pin_file(source, uri, told)
        with self._asking(source, uri):
            hub = Hub(self._client, self._hub_url, self._token)
            commit = hub.commit(uri)
            try:
                files = hub.files(uri, commit, source.include, source.exclude)
            except NothingSelectedError as error:
                raise UserError(_nothing(source, uri, error.count)) from None
        if not any(file.size for file in files):
            raise UserError(Fault(f"{uri.text} has empty files only", source.origin))
        pinned = tuple(PinnedFile(file.path, file.size, file.digest) for file in files)
        return Pin(uri.text, commit, source.include, source.exclude, pinned)

    def size(self, source: WrittenSource, uri: HttpUri) -> int:
        """The bytes of a file, 0 when its server does not say. Raises as `pin`."""
        with self._asking(source, uri):
            size = self._client.size(uri.url)
        if size == 0:
            raise UserError(_empty(source, uri))
        return size or 0

    def files(self, uri: HubUri | HttpUri, pin: Pin) -> Iterator[RemoteFile]:
        """The files of a pin, with the place where each is to be had."""
        for file in pin.files:
            if isinstance(uri, HttpUri):
                yield RemoteFile(file.path, uri.url, file.size, file.digest)
            else:
                url = f"{self._hub_url}/{uri.repo}/resolve/{pin.commit}/{quote(file.path)}"
                yield RemoteFile(file.path, url, file.size, file.digest, TOKEN)

    @property
    def _client(self) -> Client:
        if self._opened is None:
            self._opened = Client()
        return self._opened

    def _pin_file(self, source: WrittenSource, uri: HttpUri, told: Callable[[str], object]) -> Pin:
        told(f"reading {uri.shown} for its digest")
        with self._asking(source, uri):
            measured = self._client.measure(uri.url)
        if not measured.size:
            raise UserError(_empty(source, uri))
        if uri.digest and uri.digest != measured.digest:
            message = f"{uri.shown} has the digest {measured.digest}"
            raise UserError(Fault(message, source.origin, "correct #sha256=…, or the URL"))
        file = PinnedFile(uri.name, measured.size, measured.digest)
        return Pin(uri.text, "", source.include, source.exclude, (file,))

    @contextmanager
    def _asking(self, source: WrittenSource, uri: HubUri | HttpUri) -> Iterator[None]:
        """Turn what the servers and the network say into faults of the line that asks."""
        try:
            yield
        except RefusedError as error:
            raise UserError(self._refusal(source, uri, error)) from None
        except RetryableError as error:
            raise RetryableError(
                Fault(fault.message, source.origin, fault.hint) for fault in error.faults
            ) from None

    def _refusal(self, source: WrittenSource, uri: HubUri | HttpUri, error: RefusedError) -> Fault:
        if isinstance(uri, HttpUri):
            hint = "correct the URL" if error.status in (404, 410) else ""
            return Fault(f"{uri.shown} cannot be had: {error.reason}", source.origin, hint)
        return _hub_refusal(source, uri, error, "with" if self._token else "without")


def _empty(source: WrittenSource, uri: HttpUri) -> Fault:
    return Fault(f"{uri.shown} is empty", source.origin, "correct the URL")


def _nothing(source: WrittenSource, uri: HubUri, count: int) -> Fault:
    if not count:
        return Fault(f"{uri.text} has no files", source.origin, "name another revision")
    message = f"{uri.text} has {count} files, and include and exclude leave none"
    return Fault(message, source.origin, "correct the patterns")


def _hub_refusal(
    source: WrittenSource, uri: HubUri, error: RefusedError, token: Literal["with", "without"]
) -> Fault:
    """The hub names its reason in a header; of a private model it says to strangers that it is
    none (huggingface_hub, utils/_http.py)."""
    name, origin = f"{uri.text} cannot be had", source.origin
    if error.code == "RevisionNotFound":
        message = f"{name}: {uri.repo} has no revision {uri.revision}"
        return Fault(message, origin, "name a branch, a tag or a commit that it has")
    if error.code == "GatedRepo":
        hint = "ask for access on the page of the model, and give a token of yours as HF_TOKEN"
        return Fault(f"{name}: its owner decides who may", origin, hint)
    if error.status in (401, 403) and error.code != "RepoNotFound" and token == "with":  # noqa: S105
        return Fault(f"{name}: the hub refused the token", origin, "correct HF_TOKEN")
    if error.status in (401, 403, 404):
        message = f"{name}: the hub shows no such model to one {token} a token"
        return Fault(message, origin, "correct the name; a private one needs HF_TOKEN")
    return Fault(f"{name}: {error.url}: {error.reason}", origin)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _DEFAULT_PORTS.get(parts.scheme)
