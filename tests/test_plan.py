"""The plan: round trips, stable bytes, every fault at once, the Composer's chain, the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cogpack.errors import CogpackError
from cogpack.origin import Origin
from cogpack.plan import model
from cogpack.plan.composer import Composer
from cogpack.plan.render import render
from cogpack.plan.schema import schema
from cogpack.plan.validate import faults, validate
from support.plans import plans

SCHEMA = Path(__file__).parent.parent / "docs" / "plan.schema.json"
BASE = "docker.io/library/python:3.12-slim"


@given(plans())
def test_load_undoes_dump(plan: model.Plan) -> None:
    assert model.load(model.dump(plan)) == plan


@given(plans())
def test_dump_is_valid_by_the_published_schema(plan: model.Plan) -> None:
    jsonschema.validate(json.loads(model.dump(plan)), json.loads(SCHEMA.read_text()))


def test_the_published_schema_is_the_models() -> None:
    assert SCHEMA.read_text() == schema()


@given(plans())
def test_sound_plans_have_no_faults_and_render(plan: model.Plan) -> None:
    assert faults(plan) == ()
    assert render(plan).endswith("\n")


def test_the_order_of_mappings_does_not_show() -> None:
    def plan(env: dict[str, str]) -> model.Plan:
        composer = Composer("linux/amd64", BASE, BASE)
        composer.configure(model.ExportConfig(env=env))
        return composer.finish()

    assert model.dump(plan({"B": "2", "A": "1"})) == model.dump(plan({"A": "1", "B": "2"}))


def test_another_schema_version_is_refused() -> None:
    text = model.dump(Composer("linux/amd64", BASE, BASE).finish())
    with pytest.raises(ValidationError, match="schema_version"):
        model.load(text.replace('"schema_version": 1', '"schema_version": 2'))


def test_every_fault_of_a_document_is_told() -> None:
    document = json.loads(model.dump(Composer("linux/amd64", BASE, BASE).finish()))
    document["platform"] = 3
    document["build_phases"][0]["result"]["type"] = "tape"
    document["build_phases"][1]["result"]["colour"] = "red"
    document["export_phases"][0]["stages"] = [{"id": "s", "ops": [{"op": "exec"}]}]
    document["config"]["ports"] = "5000"
    del document["base"]
    with pytest.raises(ValidationError) as caught:
        model.load(json.dumps(document))
    told = {".".join(map(str, fault["loc"])) for fault in caught.value.errors()}
    assert told == {
        "platform",
        "base",
        "build_phases.0.result",
        "build_phases.1.result.phase.colour",
        "export_phases.0.stages.0.title",
        "export_phases.0.stages.0.source",
        "export_phases.0.stages.0.ops.0.exec.command",
        "config.ports",
    }


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, dict | list):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(leaf for key, item in items for leaf in _leaves(item, (*path, key)))]


@given(plans(), st.data())
def test_a_damaged_document_is_refused_or_its_faults_are_told(
    plan: model.Plan, data: st.DataObject
) -> None:
    document = json.loads(model.dump(plan))
    *above, last = data.draw(st.sampled_from(_leaves(document)[1:]))
    holder = document
    for key in above:
        holder = holder[key]
    junk = ["", "..", "a b", "https://[x", "\0", -1, 2**70, None, [], {}, ["x"], True, 0.5]
    holder[last] = data.draw(st.sampled_from(junk))
    try:
        loaded = model.load(json.dumps(document))
    except ValidationError:
        return
    faults(loaded)
    assert model.load(model.dump(loaded)) == loaded


def test_composer_chains_stages_and_passes_empty_phases_on() -> None:
    composer = Composer("linux/amd64", BASE, BASE)
    apt = composer.stage("system-deps", "apt", "packages", [model.Exec(command="apt")])
    composer.stage("app-deps", "deps-1", "first", [model.Exec(command="one")])
    composer.stage("app-deps", "deps-2", "second", [model.Exec(command="two")])
    composer.export("runtime", apt)
    plan = composer.finish()
    phases = {phase.name: phase for phase in plan.build_phases}
    assert phases["system-deps"].stages[0].source == model.PhaseInput(name="base")
    assert phases["runtime"].result == model.PhaseInput(name="system-deps")
    assert phases["app-deps"].stages[0].source == model.PhaseInput(name="framework-deps")
    assert phases["app-deps"].stages[1].source == model.StageInput(id="deps-1")
    assert phases["app-source"].result == model.PhaseInput(name="app-build")
    export = {phase.name: phase for phase in plan.export_phases}
    assert export["runtime"].stages[0].ops == (model.Layer(stage="apt"),)
    assert export["app"].result == model.PhaseInput(of="export", name="runtime")


def test_a_side_stage_is_no_part_of_the_chain() -> None:
    composer = Composer("linux/amd64", BASE, BASE)
    composer.side_stage(
        "app-deps",
        "files",
        "requirements",
        model.ScratchInput(),
        [model.MkFile(path="/requirements.txt", content="six\n")],
    )
    plan = composer.finish()
    assert plan.build_phases[4].result == model.PhaseInput(name="framework-deps")


def test_reasons_are_sorted_and_told_once() -> None:
    composer = Composer("linux/amd64", BASE, BASE)
    second, first = Origin("cog.yaml", 9, "git"), Origin("cog.yaml", 8, "ffmpeg")
    composer.stage(
        "system-deps", "apt", "", [model.Exec(command="x")], because=[second, first, second]
    )
    stage = composer.finish().build_phases[1].stages[0]
    assert [reason.line for reason in stage.reasons] == [8, 9]


def _plan(*stages: model.Stage, **changes: object) -> model.Plan:
    base = model.ImageInput(ref=BASE)
    fields: dict[str, Any] = {
        "platform": "linux/amd64",
        "base": model.BaseRefs(build=BASE, runtime=BASE),
        "build_phases": (
            model.Phase(name="base", result=base),
            model.Phase(name="work", stages=stages, result=model.PhaseInput(name="base")),
        ),
        "export_phases": (model.Phase(name="base", result=base),),
        "config": model.ExportConfig(),
    }
    return model.Plan(**(fields | changes))


def _stage(id: str = "s", *ops: model.Op, source: model.Input | None = None) -> model.Stage:  # noqa: A002
    return model.Stage(
        id=id, title="", source=source or model.PhaseInput(name="base"), ops=tuple(ops)
    )


@pytest.mark.parametrize(
    ("plan", "fault"),
    [
        (_plan(_stage("a"), _stage("a")), "stage id 'a' is there twice"),
        (_plan(_stage("a b")), "stage id 'a b' has characters"),
        (_plan(platform="linux"), "platform 'linux' is not of the form"),
        (_plan(_stage(source=model.StageInput(id="gone"))), "its source: there is no stage 'gone'"),
        (_plan(_stage(source=model.PhaseInput(name="x"))), "there is no build phase 'x'"),
        (_plan(_stage(source=model.LocalInput())), "a local context can be copied from"),
        (
            _plan(
                _stage("a", source=model.StageInput(id="b")),
                _stage("b", source=model.StageInput(id="a")),
            ),
            "a cycle: stage a -> stage b -> stage a",
        ),
        (_plan(_stage("s", model.Layer(stage="gone"))), "layer: there is no stage 'gone'"),
        (
            _plan(_stage("a"), _stage("s", model.Layer(stage="a"), model.Remove(path="/x"))),
            "a layer op must be the only op",
        ),
        (
            _plan(_stage("s", model.Copy(source=model.LocalInput(include=("../x",)), dest="/src"))),
            "pattern '../x' leaves the context",
        ),
        (_plan(_stage("s", model.MkDir(path="a"))), "mkdir: path 'a' is not absolute"),
        (_plan(_stage("s", model.Remove(path="/a/../b"))), "goes up with .."),
        (_plan(_stage("s", model.MkFile(path="/a//b", content=""))), "not in its simplest form"),
        (_plan(_stage("s", model.MkDir(path="/a", owner="root"))), "owner 'root' is not uid:gid"),
        (_plan(_stage("s", model.MkDir(path="/a", mode=0o10000))), "more than permission bits"),
        (_plan(_stage("s", model.Exec(command=" "))), "an empty command"),
        (
            _plan(_stage("s", model.Exec(command="x", mounts=(model.SecretMount(id="t"),)))),
            "secret 't' must have a target or a variable",
        ),
        (
            _plan(
                _stage(
                    "s",
                    model.Exec(
                        command="x",
                        mounts=(
                            model.TmpfsMount(target="/t"),
                            model.CacheMount(id="c", target="/t"),
                        ),
                    ),
                )
            ),
            "two mounts on /t",
        ),
        (
            _plan(
                _stage(
                    "s",
                    model.Exec(command="x", mounts=(model.SecretMount(id="t", env="TOKEN"),)),
                    model.Env(name="TOKEN", value="x"),
                )
            ),
            "TOKEN is filled by a secret",
        ),
        (
            _plan(
                export_phases=(
                    model.Phase(name="app", result=model.PhaseInput(of="build", name="work")),
                )
            ),
            "export phase 'app' has the build as its result",
        ),
        (
            _plan(
                _stage("a"),
                export_phases=(
                    model.Phase(
                        name="app",
                        stages=(_stage("e", source=model.StageInput(id="a")),),
                        result=model.StageInput(id="e"),
                    ),
                ),
            ),
            "export stage 'e' stands on the build",
        ),
        *(
            (_plan(build_phases=(model.Phase(name="work", result=result),)), "has no files of its")
            for result in (model.LocalInput(), model.HttpInput(url="https://h.example/x"))
        ),
        (_plan(config=model.ExportConfig(ports=("99999/tcp",))), "port '99999/tcp'"),
        (_plan(config=model.ExportConfig(env={"A=B": ""})), "'A=B' is not the name of a variable"),
        (_plan(config=model.ExportConfig(workdir="src")), "workdir 'src' is not absolute"),
    ],
)
def test_each_fault_is_found(plan: model.Plan, fault: str) -> None:
    assert any(fault in found for found in faults(plan)), faults(plan)


def test_all_faults_are_told_at_once() -> None:
    plan = _plan(_stage("a b", model.MkDir(path="x")), platform="linux")
    with pytest.raises(CogpackError) as caught:
        validate(plan)
    assert len(caught.value.faults) == 3
