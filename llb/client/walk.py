"""Walking a folder of the user's: which entries a transfer has, in which order, with what stat.

The order is the one that BuildKit's receiver demands (tonistiigi/fsutil validator.go): a folder
before its contents, names in a folder by their UTF-8 bytes. Owners are root, so that the same
project gives the same layer on every machine; extended attributes are left out for the same
reason. Symbolic links are sent as links, wherever they point; sockets are left out.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from ...errors import Fault, UserError
from ...patterns import Flags, PatternSet
from ..proto import fsutil_pb2

__all__ = ["Tree", "go_mode", "posix_permissions", "unreadable"]

# The bits of Go's os.FileMode (https://pkg.go.dev/io/fs#FileMode), in which the wire has modes.
GO_DIR = 1 << 31
GO_SYMLINK = 1 << 27
GO_DEVICE = 1 << 26
GO_NAMED_PIPE = 1 << 25
GO_SETUID = 1 << 23
GO_SETGID = 1 << 22
GO_CHAR_DEVICE = 1 << 21
GO_STICKY = 1 << 20
GO_TYPE = GO_DIR | GO_SYMLINK | GO_DEVICE | GO_NAMED_PIPE | GO_CHAR_DEVICE

_GO_TYPES = {
    stat.S_IFREG: 0,
    stat.S_IFDIR: GO_DIR,
    stat.S_IFLNK: GO_SYMLINK,
    stat.S_IFIFO: GO_NAMED_PIPE,
    stat.S_IFBLK: GO_DEVICE,
    stat.S_IFCHR: GO_DEVICE | GO_CHAR_DEVICE,
}

# As many links as Linux follows before it reports a loop (path_resolution(7)).
_MOST_LINKS = 40


def go_mode(mode: int) -> int:
    """A POSIX `st_mode` as Go writes it; `st_mode` must not be a socket's."""
    special = (
        (GO_SETUID if mode & stat.S_ISUID else 0)
        | (GO_SETGID if mode & stat.S_ISGID else 0)
        | (GO_STICKY if mode & stat.S_ISVTX else 0)
    )
    return _GO_TYPES[stat.S_IFMT(mode)] | special | (mode & 0o777)


def posix_permissions(mode: int) -> int:
    """The permission bits of a Go mode as chmod(2) takes them."""
    return (
        (mode & 0o777)
        | (stat.S_ISUID if mode & GO_SETUID else 0)
        | (stat.S_ISGID if mode & GO_SETGID else 0)
        | (stat.S_ISVTX if mode & GO_STICKY else 0)
    )


def _plain(mode: int) -> int:
    """The kind of a file with the permissions of git: 0755 for folders and programs, else 0644."""
    if stat.S_ISLNK(mode):
        return mode
    return stat.S_IFMT(mode) | (0o755 if stat.S_ISDIR(mode) or mode & stat.S_IXUSR else 0o644)


@dataclass
class _Folder:
    """A folder whose entries are being walked."""

    entries: Iterator[os.DirEntry[str]]
    prefix: str = ""
    entry: os.DirEntry[str] | None = None
    sent: bool = True
    includes: Flags = ()
    excludes: Flags = ()


