"""What every test shares: the builder, how to reach it, the profiles of generated tests.

A test that asks for `builder` is an end-to-end test and is marked `e2e` for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from devdaemon.builder import Builder, existing

if TYPE_CHECKING:
    from cogpack.llb.client import Client

ROOT = Path(__file__).resolve().parent.parent
BASE_IMAGE = "library/python:3.11-slim-bookworm"

# A test run says the same twice; new examples are what `make soak` looks for.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile(
    "soak",
    deadline=None,
    # Hypothesis repeats itself in a CI unless it is told not to.
    derandomize=False,
    max_examples=1000,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the builder, and leave that in the results for dev/e2e_ran.py."""
    for item in items:
        if "builder" in getattr(item, "fixturenames", ()):
            item.add_marker("e2e")
        if item.get_closest_marker("e2e"):
            item.user_properties.append(("e2e", "true"))


@pytest.fixture(scope="session")
def builder() -> Builder:
    """The builder that is there, or one that is started; it resolves the base of the examples.

    It keeps running afterwards, so that the next run finds its caches: `make stop` ends it.
    """
    command = [sys.executable, str(ROOT / "dev" / "builder.py"), "base", BASE_IMAGE]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = existing()
    assert found is not None
    return found


@pytest.fixture(scope="session")
def docker(builder: Builder) -> Callable[..., str]:
    """The docker command on the builder: takes its arguments, returns its standard output."""
    command = builder.docker
    assert command, "these tests read images back through Docker; unset BUILDKIT_HOST"

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            [command, *arguments],
            env={**os.environ, **builder.environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"docker {arguments}: {done.stderr}"
        return done.stdout

    return run


@pytest.fixture(scope="session")
def cogpack(builder: Builder) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The cogpack command on the builder: takes its arguments, and variables by keyword."""

    def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cogpack", *map(str, arguments)],
            env={**os.environ, **builder.environment(), **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def address(builder: Builder) -> str:
    """The builder's address, Docker's where it has both."""
    return builder.docker_host or builder.buildkit_host


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment without docker credentials."""
    folder = tmp_path / "docker-config"
    folder.mkdir()
    return {"DOCKER_CONFIG": str(folder), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}


@pytest.fixture
def client(address: str, home: dict[str, str]) -> Iterator[Client]:
    """A connected client; its threads and sockets must be gone after it."""
    # Only tests of the client need gRPC.
    from cogpack.llb.client import Client, find_daemon

    before = set(threading.enumerate())
    with Client(find_daemon(address, home), home) as connected:
        yield connected
    left = [thread.name for thread in threading.enumerate() if thread not in before]
    # Those of the registry in this process keep connections of the daemon.
    assert [name for name in left if "process_request_thread" not in name] == []
