"""System packages as they were on a day: the options and commands that make apt go back to it.

By itself apt (2.7 and newer) knows where the archives of Debian and Ubuntu keep their snapshots,
and reads of other archives' in their Release files. With a mirror of the user's, the sources are
written anew for one command, which any apt understands.
"""

from __future__ import annotations

from msgspec import Struct

from ..origin import Origin
from ..project import Project
from .layout import quoted

__all__ = ["AptSnapshot", "apt_snapshot"]

# In memory that is gone after the command.
_SOURCES = "/tmp/cogpack-apt-sources"  # noqa: S108  # a path in the image

_SOURCE_FILES = ("sources.list", "sources.list.d/*.list", "sources.list.d/*.sources")
_NO_SNAPSHOTS = (
    "this apt knows no snapshots, apt 2.7 and newer do: set cogpack.apt_snapshot_mirror, or take "
    "a newer base image"
)
_NONE_HAS = (
    "none of the package sources of the base image has snapshots that apt knows of: set "
    "cogpack.apt_snapshot_mirror"
)
_NOT_MOVED = "these sources of the base image have no path that a snapshot mirror could have:"


class AptSnapshot(Struct, frozen=True):
    """A day of the archives.

    timestamp: as apt writes it, `20261101T000000Z`. mirror: a URL with apt's own variables
    `@PATH@` and `@SNAPSHOTID@` (apt.conf(5), Acquire::Snapshots); empty for what apt knows.
    """

    timestamp: str
    mirror: str
    origin: Origin

    @property
    def options(self) -> tuple[str, ...]:
        """The options of every apt-get. A snapshot's Release file has long run out of time."""
        late = ("-o", "Acquire::Check-Valid-Until=false")
        if not self.mirror:
            return (*late, "-o", f"APT::Snapshot={self.timestamp}")
        lists = ("-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={_SOURCES}")
        return (*late, *lists)

    @property
    def commands(self) -> tuple[str, ...]:
        """The shell commands to run before the first apt-get."""
        if not self.mirror:
            known = "apt-config dump | grep -q '^Acquire::Snapshots::URI::'"
            return (f"{{ {known} || {{ echo {quoted([_NO_SNAPSHOTS])} >&2; exit 1; }}; }}",)
        prefix = self.mirror.partition("@")[0]
        files = " ".join(f"/etc/apt/{name}" for name in _SOURCE_FILES)
        left = f"grep -hv '^[[:space:]]*#' {_SOURCES}/* | grep :// | grep -vF {quoted([prefix])}"
        told = f"{{ echo {quoted([_NOT_MOVED])}; {left}; }} >&2"
        edit = f'sed -E {quoted([self.edit])} "$file" > "{_SOURCES}/${{file##*/}}"'
        return (
            f"mkdir {_SOURCES}",
            f'for file in {files}; do if test -f "$file"; then {edit}; fi; done',
            f"if {left} > /dev/null; then {told}; exit 1; fi",
        )

    def updated(self, update: str) -> tuple[str, ...]:
        """The shell commands that fetch the lists of the day. update: the one that fetches lists.

        What a Release file says of snapshots counts from the second update on.
        """
        if self.mirror:
            return (update,)
        there = f"ls /var/lib/apt/lists | grep -q {self.timestamp}"
        return (
            update,
            update,
            f"{{ {there} || {{ echo {quoted([_NONE_HAS])} >&2; exit 1; }}; }}",
        )

    @property
    def edit(self) -> str:
        """A command of sed that puts the mirror in place of every URI outside of comments."""
        safe = self.mirror.replace("\\", "\\\\").replace("&", "\\&").replace("|", "\\|")
        place = safe.replace("@PATH@", "\\1").replace("@SNAPSHOTID@", self.timestamp)
        uri = "[a-z+]+://[^/[:space:]]+/([^[:space:]]*[^/[:space:]])/?"
        return f"/^[[:space:]]*#/!s|{uri}|{place}|g"


def apt_snapshot(project: Project) -> AptSnapshot | None:
    """The day that a project takes its system packages from; None for the newest ones."""
    config = project.config
    if config is None or config.cogpack.apt_snapshot is None:
        return None
    return AptSnapshot(
        config.cogpack.apt_snapshot,
        config.cogpack.apt_snapshot_mirror or "",
        config.origin("cogpack.apt_snapshot"),
    )
