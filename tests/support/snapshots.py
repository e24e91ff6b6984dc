"""Snapshots: texts that are kept beside the tests, and the readable form of a definition.

With COGPACK_UPDATE_SNAPSHOTS set the texts are written anew; read the diff before you keep it.
"""

from __future__ import annotations

import os
from pathlib import Path

from cogpack.llb.proto import ops_pb2 as pb

__all__ = ["assert_snapshot", "definition_text"]

FOLDER = Path(__file__).parent.parent / "snapshots"


def assert_snapshot(name: str, text: str) -> None:
    """Compare a text with the one that is kept as `name`; write it when updating."""
    path = FOLDER / name
    if os.environ.get("COGPACK_UPDATE_SNAPSHOTS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.exists(), f"no snapshot {name}: run the test with COGPACK_UPDATE_SNAPSHOTS=1"
    assert text == path.read_text(), f"{name} changed: see CONTRIBUTING.md on snapshots"


def definition_text(definition: bytes) -> str:
    """One line a vertex, inputs by number: the shape of a graph without its digests."""
    message = pb.Definition.FromString(definition)
    numbers: dict[str, int] = {}
    lines = []
    for number, raw in enumerate(message.ops):
        op = pb.Op.FromString(raw)
        digest = next(key for key in message.metadata if key not in numbers and _is(key, raw))
        numbers[digest] = number
        inputs = " ".join(f"#{numbers[one.digest]}" for one in op.inputs)
        name = message.metadata[digest].description.get("llb.customname", "")
        kind = op.WhichOneof("op") or "result"
        lines.append(" ".join(filter(None, (f"#{number}", kind, f"[{inputs}]", _about(op), name))))
    return "\n".join(lines) + "\n"


def _is(digest: str, raw: bytes) -> bool:
    import hashlib

    return digest == f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _about(op: pb.Op) -> str:
    match op.WhichOneof("op"):
        case "source":
            return op.source.identifier
        case "file":
            return "+".join(action.WhichOneof("action") or "" for action in op.file.actions)
        case _:
            return ""
