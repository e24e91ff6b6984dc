"""Writing a file: whole or not at all, and nothing is left beside it for long."""

from __future__ import annotations

import os
import time
from pathlib import Path

from cogpack.files import write_atomically


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
