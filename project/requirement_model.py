"""What requirements files say, as data: entries, options, constraints. Nothing is parsed here."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from ..errors import Fault
from ..origin import Origin
from .redact import Url

__all__ = ["Entry", "FindLinks", "IndexUrl", "Options", "RequirementsFile"]


class Entry(Struct, frozen=True):
    """One requirement as written, with nothing expanded and nothing resolved.

    kind: `index` (found by name in an index), `url` (an archive), `vcs` (a repository),
    `wheel`, `sdist` or `folder` (a path of the project).
    name: PEP 503 normalised; empty where only a build could tell it.
    extras: normalised, sorted. specifier, marker: in packaging's canonical form; may be empty.
    version: that of a wheel or sdist by its file name, else empty.
    url: for `url` and `vcs`. path: relative to the project, with `/`; `.` is the project itself.
    fragment: what follows `#` in a path (`subdirectory=…`). hashes: `sha256:…`, as written.
    settings: `--config-settings` of this requirement, `KEY=VALUE`.
    """

    origin: Origin
    kind: Literal["index", "url", "vcs", "wheel", "sdist", "folder"] = "index"
    name: str = ""
    extras: tuple[str, ...] = ()
    specifier: str = ""
    marker: str = ""
    version: str = ""
    url: Url | None = None
    path: str = ""
    fragment: str = ""
    editable: bool = False
    hashes: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    @property
    def is_local(self) -> bool:
        """Whether the requirement is a path of the project."""
        return self.kind in ("wheel", "sdist", "folder")

    def render(self, root: str = "") -> str:
        """The requirement as a line for pip or uv that run in the project folder.

        root: where that folder is, absolute: pip reads a named path (`x @ file:///src/x.whl`) in
        no other form. Without it the line is fit for messages and to be read here again.
        The line holds a URL's credentials where the user wrote them there: see `Url.is_secret`.
        """
        text = self._target(root)
        if self.marker:
            text += f" ; {self.marker}"
        if self.editable:
            text = f"-e {_quoted(text)}"
        options = [f" --hash={value}" for value in self.hashes]
        options += [f" --config-settings={_quoted(value)}" for value in self.settings]
        return text + "".join(options)

    def _target(self, root: str) -> str:
        from urllib.parse import quote

        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        if self.kind == "index":
            return f"{self.name}{extras}{self.specifier}"
        fragment = f"#{self.fragment}" if self.fragment else ""
        if self.url is not None:
            if root and self.editable:
                return self._checkout(extras)
            named = f"{self.name}{extras} @ {self.url.raw}"
            return named if self.name else f"{self.url.raw}{extras}"
        # Not every pip reads a name behind -e.
        name = self.name if not (root and self.editable) else ""
        if fragment or name:
            named = f"{name}{extras} @ " if name else ""
            place = f"//{root}/{self.path}".removesuffix("/.") if root else self.path
            return f"{named}file:{quote(place)}{fragment}"
        return f"{self.path if self.path == '.' else f'./{self.path}'}{extras}"

    def _checkout(self, extras: str) -> str:
        """An editable repository: not every pip reads a name in front of it."""
        raw = self.url.raw if self.url else ""
        if "egg=" in raw or not self.name:
            return raw
        return f"{raw}{'&' if '#' in raw else '#'}egg={self.name}{extras}"


class IndexUrl(Struct, frozen=True):
    """The URL of a package index and the line that names it."""

    url: Url
    origin: Origin


class FindLinks(Struct, frozen=True):
    """A page or folder with archives: `url`, or `path` relative to the project."""

    origin: Origin
    url: Url | None = None
    path: str = ""


class Options(Struct, frozen=True):
    """What the files say about finding packages; it holds for all their entries.

    no_binary, only_binary: normalised names, or `:all:`; sorted.
    all_releases, only_final: names whose pre-releases are admitted or refused, or `:all:`.
    """

    index_url: IndexUrl | None = None
    extra_index_urls: tuple[IndexUrl, ...] = ()
    no_index: bool = False
    find_links: tuple[FindLinks, ...] = ()
    no_binary: tuple[str, ...] = ()
    only_binary: tuple[str, ...] = ()
    all_releases: tuple[str, ...] = ()
    only_final: tuple[str, ...] = ()
    prefer_binary: bool = False
    pre: bool = False
    require_hashes: bool = False
    trusted_hosts: tuple[str, ...] = ()
    use_features: tuple[str, ...] = ()


class RequirementsFile(Struct, frozen=True):
    """A requirements file with all that it includes.

    entries, constraints: in the order in which pip reads them. files: paths relative to the
    project, the file itself first. warnings: what pip would pass over in silence.
    """

    entries: tuple[Entry, ...] = ()
    constraints: tuple[Entry, ...] = ()
    options: Options = field(default_factory=Options)
    files: tuple[str, ...] = ()
    warnings: tuple[Fault, ...] = ()


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
