"""The generated modules are those of the .proto files, and share a process with other pools."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from google.protobuf import descriptor_pool

from cogpack.llb.proto import ops_pb2

ROOT = Path(__file__).parent.parent


def test_generated_modules_are_in_step_with_their_sources() -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "dev" / "generate_protos", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr


def test_descriptors_are_registered_under_names_of_their_own() -> None:
    assert ops_pb2.DESCRIPTOR.name == "cogpack/llb/proto/ops.proto"
    found = descriptor_pool.Default().FindFileByName("cogpack/llb/proto/ops.proto")
    assert found.package == "pb"
