"""Joined scripts behave like the commands and file actions that they stand for, in a real shell."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cogpack.llb import script
from cogpack.llb.script import Command
from cogpack.plan.model import (
    BindMount,
    CacheMount,
    Exec,
    MkDir,
    Mount,
    Remove,
    ScratchInput,
    SecretMount,
    Symlink,
    TmpfsMount,
)


def command(text: str, cwd: str = "/", *mounts: Mount, **env: str) -> Command:
    return Command(Exec(command=text, mounts=tuple(mounts)), env, cwd)


def joined(*steps: Command | str) -> script.Joined:
    result = script.join(steps, {})
    assert result is not None
    return result


def run(text: str, **env: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], **env}
    return subprocess.run(
        [*script.SHELL, text], env=environ, capture_output=True, text=True, check=False
    )


def test_one_command_is_left_as_it_is() -> None:
    one = command("exit 3", "/w", A="1")
    assert joined(one) == script.Joined("exit 3", {"A": "1"}, "/w", (), "default")


def test_each_command_has_its_own_env_and_working_directory(tmp_path: Path) -> None:
    value = 'it\'s $HOME "x"\nnew line'
    both = joined(
        command(
            f'printf "%s" "$OWN" > {tmp_path}/one; OWN=lost; cd /', f"{tmp_path}/a b", OWN=value
        ),
        command(f'echo "[$OWN]" "$ALL" "$PWD" > {tmp_path}/two', f"{tmp_path}/new/dir", ALL="x"),
    )
    assert both.cwd == f"{tmp_path}/a b"
    assert run(both.script, **both.env).returncode == 0
    assert (tmp_path / "one").read_text() == value
    assert (tmp_path / "two").read_text() == f"[] x {tmp_path}/new/dir\n"


def test_what_all_commands_share_is_the_environment_of_the_process() -> None:
    both = joined(command("a", PATH="/bin", X="1", Y="1"), command("b", PATH="/bin", X="2", Y="1"))
    assert list(both.env.items()) == [("PATH", "/bin"), ("Y", "1")]


def test_a_failure_ends_it_and_a_command_can_only_end_itself(tmp_path: Path) -> None:
    log = tmp_path / "log"
    result = run(
        joined(
            command(f"echo 1 >> {log}; exit 0"),
            command(f"false; echo 2 >> {log}"),
            command(f"echo 3 >> {log}; exit 7"),
            command(f"echo 4 >> {log}"),
        ).script
    )
    assert result.returncode == 7
    assert log.read_text() == "1\n2\n3\n"


@pytest.mark.parametrize("text", ["(", "cat <<X\nhello", "echo '", "# only a comment", "if true"])
def test_a_broken_command_cannot_leak_into_the_next(text: str, tmp_path: Path) -> None:
    alone = run(text).returncode
    result = run(joined(command(text), command(f"touch {tmp_path}/after")).script)
    assert result.returncode == alone
    assert (tmp_path / "after").exists() == (alone == 0)


CACHE = CacheMount(id="c", target="/cache")
SECRET = SecretMount(id="s", target="/run/s")


def test_mounts_are_united() -> None:
    bind = BindMount(source=ScratchInput(), target="/bound")
    assert joined(command("a", "/", CACHE, bind), command("b", "/", CACHE)).mounts == (CACHE, bind)
    assert joined(command("a", "/", SECRET), command("b", "/", SECRET)).mounts == (SECRET,)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (command("a", "/", CACHE), command("b", "/", TmpfsMount(target="/cache"))),
        (command("a", "/", CACHE), command("b", "/", TmpfsMount(target="/cache/inner"))),
        (command("a", "/", CACHE, TmpfsMount(target="/cache/in")), command("b", "/", CACHE)),
        (command("a", "/", SECRET), command("b")),
        (command("a", "/", SecretMount(id="s", env="TOKEN")), command("b")),
        (command("a", **{"not.a.name": "1"}), command("b")),
        (command("a"), Command(Exec(command="b", network="none"), {}, "/")),
        (command("a"), command("x" * 140_000)),
    ],
)
def test_commands_that_need_processes_of_their_own(first: Command, second: Command) -> None:
    assert script.join([first, second], {}) is None
    assert script.join([second, first], {}) is None
    assert script.join([first], {}) is not None


def test_a_reserved_path_is_kept_free_of_mounts() -> None:
    inner = TmpfsMount(target="/files/x")
    assert script.join([command("a", "/", inner), "true"], {}, reserved="/files") is None


def test_lines_without_a_command_need_no_network() -> None:
    result = script.join(["true", "false"], {"A": "1"})
    assert result is not None
    assert (result.network, result.env, result.cwd) == ("none", {"A": "1"}, "/")
    assert run(result.script).returncode == 1


def lines(*parts: str) -> subprocess.CompletedProcess[str]:
    result = script.join(["true", *parts], {})
    assert result is not None
    return run(result.script)


def test_folders_are_made_with_their_parents_and_left_alone_when_there(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir(mode=0o700)
    path = tmp_path / "there" / "a b" / "c"
    owner = f"{os.getuid()}:{os.getgid()}"
    assert lines(script.make_folder(MkDir(path=str(path), mode=0o711, owner=owner))).returncode == 0
    modes = [(path.parents[n] if n >= 0 else path).stat().st_mode & 0o777 for n in (1, 0, -1)]
    assert modes == [0o700, 0o711, 0o711]


def test_removing_takes_links_and_folders_and_does_not_mind_nothing(tmp_path: Path) -> None:
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "l").symlink_to("d")
    paths = [str(tmp_path / name) for name in ("l", "nothing", "d/e")]
    assert lines(*(script.remove(Remove(path=path)) for path in paths)).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_a_link_does_not_replace(tmp_path: Path) -> None:
    link = Symlink(target="it's", path=f"{tmp_path}/l")
    assert lines(script.symlink(link)).returncode == 0
    assert (tmp_path / "l").readlink() == Path("it's")
    again = lines(script.symlink(link), f"touch {tmp_path}/after")
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert not (tmp_path / "after").exists()


def test_writing_replaces_a_file_with_its_mode_and_not_a_folder(tmp_path: Path) -> None:
    new, old, folder = tmp_path / "new", tmp_path / "old", tmp_path / "d"
    new.write_text("new")
    new.chmod(0o640)
    old.write_text("old")
    folder.mkdir()
    assert lines(script.write(str(new), str(old))).returncode == 0
    assert old.read_text() == "new"
    assert old.stat().st_mode & 0o777 == 0o640
    refused = lines(script.write(str(new), str(folder)), f"touch {tmp_path}/after")
    assert refused.returncode == 1
    assert not list(folder.iterdir())
    assert not (tmp_path / "after").exists()


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    source = tmp_path / "staged"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "f").write_text("f")
    (source / "sub").chmod(0o750)
    (source / ".hidden").write_text("h")
    (source / "..odd").write_text("o")
    (source / "l").symlink_to("nowhere")
    source.chmod(0o700)
    return source


def test_a_folders_contents_are_placed_and_the_folder_keeps_its_mode(
    staged: Path, tmp_path: Path
) -> None:
    dest = tmp_path / "there"
    (dest / "sub").mkdir(parents=True)
    (dest / "sub" / "kept").write_text("k")
    dest.chmod(0o755)
    assert lines(script.place(str(staged), str(dest), "staged")).returncode == 0
    found = sorted(str(path.relative_to(dest)) for path in dest.rglob("*"))
    assert found == ["..odd", ".hidden", "l", "sub", "sub/f", "sub/kept"]
    assert (dest / "l").readlink() == Path("nowhere")
    assert [p.stat().st_mode & 0o777 for p in (dest, dest / "sub")] == [0o755, 0o750]


def test_an_empty_folder_is_placed_too(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    dest = tmp_path / "a" / "b"
    assert lines(script.place(f"{tmp_path}/empty", f"{dest}", "empty")).returncode == 0
    assert list(dest.iterdir()) == []


@pytest.mark.parametrize(
    ("dest", "expected"), [("new/name", "new/name"), ("new/", "new/f"), ("there", "there/f")]
)
def test_a_file_is_placed_under_the_name_that_is_meant(
    dest: str, expected: str, tmp_path: Path
) -> None:
    (tmp_path / "0").write_text("f")
    (tmp_path / "there").mkdir()
    assert lines(script.place(f"{tmp_path}/0", f"{tmp_path}/{dest}", "f")).returncode == 0
    assert (tmp_path / expected).read_text() == "f"


def test_a_file_takes_the_place_of_a_link_and_leaves_what_it_pointed_to(tmp_path: Path) -> None:
    (tmp_path / "0").write_text("new")
    (tmp_path / "pointed").write_text("old")
    (tmp_path / "l").symlink_to("pointed")
    assert lines(script.place(f"{tmp_path}/0", f"{tmp_path}/l", "f")).returncode == 0
    assert not (tmp_path / "l").is_symlink()
    assert (tmp_path / "pointed").read_text() == "old"
