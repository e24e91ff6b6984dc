"""Walking a folder, sending it, and receiving it again, without a daemon."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cogpack.errors import BuilderError, CogpackError, UserError
from cogpack.llb.client.filesync import CHUNK_BYTES, Packet, filesync_service, send
from cogpack.llb.client.receive import receive
from cogpack.llb.client.rpc_server import Messages
from cogpack.llb.client.walk import Tree, go_mode, posix_permissions
from cogpack.llb.proto import fsutil_pb2
from cogpack.patterns import PatternSet


def plant(root: Path, *paths: str) -> Path:
    """Make files; a path that ends in `/` is a folder."""
    for path in paths:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.endswith("/"):
            place.mkdir(exist_ok=True)
        else:
            place.write_text(path)
    return root


def walked(
    root: Path,
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    follow: tuple[str, ...] = (),
) -> list[str]:
    return [entry.path for entry in Tree(root, include, exclude, follow).walk()]


def test_the_order_of_the_receiver(tmp_path: Path) -> None:
    plant(tmp_path, "a/z", "a/é", "a/b/c", "a.txt", "a-b", "B", "é", "😀", "\uffee")
    assert walked(tmp_path) == [
        *("B", "a", "a/b", "a/b/c", "a/z", "a/é"),
        *("a-b", "a.txt", "é", "\uffee", "😀"),
    ]


def test_a_stat(tmp_path: Path) -> None:
    plant(tmp_path, "dir/", "file")
    (tmp_path / "file").chmod(0o6751)
    (tmp_path / "dir").chmod(0o1777)
    (tmp_path / "link").symlink_to("/far/away")
    os.utime(tmp_path / "file", ns=(5, 1_700_000_000_123_456_789))
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "socket"))
    folder, file, link = Tree(tmp_path).walk()
    assert (folder.mode, folder.size) == (1 << 31 | 1 << 20 | 0o777, 0)
    assert (file.mode, file.size) == (1 << 23 | 1 << 22 | 0o751, 4)
    assert file.modTime == 1_700_000_000_123_456_789
    assert (link.mode, link.linkname) == (1 << 27 | 0o777, "/far/away")
    assert {entry.uid for entry in (folder, file, link)} == {0}
    assert {entry.gid for entry in (folder, file, link)} == {0}


@given(st.integers(0, 0o7777))
def test_permissions_survive_the_wire(mode: int) -> None:
    assert posix_permissions(go_mode(stat.S_IFREG | mode)) == mode


def test_hard_links_of_what_is_sent(tmp_path: Path) -> None:
    plant(tmp_path, "a/first", "b/")
    (tmp_path / "b/second").hardlink_to(tmp_path / "a/first")
    (tmp_path / "c").hardlink_to(tmp_path / "a/first")
    links = {entry.path: entry.linkname for entry in Tree(tmp_path).walk() if entry.linkname}
    assert links == {"b/second": "a/first", "c": "a/first"}
    links = {
        entry.path: entry.linkname
        for entry in Tree(tmp_path, exclude=("a",)).walk()
        if entry.linkname
    }
    assert links == {"c": "b/second"}


def test_exceptions_bring_back_the_folders_they_need(tmp_path: Path) -> None:
    plant(tmp_path, "data/keep/x", "data/drop/y", "data/z", "src/m")
    assert walked(tmp_path, exclude=("data", "!data/keep/x")) == [
        *("data", "data/keep", "data/keep/x", "src", "src/m")
    ]
    assert walked(tmp_path, exclude=("data", "!data/none")) == ["src", "src/m"]


def test_includes(tmp_path: Path) -> None:
    plant(tmp_path, "src/app/m.py", "src/app/m.txt", "src/lib/n.py", "docs/d")
    assert walked(tmp_path, include=("src/app",)) == [
        *("src", "src/app", "src/app/m.py", "src/app/m.txt")
    ]
    assert walked(tmp_path, include=("**/*.py",), exclude=("**/n.*",)) == [
        *("src", "src/app", "src/app/m.py")
    ]


def test_followed_links(tmp_path: Path) -> None:
    plant(tmp_path, "real/deep/file", "real/other", "unrelated")
    (tmp_path / "one").symlink_to("real/deep")
    (tmp_path / "two").symlink_to("/real/other")
    (tmp_path / "loop").symlink_to("loop")
    assert walked(tmp_path, follow=("one/file",)) == [
        *("one", "real", "real/deep", "real/deep/file")
    ]
    assert walked(tmp_path, follow=("tw?",)) == ["real", "real/other", "two"]
    assert walked(tmp_path, follow=("loop",)) == ["loop"]
    assert "unrelated" in walked(tmp_path, follow=(".",))


def test_an_excluded_folder_need_not_be_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(tmp_path, "open/file", "closed/file")
    original = os.scandir

    def scan(path: Path) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return original(path)

    # Permissions do not hold back root, as whom these tests may run.
    monkeypatch.setattr(os, "scandir", scan)
    assert walked(tmp_path, exclude=("closed",)) == ["open", "open/file"]
    with pytest.raises(UserError, match="cannot read the folder `closed`"):
        walked(tmp_path)


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff")).touch()
    with pytest.raises(UserError, match=r"`bad\\xff` is not valid UTF-8"):
        walked(tmp_path)
    assert walked(tmp_path, exclude=("bad*",)) == []


NAMES = st.sampled_from(["a", "b", "c.md", "d"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
ATOMS = st.sampled_from(["a", "b", "*", "**", "?", "c.md", "*.md", "[a-b]"])
PATTERNS = st.lists(
    st.builds(
        str.__add__,
        st.sampled_from(["", "", "!"]),
        st.lists(ATOMS, min_size=1, max_size=3).map("/".join),
    ),
    max_size=4,
)


@given(st.lists(PATHS, max_size=12), PATTERNS)
def test_the_walk_agrees_with_the_patterns(paths: list[str], patterns: list[str]) -> None:
    """Skipping whole folders and passing flags down changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for path in paths:
            place = root / path
            if any((root / part).is_file() for part in Path(path).parents) or place.exists():
                continue
            plant(root, path)
        matcher = PatternSet(patterns)
        files = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
        expected = sorted(path for path in files if not matcher.covers(path))
        found = walked(root, exclude=tuple(patterns))
        assert sorted(path for path in found if path in files) == expected
        for path in found:
            parent = str(Path(path).parent)
            assert parent == "." or found.index(parent) < found.index(path)


