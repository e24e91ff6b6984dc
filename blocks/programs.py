"""The system packages of programs that the project's own lines call.

Cog's images bring curl, git, compilers and more, and cog.yaml files count on it without listing
them in `system_packages`. Here an image gets such a program where a command or a requirement names
it, and no other image does.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from ..origin import Origin
from ..project import Project

__all__ = ["called", "needed_packages"]

# The programs of Cog's base images that images of Python do not have, and Debian's packages of
# them (Cog's list: pkg/dockerfile/base.go).
_PACKAGES = {
    "c++": "g++",
    "cc": "gcc",
    "cmake": "cmake",
    "curl": "curl",
    "ffmpeg": "ffmpeg",
    "ffprobe": "ffmpeg",
    "g++": "g++",
    "gcc": "gcc",
    "git": "git",
    "make": "make",
    "sox": "sox",
    "unzip": "unzip",
    "wget": "wget",
    "zip": "zip",
    "zstd": "zstd",
}

# After these a command follows.
_OPENING = frozenset(
    {"!", "do", "elif", "else", "env", "exec", "if", "sudo", "then", "time", "until", "while"}
    | {"xargs", "{"}
)

# These talk to servers, which they believe by this package alone.
_NETWORK = frozenset({"curl", "git", "wget"})

# Of a command with quotes: shlex takes a time that grows with the square of a word's length.
_MAX_QUOTED = 1 << 16

_PUNCTUATION = frozenset("();&|")
_SHELL_SCRIPT = frozenset({"-c", "-ec", "-ic", "-lc"})
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_GIT_URL = re.compile(r"(?:^|[\s@'\"])git\+\w+:")


def needed_packages(project: Project) -> tuple[tuple[str, Origin], ...]:
    """Debian's packages of the programs that commands and requirements call, with who does.

    Of a base of the user's own nothing is known: it may have them by other ways than apt's.
    """
    if project.base_image is not None:
        return ()
    found: dict[str, Origin] = {}
    for program, origin in _calls(project):
        if program in _PACKAGES:
            found.setdefault(_PACKAGES[program], origin)
    for program in sorted(_NETWORK & found.keys()):
        found.setdefault("ca-certificates", found[program])
    listed = {re.split("[:=/~]", package.name)[0] for package in project.system_packages}
    return tuple((name, origin) for name, origin in sorted(found.items()) if name not in listed)


def _calls(project: Project) -> Iterator[tuple[str, Origin]]:
    for step in (*project.pre_install, *project.run):
        for program in called(step.command):
            yield program, step.origin
        if _GIT_URL.search(step.command):
            yield "git", step.origin
    for url, origin in _repositories(project):
        if url.startswith("git+"):
            yield "git", origin


def _repositories(project: Project) -> Iterator[tuple[str, Origin]]:
    for entry in project.requirements.entries:
        if entry.kind == "vcs" and entry.url is not None:
            yield entry.url.raw, entry.origin


def called(command: str) -> Iterator[str]:
    """The programs that a shell command calls, as far as its text tells, without their folders."""
    separated = re.sub(r"(?<!\\)\n", " ; ", command).replace("`", " ; ")
    starts, script = True, False
    for word in _words(separated):
        if _PUNCTUATION.issuperset(word):
            starts, script = True, False
            continue
        if script or "$(" in word:
            yield from called(word if script else word.partition("$(")[2])
        script = not starts and word in _SHELL_SCRIPT
        if starts and not (word in _OPENING or word[0] == "-" or _ASSIGNMENT.match(word)):
            yield word.rpartition("/")[2]
            starts = False


def _words(command: str) -> list[str]:
    lexer = shlex.shlex(command, posix=True, punctuation_chars="();&|")
    lexer.commenters = ""
    try:
        return list(lexer) if len(command) <= _MAX_QUOTED else command.split()
    except ValueError:
        # An open quote, as in a here-document: what is left are the words.
        return command.split()
