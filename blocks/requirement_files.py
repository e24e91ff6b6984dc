"""What the installers are given: the project's requirements as one file, and what it refers to.

The file is written anew from what was read, so that comments and the order of options do not
repeat an install; it never holds a credential.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import Fault, UserError
from ..origin import Origin
from ..plan.composer import Composer
from ..plan.model import (
    BindMount,
    LocalInput,
    MkFile,
    Mount,
    ScratchInput,
    SecretMount,
)
from ..project import Project
from ..project.redact import Url
from ..project.requirements import Entry, Options, RequirementsFile
from .layout import SOURCE

__all__ = ["CONSTRAINTS", "REQUIREMENTS", "RequirementFiles", "requirement_files"]

_FOLDER = "/run/cogpack"
REQUIREMENTS = f"{_FOLDER}/requirements.txt"
CONSTRAINTS = f"{_FOLDER}/constraints.txt"


@dataclass(frozen=True)
class RequirementFiles:
    """The mounts under which an installer finds REQUIREMENTS (and CONSTRAINTS, when there are any).

    because: the lines that asked, in their order.
    """

    mounts: tuple[Mount, ...]
    constrained: bool
    because: tuple[Origin, ...]


def requirement_files(project: Project, composer: Composer) -> RequirementFiles:
    """Add the stage that holds the files; they are mounted, so they are in no layer.

    Local wheels, archives and folders are mounted where the source will be: an editable install
    then points to where its code is at run time.
    Raises UserError for each credential that is written into a requirement.
    """
    read = project.requirements
    secrets = _secrets(read)
    files = [MkFile(path="/requirements.txt", content=_text(read.entries, read.options))]
    if read.constraints:
        files.append(MkFile(path="/constraints.txt", content=_text(read.constraints)))
    stage = composer.side_stage(
        "app-deps", "requirements", "write down the requirements", ScratchInput(), files
    )
    mounts: list[Mount] = [BindMount(source=stage, target=_FOLDER)]
    if local := _local_paths(project):
        mounts.append(
            BindMount(
                source=LocalInput(include=local, exclude=project.ignore.all),
                target=SOURCE,
                writable=True,
            )
        )
    mounts += [SecretMount(id=name, env=name) for name in secrets]
    return RequirementFiles(
        mounts=tuple(mounts),
        constrained=bool(read.constraints),
        because=tuple(entry.origin for entry in read.entries),
    )


def _text(entries: tuple[Entry, ...], options: Options | None = None) -> str:
    lines = [*_option_lines(options or Options()), *(entry.render() for entry in entries)]
    return "".join(f"{line}\n" for line in lines)


def _option_lines(options: Options) -> Iterator[str]:
    if options.index_url:
        yield f"--index-url {options.index_url.url.raw}"
    for extra in options.extra_index_urls:
        yield f"--extra-index-url {extra.url.raw}"
    if options.no_index:
        yield "--no-index"
    for place in options.find_links:
        yield f"--find-links {place.url.raw if place.url else f'{SOURCE}/{place.path}'}"
    for name in options.no_binary:
        yield f"--no-binary {name}"
    for name in options.only_binary:
        yield f"--only-binary {name}"
    if options.pre:
        yield "--pre"
    if options.require_hashes:
        yield "--require-hashes"


def _local_paths(project: Project) -> tuple[str, ...]:
    entries = (*project.requirements.entries, *project.requirements.constraints)
    paths = {entry.path for entry in entries if entry.is_local}
    paths |= {place.path for place in project.requirements.options.find_links if place.path}
    return ("**",) if "." in paths else tuple(sorted(paths))


def _urls(read: RequirementsFile) -> Iterator[tuple[Url, Origin]]:
    for entry in (*read.entries, *read.constraints):
        if entry.url is not None:
            yield entry.url, entry.origin
    options = read.options
    for index in (options.index_url, *options.extra_index_urls):
        if index is not None:
            yield index.url, index.origin
    for place in options.find_links:
        if place.url is not None:
            yield place.url, place.origin


def _secrets(read: RequirementsFile) -> tuple[str, ...]:
    """The variables that the URLs refer to; each is a secret of the install.

    Raises UserError for every URL that has a credential in the clear.
    """
    faults = []
    names: set[str] = set()
    for url, origin in _urls(read):
        if url.has_credentials and not url.variables:
            faults.append(
                Fault(
                    "a credential stands in the URL, and the image's plan would hold it",
                    origin,
                    hint="write a variable in its place, as in ${INDEX_TOKEN}, and give it to the "
                    "build: cogpack build --secret id=INDEX_TOKEN,env=INDEX_TOKEN",
                )
            )
        names.update(url.variables)
    if faults:
        raise UserError(faults)
    return tuple(sorted(names))
