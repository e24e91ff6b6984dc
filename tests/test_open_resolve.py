"""The open world against a local index: the same answers as uv and pip where those agree."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.version import Version

from cogpack.errors import UserError
from cogpack.index import File, IndexSet
from cogpack.project.stated import Stated
from cogpack.solver.loop_report import oddities, rare_collections
from cogpack.solver.open_catalog import limitations
from cogpack.solver.open_model import OpenOptions
from cogpack.solver.open_resolve import (
    Lacking,
    Missing,
    OpenFailure,
    OpenSolution,
    resolve_open,
)
from support.index_server import Dist, serve
from support.open_world import (
    asks,
    catalog,
    pip_report,
    resolved,
    target,
    uv_compile,
    versions,
)

World = dict[str, list[Dist]]

STATED = "what it needs was taken from tool.uv.dependency-metadata of pyproject.toml"
FOREIGN = "Metadata-Version: 2.1\nName: b\nVersion: 9\n\n"


def chain(name: str, count: int, *requires: str) -> list[Dist]:
    """Releases 1 to count; `{}` in a requirement stands for the release's number."""
    return [Dist(f"{n}.0", tuple(line.format(n) for line in requires)) for n in range(1, count + 1)]


WORLDS: dict[str, tuple[World, tuple[str, ...], tuple[str, ...]]] = {
    "plain": ({"a": [Dist("1.0", ("b>=1",))], "b": [Dist("1.0"), Dist("2.0")]}, ("a",), ()),
    "diamond": (
        {
            "a": [Dist("1.0", ("c<2",))],
            "b": [Dist("1.0", ("c>=1",))],
            "c": [Dist("1.0"), Dist("1.5"), Dist("2.0")],
        },
        ("a", "b"),
        (),
    ),
    "cycle": ({"a": [Dist("1.0", ("b",))], "b": [Dist("1.0", ("a>=1",))]}, ("a",), ()),
    "backtracks over one": (
        {
            "a": [Dist("1.0", ("c==1",)), Dist("2.0", ("c==2",))],
            "b": [Dist("1.0", ("c==1",))],
            "c": [Dist("1"), Dist("2")],
        },
        ("a", "b"),
        (),
    ),
    "backtracks deep": (
        {
            "top": [Dist("1.0", ("a", "z==1.0"))],
            "a": chain("a", 30, "b=={}.0"),
            "b": chain("b", 30, "c=={}.0"),
            "c": chain("c", 30, "z<{}"),
            "z": [Dist("1.0"), Dist("2.0")],
        },
        ("top", "c<4"),
        (),
    ),
    "no way out": (
        {"a": [Dist("1.0", ("c<2",))], "b": [Dist("1.0", ("c>=2",))], "c": chain("c", 3)},
        ("a", "b"),
        (),
    ),
    "unknown package": ({"a": [Dist("1.0", ("nowhere",))]}, ("a",), ()),
    "unknown in the newest only": (
        {"a": [Dist("1.0"), Dist("2.0", ("nowhere",))]},
        ("a",),
        (),
    ),
    "extra": (
        {
            "a": [
                Dist("1.0", ("b; extra == 'more'", "c"), extras=("more",)),
                Dist("0.9"),
            ],
            "b": [Dist("1.0")],
            "c": [Dist("1.0")],
        },
        ("a[more]",),
        (),
    ),
    "extra of itself": (
        {
            "a": [
                Dist(
                    "1.0",
                    ("b; extra == 'one'", "a[one]; extra == 'all'"),
                    extras=("one", "all"),
                )
            ],
            "b": [Dist("1.0")],
        },
        ("a[all]",),
        (),
    ),
    "extra ties the base": (
        {
            "a": [
                Dist("1.0", ("b; extra == 'x'",), extras=("x",)),
                Dist("2.0", ("b>=2; extra == 'x'",), extras=("x",)),
            ],
            "b": [Dist("1.0")],
        },
        ("a[x]",),
        (),
    ),
    "yanked is passed over": (
        {"a": [Dist("1.0"), Dist("2.0", yanked="broken")]},
        ("a",),
        (),
    ),
    "yanked but pinned": ({"a": [Dist("1.0"), Dist("2.0", yanked="broken")]}, ("a==2.0",), ()),
    "pre-release is passed over": ({"a": [Dist("1.0"), Dist("2.0rc1")]}, ("a",), ()),
    "pre-release asked for": ({"a": [Dist("1.0"), Dist("2.0rc1")]}, ("a>=2.0rc1",), ()),
    "only pre-releases": ({"a": [Dist("1.0a1"), Dist("1.0b1")]}, ("a",), ()),
    "another Python": (
        {"a": [Dist("1.0"), Dist("2.0", requires_python=">=3.99")]},
        ("a",),
        (),
    ),
    "another Python in a dependency": (
        {
            "a": [Dist("1.0"), Dist("2.0", ("b",))],
            "b": [Dist("1.0", requires_python=">=3.99")],
        },
        ("a",),
        (),
    ),
    "another platform": (
        {"a": [Dist("1.0"), Dist("2.0", tag="py3-none-win_amd64")]},
        ("a",),
        (),
    ),
    "newer glibc": (
        {"a": [Dist("1.0"), Dist("2.0", tag="py3-none-manylinux_2_99_x86_64")]},
        ("a",),
        (),
    ),
    "marker": (
        {
            "a": [Dist("1.0", ("b; sys_platform == 'win32'", "c; python_version >= '3.8'"))],
            "b": [Dist("1.0")],
            "c": [Dist("1.0")],
        },
        ("a",),
        (),
    ),
    "marker on a line": (
        {"a": [Dist("1.0")], "b": [Dist("1.0")]},
        ("a", "b; sys_platform == 'darwin'"),
        (),
    ),
    "constraint": (
        {"a": [Dist("1.0", ("b",))], "b": chain("b", 5), "c": chain("c", 2)},
        ("a",),
        ("b<3", "c==1.0"),
    ),
    "constraint bars all": ({"a": [Dist("1.0", ("b",))], "b": chain("b", 2)}, ("a",), ("b>9",)),
    "post and local": (
        {"a": [Dist("1.0"), Dist("1.0.post1"), Dist("1.0+cpu")]},
        ("a==1.0.*",),
        (),
    ),
    "compatible release": ({"a": [Dist("1.4"), Dist("1.9"), Dist("2.0")]}, ("a~=1.4",), ()),
    "excluded": ({"a": [Dist("1.0"), Dist("2.0")]}, ("a!=2.0",), ()),
    "spelling": (
        {"My.Package": [Dist("1.0", ("Other_One",))], "other-one": [Dist("1.0")]},
        ("my_package",),
        (),
    ),
    "wrong metadata in the newest": (
        {"a": [Dist("1.0"), Dist("2.0", metadata=FOREIGN)]},
        ("a",),
        (),
    ),
    "two towers": (
        {
            "a": chain("a", 12, "shared=={}.0"),
            "b": [Dist(f"{n}.0", (f"shared=={13 - n}.0",)) for n in range(1, 13)],
            "shared": chain("shared", 12),
        },
        ("a", "b"),
        (),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WORLDS)
def test_answers_equal_those_of_uv_and_pip_where_they_agree(name: str, tmp_path: Path) -> None:
    world, lines, constraints = WORLDS[name]
    with serve(world) as server:
        ours = versions(resolved(server, *lines, constraints=constraints))
        uv = uv_compile(server, tmp_path, *lines, constraints=constraints)
        pip = pip_report(server, tmp_path, *lines, constraints=constraints)
    if uv == pip:
        assert ours == uv
    else:
        assert ours in (uv, pip)


def test_an_sdist_that_tells_its_dependencies_is_taken_and_marked() -> None:
    world = {"a": [Dist("1.0", ("b",), tag="sdist")], "b": [Dist("1.0")]}
    with serve(world) as server:
        outcome = resolved(server, "a")
    assert versions(outcome) == {"a": "1.0", "b": "1.0"}
    assert isinstance(outcome, OpenSolution)
    assert outcome["a"].offer.is_sdist
    assert outcome["a"].requires == ("b",)


def test_what_the_user_states_counts_before_the_metadata() -> None:
    world = {
        "a": [Dist("1.0", tag="sdist", metadata_version="2.1"), Dist("2.0", ("b>1",))],
        "b": [Dist("1.0")],
    }
    with serve(world) as server:
        wanted = asks("a")
        for version, stated in (
            ("2.0", (Stated("a", "2", ("b<2",)),)),
            ("1.0", (Stated("a", "1.0", ("b<2",)),)),
            ("2.0", (Stated("a"), Stated("a", "1.0", ("b",)))),
        ):
            with catalog(server, wanted) as found:
                found.stated = stated
                view = found.view(target(), OpenOptions(compile=True))
                outcome = resolve_open(view, wanted, {})
                assert isinstance(outcome, OpenSolution)
                assert (versions(outcome) or {})["a"] == version
                (told,) = [one for one in oddities(outcome, view) if one.startswith("a ")]
                assert told == f"a {version}: {STATED}"


def test_a_yanked_release_that_is_pinned_is_taken_and_told() -> None:
    with serve({"a": [Dist("1.0"), Dist("2.0", yanked="it is broken")]}) as server:
        wanted = asks("a==2.0")
        with catalog(server, wanted) as found:
            view = found.view(target())
            outcome = resolve_open(view, wanted, {})
            assert isinstance(outcome, OpenSolution)
            told = list(oddities(outcome, view))
    assert told == ["a 2.0: its author has taken it back (it is broken)"]


def test_metadata_that_were_mended_are_told() -> None:
    with serve({"a": [Dist("1.0", ("b>=1.0.*",))], "b": [Dist("1.0")]}) as server:
        wanted = asks("a")
        with catalog(server, wanted) as found:
            view = found.view(target())
            outcome = resolve_open(view, wanted, {})
            assert isinstance(outcome, OpenSolution)
            (told,) = oddities(outcome, view)
    assert told.startswith("a 1.0: Requires-Dist 'b>=1.0.*' is malformed")


def test_an_sdist_that_only_a_build_could_tell_of_is_no_candidate() -> None:
    old = Dist("1.0")
    world = {"a": [old, Dist("2.0", tag="sdist", metadata_version="2.1")]}
    with serve(world) as server:
        assert versions(resolved(server, "a")) == {"a": "1.0"}
        outcome = resolved(server, "a==2.0")
    assert isinstance(outcome, OpenFailure)
    assert "only a build would tell what it needs" in outcome.reasons[0]


def test_a_release_with_wheels_for_others_is_compiled_only_when_asked() -> None:
    files = [Dist("2.0", tag="py3-none-win_amd64"), Dist("2.0", tag="sdist"), Dist("1.0")]
    with serve({"a": files}) as server:
        assert versions(resolved(server, "a", options=OpenOptions())) == {"a": "1.0"}
        assert versions(resolved(server, "a", options=OpenOptions(compile=True))) == {"a": "2.0"}


def test_binaries_can_be_refused_and_demanded() -> None:
    files = [Dist("1.0"), Dist("1.0", tag="sdist"), Dist("2.0", tag="sdist")]
    with serve({"a": files}) as server:
        no_binary = resolved(server, "a==1", options=OpenOptions(no_binary=frozenset({"a"})))
        only = resolved(server, "a", options=OpenOptions(only_binary=frozenset({":all:"})))
    assert isinstance(no_binary, OpenSolution)
    assert no_binary["a"].offer.is_sdist
    assert versions(only) == {"a": "1.0"}


def test_only_files_with_the_hashes_of_the_line_count() -> None:
    with serve({"a": [Dist("1.0"), Dist("1.0", build="1", tag="py2.py3-none-any")]}) as server:
        with catalog(server) as found:
            page = found.view(target()).page("a")
            assert page is not None
            files = {file.filename: file for file in page.files}
        plain = files["a-1.0-py3-none-any.whl"]
        built = files["a-1.0-1-py2.py3-none-any.whl"]
        for file in (plain, built):
            outcome = resolved(server, f"a==1.0 --hash=sha256:{file.sha256}")
            assert isinstance(outcome, OpenSolution)
            assert outcome["a"].offer.file.filename == file.filename
        assert isinstance(resolved(server, f"a==1.0 --hash=sha256:{'0' * 64}"), OpenFailure)


def test_a_hash_is_about_the_versions_of_its_line_and_the_targets_of_its_marker() -> None:
    world = {"a": [Dist("1.0"), Dist("2.0"), Dist("3.0")]}
    with serve(world) as server, catalog(server) as found:
        page = found.view(target()).page("a")
        assert page is not None
        old, new = (page.releases[Version(one)][0].sha256 for one in ("1.0", "2.0"))
        by_python = (
            f"a==1.0 ; python_version < '3.0' --hash=sha256:{old}",
            f"a==2.0 ; python_version >= '3.0' --hash=sha256:{new}",
        )
        assert versions(resolved(server, *by_python)) == {"a": "2.0"}
        by_system = (
            f"a==2.0 ; sys_platform == 'win32' --hash=sha256:{old}",
            f"a==2.0 ; sys_platform == 'linux' --hash=sha256:{new}",
        )
        assert versions(resolved(server, *by_system)) == {"a": "2.0"}


def test_of_equal_wheels_the_highest_build_counts() -> None:
    with serve({"a": [Dist("1.0"), Dist("1.0", build="2"), Dist("1.0", build="10")]}) as server:
        outcome = resolved(server, "a")
    assert isinstance(outcome, OpenSolution)
    assert outcome["a"].offer.file.filename == "a-1.0-10-py3-none-any.whl"


def test_a_wheel_by_url_brings_its_dependencies_and_meets_other_demands() -> None:
    world = {
        "a": [Dist("1.0", ("b<2",)), Dist("2.0")],
        "b": chain("b", 2),
        "c": [Dist("1", ("a",))],
    }
    with serve(world) as server:
        url = f"{server.root}/files/a/a-1.0-py3-none-any.whl"
        assert versions(resolved(server, f"a @ {url}", "c")) == {"a": "1.0", "b": "1.0", "c": "1"}
        assert isinstance(resolved(server, f"a @ {url}", "a>=2"), OpenFailure)


def test_what_only_a_build_could_tell_is_named_with_its_line() -> None:
    (line,) = asks("a")
    vcs = replace(line, kind="vcs", url="git+https://example.invalid/a")
    folder = replace(line, kind="folder", path="a")
    faults = limitations([line, vcs, folder])
    assert [fault.origin for fault in faults] == [line.origin, line.origin]
    assert "repository" in faults[0].message
    assert "pyproject.toml" in faults[1].message


def test_a_dependency_by_url_is_never_a_package_of_an_index() -> None:
    with serve({"a": [Dist("1.0")], "b": chain("b", 9)}) as server:
        url = f"{server.root}/files/b/b-2.0-py3-none-any.whl"
        server.packages["a"] = [Dist("1.0", (f"b @ {url.replace('://', '://me:pw@')}",))]
        failure = resolved(server, "a")
        assert isinstance(failure, OpenFailure)
        (reason,) = failure.reasons
        assert reason == f"a 1.0 needs b @ {url}: name that in the requirements too, as it stands"
        assert versions(resolved(server, "a", f"b @ {url}")) == {"a": "1.0", "b": "2.0"}


def test_packages_that_are_settled_have_that_version_and_no_other() -> None:
    world = {"a": [Dist("1.0", ("t>=2",))], "t": chain("t", 3)}
    with serve(world) as server:
        assert versions(resolved(server, "a", fixed={"t": Version("2.0")})) == {
            "a": "1.0",
            "t": "2.0",
        }
        failure = resolved(server, "a", fixed={"t": Version("1.0")})
        absent = resolved(server, "a", fixed={"t": None})
    assert isinstance(failure, OpenFailure)
    assert failure.fixed == {"t"}
    assert absent == Missing("t", ">=2", "a 1.0")


def test_a_settled_version_that_the_index_lacks_ends_the_search_at_once() -> None:
    with serve({"a": chain("a", 30, "t"), "t": chain("t", 3)}) as server:
        lacking = resolved(server, "a", fixed={"t": Version("9.0")}, gaps=())
        read = server.count(".metadata")
        walked = resolved(server, "a", fixed={"t": Version("9.0")}, gaps=("t",))
    assert lacking == Lacking("t")
    assert read < 5
    # Known to be lacking, it rules out what needs it, release by release.
    assert isinstance(walked, OpenFailure)
    assert walked.fixed == {"t"}


def test_what_many_releases_need_is_read_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []

    def prefetch(index: IndexSet, releases: Iterable[tuple[str, Sequence[File]]]) -> None:
        batches.append(len(list(releases)))

    with serve({"a": chain("a", 30, "b=={}.0"), "b": chain("b", 9)}) as server:
        assert versions(resolved(server, "a", "b<2")) == {"a": "1.0", "b": "1.0"}
        read = server.count(".metadata")
        monkeypatch.setattr(IndexSet, "prefetch_metadata", prefetch)
        assert versions(resolved(server, "a", "b<2")) == {"a": "1.0", "b": "1.0"}
    assert read == 31
    assert batches == [8, 16, 2]


def test_versions_of_an_old_lock_are_tried_first() -> None:
    world = {"a": [Dist("1.0", ("b",)), Dist("2.0", ("b",))], "b": chain("b", 3)}
    with serve(world) as server:
        kept = OpenOptions(prefer=(("a", "1.0"), ("b", "9.0")))
        assert versions(resolved(server, "a", options=kept)) == {"a": "1.0", "b": "3.0"}


def test_a_search_that_does_not_end_names_the_packages_that_thrash() -> None:
    world = {"a": chain("a", 9, "c=={}.0"), "b": chain("b", 9, "c>{}.0"), "c": chain("c", 9)}
    with serve(world) as server:
        wanted = asks("a", "b")
        with catalog(server, wanted) as found, pytest.raises(UserError) as caught:
            resolve_open(found.view(target()), wanted, {}, max_rounds=3)
    assert "in 3 rounds" in str(caught.value)
    assert "c" in str(caught.value)


def test_collections_are_as_before_when_a_search_ends() -> None:
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold()[0] > before[0]
    assert gc.get_threshold() == before
