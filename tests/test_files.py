"""Writing a file: whole or not at all, and nothing is left beside it for long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cogpack.files import home_folder, is_file, read_file, write_atomically
from cogpack.index.pipconf import read_pip
from cogpack.index.store import cache_folder


def test_what_a_killed_writer_left_goes_and_what_another_writes_now_stays(tmp_path: Path) -> None:
    path = tmp_path / "a[1].toml"
    left, fresh, foreign = (
        tmp_path / f".{name}.tmp" for name in ("a[1].toml.x", "a[1].toml.y", "b.x")
    )
    for one in (left, fresh, foreign):
        one.write_bytes(b"half")
    for one in (left, foreign):
        os.utime(one, (time.time() - 7200,) * 2)
    write_atomically(path, b"whole")
    assert sorted(one.name for one in tmp_path.iterdir()) == [fresh.name, foreign.name, path.name]
    assert path.read_bytes() == b"whole"


def test_the_mode_is_that_of_any_new_file_or_of_the_old_one(tmp_path: Path) -> None:
    path, other = tmp_path / "new", tmp_path / "other"
    write_atomically(path, b"1")
    other.write_bytes(b"1")
    assert path.stat().st_mode == other.stat().st_mode
    path.chmod(0o640)
    write_atomically(path, b"2")
    assert path.stat().st_mode & 0o777 == 0o640


def test_what_another_writer_renames_meanwhile_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.toml"
    gone = tmp_path / ".a.toml.x.tmp"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([gone]))
    write_atomically(path, b"whole")
    assert path.read_bytes() == b"whole"


def test_only_a_regular_file_of_a_bounded_size_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_file(path, 5) == b"12345"
    with pytest.raises(OSError, match="it is 5 bytes long; the limit is 4"):
        read_file(path, 4)
    os.truncate(path, 1 << 40)
    with pytest.raises(OSError, match="the limit is"):
        read_file(path)
    (tmp_path / "device").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    for name in ("device", "pipe"):
        with pytest.raises(OSError, match="it is no regular file"):
            read_file(tmp_path / name)
    with pytest.raises(IsADirectoryError):
        read_file(tmp_path)
    for name in ("nothing", "a\0b"):
        with pytest.raises(FileNotFoundError):
            read_file(tmp_path / name)
    assert not is_file(tmp_path / ("x" * 5000))


def test_a_user_without_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert home_folder({}) is None
    assert home_folder({"HOME": "/home/me"}) == Path("/home/me")
    assert cache_folder({}) is None
    assert cache_folder({"XDG_CACHE_HOME": "/c"}) == Path("/c/cogpack/index")
    assert not read_pip({}, system=Path("/nowhere"), prefix="/nowhere").settings