class Mailbox:
    """The receiver's messages as a transfer in one thread sees them."""

    def __init__(self) -> None:
        self.messages: deque[bytes] = deque()

    def __next__(self) -> bytes:
        if not self.messages:
            raise StopIteration
        return self.messages.popleft()

    def waiting(self) -> bool:
        return bool(self.messages)


def transfer(source: Path, dest: Path) -> list[int]:
    """Send a folder and receive it; returns the sizes of the batches, in packets."""
    mailbox = Mailbox()
    arrived: deque[Packet] = deque()
    sizes = []
    sending = send(Tree(source), mailbox)

    def packets() -> Iterator[Packet]:
        while True:
            while not arrived:
                batch = next(sending, None)
                if batch is None:
                    return
                sizes.append(len(batch))
                arrived.extend(batch)
            yield arrived.popleft()

    for answers in receive(dest, packets()):
        mailbox.messages.extend(packet.SerializeToString() for packet in answers)
    return sizes


def test_a_round_trip(tmp_path: Path) -> None:
    source = plant(
        tmp_path / "source", "a/b/file", "empty-folder/", "x", *(f"n/{i}" for i in range(700))
    )
    (source / "big").write_bytes(os.urandom(3 * CHUNK_BYTES + 17))
    (source / "exact").write_bytes(bytes(CHUNK_BYTES))
    (source / "none").touch()
    (source / "link").symlink_to("nowhere")
    (source / "hard").hardlink_to(source / "big")
    (source / "a").chmod(0o555)
    (source / "x").chmod(0o400)
    dest = tmp_path / "dest"
    dest.mkdir()
    sizes = transfer(source, dest)
    assert len(sizes) < 60, "small packets travel together"
    for path in source.rglob("*"):
        twin = dest / path.relative_to(source)
        assert twin.lstat().st_mode == path.lstat().st_mode
        assert twin.lstat().st_mtime_ns == path.lstat().st_mtime_ns
        if path.is_file():
            assert twin.read_bytes() == path.read_bytes()
    assert (dest / "hard").samefile(dest / "big")
    (source / "a").chmod(0o755)
    (dest / "a").chmod(0o755)


