"""cuda_images.csv and base_images.csv, from the tags of their repositories."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from packaging.version import InvalidVersion, Version

from ..cells import Cells, Sheet, sort_key
from .finding import Finding, Found, Missed
from .sources import UnreachedError
from .world import World

__all__ = ["base_images", "cuda_images"]

_HOST = "docker.io"
_CUDA = "nvidia/cuda"

_CUDA_TAG = re.compile(
    r"(?P<cuda>\d+\.\d+\.\d+)-(?:(?P<cudnn>cudnn\d*)-)?(?P<flavour>base|runtime|devel)"
    r"-(?P<system>ubuntu)(?P<release>\d\d\.\d\d)"
)

# What the images of a new minor of Python have in common with those of the minor before it.
_CARRIED = ("patch_ref", "os", "architectures", "packages", "rank")

# What a row of cuda_images.csv promises: all of these, and the last two with cuDNN as well.
_FLAVOURS = frozenset({"base", "runtime", "devel"})
_CUDNN_FLAVOURS = frozenset({"runtime", "devel"})


def cuda_images(sheet: Sheet, world: World, sheets: Mapping[str, Sheet]) -> Finding:
    """NVIDIA's images: those of which all flavours are there."""
    try:
        tags = _tags(world, _CUDA)
    except UnreachedError as error:
        return Finding(missed=(Missed(str(error), "cuda_images"),))
    found, notes = _cuda_rows(tags, sheet, sheets)
    offered = {sort_key(sheet.name, one.cells) for one in found}
    absent = set(sheet.by_key) - offered
    known = {key for key, row in sheet.by_key.items() if not row["withdrawn"]}
    if 2 * len(known & offered) < len(known):
        text = (
            f"the tags of {_CUDA} have only {len(known & offered)} of the {len(known)} images "
            "that the table knows: they are not believed"
        )
        return Finding(missed=(Missed(text, "cuda_images"),))
    if world.since is not None:
        found = [one for one in found if Version(one.cells["cuda"]) >= world.since]
        absent = {key for key in absent if _first(key) >= world.since}
    return Finding(tuple(found), frozenset(absent), tuple(notes))


def _first(key: tuple[object, ...]) -> Version:
    assert isinstance(key[0], Version)  # noqa: S101  # the key's first column
    return key[0]


def _tags(world: World, repository: str) -> frozenset[str]:
    tags = world.registry.tags(repository)
    if not tags:
        raise UnreachedError(f"{_HOST} has no tags of {repository}")
    return tags


def _cuda_rows(
    tags: Iterable[str], sheet: Sheet, sheets: Mapping[str, Sheet]
) -> tuple[list[Found], list[str]]:
    plain: dict[tuple[str, str], set[str]] = {}
    cudnn: dict[tuple[str, str], dict[str, set[str]]] = {}
    for tag in tags:
        if match := _CUDA_TAG.fullmatch(tag):
            key = match["cuda"], f"{match['system']}-{match['release']}"
            if match["cudnn"]:
                by_name = cudnn.setdefault(key, {})
                by_name.setdefault(match["cudnn"], set()).add(match["flavour"])
            else:
                plain.setdefault(key, set()).add(match["flavour"])
    oldest = min(Version(row["cuda"]) for row in sheet.rows)
    systems = {row["name"] for row in sheets["os"].rows}
    found, notes = [], set()
    for (cuda, system), flavours in sorted(plain.items()):
        named = [n for n, has in cudnn.get((cuda, system), {}).items() if has >= _CUDNN_FLAVOURS]
        if Version(cuda) < oldest or not flavours >= _FLAVOURS or not named:
            continue
        if system not in systems:
            notes.add(f"images of {_CUDA} on {system} are left out: os.csv does not know it")
            continue
        # Where several names lead to an image with cuDNN, the plain one says nothing of its major.
        name = max(named, key=lambda one: (one.removeprefix("cudnn") != "", one))
        major = name.removeprefix("cudnn") or _major_of_plain_name(sheet)
        cells = {"cuda": cuda, "os": system, "cudnn": major, "cudnn_tag": name}
        found.append(Found(cells, {"": f"{_CUDA} tags"}))
    return found, sorted(notes)


def _major_of_plain_name(sheet: Sheet) -> str:
    """What a tag means that says `cudnn` and no major: what the newest such row says."""
    return next(row["cudnn"] for row in reversed(sheet.rows) if row["cudnn_tag"] == "cudnn")


