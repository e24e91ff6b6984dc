"""The network of the development builder on a real one: what comes and goes disturbs nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from devdaemon.builder import Builder
from devdaemon.network import BRIDGE
from support.images import Docker

BASE = "docker.io/library/python:3.11-slim-bookworm"
ADDRESS = Path(f"/sys/class/net/{BRIDGE}/address")


def test_the_bridge_keeps_its_address_when_containers_come_and_go(
    builder: Builder, docker: Docker
) -> None:
    if builder.own is None or not builder.own.bridged:
        pytest.skip("the builder is not of dev/builder.py, or has no bridge")
    before = ADDRESS.read_text()
    docker("pull", "--quiet", BASE)
    names = [docker("run", "--detach", BASE, "sleep", "60").strip() for _ in range(3)]
    try:
        during = ADDRESS.read_text()
    finally:
        docker("rm", "--force", *names)
    assert [before, during, ADDRESS.read_text()] == [before] * 3
