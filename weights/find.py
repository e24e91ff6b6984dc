"""From the sources of `weights` to the files to download: by the locks, else by the servers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from ..errors import CogpackError, Fault, UserError
from ..project.cogyaml import CogConfig
from ..project.weight_places import WrittenSource, remote_sources, selected
from ..project.weight_sources import (
    FileUri,
    HttpUri,
    HubUri,
    RemoteFile,
    RemoteSource,
    parse_uri,
)
from .finder import Finder
from .pins import LOCK, Pin, Pins, pin_key, read_pins, write_pins

__all__ = ["find_files", "lock_files"]

_RELOCK = "run cogpack weights lock"


def find_files(
    config: CogConfig | None,
    root: Path,
    environ: Mapping[str, str],
    *,
    told: Callable[[Fault], object],
    locked: bool = False,
    offline: bool = False,
    token: str | None = None,
) -> tuple[RemoteSource, ...]:
    """The files of every remote source of a project.

    root: the project folder, where the locks are. environ: HF_ENDPOINT, HF_TOKEN and their kin.
    told: takes a warning for each source that no lock has; the servers are asked then.
    locked, offline: such a source is an error instead. token: the hub's, in place of that of the
    environment.

    Raises UserError with every source that cannot be had, RetryableError when the network fails.
    """
    sources = remote_sources(config)
    if not sources:
        return ()
    option = "--locked" if locked else "--offline" if offline else ""
    pins = read_pins(root)
    found: list[RemoteSource] = []
    faults: list[Fault] = []
    with closing(Finder(environ, token)) as finder:
        for source in sources:
            try:
                uri = _parsed(source, finder)
                files = tuple(_files(source, uri, pins, finder, option, told))
            except UserError as error:
                faults += error.faults
            else:
                found.append(RemoteSource(source.entry, source.number, files))
    if faults:
        raise UserError(dict.fromkeys(faults))
    return tuple(found)


def lock_files(
    config: CogConfig | None,
    root: Path,
    environ: Mapping[str, str],
    *,
    told: Callable[[str], object],
    token: str | None = None,
) -> tuple[Pin, ...]:
    """Ask the servers what every remote source holds now, write the lock, and return its pins.

    told: gets a line about each file that has to be read for its digest.
    Raises as `find_files`, and BuilderError when the disk refuses; the lock is then as it was.
    """
    pins: dict[tuple[object, ...], Pin] = {}
    faults: list[Fault] = []
    with closing(Finder(environ, token)) as finder:
        for source in remote_sources(config):
            try:
                uri = _parsed(source, finder)
                key = pin_key(uri.text, source.include, source.exclude)
                if key not in pins:
                    pins[key] = finder.pin(source, uri, told)
            except UserError as error:
                faults += error.faults
    if faults:
        raise UserError(dict.fromkeys(faults))
    write_pins(root, pins.values())
    return tuple(pins.values())


def _parsed(source: WrittenSource, finder: Finder) -> HubUri | HttpUri:
    uri = parse_uri(source.uri)
    if isinstance(uri, FileUri):
        raise CogpackError(f"{source.uri} is a file of this machine, and was taken for another's")
    if isinstance(uri, HttpUri) and (source.include or source.exclude):
        _check_patterns(source, uri)
    finder.check(source, uri)
    return uri


def _check_patterns(source: WrittenSource, uri: HttpUri) -> None:
    """A URL is one file: patterns that leave it out leave nothing."""
    if not selected([uri.name], source.include, source.exclude):
        message = f"{uri.shown} is one file, and include and exclude leave it out"
        raise UserError(Fault(message, source.origin, "correct the patterns"))


def _files(
    source: WrittenSource,
    uri: HubUri | HttpUri,
    pins: Pins,
    finder: Finder,
    option: str,
    told: Callable[[Fault], object],
) -> Iterable[RemoteFile]:
    if pin := pins.of(source, uri):
        return finder.files(uri, pin)
    if isinstance(uri, HttpUri) and uri.digest:
        return [RemoteFile(uri.name, uri.url, 0, uri.digest)]
    if option:
        message = f"{option} needs {uri.shown} in {LOCK}, as it is written here"
        raise UserError(Fault(message, source.origin, _RELOCK))
    return _unpinned(source, uri, finder, told)


def _unpinned(
    source: WrittenSource,
    uri: HubUri | HttpUri,
    finder: Finder,
    told: Callable[[Fault], object],
) -> Iterator[RemoteFile]:
    if isinstance(uri, HttpUri):
        # To read it all here for its digest, only for the builder to read it again, would be
        # twice the download: the builder takes the digest.
        size = finder.size(source, uri)
        message = f"{uri.shown} is not pinned: the image gets what is there when it is built"
        told(Fault(message, source.origin, f"{_RELOCK}, or add #sha256=… to it"))
        yield RemoteFile(uri.name, uri.url, size, "")
        return
    pin = finder.pin(source, uri)
    if uri.revision != pin.commit:
        message = f"{uri.text} is not pinned: its commit is {pin.commit} now"
        told(Fault(message, source.origin, _RELOCK))
    yield from finder.files(uri, pin)
