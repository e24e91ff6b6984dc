"""Folders sent to a real daemon: what arrives, what is sent again, what patterns leave out."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.llb import client as bk
from cogpack.llb.client import filesync
from cogpack.llb.client.walk import Tree
from cogpack.llb.graph import Bind, CopyFiles, File, Local
from support.client_builds import define, fresh, run


def copied(source: Local, exclude: tuple[str, ...] = ()) -> File:
    """The files of a local source, alone in a file system."""
    return File(None, (CopyFiles(source, "/", "/", exclude=exclude),))


def sync(
    client: bk.Client,
    folder: Path,
    dest: Path,
    *,
    exclude: tuple[str, ...] = (),
    daemon_side: bool = False,
) -> None:
    """Send a folder and take it back as files; the exclusion happens here or in the daemon."""
    session = bk.new_session_id()
    if daemon_side:
        vertex = copied(Local("context", session=session), exclude)
    else:
        vertex = copied(Local("context", exclude=exclude, session=session))
    options = bk.SolveOptions(
        folders={"context": folder},
        session_id=session,
        exports=(bk.Export("local", dest=str(dest)),),
    )
    client.solve(define(vertex), options)


def listing(root: Path) -> list[tuple[str, int, int, str]]:
    """Each entry of a tree: path, mode, mtime, and the link's target or the content's hash."""
    found = []
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        if path.is_symlink():
            content = str(path.readlink())
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            content = ""
        when = 0 if path.is_dir() else status.st_mtime_ns
        found.append((str(path.relative_to(root)), status.st_mode, when, content))
    return found


def test_sync_of_ten_thousand_files_and_again(
    client: bk.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tmp_path / "context"
    for number in range(10_000):
        path = context / f"{number % 100:02}" / f"{number}.txt"
        if number < 100:
            path.parent.mkdir(parents=True)
        path.write_text(f"{number}\n")
    stamp = fresh()
    opened: list[str] = []
    original = filesync._open

    def counting(tree: Tree, path: str) -> int:
        opened.append(path)
        return original(tree, path)

    monkeypatch.setattr(filesync, "_open", counting)

    def count() -> tuple[int, list[str]]:
        opened.clear()
        session = bk.new_session_id()
        events: list[bk.Event] = []
        mount = Bind(Local("context", session=session), "/", "/context")
        client.solve(
            define(run("find /context -type f | wc -l", mount, stamp=stamp)),
            bk.SolveOptions(folders={"context": context}, session_id=session),
            events.append,
        )
        lines = [event.text.strip() for event in events if isinstance(event, bk.Log)]
        return len(opened), lines

    assert count() == (10_000, ["10000"])
    assert count() == (0, []), "nothing changed, so nothing is sent and the command is cached"
    (context / "07" / "7.txt").write_text("another content\n")
    assert count() == (1, ["10000"])
    (context / "08" / "8.txt").unlink()
    assert count() == (0, ["9999"])


def test_a_tree_comes_back_as_it_was(client: bk.Client, tmp_path: Path) -> None:
    context = tmp_path / "context"
    (context / "a" / "deep").mkdir(parents=True)
    (context / "a.txt").write_text("sorts after the folder a, before a/deep in bytes")
    (context / "a-b").write_text("-")
    (context / "empty").touch()
    (context / "a" / "big").write_bytes(os.urandom(3_000_000))
    (context / "a" / "script").write_text("#!/bin/sh\n")
    (context / "a" / "script").chmod(0o755)
    (context / "private").write_text("x")
    (context / "private").chmod(0o600)
    (context / "setuid").write_text("x")
    (context / "setuid").chmod(0o4755)
    (context / "ünï côdé").write_text("x")
    (context / "link").symlink_to("a/big")
    (context / "outside").symlink_to("/etc/passwd")
    (context / "up").symlink_to("../../..")
    (context / "dangling").symlink_to("nowhere")
    (context / "hard").hardlink_to(context / "a" / "script")
    (context / "pipe").mkdir()
    os.mkfifo(context / "pipe" / "fifo")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(context / "socket"))
    os.utime(context / "a.txt", ns=(1, 1_234_567_890_000_000_000))
    sync(client, context, tmp_path / "back")
    expected = [entry for entry in listing(context) if entry[0] != "socket"]
    assert listing(tmp_path / "back") == expected
    assert (tmp_path / "back" / "hard").samefile(tmp_path / "back" / "a" / "script")


@pytest.mark.parametrize(
    "exclude",
    [
        ("*.txt",),
        ("**/*.txt", "!a/keep.txt"),
        ("*", "!a"),
        ("a", "!a/b/c"),
        ("a/b", "!a/b/c/*.md"),
        ("a/*", "!a/b", "a/b/c"),
        ("**", "!**/c/*.md"),
        ("a/**",),
        ("**/c", "!**/x.md"),
        ("?", "!b"),
        ("[a-b]/*.txt",),
        ("a/b/../b/", "!a/b/y.txt"),
        ("**b",),
        ("a/b/c", "!a", "a/b/c/x.md"),
    ],
)
def test_patterns_mean_what_they_mean_to_the_daemon(
    client: bk.Client, tmp_path: Path, exclude: tuple[str, ...]
) -> None:
    context = tmp_path / "context"
    for folder in ("", "a", "a/b", "a/b/c", "b", "b/c"):
        (context / folder).mkdir(parents=True, exist_ok=True)
        for name in ("x.md", "y.txt", "keep.txt", "ab"):
            (context / folder / name).write_text(folder + name)
    sync(client, context, tmp_path / "ours", exclude=exclude)
    sync(client, context, tmp_path / "theirs", exclude=exclude, daemon_side=True)
    files = [entry for entry in listing(tmp_path / "ours") if entry[3]]
    assert files == [entry for entry in listing(tmp_path / "theirs") if entry[3]]


def test_a_file_that_cannot_be_read_is_named(
    client: bk.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "secret.key").write_text("x")

    def refuse(tree: Tree, path: str) -> int:
        raise PermissionError(13, "Permission denied", path)

    # Permissions do not hold back root, as whom these tests may run.
    monkeypatch.setattr(filesync, "_open", refuse)
    with pytest.raises(UserError, match=r"cannot read the file `secret\.key`"):
        sync(client, context, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_folder_that_does_not_exist(client: bk.Client, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        sync(client, tmp_path / "nowhere", tmp_path / "back")