def base_images(sheet: Sheet, world: World, sheets: Mapping[str, Sheet]) -> Finding:
    """Images without CUDA: which releases of Python there are tags of, which refs are gone."""
    found: list[Found] = []
    absent: set[tuple[object, ...]] = set()
    notes: list[str] = []
    missed: list[Missed] = []
    for repository in sorted({_split(row["ref"])[0] for row in sheet.rows} - {""}):
        rows = [row for row in sheet.rows if _split(row["ref"])[0] == repository]
        try:
            tags = _tags(world, repository)
        except UnreachedError as error:
            missed.append(Missed(str(error), f"the images of {repository}"))
            continue
        held = [row for row in rows if _split(row["ref"])[1] in tags]
        if 2 * len(held) < len([row for row in rows if not row["withdrawn"]]):
            text = (
                f"the tags of {repository} have only {len(held)} of the {len(rows)} images that "
                "the table knows: they are not believed"
            )
            missed.append(Missed(text, f"the images of {repository}"))
            continue
        absent |= {sort_key(sheet.name, row) for row in rows if row not in held}
        found += [one for row in held if (one := _held(row, tags))]
        found += _new_minors(rows, tags, sheets)
        notes += _unknown_pythons(found, sheets)
    known = [one for one in found if not _unknown_pythons([one], sheets)]
    return Finding(tuple(known), frozenset(absent), tuple(dict.fromkeys(notes)), tuple(missed))


def _split(ref: str) -> tuple[str, str]:
    """Repository and tag of an image of docker.io; empty for those of other registries."""
    if not ref.startswith(f"{_HOST}/"):
        return "", ""
    repository, _, tag = ref.removeprefix(f"{_HOST}/").partition(":")
    return repository, tag


def _patches(patch_ref: str, minor: str, tags: Iterable[str]) -> list[Version]:
    """The releases of a minor of Python that have a tag of their own, oldest first."""
    before, _, after = _split(patch_ref)[1].partition("{python}")
    found = []
    for tag in tags:
        if tag.startswith(before) and tag.endswith(after):
            text = tag.removeprefix(before).removesuffix(after)
            if re.fullmatch(rf"{re.escape(minor)}\.\d+", text):
                found.append(Version(text))
    return sorted(found)


def _minor(row: Cells) -> str:
    return ".".join(row["python"].split(".")[:2])


def _held(row: Cells, tags: frozenset[str]) -> Found | None:
    cells = {"ref": row["ref"]}
    if row["python"]:
        patches = _patches(row["patch_ref"], _minor(row), tags)
        if not patches:
            return None
        cells |= {"python": str(patches[-1]), "patch_from": str(patches[0])}
    return Found(cells, {})


def _new_minors(
    rows: Iterable[Cells], tags: frozenset[str], sheets: Mapping[str, Sheet]
) -> Iterator[Found]:
    """Images of a minor of Python that the table has not: as those of the minor before it."""
    listed = [row for row in rows if row["python"]]
    known = {row["ref"] for row in listed}
    minors = sorted({".".join(row["version"].split(".")[:2]) for row in sheets["python"].rows})
    newest = max((Version(_minor(row)) for row in listed), default=None)
    for row in listed:
        if Version(_minor(row)) != newest:
            continue
        for minor in minors:
            ref = row["ref"].replace(f":{_minor(row)}-", f":{minor}-")
            if Version(minor) <= newest or ref in known or _split(ref)[1] not in tags:
                continue
            patches = _patches(row["patch_ref"], minor, tags)
            if patches:
                carried = {name: row[name] for name in _CARRIED}
                told = {"ref": ref, "python": str(patches[-1]), "patch_from": str(patches[0])}
                repository = _split(ref)[0].rpartition("/")[2]
                source = {"": f"Docker official images: {repository}"}
                yield Found({**told, **carried}, source)


def _unknown_pythons(found: Iterable[Found], sheets: Mapping[str, Sheet]) -> list[str]:
    """Notes on images whose Python no row of python.csv is about."""
    known = {row["version"] for row in sheets["python"].rows}
    notes = []
    for one in found:
        used = {one.cells.get("python", ""), one.cells.get("patch_from", "")} - {""}
        if missing := sorted(used - known, key=_version):
            ref = one.cells["ref"]
            notes.append(f"{ref} is left as it is: python.csv has no {' nor '.join(missing)}")
    return notes


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")
