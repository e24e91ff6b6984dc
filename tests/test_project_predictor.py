"""References into the user's code: read from the syntax tree, never run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cogpack.errors import UserError
from cogpack.origin import Origin
from cogpack.project.predictor import Target, read_target

LINE = Origin("cog.yaml", 3, "run: run.py:Runner")
HERE = ".".join(str(number) for number in sys.version_info[:2])


def target(root: Path, source: str, ref: str = "run.py:Runner", key: str = "run") -> Target:
    (root / "run.py").write_text(source)
    found, warnings = read_target(root, key, ref, LINE, "3.10")
    assert found is not None
    assert warnings == ()
    return found


def told(root: Path, source: str | None, ref: str = "run.py:Runner", key: str = "run") -> str:
    if source is not None:
        (root / "run.py").write_text(source)
    with pytest.raises(UserError) as caught:
        read_target(root, key, ref, LINE, "3.10")
    (fault,) = caught.value.faults
    return f"{fault} | {fault.hint}"


def test_a_class(tmp_path: Path) -> None:
    source = "from cog import BaseRunner\n\nclass Runner(BaseRunner):\n    def run(self): ...\n"
    assert target(tmp_path, source) == Target(
        ref="run.py:Runner",
        file="run.py",
        name="Runner",
        kind="class",
        method="run",
        is_async=False,
        concurrent_max=None,
        origin=LINE,
        definition=Origin("run.py", 3, "Runner"),
    )


@pytest.mark.parametrize(
    ("source", "kind", "method", "is_async"),
    [
        ("class Runner:\n  def predict(self): ...", "class", "predict", False),
        ("class Runner:\n  async def run(self): ...", "class", "run", True),
        ("class B:\n  async def run(self): ...\nclass Runner(B): ...", "class", "run", True),
        ("import x\nclass Runner(x.Base): ...", "class", "", None),
        ("class Runner(metaclass=M): ...", "class", "", None),
        ("class Runner:\n  run = other", "class", "run", None),
        ("class Runner:\n  if X:\n    def run(self): ...", "class", "run", False),
        ("def Runner(): ...", "function", "", False),
        ("async def Runner(): ...", "function", "", True),
        ("from x import Runner", "unknown", "", None),
        ("from x import y as Runner", "unknown", "", None),
        ("from x import *", "unknown", "", None),
        ("Runner = make()", "unknown", "", None),
        ("try:\n  from x import Runner\nexcept E:\n  pass", "unknown", "", None),
        ("class Runner(Runner): ...", "class", "", None),
    ],
)
def test_what_the_tree_tells(
    tmp_path: Path, source: str, kind: str, method: str, is_async: bool | None
) -> None:
    found = target(tmp_path, source)
    assert (found.kind, found.method, found.is_async) == (kind, method, is_async)


@pytest.mark.parametrize(
    ("head", "decorator", "expected"),
    [
        ("import cog", "@cog.concurrent(max=4)", 4),
        ("import cog as c", "@c.concurrent(max=3)", 3),
        ("from cog import concurrent", "@concurrent(max=2)", 2),
        ("from cog import concurrent as several", "@several(max=2)", 2),
        ("from other import concurrent", "@concurrent(max=2)", None),
        ("import cog\nN = 5", "@cog.concurrent(max=N)", 5),
        ("import cog\nN: int = 5", "@cog.concurrent(max=N)", 5),
        ("import cog", "@cog.concurrent", None),
        ("import cog", "@cog.concurrent()", None),
    ],
)
def test_the_maximum_of_the_decorator(
    tmp_path: Path, head: str, decorator: str, expected: int | None
) -> None:
    source = f"{head}\nclass Runner:\n  {decorator}\n  async def run(self): ...\n"
    assert target(tmp_path, source).concurrent_max == expected


@pytest.mark.parametrize(
    "decorator",
    ["(max=N)", "(max=M)", "(2)", "(max='2')", "(max=True)", "(max=0)", "(most=2)", "(**options)"],
)
def test_a_maximum_that_the_server_would_never_learn(tmp_path: Path, decorator: str) -> None:
    source = (
        "import cog\nfrom x import M\nN = f()\n"
        f"class Runner:\n  @cog.concurrent{decorator}\n  async def run(self): ...\n"
    )
    found = told(tmp_path, source)
    assert found.startswith(f"run.py:5: @cog.concurrent{decorator} does not say how many")
    assert "write @cog.concurrent(max=4)" in found


def test_nothing_is_executed(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    target(tmp_path, f"open({str(trace)!r}, 'w')\nclass Runner:\n  def run(self): ...\n")
    assert not trace.exists()


def test_a_file_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("def train(): ...")
    found, _ = read_target(tmp_path, "train", "src/a.py:train", LINE)
    assert found is not None
    assert (found.file, found.kind) == ("src/a.py", "function")


@pytest.mark.parametrize(
    ("source", "ref", "expected"),
    [
        ("", "run", 'run is "run", not a file and a name in it | write it as "run.py:Runner"'),
        ("", "run.py:", ('run is "run.py:", not a file and a name in it'
         ' | write it as "run.py:Runner"')),
        ("", "../x.py:A", ('run is "../x.py:A", a path that leaves the project'
         " | use a file of the project")),
        ("", "gone.py:A", ("run names gone.py, which is not in the project"
         " | create it, or correct the path")),
        ("class Runer:\n  def run(self): ...", "run.py:Runner",
         "run names 'Runner', which run.py does not define | did you mean 'Runer'?"),
        ("x = 1", "run.py:Runner",
         "run names 'Runner', which run.py does not define | define Runner in run.py"),
        ("\0", "run.py:Runner", "run.py is not Python source, so that run cannot be loaded | "),
    ],
)  # fmt: skip
def test_a_reference_that_leads_nowhere(
    tmp_path: Path, source: str, ref: str, expected: str
) -> None:
    message = told(tmp_path, source, ref)
    if source == "\0" and "syntax error" in message:  # its class depends on the Python running here
        return
    assert message == f"cog.yaml:3: {expected}"


def test_a_class_that_serves_nothing_is_told_at_its_line(tmp_path: Path) -> None:
    assert told(
        tmp_path, "import cog\nclass Runner(cog.BasePredictor):\n  def setup(self): ..."
    ) == ("run.py:2: Runner defines neither run() nor predict() | add a method run()")
    both = "class Runner:\n  def run(self): ...\n  def predict(self): ...\n"
    assert told(tmp_path, both) == (
        "run.py:1: Runner defines both run() and predict(), of which Cog accepts one | keep run()"
    )


def test_a_syntax_error_is_told_at_its_line(tmp_path: Path) -> None:
    message = told(tmp_path, "x = 1\nclass Runner(:\n")
    assert message.startswith("run.py:2: syntax error, so that run cannot be loaded: ")


def test_syntax_of_a_newer_python_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text("class Runner(:\n")
    found, (warning,) = read_target(tmp_path, "run", "run.py:Runner", LINE, "3.99")
    assert found is None
    assert str(warning).startswith(
        f"run.py:1: cannot be parsed by Python {HERE}, which runs cogpack: "
    )
    assert warning.hint == "it is taken for syntax of a newer Python and not checked"


def test_doubtful_escapes_in_the_code_make_no_noise(tmp_path: Path) -> None:
    assert target(tmp_path, 'X = "\\d"\ndef Runner(): ...\n').kind == "function"


def test_deep_nesting_is_refused_in_words(tmp_path: Path) -> None:
    message = told(tmp_path, f"x = {'(' * 5000}{')' * 5000}\n")
    assert message.startswith(("cog.yaml:3: run.py is not Python source", "run.py:1: syntax error"))
