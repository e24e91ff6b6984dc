"""The lock: every file that the image installs, and the matrix's assignment, as PEP 751 has it.

The model of the file is packaging's; this module turns it into a frozen `Lock` and back. How a
lock comes about is `loop`'s subject, what belongs to its fingerprint its writer's.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.pylock import (
    Package,
    PackageArchive,
    PackageDirectory,
    PackageSdist,
    PackageWheel,
    Pylock,
    PylockUnsupportedVersionError,
    PylockValidationError,
)
from packaging.specifiers import SpecifierSet
from packaging.utils import NormalizedName
from packaging.version import Version

from ..errors import Fault, UserError
from ..files import read_file, write_atomically
from ..origin import Origin
from .lock_builds import LockedBuild, build_data, read_build
from .lock_options import LockOptions, read_options
from .lock_package import LockedPackage
from .lock_table import FORMAT, Extra, Table
from .resolution import Resolution

__all__ = [
    "FORMAT",
    "LOCK_FILE",
    "RELOCK",
    "Lock",
    "LockedBuild",
    "LockedPackage",
    "dump_lock",
    "load_lock",
    "read_lock",
    "write_lock",
]

LOCK_FILE = "pylock.cogpack.toml"

RELOCK = "run cogpack resolve --lock"


@dataclass(frozen=True)
class Lock:
    """A locked project; packages are sorted by name.

    fingerprint: of the inputs that it was made from. platform: as in `linux/amd64`.
    resolution: the matrix's assignment, base images included.
    corrections: known overrides that took part, as sentences. exclude_newer: as it was asked for.
    options: what was asked for beside the project.
    tools: SHA-256 of the wheels of the build's own tools, by name; uv may be fetched as these only.
    sizes: of wheels that the file `beside` names without telling their size, in bytes, by hash.
    beside: the file that locks the project's own packages, `uv.lock`; then only what is installed
        beside these is here. Empty where the lock has everything.
    builds: what the packages that come as no wheel are built with; of one that is in none of them
        it is not known.
    """

    packages: tuple[LockedPackage, ...]
    resolution: Resolution
    fingerprint: str
    platform: str
    machine: str
    corrections: tuple[str, ...] = ()
    exclude_newer: str = ""
    options: LockOptions = field(default_factory=LockOptions)
    tools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    beside: str = ""
    builds: tuple[LockedBuild, ...] = ()

    def without(self, names: Iterable[str], beside: str) -> Lock:
        """The lock without packages that another file locks. beside: that file."""
        others = frozenset(names)
        kept = (one for one in self.packages if one.name not in others)
        packages = tuple(
            replace(one, requires=tuple(name for name in one.requires if name not in others))
            for one in kept
        )
        builds = tuple(filter(None, (one.without(others) for one in self.builds)))
        return replace(self, packages=packages, beside=beside, builds=builds)

    @cached_property
    def by_name(self) -> Mapping[str, LockedPackage]:
        """The packages by name."""
        return {one.name: one for one in self.packages}

    def closure(self, names: Iterable[str]) -> tuple[LockedPackage, ...]:
        """These packages and all that they need, sorted by name; unknown names are passed over."""
        found: set[str] = set()
        queue = [name for name in names if name in self.by_name]
        while queue:
            name = queue.pop()
            if name not in found:
                found.add(name)
                queue += [one for one in self.by_name[name].requires if one in self.by_name]
        return tuple(self.by_name[name] for name in sorted(found))


def dump_lock(lock: Lock) -> str:
    """The text of the lock file: the same lock, the same bytes."""
    import tomli_w

    python = Version(lock.resolution["python"].version)
    marker = (
        "sys_platform == 'linux' and implementation_name == 'cpython' "
        f"and platform_machine == '{lock.machine}'"
    )
    pylock = Pylock(
        lock_version=Version("1.0"),
        environments=[Marker(marker)],
        requires_python=SpecifierSet(f"=={python.major}.{python.minor}.*"),
        created_by="cogpack",
        packages=[_package(one) for one in sorted(lock.packages)],
        tool={"cogpack": _table(lock).data},
    )
    data = pylock.to_dict()
    # What `Pylock.validate` does, which would render everything a second time.
    Pylock.from_dict(data)
    return tomli_w.dumps(data)


def load_lock(text: str, *, file: str = LOCK_FILE) -> Lock:
    """The lock of a text.

    file: the file's name, for messages.

    Raises UserError when it is no valid lock, or none of this format.
    """
    try:
        pylock = Pylock.from_dict(tomllib.loads(text))
        tool = (pylock.tool or {})["cogpack"]
        if tool["format"] != FORMAT:
            raise UserError(Fault(f"its format is {tool['format']}", Origin(file), RELOCK))
        table = Table.read(tool)
        lock = Lock(
            packages=tuple(_read(one) for one in pylock.packages),
            resolution=table.resolution,
            fingerprint=table.fingerprint,
            platform=table.platform,
            machine=table.machine,
            corrections=table.corrections,
            exclude_newer=table.exclude_newer,
            options=read_options(table.options),
            tools=table.tools,
            sizes=table.sizes,
            beside=table.beside,
            builds=tuple(map(read_build, table.builds)),
        )
        _check_whole(lock, file)
        return lock
    except tomllib.TOMLDecodeError as error:
        raise UserError(Fault(f"not valid TOML: {error}", Origin(file), RELOCK)) from None
    except (PylockValidationError, PylockUnsupportedVersionError) as error:
        raise UserError(Fault(f"no valid lock: {error}", Origin(file), RELOCK)) from None
    except KeyError as error:
        message = f"no lock of cogpack: it has no {error.args[0]}"
        raise UserError(Fault(message, Origin(file), RELOCK)) from None
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(Fault(f"no lock of cogpack: {error}", Origin(file), RELOCK)) from None


def read_lock(root: Path) -> Lock | None:
    """The lock of a project folder; None when there is none.

    Raises UserError when it cannot be read.
    """
    try:
        text = read_file(root / LOCK_FILE).decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        fault = Fault(f"it cannot be read: {error}", Origin(LOCK_FILE), RELOCK)
        raise UserError(fault) from None
    return load_lock(text)


def write_lock(root: Path, lock: Lock) -> bool:
    """Write the lock into a project folder, whole or not at all; whether it changed.

    Raises BuilderError when the folder or the disk refuses.
    """
    path = root / LOCK_FILE
    content = dump_lock(lock).encode()
    if path.is_file() and path.read_bytes() == content:
        return False
    write_atomically(path, content)
    return True


def _check_whole(lock: Lock, file: str) -> None:
    """Nothing else would notice: packages are installed without asking what they need.

    Raises UserError with every fault.
    """
    faults = [Fault(f"it is damaged: {what}", Origin(file), RELOCK) for what in _damages(lock)]
    if faults:
        raise UserError(faults)


def _damages(lock: Lock) -> Iterator[str]:
    for name, count in sorted(Counter(one.name for one in lock.packages).items()):
        if count > 1:
            yield f"it has {name} {count} times"
    for one in lock.packages:
        for name in one.requires:
            if name not in lock.by_name:
                yield f"{one.name} needs {name}, which is not in it"


def _table(lock: Lock) -> Table:
    return Table.of(
        lock.resolution,
        fingerprint=lock.fingerprint,
        platform=lock.platform,
        machine=lock.machine,
        corrections=lock.corrections,
        exclude_newer=lock.exclude_newer,
        options=lock.options.data,
        tools=lock.tools,
        sizes=lock.sizes,
        beside=lock.beside,
        builds=tuple(map(build_data, lock.builds)),
    )


def _package(one: LockedPackage) -> Package:
    hashes = dict(one.hashes)
    wheel = sdist = archive = directory = None
    if one.kind == "wheel":
        wheel = PackageWheel(name=one.filename, url=one.url, size=one.size, hashes=hashes)
    elif one.kind == "sdist":
        sdist = PackageSdist(name=one.filename, url=one.url, size=one.size, hashes=hashes)
    elif one.kind == "archive":
        archive = PackageArchive(
            url=one.url or None, path=one.path or None, size=one.size, hashes=hashes
        )
    else:
        directory = PackageDirectory(path=one.path, editable=one.editable or None)
    return Package(
        name=NormalizedName(one.name),
        version=Version(one.version) if one.version else None,
        dependencies=[{"name": name} for name in one.requires] or None,
        index=one.index or None,
        wheels=[wheel] if wheel else None,
        sdist=sdist,
        archive=archive,
        directory=directory,
        tool=Extra(one.extras, one.is_matrix).data,
    )


def _read(one: Package) -> LockedPackage:
    extra = Extra.read(one.tool)
    common: dict[str, Any] = {
        "name": str(one.name),
        "version": str(one.version) if one.version else "",
        "index": one.index or "",
        "requires": tuple(sorted(item["name"] for item in one.dependencies or ())),
        "extras": extra.extras,
        "is_matrix": extra.matrix,
    }
    if one.directory is not None:
        directory = one.directory
        editable = bool(directory.editable)
        return LockedPackage(kind="directory", path=directory.path, editable=editable, **common)
    if one.archive is not None:
        file = one.archive
        name = (file.url or file.path or "").rpartition("/")[2].partition("?")[0]
        return LockedPackage(kind="archive", filename=name, **_file(file), **common)
    wheel = one.wheels[0] if one.wheels else None
    if wheel is not None:
        return LockedPackage(kind="wheel", filename=wheel.filename, **_file(wheel), **common)
    if one.sdist is None:
        raise ValueError(f"{one.name} has no file")
    return LockedPackage(kind="sdist", filename=one.sdist.filename, **_file(one.sdist), **common)


def _file(file: PackageWheel | PackageSdist | PackageArchive) -> dict[str, Any]:
    return {
        "url": file.url or "",
        "path": file.path or "",
        "hashes": tuple(sorted(file.hashes.items())),
        "size": file.size,
    }
