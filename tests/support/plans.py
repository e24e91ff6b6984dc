"""Random plans for hypothesis: sound in shape, with every kind of op, mount and input."""

from __future__ import annotations

from hypothesis import strategies as st

from cogpack.plan import model

_names = st.text("abcdefgh", min_size=1, max_size=6)
_texts = st.text(max_size=20)
_paths = st.lists(_names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
_modes = st.integers(0, 0o777)
_owners = st.sampled_from(["", "0:0", "1000:1000"])
_lists = st.lists(_names, max_size=2).map(tuple)
_urls = _paths.map(lambda path: f"https://h.example{path}")
_digests = st.sampled_from(["", f"sha256:{'0' * 64}"])
_env = st.dictionaries(_names, _texts, max_size=3)


def _inputs(stages: list[str]) -> st.SearchStrategy[model.Input]:
    choices: list[st.SearchStrategy[model.Input]] = [
        st.builds(model.ImageInput, ref=_names),
        st.builds(model.LocalInput, include=_lists, exclude=_lists),
        st.builds(model.HttpInput, url=_urls, digest=_digests, token=st.sampled_from(["", "T"])),
        st.just(model.ScratchInput()),
        st.just(model.PhaseInput(name="base")),
    ]
    if stages:
        choices.append(st.builds(model.StageInput, id=st.sampled_from(stages)))
    return st.one_of(choices)


def _mounts(stages: list[str]) -> st.SearchStrategy[tuple[model.Mount, ...]]:
    target = _paths
    mount: st.SearchStrategy[model.Mount] = st.one_of(
        st.builds(
            model.CacheMount,
            id=_names,
            target=target,
            sharing=st.sampled_from(["shared", "private", "locked"]),
        ),
        st.builds(
            model.SecretMount,
            id=_names,
            target=target,
            env=st.just(""),
            required=st.booleans(),
        ),
        st.builds(model.SecretMount, id=_names, target=st.just(""), env=_names),
        st.builds(
            model.BindMount,
            source=_inputs(stages),
            source_path=_paths,
            target=target,
            writable=st.booleans(),
        ),
        st.builds(model.TmpfsMount, target=target),
    )
    return st.lists(
        mount, max_size=3, unique_by=lambda m: getattr(m, "target", "") or getattr(m, "env", "")
    ).map(tuple)


def _ops(stages: list[str]) -> st.SearchStrategy[model.Op]:
    return st.one_of(
        st.builds(
            model.Exec,
            command=_texts.map(lambda text: f"echo {text!r}"),
            mounts=_mounts(stages),
            env=_env,
            network=st.sampled_from(["default", "host", "none"]),
        ),
        st.builds(
            model.Copy,
            source=_inputs(stages),
            src=_paths,
            dest=_paths,
            include=_lists,
            exclude=_lists,
            owner=_owners,
            mode=st.none() | _modes,
            time=st.none() | st.integers(0, 2**32),
        ),
        st.builds(model.MkFile, path=_paths, content=_texts, mode=_modes, owner=_owners),
        st.builds(model.MkDir, path=_paths, mode=_modes, owner=_owners),
        st.builds(model.Remove, path=_paths),
        st.builds(model.Symlink, target=_paths, path=_paths),
        st.builds(model.Env, name=_names.map(str.upper), value=_texts, prepend=st.booleans()),
        st.builds(model.Workdir, path=_paths),
    )


_reasons = st.builds(model.Reason, file=_names, line=st.integers(0, 99), text=_texts)


@st.composite
def plans(draw: st.DrawFn) -> model.Plan:
    """A valid plan: a chain of build stages, an export that takes some of them as layers."""
    base = model.Phase(name="base", result=model.ImageInput(ref="docker.io/library/python:3"))
    ids: list[str] = []
    stages: list[model.Stage] = []
    for number in range(draw(st.integers(0, 4))):
        source = model.PhaseInput(name="base") if not ids else model.StageInput(id=ids[-1])
        stages.append(
            model.Stage(
                id=f"s{number}",
                title=draw(_texts),
                source=source,
                ops=tuple(draw(st.lists(_ops(ids), max_size=4))),
                reasons=tuple(draw(st.lists(_reasons, max_size=2))),
            )
        )
        ids.append(f"s{number}")
    result: model.Input = model.StageInput(id=ids[-1]) if ids else model.PhaseInput(name="base")
    exported: list[model.Stage] = []
    for stage in ids:
        below: model.Input = (
            model.StageInput(id=exported[-1].id)
            if exported
            else model.PhaseInput(of="export", name="base")
        )
        exported.append(
            model.Stage(
                id=f"export:{stage}", title="", source=below, ops=(model.Layer(stage=stage),)
            )
        )
    top: model.Input = (
        model.StageInput(id=exported[-1].id)
        if exported
        else model.PhaseInput(of="export", name="base")
    )
    return model.Plan(
        platform=draw(st.sampled_from(["linux/amd64", "linux/arm64"])),
        packages=draw(
            st.dictionaries(_names, st.builds(model.ResolvedPackage, version=_names), max_size=3)
        ),
        base=model.BaseRefs(
            build="docker.io/library/python:3", runtime="docker.io/library/python:3"
        ),
        build_phases=(base, model.Phase(name="work", stages=tuple(stages), result=result)),
        export_phases=(base, model.Phase(name="app", stages=tuple(exported), result=top)),
        config=model.ExportConfig(
            env=draw(st.dictionaries(_names.map(str.lower), _texts, max_size=2)),
            cmd=tuple(draw(st.lists(_texts, max_size=2))),
            labels=draw(_env),
            ports=("5000/tcp",),
        ),
    )
