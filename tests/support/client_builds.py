"""What tests give the client to build: commands on the base image, never twice the same."""

from __future__ import annotations

import os

from cogpack.llb.graph import Exec, Image, Mounted, Platform, Vertex
from cogpack.llb.marshal import Marshaller

__all__ = ["BASE", "PLATFORM", "define", "fresh", "run"]

BASE = "docker.io/library/python:3.11-slim-bookworm"
PLATFORM = Platform("linux", "amd64")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(command: str, *mounts: Mounted, network: str = "default", stamp: str = "") -> Exec:
    """A command on the base image; a stamp makes it one that no cache knows."""
    env = (("PATH", PATH), ("STAMP", stamp or "none"))
    image = Image(BASE, PLATFORM)
    args = ("/bin/sh", "-c", command)
    return Exec(image, args, env, "/", mounts, network, PLATFORM)


def fresh() -> str:
    """A text that no earlier build has seen."""
    return os.urandom(8).hex()


def define(vertex: Vertex) -> bytes:
    return Marshaller().definition(vertex)
