"""Reading what the compiler wrote: definitions as messages, and small plans to compile."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cogpack.llb.proto import ops_pb2 as pb
from cogpack.plan import model

BASE = "docker.io/library/base:1"


class Graph:
    """A definition, decoded and checked for what every definition must be."""

    def __init__(self, definition: bytes) -> None:
        self.definition = pb.Definition.FromString(definition)
        self.digests = [f"sha256:{hashlib.sha256(op).hexdigest()}" for op in self.definition.ops]
        assert len(set(self.digests)) == len(self.digests), "a vertex is there twice"
        self.ops = dict(zip(self.digests, map(pb.Op.FromString, self.definition.ops), strict=True))
        known: set[str] = set()
        for digest, op in self.ops.items():
            assert {item.digest for item in op.inputs} <= known, "an input comes after its use"
            known.add(digest)
        terminal = self.ops[self.digests[-1]]
        assert terminal.WhichOneof("op") is None
        assert [item.digest for item in terminal.inputs] == [self.digests[-2]]
        assert set(self.definition.metadata) == set(self.digests)

    @property
    def kinds(self) -> list[str]:
        """What each vertex is, in the order of the definition, the terminal left out."""
        return [str(self.ops[digest].WhichOneof("op")) for digest in self.digests[:-1]]

    @property
    def result(self) -> pb.Op:
        """The op whose file system is the result."""
        return self.ops[self.digests[-2]]

    def input(self, op: pb.Op, number: int) -> pb.Op:
        """The op that is the given input of another."""
        return self.ops[op.inputs[number].digest]

    def only(self, kind: str) -> pb.Op:
        """The one op of a kind."""
        (found,) = self.all(kind)
        return found

    def all(self, kind: str) -> list[pb.Op]:
        """Every op of a kind, in the order of the definition."""
        return [op for op in self.ops.values() if op.WhichOneof("op") == kind]

    def label(self, op: pb.Op) -> str:
        """What the progress shows for an op."""
        digest = next(digest for digest, other in self.ops.items() if other is op)
        return self.definition.metadata[digest].description["llb.customname"]


def stage(id: str, *ops: model.Op, source: model.Input | None = None) -> model.Stage:  # noqa: A002
    """A stage that stands on the base image, or on `source`."""
    return model.Stage(
        id=id,
        title=f"title of {id}",
        source=source or model.ImageInput(ref=BASE),
        ops=ops,
    )


def plan(
    stages: Sequence[model.Stage],
    export: Sequence[model.Stage] = (),
    config: model.ExportConfig | None = None,
    base: str = BASE,
    runtime: str = BASE,
) -> model.Plan:
    """A plan whose image is the last export stage; without one, the last stage as a layer."""
    exported = tuple(export) or (
        stage(
            "export",
            model.Layer(stage=stages[-1].id),
            source=model.PhaseInput(of="export", name="base"),
        ),
    )
    return model.Plan(
        platform="linux/amd64",
        base=model.BaseRefs(build=base, runtime=runtime),
        build_phases=(
            model.Phase(name="base", result=model.ImageInput(ref=base)),
            model.Phase(
                name="work", stages=tuple(stages), result=model.StageInput(id=stages[-1].id)
            ),
        ),
        export_phases=(
            model.Phase(name="base", result=model.ImageInput(ref=runtime)),
            model.Phase(name="app", stages=exported, result=model.StageInput(id=exported[-1].id)),
        ),
        config=config or model.ExportConfig(),
    )
