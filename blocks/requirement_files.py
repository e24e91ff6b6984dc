"""The project's requirements as the files that installers read, and what these refer to.

The files are written anew from what was read, so that a comment or the order of options does not
repeat an install; they never hold a credential.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar

from msgspec import structs

from ..errors import Fault, UserError
from ..origin import Origin
from ..plan import parts
from ..project import Project
from ..project.redact import Url
from ..project.requirements import Entry, Options, RequirementsFile
from ..solver.resolution import Resolution
from .base import Block
from .layout import SOURCE, quoted

if TYPE_CHECKING:
    from ..plan.composer import Composer

__all__ = [
    "CONSTRAINTS",
    "INDEXES",
    "LOCAL",
    "REQUIREMENTS",
    "RequirementFiles",
    "build_settings",
    "by_pip",
    "constraint_files",
    "credential_fault",
    "file_options",
    "has_checkouts",
    "local_by_pip",
    "refuse_credentials",
    "requirement_mounts",
]

_FOLDER = "/run/cogpack"
_STAGE = "requirements"
REQUIREMENTS = f"{_FOLDER}/requirements.txt"
CONSTRAINTS = f"{_FOLDER}/constraints.txt"
INDEXES = f"{_FOLDER}/indexes.txt"
LOCAL = f"{_FOLDER}/local.txt"

# Others, as .tgz and .tar.xz, are pip's alone.
_UV_ARCHIVES = (".tar.gz", ".zip")


class RequirementFiles(Block):
    """Writes the files in a stage that is mounted and in no layer.

    REQUIREMENTS has what is not in the project itself, LOCAL has all and is there only when
    something is, INDEXES has the options alone.

    The constraints are the user's, and the builds that the solver chose from an index of their
    own: `torch==2.7.1` must not become another variant because the default index has one too.
    """

    name: ClassVar[str] = "requirement-files"

    @classmethod
    def detect(cls, project: Project) -> bool:
        return bool(project.requirements.entries)

    def plan(self, project: Project, resolution: Resolution, composer: Composer) -> None:
        if resolution.lock is not None:
            return
        read = project.requirements
        refuse_credentials(read)
        entries = read.entries
        if not by_pip(project):
            entries = tuple(structs.replace(entry, settings=()) for entry in entries)
        indexes = "".join(f"{line}\n" for line in _option_lines(read.options))
        files = {
            REQUIREMENTS: indexes + _lines(entry for entry in entries if not entry.is_local),
            CONSTRAINTS: _constraints(read, resolution),
            INDEXES: indexes,
        }
        if any(entry.is_local for entry in read.entries):
            files[LOCAL] = indexes + _lines(read.entries if local_by_pip(project) else entries)
        composer.side_stage(
            "system-deps",
            _STAGE,
            "write down the requirements",
            parts.ScratchInput(),
            [
                parts.MkFile(path=path.removeprefix(_FOLDER), content=content)
                for path, content in sorted(files.items())
            ],
        )


def constraint_files(project: Project, resolution: Resolution) -> tuple[str, ...]:
    """CONSTRAINTS where there are any: of a file without, uv would warn in every build."""
    return (CONSTRAINTS,) if _constraints(project.requirements, resolution) else ()


def file_options(requirements: str, constraints: Iterable[str]) -> str:
    """The options that give these files to an installer, pip or uv."""
    limits = (f"--constraint {one}" for one in constraints)
    return " ".join((f"--requirement {requirements}", *limits))


def requirement_mounts(
    project: Project, files: Iterable[str], entries: Iterable[Entry]
) -> tuple[parts.Mount, ...]:
    """What an installer needs mounted: files, local packages, and secrets of the URLs.

    files: of REQUIREMENTS, LOCAL, CONSTRAINTS and INDEXES those that it reads; a change of another
    one then does not repeat it. entries: the requirements that it installs.
    Local wheels, archives and folders are mounted where the source will be: an editable install
    then points to where its code is at run time.
    """
    source = parts.StageInput(id=_STAGE)
    mounts: list[parts.Mount] = [
        parts.BindMount(source=source, source_path=path.removeprefix(_FOLDER), target=path)
        for path in sorted(files)
    ]
    if local := _local_paths(entries, project.requirements.options):
        mounts.append(
            parts.BindMount(
                source=parts.LocalInput(include=local, exclude=project.ignore.all),
                target=SOURCE,
                writable=True,
            )
        )
    names = {name for url, _ in _urls(project.requirements) for name in url.variables}
    mounts += [parts.SecretMount(id=name, env=name) for name in sorted(names)]
    return tuple(mounts)


def build_settings(project: Project) -> str:
    """The options by which uv hands `--config-settings` of requirements to what builds them.

    It does not take them in a file, as pip does. Those of a path without a name hold for all.
    """
    found = []
    for entry in project.requirements.entries:
        for value in entry.settings:
            option = "--config-settings-package" if entry.name else "--config-setting"
            found.append(f"{option} {quoted([':'.join(filter(None, (entry.name, value)))])} ")
    return "".join(found)


def local_by_pip(project: Project) -> bool:
    """Whether pip installs what is in the project: uv does not read every kind of archive."""
    archives = (entry.path for entry in project.requirements.entries if entry.kind == "sdist")
    return by_pip(project) or not all(path.endswith(_UV_ARCHIVES) for path in archives)


def by_pip(project: Project) -> bool:
    """Whether pip installs the project's packages: because it is told to, or as uv cannot.

    Of a repository that is editable (`-e git+https://…`) only pip keeps the checkout.
    """
    asked = project.config is not None and project.config.cogpack.installer == "pip"
    return asked or has_checkouts(project)


def has_checkouts(project: Project) -> bool:
    """Whether a repository is to be installed editable, and so to stay in the image."""
    return any(entry.editable and entry.kind == "vcs" for entry in project.requirements.entries)


def credential_fault(origin: Origin) -> Fault:
    """The fault of a URL with a credential in it."""
    return Fault(
        "a credential stands in the URL, and the image's plan would hold it",
        origin,
        hint="write a variable in its place, as in ${INDEX_TOKEN}, and give it to the build: "
        "cogpack build --secret id=INDEX_TOKEN,env=INDEX_TOKEN",
    )


def _constraints(read: RequirementsFile, resolution: Resolution) -> str:
    return _lines(read.constraints) + "".join(f"{line}\n" for line in _chosen(read, resolution))


def _chosen(read: RequirementsFile, resolution: Resolution) -> Iterator[str]:
    """The builds that have an index of their own, as constraints.

    uv, told to take nothing without a hash, wants to see it there, too.
    """
    hashes = {entry.name: entry.hashes for entry in read.entries if read.options.require_hashes}
    for choice in resolution:
        if choice.index:
            own = (f" --hash={value}" for value in hashes.get(choice.package, ()))
            yield f"{choice.package}=={choice.version}{''.join(own)}"


def _lines(entries: Iterable[Entry]) -> str:
    return "".join(f"{entry.render(SOURCE)}\n" for entry in entries)


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
    if options.require_hashes:
        yield "--require-hashes"


def _local_paths(entries: Iterable[Entry], options: Options) -> tuple[str, ...]:
    paths = {entry.path for entry in entries if entry.is_local}
    paths |= {place.path for place in options.find_links if place.path}
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


def refuse_credentials(read: RequirementsFile) -> None:
    """Raises UserError when a credential stands in a URL: files of a plan hold these as written."""
    faults = [credential_fault(origin) for url, origin in _urls(read) if url.has_credentials]
    if faults:
        raise UserError(faults)