@dataclass(frozen=True)
class Tree:
    """What is to be sent of a folder.

    root: the folder. include, exclude: patterns as in .dockerignore; no include means all.
    follow: paths, with wildcards, that are included together with what their links point to.
    plain_modes: say of permissions only what git keeps, whether a file can be run: the rest is the
    umask of whoever made it, and what a private umask hides, others in an image could not read.

    Raises PatternError when a pattern is malformed.
    """

    root: Path
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    follow: tuple[str, ...] = ()
    plain_modes: bool = False
    _includes: PatternSet = field(init=False, repr=False, compare=False)
    _excludes: PatternSet = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        followed = _follow(self.root, self.follow) if self.follow else ()
        # Following the root itself adds nothing to the includes, as in fsutil.
        extra = () if "." in followed else followed
        object.__setattr__(self, "_includes", PatternSet((*self.include, *extra)))
        object.__setattr__(self, "_excludes", PatternSet(self.exclude))

    def walk(self) -> Iterator[fsutil_pb2.Stat]:
        """The entries to send, in order.

        Raises UserError when a folder cannot be read or a name is not valid UTF-8.
        """
        links: dict[tuple[int, int], str] = {}
        stack = [_Folder(self._scan(self.root, ""))]
        while stack:
            folder = stack[-1]
            entry = next(folder.entries, None)
            if entry is None:
                stack.pop()
                continue
            path = folder.prefix + entry.name
            skip, child = self._judge(folder, entry, path)
            if not skip and _is_sendable(entry):
                yield from self._owed(stack, links)
                yield self._stat(entry, path, links)
                if child is not None:
                    child.sent = True
            if child is not None:
                child.entries = self._scan(Path(entry.path), path)
                stack.append(child)

    def _judge(
        self, folder: _Folder, entry: os.DirEntry[str], path: str
    ) -> tuple[bool, _Folder | None]:
        """Whether an entry is left out, and the folder to walk into, if it is one worth it."""
        is_folder = entry.is_dir(follow_symlinks=False)
        skip, descend = False, is_folder
        included, excluded = Flags(), Flags()
        if self._includes:
            matched, included = self._includes.match(path, folder.includes)
            if not matched:
                skip = True
                descend = descend and self._includes.may_match_below(path)
        if self._excludes and (descend or not skip):
            matched, excluded = self._excludes.match(path, folder.excludes)
            if matched:
                skip = True
                descend = descend and self._excludes.may_except_below(path)
        if not descend:
            return skip, None
        return skip, _Folder(iter(()), f"{path}/", entry, False, included, excluded)

    def _owed(
        self, stack: list[_Folder], links: dict[tuple[int, int], str]
    ) -> Iterator[fsutil_pb2.Stat]:
        """The folders above an entry that were left out by themselves: now they are needed."""
        for folder in stack:
            if not folder.sent and folder.entry is not None:
                folder.sent = True
                yield self._stat(folder.entry, folder.prefix.removesuffix("/"), links)

    def _scan(self, folder: Path, path: str) -> Iterator[os.DirEntry[str]]:
        """The entries of a folder by name: in str as in UTF-8 that is the order of code points."""
        try:
            with os.scandir(folder) as entries:
                return iter(sorted(entries, key=lambda entry: entry.name))
        except FileNotFoundError:
            if path:
                return iter(())
            raise UserError(f"the folder {folder} does not exist") from None
        except OSError as error:
            raise self._unreadable(path or str(folder), "folder", error) from None

    def _stat(
        self, entry: os.DirEntry[str], path: str, links: dict[tuple[int, int], str]
    ) -> fsutil_pb2.Stat:
        try:
            path.encode()
        except UnicodeEncodeError:
            shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            raise UserError(
                f"the name of the file `{shown}` is not valid UTF-8, and BuildKit takes no other",
                hint="rename it, or exclude it in .dockerignore",
            ) from None
        try:
            status = entry.stat(follow_symlinks=False)
            target = str(Path(entry.path).readlink()) if stat.S_ISLNK(status.st_mode) else ""
        except OSError as error:
            raise self._unreadable(path, "file", error) from None
        packet = fsutil_pb2.Stat(
            path=path,
            mode=go_mode(_plain(status.st_mode) if self.plain_modes else status.st_mode),
            modTime=status.st_mtime_ns,
            linkname=target,
        )
        if not stat.S_ISDIR(status.st_mode):
            packet.size = status.st_size
        if stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
            packet.devmajor, packet.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
            first = links.setdefault((status.st_dev, status.st_ino), path)
            if first != path:
                packet.linkname, packet.size = first, 0
        return packet

    def _unreadable(self, path: str, kind: str, error: OSError) -> UserError:
        return unreadable(self.root, path, kind, error)


def unreadable(root: Path, path: str, kind: str, error: OSError) -> UserError:
    """The failure for something in a context that cannot be read."""
    return UserError(
        Fault(
            f"cannot read the {kind} `{path}` of {root}: {error.strerror}",
            hint="make it readable, or exclude it in .dockerignore when the image needs it not",
        )
    )


def _is_sendable(entry: os.DirEntry[str]) -> bool:
    if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False):
        return True
    try:
        return not stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _follow(root: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """The paths, and what lies behind the links on their way; `.` stands for everything.

    A link that leaves the root is followed as if the root were `/`, as BuildKit does.
    """
    found: set[str] = set()
    pending = [(path, 0) for path in paths]
    while pending:
        path, links = pending.pop()
        done: list[str] = []
        parts = [part for part in posixpath.normpath(f"/{path}").split("/") if part]
        for index, part in enumerate(parts):
            done.append(part)
            targets = _targets(root, done)
            if targets and links < _MOST_LINKS:
                rest = "/".join(parts[index + 1 :])
                pending.extend((posixpath.join(target, rest), links + 1) for target in targets)
                found.add("/".join(done))
                break
        else:
            found.add("/".join(done) or ".")
    return tuple(sorted(found))


def _targets(root: Path, parts: list[str]) -> list[str]:
    """Where the links lead that the last of the parts names, wildcards considered."""
    parent, name = root.joinpath(*parts[:-1]), parts[-1]
    names = [name]
    if any(char in name for char in "*?["):
        try:
            names = sorted(path.name for path in parent.iterdir() if fnmatchcase(path.name, name))
        except OSError:
            return []
    targets = []
    for name in names:
        try:
            target = str((parent / name).readlink())
        except OSError:
            continue
        targets.append(posixpath.join("/", *parts[:-1], target))
    return targets
