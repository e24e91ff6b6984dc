"""What a start of `cogpack resolve` loads: only what an answer needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

HEAVY = {
    *("grpc", "google.protobuf", "h2", "httpx", "hishel", "rich", "asyncio", "ssl"),
    *("pydantic", "pypi_simple", "selectolax", "resolvelib", "tenacity"),
    *("importlib.metadata", "email", "zipfile", "hashlib", "difflib", "tomllib", "pysat"),
    *("cogpack.pipeline", "cogpack.index", "cogpack.llb", "cogpack.compat.updater"),
    *("cogpack.stacks.generic", "cogpack.stacks.locking", "cogpack.solver.why"),
    *("cogpack.plan.model", "cogpack.plan.composer", "cogpack.solver.own_image", "json"),
}


@pytest.mark.parametrize("example", ["hello", "gpu-torch-pinned", "jax"])
def test_resolve_loads_nothing_heavy(example: str) -> None:
    program = (
        "import sys; sys.argv = ['cogpack', 'resolve', sys.argv[1]]\n"
        "from cogpack.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, str(EXAMPLES / example)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "python" in done.stdout
    loaded = set(done.stderr.splitlines()[-1].split())
    assert {"cogpack.solver.solve", "click"} <= loaded
    assert sorted(HEAVY & loaded) == []