class Asking(Mailbox):
    """Asks for one file, after something happened to it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.messages.append(Packet(type=Packet.PACKET_REQ, ID=number).SerializeToString())
        self.messages.append(Packet(type=Packet.PACKET_FIN).SerializeToString())


def contents(sending: Iterator[object]) -> bytes:
    packets = [packet for batch in sending for packet in batch]  # type: ignore[attr-defined]
    return b"".join(packet.data for packet in packets if packet.type == Packet.PACKET_DATA)


def test_files_that_change_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "file"

    def started() -> Iterator[object]:
        file.unlink(missing_ok=True)
        file.write_text("0123456789")
        sending = send(Tree(tmp_path), Asking(0))
        next(sending)
        return sending

    sending = started()
    file.write_text("0123456789 and more")
    assert contents(sending) == b"0123456789", "no more than was announced"
    sending = started()
    file.write_text("012")
    assert contents(sending) == b"012"
    sending = started()
    file.unlink()
    with pytest.raises(UserError, match="cannot read the file `file`"):
        contents(sending)
    sending = started()
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(UserError, match="changed its kind"):
        contents(sending)
    sending = started()
    file.unlink()
    file.symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="cannot read the file `file`"):
        contents(sending)


def test_requests_that_make_no_sense(tmp_path: Path) -> None:
    plant(tmp_path, "folder/")
    with pytest.raises(CogpackError, match="was not offered"):
        contents(send(Tree(tmp_path), Asking(0)))


def test_the_service_reads_the_calls_metadata(tmp_path: Path) -> None:
    plant(tmp_path, "é x", "b")
    serve = filesync_service({"context": tmp_path}).methods["DiffCopy"]

    class Finished(Asking, Messages):
        def __init__(self) -> None:
            Asking.__init__(self, 0)
            self.messages.popleft()

    def paths(**metadata: tuple[str, ...]) -> list[str]:
        headers = {name.replace("_", "-"): values for name, values in metadata.items()}
        batches = serve(headers, Finished())
        packets = [Packet.FromString(data) for batch in batches for data in batch]
        return [packet.stat.path for packet in packets if packet.HasField("stat")]

    assert paths(dir_name=("context",)) == ["b", "é x"]
    assert paths(
        dir_name=("context",), exclude_patterns=("%C3%A9+x",), exclude_patterns_encoded=("1",)
    ) == ["b"]
    assert paths(dir_name=("context",), include_patterns=("b", "c")) == ["b"]
    with pytest.raises(CogpackError, match="`other`, which was not offered"):
        paths(dir_name=("other",))
    with pytest.raises(UserError, match=r"`\[` has a malformed"):
        paths(dir_name=("context",), exclude_patterns=("[",))


def entry(path: str, mode: int = 0o644, link: str = "") -> Packet:
    return Packet(stat=fsutil_pb2.Stat(path=path, mode=mode, linkname=link))


FOLDER = 1 << 31 | 0o755
SYMLINK = 1 << 27 | 0o777


@pytest.mark.parametrize(
    "packets",
    [
        [entry("../out")],
        [entry("/etc/x")],
        [entry("..", FOLDER)],
        [entry("a/b")],
        [entry("")],
        [entry("a/", FOLDER)],
        [entry("a", SYMLINK, "/tmp"), entry("a/b")],  # noqa: S108
        [entry("a", FOLDER), entry("a/../../b")],
        [entry("a", link="/etc/passwd")],
        [entry("a", SYMLINK, "/etc/passwd"), entry("b", link="a")],
        [entry("a\0b")],
        [Packet(type=Packet.PACKET_DATA, ID=7, data=b"x")],
        [Packet(type=Packet.PACKET_ERR, data=b"it is broken")],
        [entry("a", FOLDER)],
    ],
)
def test_a_daemon_that_misbehaves_writes_nothing_elsewhere(
    tmp_path: Path, packets: list[Packet]
) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    with pytest.raises(BuilderError):
        list(receive(dest, iter(packets)))
    assert [path.name for path in tmp_path.iterdir()] == ["dest"]


def test_few_requests_are_under_way_at_a_time(tmp_path: Path) -> None:
    """More would block a sender whose call has ended (see receive.py)."""

    def packets() -> Iterator[Packet]:
        yield from (entry(f"{number:04}") for number in range(1000))
        yield Packet()

    asked: list[Packet] = []

    def collect() -> None:
        for batch in receive(tmp_path, packets()):
            asked.extend(batch)

    with pytest.raises(BuilderError, match="broke off"):
        collect()
    assert 50 < len(asked) <= 100
