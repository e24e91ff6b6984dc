"""The LLB graph as the bytes that a daemon reads: same graph, same bytes.

What a stage becomes as a graph is `llb.compile`'s business; what a vertex is, `llb.graph`'s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import CogpackError
from ..plan.model import CacheMount, MkDir, MkFile, Remove, SecretMount, Symlink, TmpfsMount
from .graph import (
    Action,
    Bind,
    CopyFiles,
    Diff,
    Exec,
    File,
    FileSystem,
    Http,
    Image,
    Local,
    Merge,
    Mounted,
    Platform,
    Vertex,
    file_systems,
)
from .proto import ops_pb2 as pb

__all__ = ["Encoded", "Marshaller"]

_NONE = -1  # an input that is scratch, an output that is not taken
_KEEP = -1  # a mode or time that a copy takes from its source
_NANOSECONDS = 10**9
# A build runs as root: only its commands see the file.
_SECRET_MODE = 0o400

_NETWORK = {"default": pb.UNSET, "host": pb.HOST, "none": pb.NONE}
_SHARING = {"shared": pb.SHARED, "private": pb.PRIVATE, "locked": pb.LOCKED}


@dataclass(frozen=True)
class Encoded:
    """A vertex on the wire.

    data: the serialized pb.Op. digest: `sha256:...` of data, by which other vertices name it.
    capabilities: what the daemon must know to run it, by the names of solver/pb/caps.go.
    """

    vertex: Vertex
    data: bytes
    digest: str
    capabilities: tuple[str, ...]


class Marshaller:
    """Encodes vertices, each once."""

    def __init__(self) -> None:
        self._encoded: dict[Vertex, Encoded] = {}

    def digest(self, vertex: FileSystem) -> str:
        """The digest of a vertex; empty for scratch. Equal digests are the same operation."""
        return self._encode_all(vertex)[-1].digest if vertex is not None else ""

    def reachable(self, vertex: Vertex) -> tuple[Encoded, ...]:
        """A vertex and all that it stands on: each digest once and after those that it names."""
        unique: dict[str, Encoded] = {}
        for encoded in self._encode_all(vertex):
            unique.setdefault(encoded.digest, encoded)
        return tuple(unique.values())

    def definition(self, vertex: Vertex) -> bytes:
        """The serialized pb.Definition whose result is `vertex`."""
        encoded = self.reachable(vertex)
        terminal = pb.Op(inputs=[pb.Input(digest=encoded[-1].digest)]).SerializeToString()
        metadata = {item.digest: _metadata(item) for item in encoded}
        metadata[_digest(terminal)] = pb.OpMetadata(
            caps=dict.fromkeys(["constraints", "meta.description", "platform"], True)
        )
        ops = [*(item.data for item in encoded), terminal]
        return pb.Definition(ops=ops, metadata=metadata).SerializeToString(deterministic=True)

    def _encode_all(self, vertex: Vertex) -> list[Encoded]:
        """Every vertex below `vertex` and itself, inputs first; a loop, as graphs may be deep."""
        order: dict[Vertex, None] = {}
        stack: list[tuple[Vertex, Iterator[FileSystem]]] = [(vertex, iter(file_systems(vertex)))]
        while stack:
            current, below = stack[-1]
            step = next((item for item in below if item is not None and item not in order), None)
            if step is not None:
                stack.append((step, iter(file_systems(step))))
                continue
            stack.pop()
            order[current] = None
            if current not in self._encoded:
                self._encoded[current] = self._encode(current)
        return [self._encoded[item] for item in order]

    def _encode(self, vertex: Vertex) -> Encoded:
        inputs = _Inputs(self._encoded)
        match vertex:
            case Image():
                body, caps = _image(vertex)
            case Local():
                body, caps = _local(vertex)
            case Http():
                body, caps = _http(vertex)
            case Exec():
                body, caps = _exec(vertex, inputs)
            case File():
                body, caps = _file(vertex, inputs)
            case Merge():
                positions = [pb.MergeInput(input=inputs.append(item)) for item in vertex.inputs]
                body, caps = pb.Op(merge=pb.MergeOp(inputs=positions)), ["mergeop"]
            case Diff():
                lower = pb.LowerDiffInput(input=inputs.append(vertex.lower))
                upper = pb.UpperDiffInput(input=inputs.append(vertex.upper))
                body, caps = pb.Op(diff=pb.DiffOp(lower=lower, upper=upper)), ["diffop"]
        head = pb.Op(inputs=inputs.messages, constraints=pb.WorkerConstraints())
        if isinstance(vertex, Image | Exec):
            head.platform.CopyFrom(_platform(vertex.platform))
        # The daemon writes an op again after a change of its inputs, the members of a oneof last:
        # in the same order the digest that it reports stays the one that we know.
        data = head.SerializeToString(deterministic=True) + body.SerializeToString(
            deterministic=True
        )
        return Encoded(vertex, data, _digest(data), tuple(sorted(set(caps))))


class _Inputs:
    """The inputs of one op, by their position."""

    def __init__(self, encoded: Mapping[Vertex, Encoded]) -> None:
        self._encoded = encoded
        self._digests: list[str] = []

    @property
    def messages(self) -> list[pb.Input]:
        return [pb.Input(digest=digest) for digest in self._digests]

    def append(self, vertex: FileSystem) -> int:
        """A new input, even for a vertex that is one already; -1 for scratch."""
        if vertex is None:
            return _NONE
        self._digests.append(self._encoded[vertex].digest)
        return len(self._digests) - 1

    def position(self, vertex: FileSystem) -> int:
        """The input for a vertex, one for all its uses; -1 for scratch."""
        if vertex is None:
            return _NONE
        digest = self._encoded[vertex].digest
        return self._digests.index(digest) if digest in self._digests else self.append(vertex)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _metadata(encoded: Encoded) -> pb.OpMetadata:
    label = encoded.vertex.label
    return pb.OpMetadata(
        description={"llb.customname": label} if label else {},
        caps=dict.fromkeys(encoded.capabilities, True),
    )


def _platform(platform: Platform) -> pb.Platform:
    return pb.Platform(OS=platform.os, Architecture=platform.architecture, Variant=platform.variant)


def _image(image: Image) -> tuple[pb.Op, list[str]]:
    source = pb.SourceOp(identifier=f"docker-image://{image.ref}")
    return pb.Op(source=source), ["source.image"]


def _local(local: Local) -> tuple[pb.Op, list[str]]:
    caps = ["source.local", "source.local.sharedkeyhint"]
    patterns = (
        _json(local.include) if local.include else "",
        _json(local.exclude) if local.exclude else "",
    )
    # The daemon keeps the files of one hint in one place, and deletes there what a transfer does
    # not bring: two selections of one context must not share a hint.
    hint = local.name
    if any(patterns):
        hint += f":{_digest(chr(0).join(patterns).encode())[-16:]}"
    attributes = {"local.sharedkeyhint": hint}
    if local.include:
        attributes["local.includepattern"] = patterns[0]
        caps.append("source.local.includepatterns")
    if local.exclude:
        attributes["local.excludepatterns"] = patterns[1]
        caps.append("source.local.excludepatterns")
    if local.session:
        attributes["local.session"] = local.session
        caps.append("source.local.sessionid")
    source = pb.SourceOp(identifier=f"local://{local.name}", attrs=attributes)
    return pb.Op(source=source), caps


def _http(vertex: Http) -> tuple[pb.Op, list[str]]:
    # With a digest the daemon asks nobody whether it has the file already.
    attributes = {"http.filename": vertex.name}
    caps = ["source.http"]
    if vertex.digest:
        attributes["http.checksum"] = vertex.digest
        caps.append("source.http.checksum")
    return pb.Op(source=pb.SourceOp(identifier=vertex.url, attrs=attributes)), caps


def _json(patterns: Sequence[str]) -> str:
    """A list of texts as Go's encoding/json writes it, so that other clients share the cache."""
    text = json.dumps(list(patterns), ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _exec(vertex: Exec, inputs: _Inputs) -> tuple[pb.Op, list[str]]:
    caps = ["exec.meta.base", "exec.mount.bind"]
    meta = pb.Meta(
        args=vertex.args,
        env=[f"{name}={value}" for name, value in vertex.env],
        cwd=vertex.cwd,
        removeMountStubsRecursive=True,
    )
    op = pb.ExecOp(meta=meta, network=_NETWORK[vertex.network])
    if vertex.network != "default":
        caps.append("exec.meta.network")
    op.mounts.append(pb.Mount(dest="/", input=inputs.position(vertex.root), output=0))
    secrets = [mount for mount in vertex.mounts if isinstance(mount, SecretMount)]
    others = [mount for mount in vertex.mounts if not isinstance(mount, SecretMount)]
    for mount in sorted(others, key=lambda mount: mount.target):
        message, needed = _mount(mount, inputs)
        op.mounts.append(message)
        caps.extend(needed)
    for secret in sorted(secrets, key=lambda mount: (mount.target, mount.env)):
        caps.append("exec.mount.secret")
        if secret.env:
            caps.append("exec.secretenv")
            op.secretenv.append(
                pb.SecretEnv(ID=secret.id, name=secret.env, optional=not secret.required)
            )
        else:
            op.mounts.append(_secret_file(secret))
    return pb.Op(exec=op), caps


def _mount(mount: Mounted, inputs: _Inputs) -> tuple[pb.Mount, list[str]]:
    message = pb.Mount(dest=mount.target, input=_NONE, output=_NONE)
    match mount:
        case Bind(source=None) | TmpfsMount():
            # An empty file system to read from is memory with nothing in it.
            message.mountType = pb.TMPFS
            message.TmpfsOpt.SetInParent()
            return message, ["exec.mount.tmpfs"]
        case Bind():
            message.input = inputs.position(mount.source)
            message.readonly = not mount.writable
            message.selector = "" if mount.path == "/" else mount.path
            caps = ["exec.mount.bind"]
            if mount.writable:
                caps.append("exec.mount.bind.readwrite-nooutput")
            if message.selector:
                caps.append("exec.mount.selector")
            return message, caps
        case CacheMount():
            message.mountType = pb.CACHE
            message.cacheOpt.ID = mount.id
            message.cacheOpt.sharing = _SHARING[mount.sharing]
            return message, ["exec.mount.cache", "exec.mount.cache.sharing"]
        case SecretMount():
            raise CogpackError(f"secret {mount.id!r} was taken for an ordinary mount")


def _secret_file(secret: SecretMount) -> pb.Mount:
    # Go's client leaves the output of a secret at 0; the daemon counts only bind mounts.
    option = pb.SecretOpt(ID=secret.id, mode=_SECRET_MODE, optional=not secret.required)
    return pb.Mount(dest=secret.target, input=_NONE, mountType=pb.SECRET, secretOpt=option)


def _file(vertex: File, inputs: _Inputs) -> tuple[pb.Op, list[str]]:
    base = inputs.position(vertex.base)
    sources = [
        inputs.position(action.source) if isinstance(action, CopyFiles) else _NONE
        for action in vertex.actions
    ]
    # An action's result is numbered after the inputs, so all of these must be known first.
    count = len(inputs.messages)
    last = len(vertex.actions) - 1
    op = pb.FileOp()
    caps = ["file.base"]
    for number, (action, source) in enumerate(zip(vertex.actions, sources, strict=True)):
        message = pb.FileAction(
            input=base if number == 0 else count + number - 1,
            secondaryInput=source,
            output=0 if number == last else _NONE,
        )
        caps.extend(_fill(message, action, vertex.time * _NANOSECONDS))
        op.actions.append(message)
    return pb.Op(file=op), caps


def _fill(message: pb.FileAction, action: Action, time: int) -> list[str]:
    """Put one action into its message; returns the capabilities that it needs."""
    match action:
        case CopyFiles():
            return _fill_copy(message.copy, action)
        case MkFile(path=path, content=content, mode=mode, owner=owner):
            message.mkfile.CopyFrom(
                pb.FileActionMkFile(
                    path=path,
                    mode=_mode(mode),
                    data=content.encode(),
                    owner=_owner(owner),
                    timestamp=time,
                )
            )
        case MkDir(path=path, mode=mode, owner=owner):
            message.mkdir.CopyFrom(
                pb.FileActionMkDir(
                    path=path,
                    mode=_mode(mode),
                    makeParents=True,
                    owner=_owner(owner),
                    timestamp=time,
                )
            )
        case Remove(path=path):
            message.rm.CopyFrom(pb.FileActionRm(path=path, allowNotFound=True))
        case Symlink(target=target, path=path):
            link = pb.FileActionSymlink(oldpath=target, newpath=path, timestamp=time)
            message.symlink.CopyFrom(link)
            return ["file.symlink.create"]
    return []


def _fill_copy(message: pb.FileActionCopy, action: CopyFiles) -> list[str]:
    message.CopyFrom(
        pb.FileActionCopy(
            src=action.src,
            dest=action.dest,
            owner=_owner(action.owner),
            mode=_KEEP if action.mode is None else _mode(action.mode),
            dirCopyContents=True,
            createDestPath=True,
            timestamp=_KEEP if action.time is None else action.time * _NANOSECONDS,
            include_patterns=action.include,
            exclude_patterns=action.exclude,
            alwaysReplaceExistingDestPaths=action.replace,
        )
    )
    caps = []
    if action.include or action.exclude:
        caps.append("file.copy.includeexcludepatterns")
    if action.replace:
        caps.append("file.copy.alwaysreplaceexistingdestpaths")
    return caps


def _mode(mode: int) -> int:
    if mode & ~0o777:
        raise CogpackError(f"mode {mode:o} has bits that no file action can set")
    return mode


def _owner(owner: str) -> pb.ChownOpt | None:
    if not owner:
        return None
    user, _, group = owner.partition(":")
    return pb.ChownOpt(
        user=pb.UserOpt(byID=int(user)), group=pb.UserOpt(byID=int(group)) if group else None
    )
